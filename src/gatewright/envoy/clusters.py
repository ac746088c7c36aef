"""Backends as clusters (CDS), their endpoints as load assignments (EDS).

A cluster's name holds everything that its configuration depends on. So a cluster never changes: a backend that starts
to speak HTTP/2, or gets other authorities, gets a new cluster, which is warm before the routes move to it. Envoy would
not ask again for the endpoints of a cluster that changes under the same name, and would serve none until a timeout.
"""

from __future__ import annotations

from typing import NamedTuple

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import config_source_pb2, health_check_pb2
from envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2

from gatewright.envoy.backendtls import digest, tls_socket
from gatewright.envoy.resources import CLUSTER, Ref, Resource, resource
from gatewright.model.meta import Key
from gatewright.topology import Backend, BackendKey, Endpoint, Endpoints

ADS = config_source_pb2.ConfigSource(
    ads=config_source_pb2.AggregatedConfigSource(), resource_api_version=config_source_pb2.ApiVersion.V3
)
"""Says that a resource comes over the stream that brought the one that mentions it."""

_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_CONNECT_TIMEOUT = 5
_UNLIMITED = 2**32 - 1


class Reach(NamedTuple):
    """How a backend is reached: `client` is the Secret of the certificate that it is shown over TLS."""

    backend: BackendKey
    client: Key | None


def cluster_name(backend: Backend, client: Key | None = None) -> str:
    """The backend, with the protocol where it isn't HTTP/1.1, and what TLS depends on."""
    parts = [str(backend.key)]
    if backend.app_protocol == "h2c":
        parts.append("h2c")
    if backend.tls:
        parts.append(f"tls-{digest(backend.tls)}")
        if client:
            parts.append(f"as/{client}")
    return "/".join(parts)


def new_cluster(name: str) -> cluster_pb2.Cluster:
    """A cluster without TLS whose endpoints come by EDS.

    How many connections and requests it may have is not Envoy's to limit.
    """
    message = cluster_pb2.Cluster(name=name, type=cluster_pb2.Cluster.EDS, lb_policy=cluster_pb2.Cluster.LEAST_REQUEST)
    message.eds_cluster_config.eds_config.CopyFrom(ADS)
    message.connect_timeout.seconds = _CONNECT_TIMEOUT
    # Endpoints that drain are passed over as long as there are others, however few; see `add_endpoint`.
    message.common_lb_config.healthy_panic_threshold.value = 0
    limits = message.circuit_breakers.thresholds.add()
    for limit in (limits.max_connections, limits.max_pending_requests, limits.max_requests, limits.max_retries):
        limit.value = _UNLIMITED
    return message


def new_http_cluster(name: str, *, http2: bool) -> cluster_pb2.Cluster:
    """A cluster that is spoken to in one version of HTTP."""
    message = new_cluster(name)
    options = http_protocol_options_pb2.HttpProtocolOptions()
    if http2:
        options.explicit_http_config.http2_protocol_options.SetInParent()
    else:
        options.explicit_http_config.http_protocol_options.SetInParent()
    message.typed_extension_protocol_options[_HTTP_OPTIONS].Pack(options)
    return message


def cluster(backend: Backend, client: Key | None = None) -> Resource:
    """The cluster of a backend, which sees the certificate of the Secret `client` if it is spoken to by TLS.

    `parts` is the origin of its TLS settings: the object to blame where Envoy refuses them.
    """
    message = new_http_cluster(cluster_name(backend, client), http2=backend.app_protocol == "h2c")
    if backend.tls is None:
        return resource(message.name, message.SerializeToString())
    message.transport_socket.CopyFrom(tls_socket(backend.tls, alpn(backend), client, ADS))
    return resource(message.name, message.SerializeToString(), parts=(backend.tls.origin,))


def alpn(backend: Backend) -> str:
    """The protocol to offer in the TLS handshake."""
    return "h2" if backend.app_protocol == "h2c" else "http/1.1"


def endpoints(backend: Backend, members: Endpoints | None, client: Key | None = None) -> Resource:
    """The addresses behind a backend's cluster."""
    name = cluster_name(backend, client)
    message = endpoint_pb2.ClusterLoadAssignment(cluster_name=name)
    found = members.endpoints if members else ()
    all_drain = all(endpoint.draining for endpoint in found)
    if found:
        locality = message.endpoints.add()
        locality.load_balancing_weight.value = 1
        for endpoint in found:
            add_endpoint(locality, endpoint, all_drain=all_drain)
    return resource(name, message.SerializeToString(), within=(Ref(CLUSTER, name),))


def add_endpoint(
    locality: endpoint_components_pb2.LocalityLbEndpoints, endpoint: Endpoint, *, all_drain: bool
) -> endpoint_components_pb2.LbEndpoint:
    """Add an address. A draining one gets new requests only where no other is left."""
    member = locality.lb_endpoints.add()
    member.endpoint.address.socket_address.address = endpoint.address
    member.endpoint.address.socket_address.port_value = endpoint.port
    if endpoint.draining and not all_drain:
        member.health_status = health_check_pb2.DRAINING
    return member


def cluster_ref(backend: Backend, client: Key | None = None) -> Ref:
    """Names a backend's cluster."""
    return Ref(CLUSTER, cluster_name(backend, client))
