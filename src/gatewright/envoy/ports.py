"""The ports of a Topology as collections: bound sockets, and the listener, filter chains and tables of each port."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gatewright.envoy.connections import StreamTargets
from gatewright.envoy.listeners import (
    Binding,
    Chain,
    chain_name,
    chain_ref,
    discovered_chain,
    http_chain,
    https_chain,
    listener,
    listener_name,
    table_name,
    tcp_chain,
    tls_chain,
)
from gatewright.envoy.resources import LISTENER, Ref, Resource
from gatewright.envoy.streams import udp_listener
from gatewright.flow import Collection, Context, Flow
from gatewright.model.meta import Key
from gatewright.topology import Certificate, HostKey, Listener, ListenerKey, PortKey, Topology

CROWD = 256
"""With more TLS listeners than that, the filter chains of a port are resources of their own."""

_STREAM_PROTOCOLS = ("TLS", "TCP", "UDP")
_TLS_PROTOCOLS = ("HTTPS", "TLS")


@dataclass(frozen=True)
class Ports:
    """`bound` are the addresses and ports that are opened for each port; `crowded` the ports of more than `CROWD`.

    `tables` names each routing table with the resource, a listener or a filter chain, that it belongs to.
    """

    bound: Collection[PortKey, tuple[tuple[str, int], ...]]
    crowded: Collection[PortKey, bool]
    listeners: Collection[str, Resource]
    chains: Collection[str, Resource]
    tables: Collection[str, Ref]


def serve_ports(flow: Flow, topology: Topology, bindings: Collection[Key, Binding], targets: StreamTargets) -> Ports:
    """Derive what opens and fills the ports of every Gateway that has a binding."""
    by_port = topology.listeners.index(lambda _, member: [member.port_key], name="listeners by port")
    every_port = flow.distinct("ports", by_port)

    def sockets(ctx: Context, port: PortKey, _: PortKey) -> tuple[tuple[str, int], ...] | None:
        binding = ctx.get(bindings, port.gateway)
        return (binding.sockets(port) or None) if binding else None

    bound = flow.derive("bound ports", every_port, sockets)

    def at_hand(ctx: Context, member: Listener) -> list[Certificate]:
        found = (ctx.get(topology.certificates, key) for key in member.certificates)
        return [certificate for certificate in found if certificate]

    by_tls_port = topology.listeners.index(
        lambda _, member: [member.port_key] if member.protocol in _TLS_PROTOCOLS else [], name="tls listeners by port"
    )
    crowded = flow.derive(
        "crowded ports", every_port, lambda ctx, port, _: True if ctx.count(by_tls_port, port) > CROWD else None
    )

    # --- filter chains

    def keyed(chain: Chain) -> Mapping[tuple[PortKey, str], Chain]:
        return {(chain.port, chain.name): chain}

    http_ports = flow.distinct(
        "http ports",
        topology.listeners.index(lambda _, member: [member.port_key] if member.protocol == "HTTP" else []),
    )
    http_chains = flow.derive_many(
        "envoy chains of http ports", http_ports, lambda _, __, port: keyed(http_chain(port))
    )

    def to_https_chain(ctx: Context, _: ListenerKey, member: Listener) -> Mapping[tuple[PortKey, str], Chain] | None:
        served = at_hand(ctx, member) if member.protocol == "HTTPS" else []
        inline = ctx.get(crowded, member.port_key) is not None
        return keyed(https_chain(member, served, inline=inline)) if served else None

    https_chains = flow.derive_many("envoy chains of https listeners", topology.listeners, to_https_chain)

    def own_stream_host(_: Context, __: ListenerKey, member: Listener) -> Mapping[HostKey, HostKey] | None:
        host = HostKey(member.key, member.hostname)
        return {host: host} if member.protocol in _STREAM_PROTOCOLS else None

    # A listener's own hostname has a chain even without a stream: it hides less specific ones of the port.
    stream_hosts = flow.merge(
        "stream hosts",
        flow.derive_many("own hosts of stream listeners", topology.listeners, own_stream_host),
        flow.distinct("hosts of streams", topology.streams_by_host),
    )

    def to_stream_chain(ctx: Context, host: HostKey, _: HostKey) -> Mapping[tuple[PortKey, str], Chain] | None:
        member = ctx.get(topology.listeners, host.listener)
        if member is None:
            return None
        if member.protocol == "TCP":
            return keyed(tcp_chain(member, targets.first(ctx, host)))
        if member.protocol == "TLS":
            served = at_hand(ctx, member)
            if served or not member.certificates:
                inline = ctx.get(crowded, member.port_key) is not None
                return keyed(tls_chain(member, host.hostname, served, targets.first(ctx, host), inline=inline))
        return None

    stream_chains = flow.derive_many("envoy chains of streams", stream_hosts, to_stream_chain)
    chains = flow.merge("envoy chains", http_chains, https_chains, stream_chains)
    chains_by_port = chains.index(lambda _, chain: [chain.port], name="envoy chains by port")

    def to_discovered_chain(ctx: Context, _: tuple[PortKey, str], chain: Chain) -> Mapping[str, Resource] | None:
        if ctx.get(crowded, chain.port) is None or ctx.get(bound, chain.port) is None:
            return None
        made = discovered_chain(chain)
        return {made.name: made}

    # --- listeners and their routing tables

    def to_listener(ctx: Context, port: PortKey, where: tuple[tuple[str, int], ...]) -> Mapping[str, Resource] | None:
        if port.transport == "UDP":
            member = ctx.lookup(by_port, port)[0]
            target = targets.first(ctx, HostKey(member.key, member.hostname))
            made: Resource | None = udp_listener(listener_name(port), where, target)
        else:
            made = listener(port, ctx.lookup(chains_by_port, port), where, crowded=ctx.get(crowded, port) is not None)
        return {made.name: made} if made else None

    def to_table(ctx: Context, _: ListenerKey, member: Listener) -> Mapping[str, Ref] | None:
        if member.protocol in _STREAM_PROTOCOLS or ctx.get(bound, member.port_key) is None:
            return None
        if member.protocol == "HTTPS" and not at_hand(ctx, member):
            return None
        if member.protocol == "HTTPS" and ctx.get(crowded, member.port_key) is not None:
            return {table_name(member): chain_ref(member.port_key, chain_name(member))}
        return {table_name(member): Ref(LISTENER, listener_name(member.port_key))}

    return Ports(
        bound=bound,
        crowded=crowded,
        listeners=flow.derive_many("envoy listeners", bound, to_listener),
        chains=flow.derive_many("envoy discovered chains", chains, to_discovered_chain),
        tables=flow.derive_many("tables", topology.listeners, to_table),
    )
