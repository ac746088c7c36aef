"""What the statuses of Gateways say; those of classes and routes are made where they are resolved."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from gatewright.flow import Collection, Context, Index
from gatewright.model.gateway import ListenerStatus
from gatewright.model.gateway.gateway import GatewayStatusAddress
from gatewright.model.meta import Condition, Key
from gatewright.resolve.conditions import condition
from gatewright.resolve.gateways import ResolvedGateway, ResolvedListener
from gatewright.resolve.inputs import Addresses, Inputs
from gatewright.topology import ListenerKey, PortKey, PortState


class ResolvedGatewayStatus(Struct, frozen=True):
    """A Gateway's status as it should be. Condition times are left to the writer."""

    controller: str
    addresses: tuple[GatewayStatusAddress, ...]
    conditions: tuple[Condition, ...]
    listeners: tuple[ListenerStatus, ...]


def gateway_statuses(
    inputs: Inputs, gateways: Collection[Key, ResolvedGateway], attached: Index[ListenerKey, Any, Any]
) -> Collection[Key, ResolvedGatewayStatus]:
    """The status of each Gateway of ours. `attached` has a member for each route accepted by a listener."""

    def resolve(ctx: Context, key: Key, gateway: ResolvedGateway) -> ResolvedGatewayStatus:
        ports = {port: ctx.get(inputs.ports, PortKey(key, port)) for port in {item.port for item in gateway.listeners}}
        addresses = ctx.get(inputs.addresses, key) or Addresses()
        return ResolvedGatewayStatus(
            controller=gateway.controller,
            addresses=addresses.values,
            conditions=(_accepted(gateway), _programmed(gateway, addresses, ports)),
            listeners=tuple(
                ListenerStatus(
                    name=listener.name,
                    attached_routes=ctx.count(attached, ListenerKey(key, listener.name)),
                    supported_kinds=listener.kinds,
                    conditions=(*listener.conditions, _listener_programmed(gateway, listener, ports[listener.port])),
                )
                for listener in gateway.listeners
            ),
        )

    return inputs.flow.derive("gateway statuses", gateways, resolve)


def _accepted(gateway: ResolvedGateway) -> Condition:
    if gateway.problem:
        return condition("Accepted", False, *gateway.problem, gateway.generation)
    invalid = [listener.name for listener in gateway.listeners if not listener.holds("Accepted")]
    if not invalid:
        message = "; served without ".join(["the Gateway is valid", *gateway.notes])
        return condition("Accepted", True, "Accepted", message, gateway.generation)
    valid = [listener.name for listener in gateway.listeners if listener.name not in invalid]
    message = f"not accepted: listener {', '.join(invalid)}; accepted: {', '.join(valid) or 'none'}"
    return condition("Accepted", bool(valid), "ListenersNotValid", message, gateway.generation)


def _programmed(gateway: ResolvedGateway, addresses: Addresses, ports: dict[int, PortState | None]) -> Condition:
    generation = gateway.generation
    served = [listener for listener in gateway.listeners if listener.served]
    if not served:
        message = gateway.problem[1] if gateway.problem else "no listener can carry traffic"
        return condition("Programmed", False, "Invalid", message, generation)
    if addresses.problem:
        return condition("Programmed", False, "AddressNotUsable", addresses.problem, generation)
    if not addresses.values:
        return condition("Programmed", False, "AddressNotAssigned", "waiting for an address", generation)
    states = {listener.port: ports[listener.port] for listener in served}
    refused = [f"port {port}: {state.message}" for port, state in states.items() if state and not state.serving]
    if any(state and state.serving for state in states.values()):
        message = "; ".join(["the proxy serves the Gateway", *refused])
        return condition("Programmed", True, "Programmed", message, generation)
    message = "; ".join(refused) or "waiting for the proxy"
    return condition("Programmed", False, "Invalid" if refused else "Pending", message, generation)


def _listener_programmed(gateway: ResolvedGateway, listener: ResolvedListener, port: PortState | None) -> Condition:
    generation = gateway.generation
    if listener.served is None:
        failed = [c for c in listener.conditions if c.type in ("Accepted", "ResolvedRefs") and c.status == "False"]
        reason = failed[0].reason if failed and listener.holds("Conflicted") else "Invalid"
        if failed:
            message = failed[0].message
        else:
            message = gateway.problem[1] if gateway.problem else "the listener takes no kind of route"
        return condition("Programmed", False, reason, message, generation)
    if port is None:
        return condition("Programmed", False, "Pending", "waiting for the proxy", generation)
    if not port.serving:
        return condition("Programmed", False, "Invalid", port.message, generation)
    return condition("Programmed", True, "Programmed", "the proxy serves the listener", generation)
