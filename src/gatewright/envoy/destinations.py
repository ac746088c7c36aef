"""Where the rules of a Topology send requests: the clusters of backends and of pools, as collections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gatewright.envoy.clusters import Reach, cluster, cluster_ref, endpoints
from gatewright.envoy.pools import Pool, pool_cluster, pool_endpoints, pool_ref
from gatewright.envoy.resources import SECRET, Ref, Resource
from gatewright.envoy.routes import Destination, PooledDestination, Route
from gatewright.flow import Collection, Context, Flow
from gatewright.model.meta import Key
from gatewright.topology import Backend, BackendKey, HostKey, RuleKey, Topology


@dataclass(frozen=True)
class Destinations:
    """Answers where a rule of a Gateway may send requests; see `Destination` and `PooledDestination`."""

    topology: Topology

    def one(self, ctx: Context, gateway: Key, key: BackendKey) -> Destination | None:
        """The cluster of a backend, as the Gateway speaks to it; None where it may not."""
        backend = ctx.get(self.topology.backends, key)
        if backend is None or backend.problem:
            return None
        client = self.client(ctx, gateway) if backend.tls else None
        return Destination(cluster_ref(backend, client), _secrets(client), Reach(key, client))

    def several(self, ctx: Context, gateway: Key, shares: tuple[tuple[BackendKey, int], ...]) -> PooledDestination:
        """The cluster of several backends with their weights."""
        members = self.backends(ctx, shares)
        client = self.client(ctx, gateway) if any(backend.tls for backend in members) else None
        pool = Pool(shares, client)
        return PooledDestination(pool_ref(pool, members), _secrets(client), pool)

    def client(self, ctx: Context, gateway: Key) -> Key | None:
        """The Secret of the certificate that a Gateway shows to backends, if it is at hand."""
        client = ctx.get(self.topology.client_certificates, gateway)
        return client if client and ctx.get(self.topology.certificates, client) else None

    def backends(self, ctx: Context, shares: tuple[tuple[BackendKey, int], ...]) -> list[Backend]:
        """The backends of a pool that exist."""
        found = (ctx.get(self.topology.backends, key) for key, _ in shares)
        return [backend for backend in found if backend]


def _secrets(client: Key | None) -> tuple[Ref, ...]:
    return (Ref(SECRET, str(client)),) if client else ()


@dataclass(frozen=True)
class DestinationClusters:
    """The clusters that routes need, with their endpoints. `clients` are clusters by the Secret that they show."""

    clusters: Collection[str, Resource]
    endpoints: Collection[str, Resource]
    clients: Collection[tuple[Key, Ref], tuple[Key, Ref]]


def destination_clusters(
    flow: Flow, topology: Topology, to: Destinations, routes: Collection[tuple[HostKey, RuleKey], Route]
) -> DestinationClusters:
    """Derive the clusters that any of `routes` needs."""
    reached = flow.distinct(
        "reached backends", routes.index(lambda _, made: made.reached, name="envoy routes by reach")
    )
    pools = flow.distinct("pools", routes.index(lambda _, made: made.pools, name="envoy routes by pool"))

    def to_cluster(ctx: Context, reach: Reach, _: Reach) -> Mapping[str, Resource] | None:
        backend = ctx.get(topology.backends, reach.backend)
        return _named(cluster(backend, reach.client)) if backend else None

    def to_endpoints(ctx: Context, reach: Reach, _: Reach) -> Mapping[str, Resource] | None:
        backend = ctx.get(topology.backends, reach.backend)
        return _named(endpoints(backend, ctx.get(topology.endpoints, reach.backend), reach.client)) if backend else None

    def to_pool_cluster(ctx: Context, pool: Pool, _: Pool) -> Mapping[str, Resource] | None:
        members = to.backends(ctx, pool.shares)
        return _named(pool_cluster(pool, members)) if len(members) == len(pool.shares) else None

    def to_pool_endpoints(ctx: Context, pool: Pool, _: Pool) -> Mapping[str, Resource] | None:
        members = to.backends(ctx, pool.shares)
        if len(members) < len(pool.shares):
            return None
        return _named(pool_endpoints(pool, members, [ctx.get(topology.endpoints, key) for key, _ in pool.shares]))

    def to_client(ctx: Context, reach: Reach, _: Reach) -> Mapping[tuple[Key, Ref], tuple[Key, Ref]] | None:
        backend = ctx.get(topology.backends, reach.backend)
        return _shown(reach.client, cluster_ref(backend, reach.client)) if backend and reach.client else None

    def to_pool_client(ctx: Context, pool: Pool, _: Pool) -> Mapping[tuple[Key, Ref], tuple[Key, Ref]] | None:
        return _shown(pool.client, pool_ref(pool, to.backends(ctx, pool.shares))) if pool.client else None

    return DestinationClusters(
        clusters=flow.merge(
            "envoy clusters of rules",
            flow.derive_many("envoy clusters of backends", reached, to_cluster),
            flow.derive_many("envoy clusters of pools", pools, to_pool_cluster),
        ),
        endpoints=flow.merge(
            "envoy endpoints of rules",
            flow.derive_many("envoy endpoints of backends", reached, to_endpoints),
            flow.derive_many("envoy endpoints of pools", pools, to_pool_endpoints),
        ),
        clients=flow.merge(
            "clients of clusters",
            flow.derive_many("clients of backends", reached, to_client),
            flow.derive_many("clients of pools", pools, to_pool_client),
        ),
    )


def _named(made: Resource) -> Mapping[str, Resource]:
    return {made.name: made}


def _shown(client: Key, ref: Ref) -> Mapping[tuple[Key, Ref], tuple[Key, Ref]]:
    return {(client, ref): (client, ref)}
