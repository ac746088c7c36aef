"""What happens on an edge, one clear line each: routes that attach, references that are refused, backends that go."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from gatewright.flow import Change, Collection
from gatewright.model.edgebinding import EdgeBinding
from gatewright.model.gateway import Listener
from gatewright.model.gateway.shared import NEGATIVE, RouteParentStatus
from gatewright.model.meta import Condition, Key
from gatewright.resolve import Inputs, Resolution
from gatewright.resolve.conditions import failing
from gatewright.resolve.policies import ResolvedPolicyStatus
from gatewright.resolve.routes import ResolvedRoute
from gatewright.resolve.statuses import ResolvedGatewayStatus, ResolvedListenerSetStatus
from gatewright.topology import BackendKey, Endpoints

_FIELD = re.compile(r"\b(?:spec|metadata)(?:\.\w+|\[\d+\])+")


Level: TypeAlias = Literal["good", "bad", "info"]
_LEVELS: dict[str, Level] = {"healthy": "good", "unhealthy": "bad"}


class News(Struct, frozen=True):
    """One line: about which object, whether it is good, and what happened."""

    level: Level
    subject: str
    text: str
    about: tuple[str, Key, str] | None = None
    """Kind, key and field of the object that would have to change, where there is one."""

    def __str__(self) -> str:
        return f"{self.subject}: {self.text}"


class Newsroom:
    """Turns changes of the resolution into news. `hold` until the edge is ready: what starts up is no news."""

    def __init__(self, inputs: Inputs, resolution: Resolution, publish: Callable[[News], None]) -> None:
        self._inputs = inputs
        self._publish = publish
        self.hold = True
        self.include(resolution)

    def include(self, resolution: Resolution) -> None:
        """Tell of another resolution of the same inputs, too."""
        inputs = self._inputs
        for kind, source, resolved in routes_by_kind(inputs, resolution):
            resolved.subscribe(partial(self._routes, kind, source))
        resolution.gateway_statuses.subscribe(partial(self._parents, "Gateway"))
        resolution.listener_set_statuses.subscribe(partial(self._parents, "ListenerSet"))
        resolution.backend_tls_policies.subscribe(self._policies)
        resolution.topology.endpoints.subscribe(self._endpoints)

    def tell(self, old: Iterable[News], new: Iterable[News]) -> None:
        """Say what is new among things that are wrong, and what isn't wrong any more."""
        before, now = dict.fromkeys(old), dict.fromkeys(new)
        for item in now:
            if item not in before and not self.hold:
                self._publish(item)
        for item in before:
            if item not in now:
                self._say("good", item.subject, f"no longer: {item.text}")

    def follow(self, bindings: Collection[Key, EdgeBinding]) -> None:
        """Tell of EdgeBindings, and of the targets that they keep, too."""
        bindings.subscribe(self._bindings)

    def _bindings(self, changes: Iterable[Change[Key, EdgeBinding]]) -> None:
        for key, old, new in changes:
            subject = f"EdgeBinding {key}"
            if new is None:
                self._say("info", subject, "deleted")
                continue
            self._conditions(subject, old.status.conditions if old else (), new.status.conditions)
            before = {(target.address, target.port): target for target in old.status.targets} if old else {}
            for target in new.status.targets:
                known = before.pop((target.address, target.port), None)
                if not target.health:
                    continue  # it is about to be registered
                if known is None or (known.health, known.reason) != (target.health, target.reason):
                    level: Level = _LEVELS.get(target.health, "info")
                    words = " ".join(part for part in (target.health, target.reason, target.description) if part)
                    self._say(level, subject, f"target {target.address}:{target.port} is {words}")
            for address, port in before:
                self._say("info", subject, f"target {address}:{port} is gone")

    def _say(self, level: Level, subject: str, text: str) -> None:
        if not self.hold:
            self._publish(News(level, subject, text))

    def _routes(self, kind: str, source: Collection[Key, Any], changes: Iterable[Change[Key, ResolvedRoute]]) -> None:
        for key, old, new in changes:
            subject = f"{kind} {key}"
            if new is None:
                text = "deleted" if key not in source else "names no Gateway of ours any more"
                self._say("info", subject, text)
                continue
            for level, text in route_news(old, new):
                self._say(level, subject, text)

    def _parents(
        self, kind: str, changes: Iterable[Change[Key, ResolvedGatewayStatus] | Change[Key, ResolvedListenerSetStatus]]
    ) -> None:
        """Of objects that have listeners."""
        for key, old, new in changes:
            subject = f"{kind} {key}"
            if new is None:
                self._say("info", subject, "deleted")
                continue
            self._conditions(subject, old.conditions if old else (), new.conditions)
            before = {listener.name: listener for listener in old.listeners} if old else {}
            for listener in new.listeners:
                known = before.get(listener.name)
                self._conditions(
                    f"{subject} listener {listener.name}", known.conditions if known else (), listener.conditions
                )

    def _policies(self, changes: Iterable[Change[Key, ResolvedPolicyStatus]]) -> None:
        for key, old, new in changes:
            before = {ancestor.ancestor_ref: ancestor.conditions for ancestor in old.ancestors} if old else {}
            for ancestor in new.ancestors if new else ():
                subject = f"BackendTLSPolicy {key} for {ancestor.ancestor_ref.name}"
                self._conditions(subject, before.get(ancestor.ancestor_ref, ()), ancestor.conditions)

    def _conditions(self, subject: str, old: tuple[Condition, ...], new: tuple[Condition, ...]) -> None:
        before = {condition.type: (condition.status, condition.reason, condition.message) for condition in old}
        for condition in new:
            known = before.get(condition.type)
            if known == (condition.status, condition.reason, condition.message) or condition.reason == "Pending":
                continue
            bad = (condition.status == "True") == (condition.type in NEGATIVE)
            if bad:
                self._say(
                    "bad", subject, f"{condition.type}={condition.status} {condition.reason}: {condition.message}"
                )
            elif known and known[0] != condition.status:
                self._say("good", subject, f"{condition.type}={condition.status}: {condition.message}")

    def _endpoints(self, changes: Iterable[Change[BackendKey, Endpoints]]) -> None:
        for key, old, new in changes:
            was = len(old.endpoints) if old else 0
            now = len(new.endpoints) if new else 0
            if new is None or was == now:
                continue
            text = f"{now} endpoint{'' if now == 1 else 's'} (before: {was})"
            if now == 0:
                self._say("bad", f"Service {key}", f"no endpoint is left: {_without_endpoints(key)}")
            else:
                self._say("good" if now > was else "info", f"Service {key}", text)


