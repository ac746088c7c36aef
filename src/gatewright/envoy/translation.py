"""A Topology as collections of xDS resources."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from gatewright.envoy.clusters import cluster, cluster_ref, endpoints
from gatewright.envoy.filters import Entry
from gatewright.envoy.listeners import Binding, listener, listener_name, table_name
from gatewright.envoy.resources import (
    CLUSTER,
    ENDPOINTS,
    LISTENER,
    ROUTES,
    SCOPE,
    SECRET,
    VIRTUAL_HOST,
    Ref,
    Resource,
)
from gatewright.envoy.routes import Route, route, virtual_host
from gatewright.envoy.scopes import host_scope, is_exact, others_scope
from gatewright.envoy.secrets import secret
from gatewright.envoy.tables import placeholder, routing_table
from gatewright.flow import Collection, Context, Flow
from gatewright.model.meta import Key
from gatewright.topology import (
    Backend,
    BackendKey,
    Certificate,
    HostKey,
    Listener,
    ListenerKey,
    Placement,
    PortKey,
    RuleKey,
    Topology,
)


@dataclass(frozen=True)
class Translation:
    """The resources by type URL, and what the way back from them to the Topology's objects needs."""

    resources: Mapping[str, Collection[str, Resource]]
    ports: Collection[PortKey, str]
    """The name of the listener resource of each port that is bound."""
    routes: Collection[tuple[HostKey, RuleKey], Route]


