"""CoreDNS over UDP, as far as a Corefile uses `whoami`, `hosts` and `forward` (github.com/coredns/coredns, plugin/)."""

from __future__ import annotations

import ipaddress
import random
import time
from collections.abc import Awaitable, Mapping
from typing import NamedTuple

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.resolver
import dns.rrset

from gatewright.local.workloads.corefile import CorefileError, Plugin, Zone, parse_corefile
from gatewright.local.workloads.program import Behaviour, Exit, Port, Program, port_number

_DEFAULT_COREFILE = "whoami\nlog\n"
_FORWARD_SECONDS = 5.0
_HOSTS_TTL = 3600
_PLAIN_SIZE = 512


class _Hosts(NamedTuple):
    addresses: dict[dns.name.Name, list[str]]
    ttl: int
    fallthrough: bool


class CoreDns(Behaviour):
    """Answers by the Corefile that `-conf` names.

    Queries over TCP, DNSSEC, reverse lookups in `hosts`, upstreams by TLS and `forward`'s options are not there.
    """

    def __init__(self, program: Program) -> None:
        self._say = program.say
        flags = _flags(program.args)
        path = flags.get("conf", "/Corefile")
        content = program.read(path)
        if content is None and "conf" in flags:
            self.exit = Exit(1, (f"open {path}: no such file or directory",))
            return
        port = flags.get("dns.port") or flags.get("p") or "53"
        try:
            text = content.decode("utf-8", "replace") if content is not None else _DEFAULT_COREFILE
            self._zones = parse_corefile(text, program.env, port_number(port) or 53)
            self._hosts = {id(zone.plugins): _hosts(zone.plugins, program) for zone in self._zones}
        except CorefileError as error:
            self.exit = Exit(1, (str(error),))
            return
        self.ports = tuple(Port(number, "datagram") for number in sorted({zone.port for zone in self._zones}))
        version = program.image.partition("@")[0].rpartition(":")[2].removeprefix("v")
        self.greeting = (*(f"{zone.name}:{zone.port}" for zone in self._zones), f"CoreDNS-{version}")

    def reply(self, data: bytes, peer: tuple[str, int], port: Port) -> bytes | Awaitable[bytes | None] | None:
        """The answer to a query; it comes later when another server is asked. What isn't a query gets none."""
        began = time.perf_counter()
        try:
            query = dns.message.from_wire(data)
        except (dns.exception.DNSException, ValueError):
            return None
        if query.flags & dns.flags.QR:
            return None
        if len(query.question) != 1 or query.opcode() != dns.opcode.QUERY:
            return _failed(query, dns.rcode.FORMERR).to_wire()
        name = query.question[0].name
        zone = self._zone(name, port.number)
        if zone is None:
            return _failed(query, dns.rcode.REFUSED).to_wire()
        hosts, forward = self._hosts[id(zone.plugins)], zone.plugins.get("forward")
        answer = _from_hosts(query, hosts) if hosts else None
        if answer is None and forward and forward.args and _within(name, forward.args[0]):
            return self._forward(query, forward, zone, peer, began)
        if answer is None:
            answer = _whoami(query, peer) if "whoami" in zone.plugins else _failed(query, dns.rcode.REFUSED)
        return self._render(query, answer, zone, peer, began)

    def _zone(self, name: dns.name.Name, port: int) -> Zone | None:
        """The longest zone that holds the name; names compare without case."""
        held = [zone for zone in self._zones if zone.port == port and name.is_subdomain(zone.name)]
        return max(held, key=lambda zone: len(zone.name), default=None)

    async def _forward(
        self, query: dns.message.Message, forward: Plugin, zone: Zone, peer: tuple[str, int], began: float
    ) -> bytes:
        upstreams = _upstreams(forward.args[1:])
        random.shuffle(upstreams)
        failure = "no upstream host"
        for host, port in upstreams:
            left = _FORWARD_SECONDS - (time.perf_counter() - began)
            if left <= 0:
                break
            try:
                answer = await dns.asyncquery.udp(query, host, timeout=min(2.0, left), port=port)
            except (dns.exception.DNSException, OSError) as error:
                failure = f"{host}:{port}: {error}"
            else:
                return self._render(query, answer, zone, peer, began)
        if "errors" in zone.plugins:
            self._say(f"[ERROR] plugin/errors: 2 {_asked(query)}: {failure}")
        return self._render(query, _failed(query, dns.rcode.SERVFAIL), zone, peer, began)

    def _render(
        self, query: dns.message.Message, answer: dns.message.Message, zone: Zone, peer: tuple[str, int], began: float
    ) -> bytes:
        size = max(_PLAIN_SIZE, query.payload) if query.edns >= 0 else _PLAIN_SIZE
        try:
            wire = answer.to_wire(max_size=size)
        except dns.exception.TooBig:
            cut = dns.message.make_response(query)
            cut.flags |= dns.flags.TC
            wire = cut.to_wire()
        if "log" in zone.plugins:
            flags = ",".join(dns.flags.to_text(answer.flags).lower().split())
            question = query.question[0]
            asked = (
                f"{dns.rdatatype.to_text(question.rdtype)} {dns.rdataclass.to_text(question.rdclass)} {question.name}"
            )
            self._say(
                f'[INFO] {peer[0]}:{peer[1]} - {query.id} "{asked} udp {len(query.to_wire())} '
                f'{"true" if query.ednsflags & dns.flags.DO else "false"} {size}" '
                f"{dns.rcode.to_text(answer.rcode())} {flags} {len(wire)} {time.perf_counter() - began:.9f}s"
            )
        return wire


