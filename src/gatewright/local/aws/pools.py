"""Target groups as Envoy's clusters (CDS).

A load balancer has a cluster for each target group that it forwards to; an NLB has one for each of its nodes, since a
node chooses among the targets of its zone, and connects from its own address. As everywhere here a cluster's name
holds all that its configuration depends on, so a cluster never changes: what is modified gets a new one, and routes
and listeners move to it when it is warm.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from math import isfinite
from typing import Literal, NamedTuple

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import base_pb2, proxy_protocol_pb2
from envoy.extensions.transport_sockets.proxy_protocol.v3 import upstream_proxy_protocol_pb2
from envoy.extensions.transport_sockets.raw_buffer.v3 import raw_buffer_pb2
from envoy.extensions.transport_sockets.tls.v3 import common_pb2, tls_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2
from msgspec import Struct

from gatewright.envoy.clusters import new_cluster
from gatewright.envoy.resources import Resource, resource
from gatewright.local.aws.state import Listener, LoadBalancer, TargetGroup, Transport
from gatewright.local.block import is_loopback

METADATA = "gatewright.aws"
"""Namespace of the cluster metadata that access logs read: `target_group` is the group's ARN."""

CONNECT_TIMEOUT = 10
"""Seconds; "the load balancer waits 10 seconds for a connection to the target"."""

CLIENT = "127.0.0.1"
"""The address of clients that have none of their own."""

_LARGEST = 10**6
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_CROSS_ZONE = "load_balancing.cross_zone.enabled"
_WITH_TLS = frozenset({"HTTPS", "TLS"})


class PoolKey(NamedTuple):
    """A use of a target group: the ARNs of a load balancer and of the group, and what an NLB distinguishes.

    `node` is the address of the NLB's node, "" for an ALB. `source` is the client's address that is preserved, else "".
    `alpn` is the protocol that a TLS listener of an NLB has negotiated, and negotiates with a target over TLS.
    """

    load_balancer: str
    group: str
    transport: Transport = "TCP"
    node: str = ""
    source: str = ""
    alpn: str = ""


class Pool(Struct, frozen=True):
    """A target group as a load balancer uses it. `zone` limits it to the targets there; "" is all of them.

    `name` is that of the cluster. `settings` is all that its configuration depends on.
    """

    key: PoolKey
    name: str
    zone: str
    settings: Settings


class Settings(Struct, frozen=True):
    """What a cluster is configured from; times in seconds of the real clock."""

    http: bool
    http2: bool
    tls: Literal["", "1.2", "1.3"]
    """The highest version of TLS that targets are offered, "" for none."""
    alpn: str
    algorithm: str
    slow_start: float
    idle_timeout: float
    bind: str
    by_client: bool
    proxy_protocol: bool


def transports(protocol: str) -> tuple[Transport, ...]:
    """What a listener of this protocol is reached over."""
    match protocol:
        case "UDP" | "QUIC":
            return ("UDP",)
        case "TCP_UDP" | "TCP_QUIC":
            return ("TCP", "UDP")
        case _:
            return ("TCP",)


def alpns(listener: Listener, group: TargetGroup) -> tuple[str, ...]:
    """The protocols that a listener may have to negotiate with targets of a group, "" for none.

    An NLB negotiates with a target over TLS what it has negotiated with the client ("ALPN policies").
    """
    if listener.protocol != "TLS" or group.protocol != "TLS":
        return ("",)
    match listener.alpn_policy:
        case "HTTP1Only":
            return ("http/1.1",)
        case "HTTP2Only":
            return ("h2",)
        case "HTTP2Optional" | "HTTP2Preferred":
            return ("h2", "http/1.1")
        case _:
            return ("",)


def crosses_zones(load_balancer: LoadBalancer, group: TargetGroup) -> bool:
    """Whether a node sends to targets of all zones: an ALB's does; the group's attribute overrides an NLB's."""
    own = group.attributes.get(_CROSS_ZONE, "use_load_balancer_configuration")
    if load_balancer.type == "application":
        return True
    if own in ("true", "false"):
        return own == "true"
    return load_balancer.attributes.get(_CROSS_ZONE) == "true"


def preserves_client(group: TargetGroup) -> bool:
    """Whether targets see the address of the client ("Client IP preservation")."""
    if group.target_type == "alb" or group.protocol in ("UDP", "TCP_UDP", "QUIC", "TCP_QUIC"):
        return True
    default = "true" if group.target_type == "instance" else "false"
    return group.attributes.get("preserve_client_ip.enabled", default) == "true"


