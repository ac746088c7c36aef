"""What the statuses of Gateways and ListenerSets say; those of classes and routes are made where they are resolved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from msgspec import Struct

from gatewright.flow import Collection, Context, Index
from gatewright.model.gateway import ListenerStatus
from gatewright.model.gateway.gateway import GatewayStatusAddress
from gatewright.model.meta import Condition, Key
from gatewright.resolve.conditions import Reason, condition
from gatewright.resolve.dialects import Dialect
from gatewright.resolve.gateways import ResolvedGateway, ResolvedListenerSet
from gatewright.resolve.inputs import Addresses, Inputs
from gatewright.resolve.listeners import ResolvedListener
from gatewright.topology import ListenerKey, PortKey, PortState

_NAMED = 5  # how many ports a message names


class ResolvedGatewayStatus(Struct, frozen=True):
    """A Gateway's status as it should be. Condition times are left to the writer."""

    controller: str
    addresses: tuple[GatewayStatusAddress, ...]
    conditions: tuple[Condition, ...]
    listeners: tuple[ListenerStatus, ...]
    attached_listener_sets: int = 0


class ResolvedListenerSetStatus(Struct, frozen=True):
    """A ListenerSet's status as it should be. Condition times are left to the writer."""

    controller: str
    conditions: tuple[Condition, ...]
    listeners: tuple[ListenerStatus, ...]


class Counts(NamedTuple):
    """What statuses count: routes by the listener that accepted them, accepted ListenerSets and ports by Gateway."""

    routes: Index[ListenerKey, Any, Any]
    listener_sets: Index[Key, Key, ResolvedListenerSet]
    ports: Index[Key, PortKey, PortKey]
    """The ports of listeners that are served."""


def gateway_statuses(
    inputs: Inputs, gateways: Collection[Key, ResolvedGateway], counts: Counts, dialect: Dialect
) -> Collection[Key, ResolvedGatewayStatus]:
    """The status of each Gateway of ours."""

    def resolve(ctx: Context, key: Key, gateway: ResolvedGateway) -> ResolvedGatewayStatus:
        addresses = ctx.get(inputs.addresses, key) or Addresses()
        attached_sets = ctx.count(counts.listener_sets, key)
        return ResolvedGatewayStatus(
            controller=gateway.controller,
            addresses=addresses.values,
            conditions=(
                _accepted(gateway, attached_sets, addresses),
                _programmed(ctx, inputs, gateway, addresses, ctx.lookup(counts.ports, key), dialect.noun),
                _resolved_refs(gateway),
                *_insecure(gateway),
                *_default(gateway),
            ),
            listeners=_listeners(ctx, inputs, counts, gateway.listeners, gateway.problem, dialect.noun),
            attached_listener_sets=attached_sets,
        )

    return inputs.flow.derive("gateway statuses", gateways, resolve)


def listener_set_statuses(
    inputs: Inputs, listener_sets: Collection[Key, ResolvedListenerSet], counts: Counts, dialect: Dialect
) -> Collection[Key, ResolvedListenerSetStatus]:
    """The status of each ListenerSet that names a Gateway of ours."""

    def resolve(ctx: Context, _: Key, found: ResolvedListenerSet) -> ResolvedListenerSetStatus:
        listeners = _listeners(ctx, inputs, counts, found.listeners, found.problem, dialect.noun)
        programmed = [_holds(listener, "Programmed") for listener in listeners]
        return ResolvedListenerSetStatus(
            controller=found.controller,
            conditions=(_set_accepted(found), _set_programmed(found, listeners, any(programmed), dialect.noun)),
            listeners=listeners,
        )

    return inputs.flow.derive("listener set statuses", listener_sets, resolve)


def _holds(listener: ListenerStatus, type_: str) -> bool:
    return any(c.type == type_ and c.status == "True" for c in listener.conditions)


# --- Gateways --------------------------------------------------------------------------------------------------------


def _accepted(gateway: ResolvedGateway, attached_sets: int, addresses: Addresses) -> Condition:
    if gateway.problem:
        return condition("Accepted", False, *gateway.problem, gateway.generation)
    invalid = [listener.name for listener in gateway.listeners if not listener.holds("Accepted")]
    without = (
        f"; served without spec.infrastructure.parametersRef: no setting of ConfigMap {gateway.parameters} is known"
        if gateway.parameters and not addresses.parameters
        else ""
    )
    without += "".join(f"; {remark}" for remark in addresses.remarks)
    if not invalid:
        return condition("Accepted", True, "Accepted", f"the Gateway is valid{without}", gateway.generation)
    valid = [listener.name for listener in gateway.listeners if listener.name not in invalid]
    message = f"not accepted: listener {', '.join(invalid)}; accepted: {', '.join(valid) or 'none'}{without}"
    # The listeners of its ListenerSets are the Gateway's, too (ListenerSetSpec.listeners).
    return condition("Accepted", bool(valid or attached_sets), "ListenersNotValid", message, gateway.generation)


def _programmed(
    ctx: Context, inputs: Inputs, gateway: ResolvedGateway, addresses: Addresses, ports: Iterable[PortKey], noun: str
) -> Condition:
    generation = gateway.generation
    states = {port: ctx.get(inputs.ports, port) for port in ports}
    if gateway.problem or not states:
        message = gateway.problem[1] if gateway.problem else "no listener can carry traffic"
        return condition("Programmed", False, "Invalid", message, generation)
    if addresses.problem:
        return condition("Programmed", False, "AddressNotUsable", addresses.problem, generation)
    told = _told_of_ports(states)
    refused = [state for state in states.values() if state and not state.serving]
    if not addresses.values and len(refused) == len(states):
        return condition("Programmed", False, "Invalid", "; ".join(told), generation)
    if not addresses.values:
        return condition("Programmed", False, "AddressNotAssigned", "waiting for an address", generation)
    if any(state and state.serving for state in states.values()):
        serves = f"{addresses.of or f'the {noun}'} serves the Gateway"
        return condition("Programmed", True, "Programmed", "; ".join([serves, *told]), generation)
    message = "; ".join(told) or f"waiting for the {noun}"
    return condition("Programmed", False, "Invalid" if refused else "Pending", message, generation)


