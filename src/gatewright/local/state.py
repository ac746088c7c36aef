"""A picture of a running edge that people and programs can read: Gateways, listeners, addresses, URLs."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from pathlib import Path

import msgspec

from gatewright.envoy.listeners import Binding
from gatewright.flow import Collection
from gatewright.model.gateway import ListenerStatus
from gatewright.model.meta import Condition, Key
from gatewright.resolve import Inputs, Resolution
from gatewright.resolve.gateways import ResolvedGateway, ResolvedListener
from gatewright.topology import ListenerKey, Match, Placement

_WELL_KNOWN = {"http": 80, "https": 443}


class _Camel(msgspec.Struct, frozen=True, rename="camel"):
    pass


class ConditionState(_Camel, frozen=True):
    """A condition, without its times."""

    type: str
    status: str
    reason: str
    message: str


class ListenerState(_Camel, frozen=True):
    """A listener. `bound_port` is the port really opened, which differs from `port` where that isn't allowed."""

    name: str
    protocol: str
    port: int
    bound_port: int | None
    hostname: str
    url: str
    """Empty where nothing listens."""
    attached_routes: int
    conditions: tuple[ConditionState, ...]


class GatewayState(_Camel, frozen=True):
    """A Gateway."""

    namespace: str
    name: str
    class_name: str
    address: str
    listeners: tuple[ListenerState, ...]
    conditions: tuple[ConditionState, ...]


class EdgeState(_Camel, frozen=True):
    """The edge. `url` and `https_url` are its front-most entries, empty where there is none."""

    gateways: tuple[GatewayState, ...]
    url: str
    https_url: str
    kubeconfig: str
    ca: str


class Trial(msgspec.Struct, frozen=True):
    """Something to try: a URL and a command that works in a shell, and what it leads to."""

    url: str
    command: str
    leads_to: str


def edge_state(
    inputs: Inputs,
    resolution: Resolution,
    bindings: Collection[Key, Binding],
    kubeconfig: Path,
    ca: Path,
) -> EdgeState:
    """The edge as it is now, Gateways in the order of their creation."""
    gateways = tuple(
        _gateway(inputs, resolution, gateway, bindings.get(gateway.key)) for gateway in _in_order(inputs, resolution)
    )
    listeners = [listener for gateway in gateways for listener in gateway.listeners if listener.url]
    return EdgeState(
        gateways=gateways,
        url=next((listener.url for listener in listeners if listener.protocol == "HTTP"), ""),
        https_url=next((listener.url for listener in listeners if listener.protocol == "HTTPS"), ""),
        kubeconfig=str(kubeconfig),
        ca=str(ca),
    )


def trials(state: EdgeState, resolution: Resolution, most: int = 12) -> list[Trial]:
    """Requests that the routes answer as they are now: one for each rule that a plain GET can reach.

    What is served in the clear is shown over TLS once, as an example.
    """
    found: dict[str, Trial] = {}
    shown: set[tuple[Key, str, Match]] = set()
    for gateway in state.gateways:
        key = Key(gateway.namespace, gateway.name)
        for listener in sorted(gateway.listeners, key=lambda listener: listener.protocol != "HTTP"):
            if not listener.url:
                continue
            example = 1
            for placement in _placements(resolution, ListenerKey(key, listener.name)):
                trial = _trial(state, listener, placement)
                known = (key, placement.host.hostname, placement.rule.match)
                if trial is None or (known in shown and (listener.protocol == "HTTP" or not example)):
                    continue
                example -= known in shown
                shown.add(known)
                found.setdefault(trial.command, trial)
    return list(found.values())[:most]


def _placements(resolution: Resolution, listener: ListenerKey) -> Iterable[Placement]:
    by_host = resolution.topology.placements_by_host
    hosts = sorted(host for host in resolution.topology.hosts if host.listener == listener)
    return (placement for host in hosts for placement in by_host.lookup(host))


def _trial(state: EdgeState, listener: ListenerState, placement: Placement) -> Trial | None:
    rule, match = placement.rule, placement.rule.match
    if match.path.type == "RegularExpression" or match.method not in (None, "GET") or match.query_params:
        return None
    if any(header.type != "Exact" for header in match.headers):
        return None
    host, options, base = placement.host.hostname, [], listener.url
    if host != "*":
        name = host.replace("*.", "any.", 1)
        address, port = base.partition("://")[2], listener.bound_port or listener.port
        address = address.rpartition(":")[0] if address.count(":") == 1 else address
        scheme = base.partition("://")[0]
        base = f"{scheme}://{name}" + ("" if _WELL_KNOWN[scheme] == port else f":{port}")
        options += ["--resolve", f"{name}:{port}:{address}"]
    if base.startswith("https:"):
        options += ["--cacert", state.ca]
    options += [word for header in match.headers for word in ("-H", f"{header.name}: {header.value}")]
    url = base + match.path.value
    backends = ", ".join(str(share.backend) for share in rule.backends if share.backend)
    return Trial(url, shlex.join(["curl", *options, url]), backends or str(rule.origin))


def _in_order(inputs: Inputs, resolution: Resolution) -> list[ResolvedGateway]:
    def created(gateway: ResolvedGateway) -> tuple[str, Key]:
        return inputs.gateways[gateway.key].metadata.creation_timestamp, gateway.key

    return sorted(resolution.gateways.values(), key=created)


def _gateway(inputs: Inputs, resolution: Resolution, gateway: ResolvedGateway, binding: Binding | None) -> GatewayState:
    status = resolution.gateway_statuses[gateway.key]
    reported = {listener.name: listener for listener in status.listeners}
    return GatewayState(
        namespace=gateway.key.namespace,
        name=gateway.key.name,
        class_name=inputs.gateways[gateway.key].spec.gateway_class_name,
        address=binding.host if binding else "",
        listeners=tuple(_listener(listener, reported[listener.name], binding) for listener in gateway.listeners),
        conditions=_conditions(status.conditions),
    )


def _listener(listener: ResolvedListener, status: ListenerStatus, binding: Binding | None) -> ListenerState:
    bound = binding.ports.get(listener.port) if binding else None
    programmed = any(c.type == "Programmed" and c.status == "True" for c in status.conditions)
    url = ""
    if binding and bound and programmed:
        scheme = listener.protocol.lower()
        host = f"[{binding.host}]" if ":" in binding.host else binding.host
        url = f"{scheme}://{host}" + ("" if _WELL_KNOWN.get(scheme) == bound else f":{bound}")
    return ListenerState(
        name=listener.name,
        protocol=listener.protocol,
        port=listener.port,
        bound_port=bound,
        hostname=listener.hostname,
        url=url,
        attached_routes=status.attached_routes,
        conditions=_conditions(status.conditions),
    )


def _conditions(conditions: Iterable[Condition]) -> tuple[ConditionState, ...]:
    return tuple(ConditionState(c.type, c.status, c.reason, c.message) for c in conditions)
