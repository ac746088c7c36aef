"""Backends as clusters (CDS), their endpoints as load assignments (EDS).

A cluster's name holds everything that its configuration depends on. So a cluster never changes: a backend that starts
to speak HTTP/2 gets a new cluster, which is warm before the routes move to it. Envoy would not ask again for the
endpoints of a cluster that changes under the same name, and would serve none until a time-out.
"""

from __future__ import annotations

from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import config_source_pb2, health_check_pb2
from envoy.config.endpoint.v3 import endpoint_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2

from gatewright.envoy.resources import CLUSTER, Ref, Resource, resource
from gatewright.topology import Backend, Endpoints

ADS = config_source_pb2.ConfigSource(
    ads=config_source_pb2.AggregatedConfigSource(), resource_api_version=config_source_pb2.ApiVersion.V3
)
"""Says that a resource comes over the stream that brought the one that mentions it."""

_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_CONNECT_TIMEOUT = 5
_UNLIMITED = 2**32 - 1


def cluster_name(backend: Backend) -> str:
    """`namespace/service:port`, with the protocol where it isn't HTTP/1.1."""
    return f"{backend.key}/h2c" if backend.app_protocol == "h2c" else str(backend.key)


def cluster(backend: Backend) -> Resource:
    """The cluster of a backend. How many connections and requests it may have is not Envoy's to limit."""
    message = cluster_pb2.Cluster(
        name=cluster_name(backend),
        type=cluster_pb2.Cluster.EDS,
        lb_policy=cluster_pb2.Cluster.LEAST_REQUEST,
    )
    message.eds_cluster_config.eds_config.CopyFrom(ADS)
    message.connect_timeout.seconds = _CONNECT_TIMEOUT
    # Endpoints that drain are passed over as long as there are others, however few; see `endpoints`.
    message.common_lb_config.healthy_panic_threshold.value = 0
    limits = message.circuit_breakers.thresholds.add()
    for limit in (limits.max_connections, limits.max_pending_requests, limits.max_requests, limits.max_retries):
        limit.value = _UNLIMITED
    options = http_protocol_options_pb2.HttpProtocolOptions()
    if backend.app_protocol == "h2c":
        options.explicit_http_config.http2_protocol_options.SetInParent()
    else:
        options.explicit_http_config.http_protocol_options.SetInParent()
    message.typed_extension_protocol_options[_HTTP_OPTIONS].Pack(options)
    return resource(message.name, message.SerializeToString())


def endpoints(backend: Backend, members: Endpoints | None) -> Resource:
    """The addresses behind a backend's cluster. Draining ones get new requests only where no other is left."""
    name = cluster_name(backend)
    message = endpoint_pb2.ClusterLoadAssignment(cluster_name=name)
    found = members.endpoints if members else ()
    all_drain = all(endpoint.draining for endpoint in found)
    if found:
        locality = message.endpoints.add()
        locality.load_balancing_weight.value = 1
        for endpoint in found:
            member = locality.lb_endpoints.add()
            member.endpoint.address.socket_address.address = endpoint.address
            member.endpoint.address.socket_address.port_value = endpoint.port
            if endpoint.draining and not all_drain:
                member.health_status = health_check_pb2.DRAINING
    return resource(name, message.SerializeToString(), within=(Ref(CLUSTER, name),))


def cluster_ref(backend: Backend) -> Ref:
    """Names a backend's cluster."""
    return Ref(CLUSTER, cluster_name(backend))