def _told_of_ports(states: Mapping[PortKey, PortState | None]) -> list[str]:
    """What is said of ports; what concerns several is said once."""
    ports: dict[str, list[str]] = {}
    for port, state in states.items():
        if state and state.message:
            ports.setdefault(state.message, []).append(f"{port.port}{'/udp' if port.transport == 'UDP' else ''}")
    told = []
    for text, named in list(ports.items())[:_NAMED]:
        left = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
        told.append(f"port{'s' if len(named) > 1 else ''} {', '.join(named[:_NAMED])}{left}: {text}")
    unnamed = sum(map(len, list(ports.values())[_NAMED:]))
    return [*told, f"and {unnamed} more ports"] if unnamed else told


def _resolved_refs(gateway: ResolvedGateway) -> Condition:
    """The Gateway's own references, and a summary of its listeners'."""
    if gateway.bad_reference:
        return condition("ResolvedRefs", False, *gateway.bad_reference, gateway.generation)
    unresolved = [listener.name for listener in gateway.listeners if not listener.holds("ResolvedRefs")]
    if unresolved:
        message = f"not every reference of listener {', '.join(unresolved)} is resolved"
        return condition("ResolvedRefs", False, "ListenersNotResolved", message, gateway.generation)
    return condition("ResolvedRefs", True, "ResolvedRefs", "every reference is resolved", gateway.generation)


def _insecure(gateway: ResolvedGateway) -> tuple[Condition, ...]:
    if not gateway.insecure:
        return ()
    message = f"AllowInsecureFallback at {', '.join(gateway.insecure)}: clients get in without a valid certificate"
    holds = condition("InsecureFrontendValidationMode", True, "ConfigurationChanged", message, gateway.generation)
    return (holds,)


def _default(gateway: ResolvedGateway) -> tuple[Condition, ...]:
    if not gateway.default:
        return ()
    message = "takes routes with useDefaultGateways: All"
    return (condition("DefaultGateway", True, "DefaultGateway", message, gateway.generation),)


# --- ListenerSets ----------------------------------------------------------------------------------------------------


def _set_accepted(found: ResolvedListenerSet) -> Condition:
    if found.problem:
        return condition("Accepted", False, *found.problem, found.generation)
    unserved = [listener.name for listener in found.listeners if not listener.served]
    if not unserved:
        return condition("Accepted", True, "Accepted", f"attached to Gateway {found.gateway}", found.generation)
    served = [listener.name for listener in found.listeners if listener.served]
    message = f"can't be served: listener {', '.join(unserved)}; attached to Gateway {found.gateway}: "
    message += ", ".join(served) or "none"
    return condition("Accepted", found.accepted, "ListenersNotValid", message, found.generation)


def _set_programmed(
    found: ResolvedListenerSet, listeners: tuple[ListenerStatus, ...], programmed: bool, noun: str
) -> Condition:
    if found.problem:
        return condition("Programmed", False, *found.problem, found.generation)
    if programmed:
        return condition("Programmed", True, "Programmed", f"the {noun} serves the ListenerSet", found.generation)
    if not found.accepted:
        return condition("Programmed", False, "ListenersNotValid", "no listener can carry traffic", found.generation)
    served = {listener.name for listener in found.listeners if listener.served}
    waiting = [c for status in listeners if status.name in served for c in status.conditions if c.type == "Programmed"]
    reason = "Invalid" if any(c.reason == "Invalid" for c in waiting) else "Pending"
    message = "; ".join(dict.fromkeys(c.message for c in waiting))
    return condition("Programmed", False, reason, message, found.generation)


# --- listeners -------------------------------------------------------------------------------------------------------


def _listeners(
    ctx: Context,
    inputs: Inputs,
    counts: Counts,
    listeners: tuple[ResolvedListener, ...],
    problem: Reason | None,
    noun: str,
) -> tuple[ListenerStatus, ...]:
    return tuple(
        ListenerStatus(
            name=listener.name,
            attached_routes=ctx.count(counts.routes, listener.key),
            supported_kinds=listener.kinds,
            conditions=(
                *listener.conditions,
                _listener_programmed(listener, problem, ctx.get(inputs.ports, listener.entry.port_key), noun),
            ),
        )
        for listener in listeners
    )


def _listener_programmed(
    listener: ResolvedListener, problem: Reason | None, port: PortState | None, noun: str
) -> Condition:
    generation = listener.entry.generation
    if listener.served is None:
        failed = [c for c in listener.conditions if c.type in ("Accepted", "ResolvedRefs") and c.status == "False"]
        reason = failed[0].reason if failed and listener.holds("Conflicted") else "Invalid"
        other = problem[1] if problem else "the listener takes no kind of route"
        message = failed[0].message if failed else other
        return condition("Programmed", False, reason, message, generation)
    if port is None:
        return condition("Programmed", False, "Pending", f"waiting for the {noun}", generation)
    if not port.serving:
        return condition("Programmed", False, "Invalid", port.message, generation)
    return condition("Programmed", True, "Programmed", f"the {noun} serves the listener", generation)
