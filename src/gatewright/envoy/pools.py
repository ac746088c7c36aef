"""Several backends as one cluster, so that a session stays on its endpoint across a rule's weights (GEP-1619).

Envoy chooses the cluster of a weighted route before it looks at the session. So the backends of a rule with session
persistence are localities of one cluster, with their weights; one of weight 0 keeps its sessions and gets no new ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import NamedTuple

from envoy.config.endpoint.v3 import endpoint_pb2

from gatewright.envoy.backendtls import digest, tls_socket
from gatewright.envoy.clusters import ADS, add_endpoint, alpn, new_http_cluster
from gatewright.envoy.resources import CLUSTER, Ref, Resource, resource
from gatewright.envoy.syntax import UntranslatableError
from gatewright.model.meta import Key
from gatewright.topology import Backend, BackendKey, Endpoint, Endpoints

_SHARE = "share"
_MATCH = "envoy.transport_socket_match"


class Pool(NamedTuple):
    """Backends with their weights. `client` is the Secret of the certificate to show over TLS."""

    shares: tuple[tuple[BackendKey, int], ...]
    client: Key | None = None


def pool_ref(pool: Pool, backends: Sequence[Backend]) -> Ref:
    """Names the cluster of a pool, after everything that it depends on. `backends` are those of its shares."""
    speaks = {backend.app_protocol == "h2c" for backend in backends}
    if len(speaks) > 1:
        raise UntranslatableError(
            "session persistence over backendRefs of which some speak HTTP/2 and others don't can't be served; "
            "give their Services the same appProtocol"
        )
    settings = [(backend.app_protocol, backend.tls and digest(backend.tls)) for backend in backends]
    return Ref(CLUSTER, f"pool/{blake2b(repr((pool, settings)).encode(), digest_size=16).hexdigest()}")


def pool_cluster(pool: Pool, backends: Sequence[Backend]) -> Resource:
    """The cluster of a pool; `parts` is the origin of its TLS settings.

    Where there are several, which one Envoy refuses shows at the clusters of the backends themselves.
    """
    message = new_http_cluster(pool_ref(pool, backends).name, http2=backends[0].app_protocol == "h2c")
    message.common_lb_config.locality_weighted_lb_config.SetInParent()
    origins = []
    for number, backend in enumerate(backends):
        if backend.tls:
            match = message.transport_socket_matches.add(name=str(number))
            match.match[_SHARE] = str(number)
            match.transport_socket.CopyFrom(tls_socket(backend.tls, alpn(backend), pool.client, ADS))
            origins.append(backend.tls.origin)
    blamed = tuple(dict.fromkeys(origins))
    return resource(message.name, message.SerializeToString(), parts=blamed if len(blamed) == 1 else ())


def pool_endpoints(pool: Pool, backends: Sequence[Backend], members: Sequence[Endpoints | None]) -> Resource:
    """The endpoints of a pool's backends. An address that several of them have is the first one's."""
    ref = pool_ref(pool, backends)
    message = endpoint_pb2.ClusterLoadAssignment(cluster_name=ref.name)
    seen: set[tuple[str, int]] = set()
    for number, ((_, weight), backend, found) in enumerate(zip(pool.shares, backends, members, strict=True)):
        fresh: list[Endpoint] = []
        for endpoint in found.endpoints if found else ():
            if (endpoint.address, endpoint.port) not in seen:
                seen.add((endpoint.address, endpoint.port))
                fresh.append(endpoint)
        if not fresh:
            continue
        locality = message.endpoints.add()
        locality.locality.sub_zone = str(number)
        if weight:
            locality.load_balancing_weight.value = weight
        all_drain = all(endpoint.draining for endpoint in fresh)
        for endpoint in fresh:
            member = add_endpoint(locality, endpoint, all_drain=all_drain)
            if backend.tls:
                member.metadata.filter_metadata[_MATCH][_SHARE] = str(number)
    return resource(ref.name, message.SerializeToString(), within=(ref,))
