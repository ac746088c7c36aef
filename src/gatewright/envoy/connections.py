"""The streams of a Topology as collections: where the connections of each go, and the clusters for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gatewright.envoy.resources import Resource
from gatewright.envoy.streams import Share, Target, stream_cluster, stream_endpoints
from gatewright.flow import Collection, Context, Flow, Index
from gatewright.model.meta import Key
from gatewright.topology import BackendKey, Endpoints, HostKey, RuleKey, StreamPlacement, Topology, WeightedBackend


@dataclass(frozen=True)
class StreamTargets:
    """`by_host` is in order of precedence: the first one gets all. `by_client` is by Secret of a client certificate."""

    clusters: Collection[str, Resource]
    endpoints: Collection[str, Resource]
    by_host: Index[HostKey, tuple[HostKey, RuleKey], Target]
    by_client: Index[Key, tuple[HostKey, RuleKey], Target]

    def first(self, ctx: Context, host: HostKey) -> Target | None:
        """Where the connections of a host go."""
        found = ctx.lookup(self.by_host, host)
        return found[0] if found else None


def stream_targets(flow: Flow, topology: Topology) -> StreamTargets:
    """Derive what streams need of clusters. A stream that is placed several times alike has one cluster."""

    def share(ctx: Context, gateway: Key, part: WeightedBackend) -> Share:
        backend = ctx.get(topology.backends, part.backend) if part.backend else None
        if backend is None or backend.problem:
            return Share(part.weight, None)
        client = ctx.get(topology.client_certificates, gateway) if backend.tls else None
        if client and ctx.get(topology.certificates, client) is None:
            client = None
        return Share(part.weight, backend.key, backend.tls, client)

    def to_target(ctx: Context, _: tuple[HostKey, RuleKey], placed: StreamPlacement) -> Target:
        gateway = placed.host.listener.gateway
        return Target(placed.host, placed.stream, tuple(share(ctx, gateway, part) for part in placed.stream.backends))

    targets = flow.derive("stream targets", topology.streams, to_target)

    def to_cluster(_: Context, __: tuple[HostKey, RuleKey], target: Target) -> Mapping[str, Resource]:
        made = stream_cluster(target)
        return {made.name: made}

    def to_endpoints(ctx: Context, _: tuple[HostKey, RuleKey], target: Target) -> Mapping[str, Resource]:
        def endpoints_of(key: BackendKey) -> Endpoints | None:
            return ctx.get(topology.endpoints, key)

        made = stream_endpoints(target, endpoints_of)
        return {made.name: made}

    return StreamTargets(
        clusters=flow.derive_many("envoy clusters of streams", targets, to_cluster),
        endpoints=flow.derive_many("envoy endpoints of streams", targets, to_endpoints),
        by_host=targets.index(
            lambda _, target: [target.host], order=lambda _, target: target.stream.precedence, name="targets by host"
        ),
        by_client=targets.index(lambda _, target: target.clients, name="targets by client certificate"),
    )