def routes_by_kind(
    inputs: Inputs, resolution: Resolution
) -> tuple[tuple[str, Collection[Key, Any], Collection[Key, ResolvedRoute]], ...]:
    """Each kind of route with its objects and what became of them."""
    return (
        ("HTTPRoute", inputs.http_routes, resolution.http_routes),
        ("GRPCRoute", inputs.grpc_routes, resolution.grpc_routes),
        ("TLSRoute", inputs.tls_routes, resolution.tls_routes),
        ("TCPRoute", inputs.tcp_routes, resolution.tcp_routes),
        ("UDPRoute", inputs.udp_routes, resolution.udp_routes),
    )


def _without_endpoints(backend: BackendKey) -> str:
    if backend.transport == "UDP":
        return "its datagrams get no answer"
    return "its requests are answered 503" if backend.use == "http" else "its connections are closed"


def route_news(old: ResolvedRoute | None, new: ResolvedRoute) -> list[tuple[Level, str]]:
    """What to say of a route that was `old` and is `new`."""
    before = {parent.parent_ref: parent for parent in old.parents} if old else {}
    lines: list[tuple[Level, str]] = []
    for parent, attachment in zip(new.parents, new.attachments, strict=True):
        known = before.get(parent.parent_ref)
        if known and _story(known) == _story(parent):
            continue
        for condition in parent.conditions:
            gateway = f"parentRef {parent.parent_ref.name}"
            bad = condition.status != "True" or condition.type == "PartiallyInvalid"
            if bad:
                lines.append(("bad", f"{gateway}: {condition.reason}: {condition.message}"))
            elif condition.type == "Accepted":
                lines.append(("good", attachment.message))
    if not lines and old and (old.rules, old.streams) != (new.rules, new.streams):
        lines.append(("info", "rules changed"))
    return lines


def _story(parent: RouteParentStatus) -> list[tuple[str, str, str, str]]:
    return [(c.type, c.status, c.reason, c.message) for c in parent.conditions]