def _flags(args: tuple[str, ...]) -> dict[str, str]:
    """Arguments as Go's `flag` package reads them."""
    flags: dict[str, str] = {}
    words = list(args)
    while words:
        name, equals, value = words.pop(0).lstrip("-").partition("=")
        if not equals and name in ("conf", "dns.port", "p") and words:
            value = words.pop(0)
        flags[name] = value
    return flags


def _hosts(plugins: Mapping[str, Plugin], program: Program) -> _Hosts | None:
    plugin = plugins.get("hosts")
    if plugin is None:
        return None
    lines = [list(line) for line in plugin.lines]
    if plugin.args and plugin.args[0].startswith("/"):
        content = program.read(plugin.args[0]) or b""
        lines += [line.partition("#")[0].split() for line in content.decode("utf-8", "replace").splitlines()]
    addresses: dict[dns.name.Name, list[str]] = {}
    ttl, fallthrough = _HOSTS_TTL, False
    for words in lines:
        if not words or words[0] in ("no_reverse", "reload"):
            continue
        if words[0] == "fallthrough":
            fallthrough = True
        elif words[0] == "ttl" and len(words) == 2 and words[1].isdecimal():
            ttl = int(words[1])
        else:
            try:
                address = str(ipaddress.ip_address(words[0]))
                names = [dns.name.from_text(word.lower()) for word in words[1:]]
            except (ValueError, dns.exception.DNSException):
                raise CorefileError(f"plugin/hosts: unknown property '{words[0]}'") from None
            for name in names:
                addresses.setdefault(name, []).append(address)
    return _Hosts(addresses, ttl, fallthrough)


def _from_hosts(query: dns.message.Message, hosts: _Hosts) -> dns.message.Message | None:
    question = query.question[0]
    addresses = hosts.addresses.get(question.name.canonicalize())
    if addresses is None:
        return None if hosts.fallthrough else _failed(query, dns.rcode.NXDOMAIN)
    answer = dns.message.make_response(query)
    answer.flags |= dns.flags.AA
    family = {dns.rdatatype.A: 4, dns.rdatatype.AAAA: 6}.get(question.rdtype)
    found = [address for address in addresses if ipaddress.ip_address(address).version == family]
    if found:
        answer.answer.append(dns.rrset.from_text_list(question.name, hosts.ttl, "IN", question.rdtype, found))
    return answer


def _whoami(query: dns.message.Message, peer: tuple[str, int]) -> dns.message.Message:
    """Who asks: the address and, as a service, the port of the client (plugin/whoami)."""
    name = query.question[0].name
    answer = dns.message.make_response(query)
    answer.flags |= dns.flags.AA
    kind = "AAAA" if ":" in peer[0] else "A"
    service = dns.name.Name((b"_udp", *name.labels))
    answer.additional.append(dns.rrset.from_text(name, 0, "IN", kind, peer[0]))
    answer.additional.append(dns.rrset.from_text(service, 0, "IN", "SRV", f"0 0 {peer[1]} ."))
    return answer


def _failed(query: dns.message.Message, code: dns.rcode.Rcode) -> dns.message.Message:
    answer = dns.message.make_response(query)
    answer.set_rcode(code)
    return answer


def _within(name: dns.name.Name, zone: str) -> bool:
    return name.is_subdomain(dns.name.from_text(zone))


def _upstreams(args: tuple[str, ...]) -> list[tuple[str, int]]:
    """Addresses and ports; a file such as /etc/resolv.conf stands for the name servers of this machine."""
    found: list[tuple[str, int]] = []
    for word in args:
        if word.startswith("/"):
            system = dns.resolver.Resolver()
            found += [(str(server), 53) for server in system.nameservers]
            continue
        text = word.removeprefix("dns://")
        host, colon, port = text.rpartition(":")
        if colon and port.isdecimal() and (host.count(":") == 0 or host.startswith("[")):
            found.append((host.strip("[]"), int(port)))
        else:
            found.append((text.strip("[]"), 53))
    return found


def _asked(query: dns.message.Message) -> str:
    question = query.question[0]
    return f"{question.name} {dns.rdatatype.to_text(question.rdtype)}"
