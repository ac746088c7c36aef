"""A Topology as collections of xDS resources, put together from its parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gatewright.envoy.connections import stream_targets
from gatewright.envoy.destinations import Destinations, destination_clusters
from gatewright.envoy.hosts import serve_hosts
from gatewright.envoy.listeners import Binding, listener_name
from gatewright.envoy.ports import serve_ports
from gatewright.envoy.resources import (
    CLUSTER,
    ENDPOINTS,
    FILTER_CHAIN,
    LISTENER,
    ROUTES,
    SCOPE,
    SECRET,
    VIRTUAL_HOST,
    Ref,
    Resource,
)
from gatewright.envoy.routes import Route
from gatewright.envoy.secrets import secret
from gatewright.envoy.status_port import status_listeners
from gatewright.flow import Collection, Context, Flow
from gatewright.model.meta import Key
from gatewright.topology import Certificate, HostKey, PortKey, RuleKey, Topology


@dataclass(frozen=True)
class Translation:
    """The resources by type URL, and what the way back from them to the Topology's objects needs."""

    resources: Mapping[str, Collection[str, Resource]]
    ports: Collection[PortKey, str]
    """The name of the listener resource of each port that is bound."""
    routes: Collection[tuple[HostKey, RuleKey], Route]


def translate(flow: Flow, topology: Topology, bindings: Collection[Key, Binding]) -> Translation:
    """Derive the resources of a whole Topology. What belongs to a Gateway without a binding is left out."""
    targets = stream_targets(flow, topology)
    ports = serve_ports(flow, topology, bindings, targets)
    destinations = Destinations(topology)
    hosts = serve_hosts(flow, topology, bindings, ports.tables, destinations)
    clusters = destination_clusters(flow, topology, destinations, hosts.routes)

    shown = clusters.clients.index(lambda pair, _: [pair[0]], name="clusters by client certificate")
    servers = flow.distinct(
        "certificates of ports",
        topology.listeners.index(lambda _, member: [(key, member.port_key) for key in member.certificates]),
    ).index(lambda pair, _: [pair[0]], name="ports by certificate")

    def to_secret(ctx: Context, key: Key, certificate: Certificate) -> Mapping[str, Resource] | None:
        within = {
            Ref(LISTENER, listener_name(port))
            for _, port in ctx.lookup(servers, key)
            if ctx.get(ports.bound, port) is not None and ctx.get(ports.crowded, port) is None
        }
        within |= {ref for _, ref in ctx.lookup(shown, key)}
        within |= {target.ref for target in ctx.lookup(targets.by_client, key)}
        if not within:
            return None
        made = secret(certificate, tuple(sorted(within)))
        return {made.name: made}

    return Translation(
        resources={
            CLUSTER: flow.merge("envoy clusters", clusters.clusters, targets.clusters),
            ENDPOINTS: flow.merge("envoy endpoints", clusters.endpoints, targets.endpoints),
            SECRET: flow.derive_many("envoy secrets", topology.certificates, to_secret),
            LISTENER: flow.merge("envoy listeners and status ports", ports.listeners, status_listeners(flow, bindings)),
            FILTER_CHAIN: ports.chains,
            SCOPE: hosts.scopes,
            ROUTES: hosts.tables,
            VIRTUAL_HOST: hosts.virtual_hosts,
        },
        ports=flow.derive("envoy listener names", ports.bound, lambda _, port, __: listener_name(port)),
        routes=hosts.routes,
    )