def standing_problems(inputs: Inputs, *resolutions: Resolution) -> list[News]:
    """Everything that is wrong as things stand, for the report at the start; the resolutions are of these inputs."""
    wrong = [news for resolution in resolutions for news in _wrong_in(inputs, resolution)]
    return [*wrong, *_leading_nowhere(inputs)]


def _leading_nowhere(inputs: Inputs) -> list[News]:
    """Objects that name a class, a Gateway or a ListenerSet which doesn't exist."""
    found: list[News] = []
    for key, gateway in sorted(inputs.gateways.items()):
        if Key("", gateway.spec.gateway_class_name) not in inputs.gateway_classes:
            known = ", ".join(sorted(name.name for name in inputs.gateway_classes))
            text = f"spec.gatewayClassName: GatewayClass {gateway.spec.gateway_class_name} does not exist"
            found.append(_standing("Gateway", key, f"{text}; there is {known}" if known else text))
    parents = {"Gateway": inputs.gateways.keys(), "ListenerSet": inputs.listener_sets.keys()}
    routes = (inputs.http_routes, inputs.grpc_routes, inputs.tls_routes, inputs.tcp_routes, inputs.udp_routes)
    for key, route in sorted((item for source in routes for item in source.items()), key=lambda item: item[0]):
        for number, parent in enumerate(route.spec.parent_refs):
            target = Key(parent.namespace or key.namespace, parent.name)
            if parent.kind in parents and target not in parents[parent.kind]:
                text = f"spec.parentRefs[{number}]: {parent.kind} {target} does not exist"
                known = ", ".join(str(one) for one in sorted(parents[parent.kind]) if one.namespace == target.namespace)
                found.append(_standing(route.kind, key, f"{text}; there is {known}" if known else text))
    return found


def _wrong_in(inputs: Inputs, resolution: Resolution) -> list[News]:
    """What is wrong with the objects of one resolution."""
    found: list[News] = []
    for key, gateway in sorted(inputs.gateways.items()):
        status = resolution.gateway_statuses.get(key)
        if status:
            found += _wrong_with("Gateway", key, gateway.spec.listeners, status)
    for key, listener_set in sorted(inputs.listener_sets.items()):
        set_status = resolution.listener_set_statuses.get(key)
        if set_status:
            found += _wrong_with("ListenerSet", key, listener_set.spec.listeners, set_status)
    for kind, _, resolved in routes_by_kind(inputs, resolution):
        for key, of_ours in sorted(resolved.items()):
            for level, text in route_news(None, of_ours):
                if level == "bad":
                    found.append(_standing(kind, key, text))
    for key, policy in sorted(resolution.backend_tls_policies.items()):
        wrong = dict.fromkeys(_sentence(c) for ancestor in policy.ancestors for c in failing(ancestor.conditions))
        found += [_standing("BackendTLSPolicy", key, text) for text in wrong]
    for backend, endpoints in sorted(resolution.topology.endpoints.items()):
        if not endpoints.endpoints:
            text = f"has no endpoint: {_without_endpoints(backend)}"
            found.append(
                News("bad", f"Service {backend}", text, ("Service", Key(backend.namespace, backend.service), ""))
            )
    return found


def _standing(kind: str, key: Key, text: str, *, field: str = "", part: str = "") -> News:
    named = _FIELD.search(text)
    return News("bad", f"{kind} {key}{part}", text, (kind, key, field or (named[0] if named else "")))


def _wrong_with(
    kind: str,
    key: Key,
    specs: Sequence[Listener],
    status: ResolvedGatewayStatus | ResolvedListenerSetStatus,
) -> list[News]:
    """What is wrong with an object that has listeners, and with those."""
    wrong = [listener for listener in status.listeners if failing(listener.conditions)]
    # That some listener isn't valid is said of the listener itself.
    found = [
        _standing(kind, key, _sentence(condition))
        for condition in failing(status.conditions)
        if not (wrong and condition.reason == "ListenersNotValid")
    ]
    for listener in wrong:
        index = next((i for i, item in enumerate(specs) if item.name == listener.name), 0)
        for condition in failing(listener.conditions)[:1]:
            text = _sentence(condition)
            named = _FIELD.search(text)
            field = named[0] if named else f"spec.listeners[{index}]"
            found.append(_standing(kind, key, text, field=field, part=f" listener {listener.name}"))
    return found


def _sentence(condition: Condition) -> str:
    return f"{condition.type}={condition.status} {condition.reason}: {condition.message}"
