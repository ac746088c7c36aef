"""From the streams of one port to a listener of an NLB (pure).

An NLB sends all connections of a port to one place: it reads neither server name nor anything else. So one stream of a
port gets them all, the one that goes before the others.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, structs

from gatewright.aws.configuration.settings import ListenerSettings
from gatewright.aws.gateways.albs import SSL_POLICY
from gatewright.aws.gateways.names import Tags
from gatewright.aws.gateways.ports import ANY, AwsProtocol, Port, Told, Translation, aws_protocol, tell, tls_remark
from gatewright.aws.gateways.servercertificates import Shown
from gatewright.aws.gateways.targetgroups import Group, GroupProtocol, Groups
from gatewright.aws.rules import EMPTY_GROUP
from gatewright.aws.stack.desired import DesiredListener, Forward, Share
from gatewright.flow import Context
from gatewright.topology import BackendKey, Listener, Stream, StreamPlacement

_MOST_GROUPS = 5  # target groups of one forward action (ELBv2 quotas)
_MOST_WEIGHT = 999
_ONE_PLACE = "an NLB sends all connections of a port to one place, whatever server name they ask for"


class _Chosen(Struct, frozen=True):
    """The stream that gets a port's connections over one transport, and the listener's protocol in AWS."""

    stream: Stream
    protocol: AwsProtocol


class Streams:
    """Translates the streams of ports."""

    def __init__(self, groups: Groups) -> None:
        self._groups = groups

    def listener(
        self,
        ctx: Context,
        port: Port,
        listeners: Sequence[Listener],
        placements: Sequence[StreamPlacement],
        shown: Shown,
        settings: ListenerSettings,
        tags: Tags,
    ) -> Translation:
        """The listener of a port. Without a stream it is there all the same, and its connections lead nowhere."""
        told: list[Told] = []
        over_tcp = [each for each in listeners if each.protocol != "UDP"]
        over_udp = [each for each in listeners if each.protocol == "UDP"]
        tcp = _choose(port, over_tcp, placements, told)
        udp = _choose(port, over_udp, placements, told)
        datagrams = _disagreement(tcp, udp) if tcp and udp else ""
        protocol = _protocol(listeners, tcp, udp, both=not datagrams)
        if protocol == "TLS" and shown.unknown:
            return Translation(unknown=shown.unknown, told=tuple(told))
        problem = settings.problem or (shown.problem if protocol == "TLS" else "")
        if problem:
            return Translation(problem=problem, told=tuple(told))
        shares: tuple[Share, ...] = (Share(empty_resource(protocol)),)
        groups: tuple[Group, ...] = ()
        chosen = tcp or udp
        if chosen:
            shares, groups, problem = self._shares(ctx, port, protocol, chosen.stream, told)
            if problem:
                told.append(tell(chosen.stream.key, chosen.stream.origin, port.owner, problem, dropped=True))
                return Translation(told=tuple(dict.fromkeys(told)))
        made = DesiredListener(
            protocol=protocol,
            port=port.number,
            # A client stays with a target group for as long as its flows live; there is no duration to choose.
            default=(Forward(shares, stickiness=0 if settings.stickiness and len(shares) > 1 else None),),
            certificates=shown.references if protocol == "TLS" else (),
            ssl_policy=(settings.ssl_policy or SSL_POLICY) if protocol == "TLS" else "",
            alpn_policy=settings.alpn_policy if protocol == "TLS" else "",
            attributes=dict(sorted(settings.attributes.items())),
            tags=tags.of(str(port.number)),
        )
        imported = [structs.replace(each, tags=tags.of(each.resource)) for each in shown.imported]
        return Translation(
            made,
            groups,
            tuple(imported) if protocol == "TLS" else (),
            datagrams=datagrams,
            remarks=shown.remarks if protocol == "TLS" else (),
            told=tuple(dict.fromkeys(told)),
        )

    def _shares(
        self, ctx: Context, port: Port, protocol: str, stream: Stream, told: list[Told]
    ) -> tuple[tuple[Share, ...], tuple[Group, ...], str]:
        """Where a stream's connections go; a share that leads nowhere goes to a group without targets."""
        weights: dict[str, int] = {}
        groups: dict[str, Group] = {}
        for share in stream.backends:
            found = self._groups.usable(ctx, share.backend)
            if found is None:
                resource = empty_resource(protocol)
            else:
                group = self._groups.of_connections(ctx, port.owner, protocol, found.key, stream.key)
                groups[group.key.resource] = group
                resource = group.key.resource
                if found.tls:
                    message = tls_remark(found.key.address, found.tls.origin)
                    told.append(tell(stream.key, stream.origin, port.owner, message))
            weights[resource] = weights.get(resource, 0) + share.weight
        used = {resource: weight for resource, weight in weights.items() if weight}
        if not used:
            return (Share(empty_resource(protocol)),), (), ""
        if len(used) > _MOST_GROUPS:
            message = (
                f"backendRefs: found {len(used)} backends; a listener forwards to {_MOST_GROUPS} target groups at most"
            )
            return (), (), f"{message}; name fewer, or let one Service select the pods of several"
        scale = max(1.0, max(used.values()) / _MOST_WEIGHT)
        shares = (Share(resource, max(1, round(weight / scale))) for resource, weight in sorted(used.items()))
        return tuple(shares), tuple(groups[name] for name in sorted(groups) if name in used), ""


