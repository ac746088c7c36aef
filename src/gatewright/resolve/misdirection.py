"""Requests that came over a connection meant for another listener of the port (RFC 9110 section 15.5.20)."""

from __future__ import annotations

from gatewright.flow import Collection, Context
from gatewright.resolve.entries import Seat
from gatewright.resolve.hostnames import ANY
from gatewright.resolve.inputs import Inputs
from gatewright.resolve.parents import Parents, Served
from gatewright.topology import HostKey, PortKey


def misdirected_hosts(inputs: Inputs, parents: Parents) -> Collection[HostKey, HostKey]:
    """On each HTTPS listener, the hosts that belong to another listener of the port.

    A more specific listener takes its hostname from every one that covers it; and a listener with a hostname has no
    business with names outside of it, unless it is alone on its port and so nobody else has.
    """
    flow = inputs.flow
    by_port = parents.seats.index(lambda seat, _: [seat.port] if seat.family == "TLS" else [])

    def shared(ctx: Context, port: PortKey, _: PortKey) -> bool | None:
        return ctx.count(by_port, port) > 1 or None

    shared_ports = flow.derive("shared TLS ports", flow.distinct("TLS ports", by_port), shared)

    def resolve(ctx: Context, seat: Seat, served: Served) -> dict[HostKey, HostKey]:
        if seat.family != "TLS":
            return {}
        wider = [found for above in seat.above() if (found := ctx.get(parents.seats, above))]
        hosts = [HostKey(found.listener, seat.hostname) for found in wider if found.protocol == "HTTPS"]
        if seat.hostname != ANY and served.protocol == "HTTPS" and ctx.get(shared_ports, seat.port):
            hosts.append(HostKey(served.listener, ANY))
        return {host: host for host in hosts}

    return flow.derive_many("misdirected", parents.seats, resolve)
