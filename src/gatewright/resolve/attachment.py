"""parentRefs and default Gateways: which listeners a route attaches to, and with which hostnames.

Gateway API, ParentReference, AllowedRoutes and CommonRouteSpec.useDefaultGateways.
"""

from __future__ import annotations

from msgspec import Struct

from gatewright.flow import Context
from gatewright.model.gateway import GRPCRoute, HTTPRoute
from gatewright.model.gateway.shared import GROUP, ParentReference
from gatewright.model.meta import Key
from gatewright.resolve import hostnames
from gatewright.resolve.admission import selects
from gatewright.resolve.inputs import Inputs, Route
from gatewright.resolve.parents import ParentListener, Parents, ResolvedParent
from gatewright.topology import HostKey, ListenerKey

# What one object may cost everybody. A route of one match fits into all of a Gateway's 64 listeners with 16 hostnames.
_MOST_HOSTS = 2048
_MOST_PLACES = 32_768


class Attachment(Struct, frozen=True):
    """What became of one parentRef to a Gateway of ours, or to a ListenerSet of one.

    `listeners` are those that the route attached to; `hosts` are the virtual hosts that it is served from, which leaves
    out listeners that can't carry traffic and names that a more specific listener takes.
    """

    parent: ParentReference
    controller: str
    reason: str
    message: str
    listeners: tuple[ListenerKey, ...] = ()
    hosts: tuple[HostKey, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether the route attached to any listener."""
        return bool(self.listeners)


def attach(
    ctx: Context, inputs: Inputs, parents: Parents, route: Route, names: tuple[str, ...]
) -> tuple[Attachment, ...]:
    """One attachment a parentRef that names a Gateway of ours or a ListenerSet of one.

    `names` are what the route is limited to: host names on HTTP, server names on TLS; none is no limit. Other parents
    are other controllers' business. A reference to a Gateway means its own listeners only.
    """
    found: list[Attachment] = []
    most = min(_MOST_HOSTS, _MOST_PLACES // _size(route))
    for ref in (*route.spec.parent_refs, *_to_default_gateways(ctx, parents, route)):
        if ref.group != GROUP:
            continue
        parent = ctx.get(parents.resolved, (ref.kind, Key(ref.namespace or route.namespace, ref.name)))
        if parent:
            attachment = _attach(ctx, inputs, parents, parent, route.kind, route.namespace, names, ref)
            most -= len(attachment.hosts)
            found.append(attachment if most >= 0 else _too_many(attachment))
    return tuple(found)


def _size(route: Route) -> int:
    """How many entries a route has in each host that serves it."""
    if isinstance(route, HTTPRoute | GRPCRoute):
        return sum(len(rule.matches) or 1 for rule in route.spec.rules) or 1
    return len(route.spec.rules) or 1


def _too_many(attachment: Attachment) -> Attachment:
    message = (
        "the route's matches in all hosts of its listeners are too many to serve; name fewer listeners or hostnames, "
        "or split the route"
    )
    return Attachment(attachment.parent, attachment.controller, "UnsupportedValue", message)


def _to_default_gateways(ctx: Context, parents: Parents, route: Route) -> list[ParentReference]:
    """To those that a route doesn't name itself, if it uses default Gateways (GEP-3793)."""
    if route.spec.use_default_gateways != "All":
        return []
    named = {
        Key(ref.namespace or route.namespace, ref.name)
        for ref in route.spec.parent_refs
        if (ref.group, ref.kind, ref.section_name, ref.port) == (GROUP, "Gateway", None, None)
    }
    found = sorted(key for key, _ in ctx.items(parents.defaults) if key not in named)
    return [ParentReference(name=key.name, namespace=key.namespace) for key in found]


def _attach(
    ctx: Context,
    inputs: Inputs,
    parents: Parents,
    parent: ResolvedParent,
    kind: str,
    namespace: str,
    names: tuple[str, ...],
    ref: ParentReference,
) -> Attachment:
    """Narrow the parent's listeners step by step; the step that leaves none gives the reason."""
    whose = f"{parent.kind} {parent.key}"

    def refused(reason: str, message: str) -> Attachment:
        return Attachment(ref, parent.controller, reason, message)

    if parent.problem:
        return refused("NoMatchingParent", f"{whose} is not accepted: {parent.problem}")
    named = [
        listener
        for listener in parent.listeners
        if ref.section_name in (None, listener.name) and ref.port in (None, listener.port)
    ]
    if not named:
        wanted = [f"sectionName {ref.section_name}"] if ref.section_name else []
        wanted += [f"port {ref.port}"] if ref.port else []
        existing = ", ".join(f"{listener.name}:{listener.port}" for listener in parent.listeners)
        return refused("NoMatchingParent", f"{whose} has no listener with {' and '.join(wanted)}; it has {existing}")

    allowing = [listener for listener in named if _allows(ctx, inputs, parent, listener, kind, namespace)]
    if not allowing:
        return refused("NotAllowedByListeners", _refusal(parent, named, kind, namespace))

    matching = [
        (listener, hosts) for listener in allowing if (hosts := hostnames.intersections(listener.hostname, names))
    ]
    if not matching and names and all(hostnames.is_address(name) for name in names):
        return refused("UnsupportedValue", f"hostnames {', '.join(names)}: found IP addresses, expected names")
    if not matching:
        limits = ", ".join(f"{listener.name} ({listener.hostname})" for listener in allowing)
        message = f"hostnames {', '.join(names)} have nothing in common with those of listeners {limits}"
        return refused("NoMatchingListenerHostname", message)

    served = [
        HostKey(listener.key, name)
        for listener, names_there in matching
        if listener.seat
        for name in names_there
        if not parents.shadowed(ctx, name, listener.seat)
    ]
    attached = tuple(listener.key for listener, _ in matching)
    on = ", ".join(key.name for key in attached)
    message = f"attached to listener{'s' if len(attached) > 1 else ''} {on} of {whose}"
    if addresses := [name for name in names if hostnames.is_address(name)]:
        message += f"; served without hostnames {', '.join(addresses)}: found IP addresses, expected names"
    return Attachment(ref, parent.controller, "Accepted", message, attached, tuple(served))


def _allows(
    ctx: Context, inputs: Inputs, parent: ResolvedParent, listener: ParentListener, kind: str, namespace: str
) -> bool:
    rule = listener.namespaces
    return kind in listener.kinds and selects(ctx, inputs, rule.from_, rule.selector, parent.key.namespace, namespace)


def _refusal(parent: ResolvedParent, listeners: list[ParentListener], kind: str, namespace: str) -> str:
    whose = f"{parent.kind} {parent.key}"
    carrying = [listener for listener in listeners if kind in listener.kinds]
    names = ", ".join(listener.name for listener in listeners)
    if not carrying:
        return f"no listener of {whose} ({names}) takes {kind}s; see its allowedRoutes.kinds"
    rules = ", ".join(f"{listener.name}: from {listener.namespaces.from_}" for listener in carrying)
    hint = ""
    if any(listener.namespaces.from_ == "Selector" for listener in carrying):
        hint = "; the namespace's labels don't match the selector"
    return f"{whose} takes no routes from namespace {namespace} (allowedRoutes of {rules}{hint})"
