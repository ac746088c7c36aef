"""parentRefs: which listeners a route attaches to, and with which hostnames (Gateway API, ParentReference)."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from gatewright.flow import Collection, Context
from gatewright.model.gateway.shared import GROUP, ParentReference
from gatewright.model.meta import Key
from gatewright.resolve import hostnames
from gatewright.resolve.gateways import ResolvedGateway, ResolvedListener
from gatewright.resolve.inputs import Inputs
from gatewright.topology import HostKey, ListenerKey


class Attachment(Struct, frozen=True):
    """What became of one parentRef to one of our Gateways.

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
    ctx: Context,
    inputs: Inputs,
    gateways: Collection[Key, ResolvedGateway],
    kind: str,
    namespace: str,
    names: Iterable[str],
    parents: Iterable[ParentReference],
) -> tuple[Attachment, ...]:
    """One attachment a parentRef that names a Gateway of ours; other parents are other controllers' business."""
    found = []
    for parent in parents:
        if parent.group != GROUP or parent.kind != "Gateway":
            continue
        gateway = ctx.get(gateways, Key(parent.namespace or namespace, parent.name))
        if gateway:
            found.append(_attach(ctx, inputs, gateway, kind, namespace, tuple(names), parent))
    return tuple(found)


def _attach(
    ctx: Context,
    inputs: Inputs,
    gateway: ResolvedGateway,
    kind: str,
    namespace: str,
    names: tuple[str, ...],
    parent: ParentReference,
) -> Attachment:
    """Narrow the Gateway's listeners step by step; the step that leaves none gives the reason."""
    named = [
        listener
        for listener in gateway.listeners
        if parent.section_name in (None, listener.name) and parent.port in (None, listener.port)
    ]
    if not named:
        wanted = [f"sectionName {parent.section_name}"] if parent.section_name else []
        wanted += [f"port {parent.port}"] if parent.port else []
        existing = ", ".join(f"{listener.name}:{listener.port}" for listener in gateway.listeners)
        message = f"Gateway {gateway.key} has no listener with {' and '.join(wanted)}; it has {existing}"
        return Attachment(parent, gateway.controller, "NoMatchingParent", message)

    allowing = [listener for listener in named if _allows(ctx, inputs, gateway, listener, kind, namespace)]
    if not allowing:
        return Attachment(
            parent, gateway.controller, "NotAllowedByListeners", _refusal(gateway, named, kind, namespace)
        )

    matching = [
        (listener, hosts) for listener in allowing if (hosts := hostnames.intersections(listener.hostname, names))
    ]
    if not matching and names and all(hostnames.is_address(name) for name in names):
        message = f"hostnames {', '.join(names)}: found IP addresses, expected names"
        return Attachment(parent, gateway.controller, "UnsupportedValue", message)
    if not matching:
        limits = ", ".join(f"{listener.name} ({listener.hostname})" for listener in allowing)
        message = f"hostnames {', '.join(names)} have nothing in common with those of listeners {limits}"
        return Attachment(parent, gateway.controller, "NoMatchingListenerHostname", message)

    served = [
        HostKey(listener.served.key, name)
        for listener, names_there in matching
        if listener.served
        for name in names_there
        if not hostnames.shadowed(name, listener.hostname, _sharing(gateway, listener))
    ]
    attached = tuple(ListenerKey(gateway.key, listener.name) for listener, _ in matching)
    on = ", ".join(key.name for key in attached)
    message = f"attached to listener{'s' if len(attached) > 1 else ''} {on} of Gateway {gateway.key}"
    return Attachment(parent, gateway.controller, "Accepted", message, attached, tuple(served))


def _allows(
    ctx: Context, inputs: Inputs, gateway: ResolvedGateway, listener: ResolvedListener, kind: str, namespace: str
) -> bool:
    if not any(allowed.kind == kind for allowed in listener.kinds):
        return False
    rule = listener.namespaces
    if rule.from_ == "Selector":
        found = ctx.get(inputs.namespaces, Key("", namespace))
        return bool(found and rule.selector and rule.selector.matches(found.metadata.labels))
    return rule.from_ == "All" or namespace == gateway.key.namespace


def _refusal(gateway: ResolvedGateway, listeners: list[ResolvedListener], kind: str, namespace: str) -> str:
    carrying = [listener for listener in listeners if any(allowed.kind == kind for allowed in listener.kinds)]
    names = ", ".join(listener.name for listener in listeners)
    if not carrying:
        return f"no listener of Gateway {gateway.key} ({names}) takes {kind}s; see its allowedRoutes.kinds"
    rules = ", ".join(f"{listener.name}: from {listener.namespaces.from_}" for listener in carrying)
    hint = ""
    if any(listener.namespaces.from_ == "Selector" for listener in carrying):
        hint = "; the namespace's labels don't match the selector"
    return f"Gateway {gateway.key} takes no routes from namespace {namespace} (allowedRoutes of {rules}{hint})"


def _sharing(gateway: ResolvedGateway, listener: ResolvedListener) -> list[str]:
    """Hostnames of the served listeners that share the routing table: on HTTPS, SNI has chosen before."""
    if listener.protocol != "HTTP":
        return []
    return [
        other.hostname
        for other in gateway.listeners
        if other.served and other is not listener and (other.port, other.protocol) == (listener.port, "HTTP")
    ]
