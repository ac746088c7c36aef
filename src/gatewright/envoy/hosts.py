"""The virtual hosts of a Topology as collections: rules as routes, hosts as scopes or as members of a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from gatewright.envoy.destinations import Destinations
from gatewright.envoy.filters import Entry
from gatewright.envoy.listeners import Binding, table_name
from gatewright.envoy.resources import Ref, Resource
from gatewright.envoy.routes import Route, misdirected_host, route, virtual_host
from gatewright.envoy.scopes import host_scope, is_exact, others_scope
from gatewright.envoy.tables import placeholder, routing_table
from gatewright.flow import Collection, Context, Flow
from gatewright.model.meta import Key
from gatewright.topology import HostKey, Placement, PortKey, RuleKey, Topology


@dataclass(frozen=True)
class Hosts:
    """The routes of rules, and the resources that hold them: see `scopes` and `tables`."""

    routes: Collection[tuple[HostKey, RuleKey], Route]
    scopes: Collection[str, Resource]
    tables: Collection[str, Resource]
    virtual_hosts: Collection[str, Resource]


def serve_hosts(
    flow: Flow,
    topology: Topology,
    bindings: Collection[Key, Binding],
    tables: Collection[str, Ref],
    to: Destinations,
) -> Hosts:
    """Derive the hosts of the listeners whose routing table is in `tables`."""
    by_gateway = topology.hosts.index(
        lambda host, _: [(host.listener.gateway, host.hostname)], name="hosts by gateway and name"
    )

    def open_port(ctx: Context, gateway: Key, port: int, hostname: str | None) -> int:
        """The port that is open for `port`, if the URL leads back to the same Gateway."""
        if hostname is not None:
            parents = hostname.split(".")[1:]
            names = [hostname, *("*." + ".".join(parents[at:]) for at in range(len(parents)))]
            if not any(ctx.count(by_gateway, (gateway, name)) for name in names):
                return port
        binding = ctx.get(bindings, gateway)
        return (binding.bound(PortKey(gateway, port)) or port) if binding else port

    def to_route(ctx: Context, _: tuple[HostKey, RuleKey], placement: Placement) -> Route | None:
        host = placement.host
        member = ctx.get(topology.listeners, host.listener)
        if member is None:
            return None
        gateway = host.listener.gateway
        scheme = "https" if member.protocol == "HTTPS" else "http"
        entry = Entry(scheme, member.port, host.hostname, partial(open_port, ctx, gateway))
        return route(host, placement.rule, entry, partial(to.one, ctx, gateway), partial(to.several, ctx, gateway))

    routes = flow.derive("envoy routes", topology.placements, to_route)
    by_host = routes.index(
        lambda _, made: [made.host], order=lambda _, made: made.rule.precedence, name="envoy routes by host"
    )

    def each_host(
        name: str,
        hosts: Collection[HostKey, HostKey],
        make: Callable[[Context, HostKey, str, Ref], Resource],
        *,
        exact: bool,
    ) -> Collection[str, Resource]:
        """A resource for each exact host (else each wildcard), made of its table and of what the table is within."""

        def to_resource(ctx: Context, host: HostKey, _: HostKey) -> Mapping[str, Resource] | None:
            member = ctx.get(topology.listeners, host.listener) if is_exact(host.hostname) is exact else None
            within = ctx.get(tables, table_name(member)) if member else None
            if member is None or within is None:
                return None
            made = make(ctx, host, table_name(member), within)
            return {made.name: made}

        return flow.derive_many(name, hosts, to_resource)

    def each_table(name: str, make: Callable[[str, Ref], Resource]) -> Collection[str, Resource]:
        return flow.derive_many(name, tables, lambda _, table, within: {(made := make(table, within)).name: made})

    return Hosts(
        routes=routes,
        scopes=flow.merge(
            "envoy scopes",
            each_table("envoy scopes of other hosts", others_scope),
            each_host(
                "envoy scopes of hosts",
                topology.hosts,
                lambda ctx, host, table, within: host_scope(host.hostname, table, within, ctx.lookup(by_host, host)),
                exact=True,
            ),
            each_host(
                "envoy scopes of misdirected hosts",
                topology.misdirected,
                lambda _, host, table, within: host_scope(host.hostname, table, within, (), otherwise=421),
                exact=True,
            ),
        ),
        tables=each_table("envoy routing tables", routing_table),
        virtual_hosts=flow.merge(
            "envoy virtual hosts",
            each_table("envoy placeholders", lambda table, _: placeholder(table)),
            each_host(
                "envoy virtual hosts of hosts",
                topology.hosts,
                lambda ctx, host, table, _: virtual_host(host, table, ctx.lookup(by_host, host)),
                exact=False,
            ),
            each_host(
                "envoy virtual hosts of misdirected hosts",
                topology.misdirected,
                lambda _, host, table, __: misdirected_host(host, table),
                exact=False,
            ),
        ),
    )
