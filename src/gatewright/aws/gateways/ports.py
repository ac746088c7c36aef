"""The ports of load balancers: what Gateways' listeners there ask for, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple, TypeAlias

from msgspec import Struct

from gatewright.aws.configuration.settings import ListenerSettings, LoadBalancerSettings
from gatewright.aws.gateways.inbound import Door
from gatewright.aws.gateways.targetgroups import Group
from gatewright.aws.stack.desired import DesiredCertificate, DesiredListener, DesiredTrustStore
from gatewright.model.meta import Key
from gatewright.topology import NO_SET, HostKey, Listener, ListenerKey, Origin, Refusal, RefusalKey, RuleKey

ANY = "*"

AwsProtocol: TypeAlias = Literal["HTTP", "HTTPS", "TCP", "UDP", "TCP_UDP", "TLS"]
"""The protocols of listeners in AWS."""


class Port(NamedTuple):
    """A port number of one load balancer, over TCP and UDP: one listener in AWS."""

    owner: Key
    number: int


class PortHost(NamedTuple):
    """A virtual host and the port that it is on."""

    port: Port
    host: HostKey


class Told(Struct, frozen=True):
    """What became of one rule of a route on a port: `message` says why it is left out, or what it is served without.

    Without a message all is well.
    """

    key: RefusalKey
    version: str
    rule: int
    dropped: bool = False
    message: str = ""


class Translation(Struct, frozen=True):
    """What became of the rules or streams of one port.

    `groups` are the target groups that `listener` forwards to. `problem` says why there is no listener, `datagrams` why
    there is none for UDP beside the one for TCP. `unknown` says why that can't be told yet. `remarks` are about the
    owner, `told` about routes.
    """

    listener: DesiredListener | None = None
    groups: tuple[Group, ...] = ()
    imported: tuple[DesiredCertificate, ...] = ()
    trust_store: DesiredTrustStore | None = None
    problem: str = ""
    datagrams: str = ""
    unknown: str = ""
    remarks: tuple[str, ...] = ()
    told: tuple[Told, ...] = ()


def order(_: ListenerKey, listener: Listener) -> tuple[bool, bool, Key, str]:
    """Sorts a port's listeners: one for any host first, whose certificate suits clients that name none."""
    key = listener.key
    return listener.hostname != ANY, key.listener_set != NO_SET, key.listener_set, key.name


def aws_protocol(listener: Listener) -> AwsProtocol:
    """The protocol of a listener in AWS: what passes through is plain TCP there."""
    return "TCP" if listener.protocol == "TLS" and not listener.terminates else listener.protocol


def settings_of(settings: LoadBalancerSettings, protocol: str, port: int) -> ListenerSettings:
    """What was said of the listener at a port; TCP_UDP may be named as that or as either of them."""
    names = ("TCP_UDP", "TCP", "UDP") if protocol == "TCP_UDP" else (protocol,)
    found = (settings.listeners.get((name, port)) for name in names)
    return next((each for each in found if each), ListenerSettings())


def doors(settings: LoadBalancerSettings, listeners: Iterable[Listener]) -> list[tuple[Door, ListenerSettings]]:
    """What has to be open for listeners, with what was said of each."""
    found = {}
    for listener in listeners:
        door = Door("udp" if listener.protocol == "UDP" else "tcp", listener.port)
        found[door] = settings_of(settings, aws_protocol(listener), listener.port)
    return sorted(found.items(), key=lambda item: item[0])


def unserved(settings: LoadBalancerSettings, listeners: Sequence[Listener]) -> list[str]:
    """What to say of settings for ports where there is no such listener."""
    there = {(aws_protocol(listener), listener.port) for listener in listeners}
    both = {port for protocol, port in there if protocol == "UDP"} & {
        port for protocol, port in there if protocol == "TCP"
    }
    there |= {("TCP_UDP", port) for port in both}
    names = ", ".join(f"{protocol}:{port}" for protocol, port in sorted(there)) or "none"
    return [
        f"listenerConfigurations: found {protocol}:{port}; expected one of the listeners {names}; correct protocolPort"
        for protocol, port in sorted(settings.listeners)
        if (protocol, port) not in there
    ]


def tell(rule: RuleKey, origin: Origin, gateway: Key, message: str = "", *, dropped: bool = False) -> Told:
    """What to say of a route on a Gateway; unless it is dropped, the rule is served, but without something."""
    return Told(RefusalKey(rule.kind, rule.route, gateway), origin.version, rule.rule, dropped, message)


def refusals(ports: Sequence[tuple[Told, ...]]) -> tuple[Refusal, ...]:
    """What all ports of a Gateway have to say of one route.

    A rule that one port leaves out and another one serves is no refused rule: what it is served without is that port.
    """
    served: set[int] = set()
    for each in ports:
        served |= {told.rule for told in each} - {told.rule for told in each if told.dropped}
    found = (
        Refusal(told.version, told.rule if told.dropped and told.rule not in served else None, told.message)
        for each in ports
        for told in each
        if told.message
    )
    return tuple(dict.fromkeys(found))


def tls_remark(backend: str, policy: Origin) -> str:
    """What a route is served without whose backend has a BackendTLSPolicy."""
    told = (
        f"the verification of Service {backend}'s certificate that {policy} asks for: load balancers of AWS encrypt to"
    )
    return f"{told} targets without checking certificates; where that matters, let a proxy in the cluster verify it"
