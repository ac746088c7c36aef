"""The rules of TLSRoutes, TCPRoutes and UDPRoutes: where connections go (Gateway API, TLSRouteRule and its kin)."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import structs

from gatewright.flow import Collection, Context, Flow, Index
from gatewright.model.gateway import TCPRoute, TLSRoute, UDPRoute
from gatewright.model.meta import Key
from gatewright.resolve.backends import References
from gatewright.resolve.hostnames import ANY
from gatewright.resolve.inputs import Inputs, origin, seniority
from gatewright.resolve.outcomes import Outcome
from gatewright.topology import HostKey, Listener, ListenerKey, RuleKey, Stream, StreamPlacement, WeightedBackend

_NAMED = 5  # how many others a message names


def resolve_stream(ctx: Context, inputs: Inputs, route: TLSRoute | TCPRoute | UDPRoute, index: int) -> Outcome:
    """What becomes of the rule number `index` of a route of layer 4, as if every listener terminated TLS."""
    spec = route.spec.rules[index]
    field = f"spec.rules[{index}]"
    references = References(ctx, inputs, route.kind, route.namespace)
    if isinstance(route, UDPRoute):
        backends = references.backends(spec.backend_refs, field, "passthrough", "UDP")
    else:
        backends = references.backends(spec.backend_refs, field, "stream")
    stream = Stream(
        key=RuleKey(route.kind, route.key, index, 0),
        precedence=(*seniority(route), index),
        backends=tuple(
            WeightedBackend(backend, ref.weight) for ref, backend in zip(spec.backend_refs, backends, strict=True)
        ),
        origin=origin(route, field),
    )
    return Outcome(streams=(stream,), refused=tuple(references.refused))


def place(
    ctx: Context,
    listeners: Collection[ListenerKey, Listener],
    streams: Iterable[Stream],
    hosts: Iterable[HostKey],
) -> list[StreamPlacement]:
    """Each stream in each host.

    A BackendTLSPolicy counts only behind a listener that terminates TLS: where the client's own TLS passes through, or
    none is spoken, the bytes reach the backend as they are.
    """
    placements: list[StreamPlacement] = []
    for host in hosts:
        listener = ctx.get(listeners, host.listener)
        if listener is None:
            continue
        ends = listener.terminates or bool(listener.certificates)
        placements += [StreamPlacement(host, stream if ends else _as_they_are(stream)) for stream in streams]
    return placements


def holders(flow: Flow, by_host: Index[HostKey, tuple[HostKey, RuleKey], StreamPlacement]) -> Collection[HostKey, Key]:
    """For each host the route that gets its connections; the others there wait."""

    def first(ctx: Context, host: HostKey, _: HostKey) -> Key:
        return ctx.lookup(by_host, host)[0].stream.key.route

    return flow.derive("stream holders", flow.distinct("stream hosts", by_host), first)


def waiting(
    ctx: Context, holders: Collection[HostKey, Key], kind: str, route: Key, hosts: Iterable[HostKey]
) -> tuple[str, ...]:
    """Says for which routes of its kind a route waits on its hosts."""
    waits: dict[tuple[Key, str], list[str]] = {}
    for host in hosts:
        holder = ctx.get(holders, host)
        if holder and holder != route:
            waits.setdefault((holder, host.listener.name), []).append(host.hostname)
    return tuple(
        f"waits for {kind} {holder}, which goes before and has {_some(names)} on listener {listener}"
        for (holder, listener), names in list(waits.items())[:_NAMED]
    )


def _some(names: list[str]) -> str:
    if names == [ANY]:
        return "all connections"
    return ", ".join(names[:_NAMED]) + (" and others" if len(names) > _NAMED else "")


def _as_they_are(stream: Stream) -> Stream:
    shares = tuple(
        structs.replace(share, backend=share.backend._replace(use="passthrough")) if share.backend else share
        for share in stream.backends
    )
    return structs.replace(stream, backends=shares)
