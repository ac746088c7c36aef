"""Which listener takes a connection, and which virtual host has a request (Gateway API, GatewaySpec.listeners)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from gatewright.explain.outcome import Closed, Refused
from gatewright.explain.request import Request
from gatewright.resolve.hostnames import ANY, ancestors
from gatewright.topology import HostKey, Listener, PortKey, Topology


class Place(NamedTuple):
    """Where a connection is taken: by `listeners`, all HTTP ones of a port or one that speaks TLS or TCP.

    `host` is the server name on a TLS listener.
    """

    listeners: tuple[Listener, ...]
    host: HostKey | None = None


def listeners_of(topology: Topology, port: PortKey) -> list[Listener]:
    """The listeners that are served on a port, sorted by key."""
    found = [listener for listener in topology.listeners.values() if listener.port_key == port]
    return sorted(found, key=lambda listener: listener.key)


def candidates(hostname: str) -> list[str]:
    """The hostnames that cover a name, the most specific first."""
    if not hostname or hostname.startswith((".", "[")):
        return [ANY]
    return [hostname, *ancestors(hostname)]


def accept(topology: Topology, port: PortKey, request: Request) -> Place | Closed | Refused:
    """Who takes the client's connection."""
    found = listeners_of(topology, port)
    chains = _chains(topology, found)
    if not chains and not any(listener.protocol in ("HTTP", "TCP") for listener in found):
        return Refused(_why_nothing_listens(topology, port, found))
    plain = [listener for listener in found if listener.protocol in ("HTTP", "TCP")]
    if plain and plain[0].protocol == "TCP":
        return Place((plain[0],), HostKey(plain[0].key, plain[0].hostname))
    if plain:
        if request.scheme == "https":
            return Closed(f"the port is for plain HTTP (listener {plain[0].key.name}), and the client speaks TLS")
        return Place(tuple(listener for listener in plain if listener.protocol == "HTTP"))
    return _accept_tls(chains, request)


def _chains(topology: Topology, listeners: Iterable[Listener]) -> Mapping[str, Place]:
    """By server name, who takes TLS connections."""
    found: dict[str, Place] = {}
    with_streams = topology.streams_by_host.keys()
    for listener in listeners:
        has_certificate = any(key in topology.certificates for key in listener.certificates)
        if listener.protocol == "HTTPS" and has_certificate:
            found.setdefault(listener.hostname, Place((listener,)))
        elif listener.protocol == "TLS" and (has_certificate or not listener.certificates):
            hosts = {HostKey(listener.key, listener.hostname)}
            hosts |= {host for host in with_streams if host.listener == listener.key}
            for host in sorted(hosts):
                found.setdefault(host.hostname, Place((listener,), host))
    return found


def _accept_tls(chains: Mapping[str, Place], request: Request) -> Place | Closed:
    listeners = {place.listeners[0].key: place.listeners[0] for place in chains.values()}
    names = ", ".join(sorted(f"{listener.key.name} ({listener.hostname})" for listener in listeners.values()))
    if request.scheme == "http":
        return Closed(f"the port is for TLS (listeners {names}), and the client speaks plain HTTP")
    server = (request.sni or "").lower()
    place = next((chains[name] for name in candidates(server) if name in chains), None)
    if place is None:
        named = f"the server name {server}" if server else "a client that names no server (no SNI)"
        return Closed(f"no TLS listener of the port takes {named}; there is {names}")
    validation = place.listeners[0].client_validation
    if validation and validation.required and not request.certificate:
        return Closed(f"listener {place.listeners[0].key.name} wants a client certificate, and none is shown")
    return place


def _why_nothing_listens(topology: Topology, port: PortKey, found: list[Listener]) -> str:
    if found:
        return f"no certificate of listener {found[0].key.name} on port {port.port} is usable"
    others = {each.port for each in topology.listeners.values() if each.key.gateway == port.gateway}
    served = ", ".join(map(str, sorted(others))) or "none"
    return f"Gateway {port.gateway} serves no listener on port {port.port}; served ports: {served}"


class VirtualHost(NamedTuple):
    """Where a request belongs. `misdirected` says that another listener of the port has its host: 421."""

    listener: Listener
    host: HostKey
    misdirected: bool = False


def virtual_host(topology: Topology, listeners: Iterable[Listener], request: Request) -> VirtualHost | None:
    """The most specific virtual host for the Host header; it hides all others, whatever rules it has."""
    members = tuple(listeners)
    for name in candidates(request.hostname):
        for listener in members:
            host = HostKey(listener.key, name)
            if host in topology.hosts:
                return VirtualHost(listener, host)
        for listener in members:
            host = HostKey(listener.key, name)
            if host in topology.misdirected:
                return VirtualHost(listener, host, misdirected=True)
    return None