def translate(flow: Flow, topology: Topology, bindings: Collection[Key, Binding]) -> Translation:
    """Derive the resources of a whole Topology. What belongs to a Gateway without a binding is left out."""
    by_port = topology.listeners.index(lambda _, member: [member.port_key], name="listeners by port")
    every_port = flow.distinct("ports", by_port)
    hosts_by_gateway = topology.hosts.index(
        lambda host, _: [(host.listener.gateway, host.hostname)], name="hosts by gateway and name"
    )

    def bound_port(ctx: Context, port: PortKey) -> tuple[str, int] | None:
        binding = ctx.get(bindings, port.gateway)
        bound = binding.ports.get(port.port) if binding else None
        return (binding.host, bound) if binding and bound else None

    # --- listeners, routing tables, secrets

    bound = flow.derive("bound ports", every_port, lambda ctx, port, _: bound_port(ctx, port))

    def to_listener(ctx: Context, port: PortKey, where: tuple[str, int]) -> Mapping[str, Resource] | None:
        members = ctx.lookup(by_port, port)
        named = dict.fromkeys(key for member in members for key in member.certificates)
        at_hand = {key for key in named if ctx.get(topology.certificates, key) is not None}
        resource = listener(port, members, *where, at_hand)
        return {resource.name: resource} if resource else None

    listeners = flow.derive_many("envoy listeners", bound, to_listener)

    def to_table(ctx: Context, _: ListenerKey, member: Listener) -> Mapping[str, Ref] | None:
        if ctx.get(bound, member.port_key) is None:
            return None
        if member.protocol == "HTTPS" and all(
            ctx.get(topology.certificates, name) is None for name in member.certificates
        ):
            return None
        return {table_name(member): Ref(LISTENER, listener_name(member.port_key))}

    tables = flow.derive_many("tables", topology.listeners, to_table)
    """The resource of the listener that each belongs to."""

    def each_table(name: str, make: Callable[[str, Ref], Resource]) -> Collection[str, Resource]:
        return flow.derive_many(name, tables, lambda _, table, within: {(made := make(table, within)).name: made})

    routing_tables = each_table("envoy routing tables", routing_table)
    placeholders = each_table("envoy placeholders", lambda table, _: placeholder(table))
    other_scopes = each_table("envoy scopes of other hosts", others_scope)

    users = topology.listeners.index(lambda _, member: member.certificates, name="listeners by certificate")

    def to_secret(ctx: Context, key: Key, certificate: Certificate) -> Mapping[str, Resource] | None:
        ports = {member.port_key for member in ctx.lookup(users, key)}
        within = sorted(listener_name(port) for port in ports if ctx.get(bound, port) is not None)
        if not within:
            return None
        resource = secret(certificate, tuple(Ref(LISTENER, name) for name in within))
        return {resource.name: resource}

    secrets = flow.derive_many("envoy secrets", topology.certificates, to_secret)

    # --- virtual hosts

    def open_port(ctx: Context, host: HostKey, port: int, hostname: str | None) -> int:
        """The port that is open for `port`, if the URL leads back to the same Gateway."""
        gateway = host.listener.gateway
        if hostname is not None:
            parents = hostname.split(".")[1:]
            names = [hostname, *("*." + ".".join(parents[at:]) for at in range(len(parents)))]
            if not any(ctx.count(hosts_by_gateway, (gateway, name)) for name in names):
                return port
        binding = ctx.get(bindings, gateway)
        return binding.ports.get(port, port) if binding else port

    def to_cluster_ref(ctx: Context, key: BackendKey) -> Ref | None:
        backend = ctx.get(topology.backends, key)
        return cluster_ref(backend) if backend else None

    def to_route(ctx: Context, key: tuple[HostKey, RuleKey], placement: Placement) -> Route | None:
        host = placement.host
        member = ctx.get(topology.listeners, host.listener)
        if member is None:
            return None
        scheme = "https" if member.protocol == "HTTPS" else "http"
        entry = Entry(scheme, member.port, host.hostname, partial(open_port, ctx, host))
        return route(host, placement.rule, entry, partial(to_cluster_ref, ctx))

    routes = flow.derive("envoy routes", topology.placements, to_route)
    routes_by_host = routes.index(
        lambda _, made: [made.host], order=lambda _, made: made.rule.precedence, name="envoy routes by host"
    )

    def to_virtual_host(ctx: Context, host: HostKey, _: HostKey) -> Mapping[str, Resource] | None:
        member = ctx.get(topology.listeners, host.listener)
        if member is None or is_exact(host.hostname) or ctx.get(tables, table_name(member)) is None:
            return None
        resource = virtual_host(host, table_name(member), ctx.lookup(routes_by_host, host))
        return {resource.name: resource}

    def to_scope(ctx: Context, host: HostKey, _: HostKey) -> Mapping[str, Resource] | None:
        member = ctx.get(topology.listeners, host.listener)
        within = ctx.get(tables, table_name(member)) if member else None
        if member is None or within is None or not is_exact(host.hostname):
            return None
        resource = host_scope(host.hostname, table_name(member), within, ctx.lookup(routes_by_host, host))
        return {resource.name: resource}

    host_scopes = flow.derive_many("envoy scopes of hosts", topology.hosts, to_scope)
    virtual_hosts = flow.derive_many("envoy virtual hosts", topology.hosts, to_virtual_host)

    # --- clusters

    def to_cluster(_: Context, __: BackendKey, backend: Backend) -> Mapping[str, Resource]:
        resource = cluster(backend)
        return {resource.name: resource}

    def to_endpoints(ctx: Context, key: BackendKey, backend: Backend) -> Mapping[str, Resource]:
        resource = endpoints(backend, ctx.get(topology.endpoints, key))
        return {resource.name: resource}

    return Translation(
        resources={
            CLUSTER: flow.derive_many("envoy clusters", topology.backends, to_cluster),
            ENDPOINTS: flow.derive_many("envoy endpoints", topology.backends, to_endpoints),
            SECRET: secrets,
            LISTENER: listeners,
            SCOPE: flow.merge("envoy scopes", other_scopes, host_scopes),
            ROUTES: routing_tables,
            VIRTUAL_HOST: flow.merge("envoy virtual hosts and placeholders", virtual_hosts, placeholders),
        },
        ports=flow.derive("envoy listener names", bound, lambda _, port, __: listener_name(port)),
        routes=routes,
    )