def _protocol(listeners: Sequence[Listener], tcp: _Chosen | None, udp: _Chosen | None, *, both: bool) -> AwsProtocol:
    """The protocol of a port's listener: that of what is chosen, or of what could be."""
    if tcp and udp:
        return "TCP_UDP" if both else tcp.protocol
    chosen = tcp or udp
    if chosen:
        return chosen.protocol
    known = {aws_protocol(each) for each in listeners}
    return "TCP_UDP" if known == {"TCP", "UDP"} else min(known - {"UDP"}, default="UDP")


def empty_resource(protocol: str) -> str:
    """The resource ID of the target group without targets for listeners of a protocol."""
    return EMPTY_GROUP if protocol in ("TCP", "TLS") else f"{EMPTY_GROUP}:{protocol}"


def empty_protocol(resource: str) -> GroupProtocol:
    """The protocol of the target group without targets that has this resource ID."""
    protocols: dict[str, GroupProtocol] = {f"{EMPTY_GROUP}:UDP": "UDP", f"{EMPTY_GROUP}:TCP_UDP": "TCP_UDP"}
    return protocols.get(resource, "TCP")


def _choose(
    port: Port,
    listeners: Sequence[Listener],
    placements: Sequence[StreamPlacement],
    told: list[Told],
) -> _Chosen | None:
    """The stream that gets all; says of others on other hosts that they get nothing.

    Those on the same host wait for it, which is said of them already (resolve).
    """
    by_key = {listener.key: listener for listener in listeners}
    here = [each for each in placements if each.host.listener in by_key]
    if not here:
        return None
    first = min(here, key=lambda each: (each.stream.precedence, each.stream.key, each.host))
    protocol = aws_protocol(by_key[first.host.listener])
    own = [
        each
        for each in here
        if each.stream.key == first.stream.key and aws_protocol(by_key[each.host.listener]) == protocol
    ]
    taken = {each.host for each in own}
    for each in here:
        if each.host in taken:
            continue
        name = each.host.hostname
        gets = f"those of port {port.number} go to {first.stream.origin}, which goes before"
        message = f"hostnames: found {name}; {_ONE_PLACE}; {gets}; use a port of its own, or one Gateway for each name"
        if each.stream.key == first.stream.key:  # partly passed through, partly terminated
            message = f"listener {each.host.listener.name}: {_ONE_PLACE}, as {protocol}; use another port"
            told.append(tell(first.stream.key, first.stream.origin, port.owner, message))
            continue
        told.append(tell(each.stream.key, each.stream.origin, port.owner, message, dropped=True))
    told.append(tell(first.stream.key, first.stream.origin, port.owner))
    names = tuple(sorted({host.hostname for host in taken} - {ANY}))
    if names:
        message = f"hostnames {', '.join(names)}: {_ONE_PLACE}"
        told.append(tell(first.stream.key, first.stream.origin, port.owner, message))
    return _Chosen(first.stream, protocol)


def _disagreement(tcp: _Chosen, udp: _Chosen) -> str:
    """Why TCP and UDP of one port can't be one listener, or nothing."""
    if tcp.protocol != "TCP":
        return f"an NLB's port takes {tcp.protocol} or UDP, not both; use another port for UDP"

    def places(chosen: _Chosen) -> list[tuple[BackendKey | None, int]]:
        backends = ((share.backend, share.weight) for share in chosen.stream.backends)
        return sorted(
            ((key._replace(transport="TCP", use="http") if key else None, weight) for key, weight in backends), key=str
        )

    if places(tcp) == places(udp):
        return ""
    told = f"{tcp.stream.origin} and {udp.stream.origin} name different backends"
    why = "an NLB's port takes TCP and UDP only where both go to the same Services and ports"
    return f"{told}; {why}; name the same, or use another port for UDP"