def settings_of(
    load_balancer: LoadBalancer, group: TargetGroup, key: PoolKey, *, pace: float, local: bool, modern: bool = False
) -> Settings:
    """The settings of a pool. `local`: its targets are loopback addresses, so that they can be connected from one.

    `modern`: a listener of the load balancer has a security policy with TLS 1.3. Only then targets are offered it
    ("Target group protocol": ELBSecurityPolicy-TLS13-1-0-2021-06 or ELBSecurityPolicy-2016-08).
    """
    attributes = group.attributes
    http = load_balancer.type == "application"
    algorithm = attributes.get("load_balancing.algorithm.type", "round_robin") if http else "flow_hash"
    sticky = attributes.get("stickiness.enabled") == "true" and attributes.get("stickiness.type") == "source_ip"
    http2 = http and group.protocol_version in ("HTTP2", "GRPC")
    own = key.node or next((node.address for node in load_balancer.nodes), "")
    source = key.source or own
    return Settings(
        http=http,
        http2=http2,
        tls=("1.3" if modern else "1.2") if group.protocol in _WITH_TLS else "",
        alpn="h2" if http2 else key.alpn,
        algorithm=algorithm,
        slow_start=number(attributes, "slow_start.duration_seconds", 0) / pace if http else 0,
        idle_timeout=number(load_balancer.attributes, "idle_timeout.timeout_seconds", 60) if http else 0,
        bind=source if local and key.transport == "TCP" and is_loopback(source) else "",
        by_client=not http and sticky,
        proxy_protocol=not http and key.transport == "TCP" and attributes.get("proxy_protocol_v2.enabled") == "true",
    )


def cluster_name(load_balancer: LoadBalancer, group: TargetGroup, key: PoolKey, settings: Settings) -> str:
    """The target group, the load balancer, its node, and a digest of the settings."""
    digest = blake2b(repr((key, settings)).encode(), digest_size=6).hexdigest()
    group_id = group.arn.rpartition(":")[2]
    return "/".join(part for part in (group_id, load_balancer.id, key.node, digest) if part)


def cluster(pool: Pool) -> Resource:
    """The cluster of a pool; `parts` is the ARN of its target group."""
    settings = pool.settings
    message = new_cluster(pool.name)
    message.connect_timeout.seconds = CONNECT_TIMEOUT
    message.metadata.filter_metadata[METADATA]["target_group"] = pool.key.group
    _choose(message, settings)
    if settings.bind:
        source = message.upstream_bind_config.source_address
        source.address = settings.bind
        source.port_value = 0
    if settings.http:
        options = http_protocol_options_pb2.HttpProtocolOptions()
        explicit = options.explicit_http_config
        (explicit.http2_protocol_options if settings.http2 else explicit.http_protocol_options).SetInParent()
        options.common_http_protocol_options.idle_timeout.FromNanoseconds(round(settings.idle_timeout * 1e9))
        message.typed_extension_protocol_options[_HTTP_OPTIONS].Pack(options)
    transport = _transport_socket(settings)
    if transport:
        message.transport_socket.CopyFrom(transport)
    return resource(pool.name, message.SerializeToString(), parts=(pool.key.group,))


def _choose(message: cluster_pb2.Cluster, settings: Settings) -> None:
    match settings.algorithm:
        case "least_outstanding_requests":
            message.lb_policy = cluster_pb2.Cluster.LEAST_REQUEST
            slow_start = message.least_request_lb_config.slow_start_config
        case "round_robin":
            message.lb_policy = cluster_pb2.Cluster.ROUND_ROBIN
            slow_start = message.round_robin_lb_config.slow_start_config
        case _:
            # A flow's hash is as good as random, unless the same clients are to have the same targets.
            message.lb_policy = cluster_pb2.Cluster.MAGLEV if settings.by_client else cluster_pb2.Cluster.RANDOM
            return
    if settings.slow_start:
        slow_start.slow_start_window.FromNanoseconds(round(settings.slow_start * 1e9))


def _transport_socket(settings: Settings) -> base_pb2.TransportSocket | None:
    """TLS without a server name, that trusts any certificate; under a header of the PROXY protocol where asked for."""
    socket = None
    if settings.tls:
        context = tls_pb2.UpstreamTlsContext()
        versions = context.common_tls_context.tls_params
        versions.tls_minimum_protocol_version = common_pb2.TlsParameters.TLSv1_0
        versions.tls_maximum_protocol_version = (
            common_pb2.TlsParameters.TLSv1_3 if settings.tls == "1.3" else common_pb2.TlsParameters.TLSv1_2
        )
        if settings.alpn:
            context.common_tls_context.alpn_protocols.append(settings.alpn)
        socket = base_pb2.TransportSocket(name="tls")
        socket.typed_config.Pack(context)
    if not settings.proxy_protocol:
        return socket
    wrapper = upstream_proxy_protocol_pb2.ProxyProtocolUpstreamTransport()
    wrapper.config.version = proxy_protocol_pb2.ProxyProtocolConfig.V2
    if socket is None:
        socket = base_pb2.TransportSocket(name="raw")
        socket.typed_config.Pack(raw_buffer_pb2.RawBuffer())
    wrapper.transport_socket.CopyFrom(socket)
    outer = base_pb2.TransportSocket(name="proxy protocol")
    outer.typed_config.Pack(wrapper)
    return outer


def number(attributes: Mapping[str, str], name: str, default: float) -> float:
    """A numeric attribute; `off` and what is no sound number are the default."""
    try:
        found = float(attributes[name])
    except (KeyError, ValueError):
        return default
    return found if isfinite(found) and 0 <= found <= _LARGEST else default
