"""What happens on an edge, one clear line each: routes that attach, references that are refused, backends that go."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Literal

from msgspec import Struct

from gatewright.flow import Change
from gatewright.model.gateway.shared import RouteParentStatus
from gatewright.model.meta import Condition, Key
from gatewright.resolve import Inputs, Resolution
from gatewright.resolve.routes import ResolvedRoute
from gatewright.resolve.statuses import ResolvedGatewayStatus
from gatewright.topology import BackendKey, Endpoints

_FIELD = re.compile(r"\b(?:spec|metadata)(?:\.\w+|\[\d+\])+")
_NEGATIVE = ("Conflicted", "OverlappingTLSConfig", "PartiallyInvalid")
"""The conditions that are bad when they hold."""


class News(Struct, frozen=True):
    """One line: about which object, whether it is good, and what happened."""

    level: Literal["good", "bad", "info"]
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
        resolution.http_routes.subscribe(self._routes)
        resolution.gateway_statuses.subscribe(self._gateways)
        resolution.topology.endpoints.subscribe(self._endpoints)

    def _say(self, level: Literal["good", "bad", "info"], subject: str, text: str) -> None:
        if not self.hold:
            self._publish(News(level, subject, text))

    def _routes(self, changes: Iterable[Change[Key, ResolvedRoute]]) -> None:
        for key, old, new in changes:
            subject = f"HTTPRoute {key}"
            if new is None:
                gone = key not in self._inputs.http_routes
                self._say("info", subject, "deleted" if gone else "names no Gateway of ours any more")
                continue
            for level, text in route_news(old, new):
                self._say(level, subject, text)

    def _gateways(self, changes: Iterable[Change[Key, ResolvedGatewayStatus]]) -> None:
        for key, old, new in changes:
            subject = f"Gateway {key}"
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

    def _conditions(self, subject: str, old: tuple[Condition, ...], new: tuple[Condition, ...]) -> None:
        before = {condition.type: (condition.status, condition.reason, condition.message) for condition in old}
        for condition in new:
            known = before.get(condition.type)
            if known == (condition.status, condition.reason, condition.message) or condition.reason == "Pending":
                continue
            bad = (condition.status == "True") == (condition.type in _NEGATIVE)
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
                self._say("bad", f"Service {key}", "no endpoint is left: its requests are answered 503")
            else:
                self._say("good" if now > was else "info", f"Service {key}", text)


def route_news(old: ResolvedRoute | None, new: ResolvedRoute) -> list[tuple[Literal["good", "bad", "info"], str]]:
    """What to say of a route that was `old` and is `new`."""
    before = {parent.parent_ref: parent for parent in old.parents} if old else {}
    lines: list[tuple[Literal["good", "bad", "info"], str]] = []
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
    if not lines and old and old.rules != new.rules:
        lines.append(("info", "rules changed"))
    return lines


def _story(parent: RouteParentStatus) -> list[tuple[str, str, str, str]]:
    return [(c.type, c.status, c.reason, c.message) for c in parent.conditions]


def standing_problems(inputs: Inputs, resolution: Resolution) -> list[News]:
    """Everything that is wrong as things stand, for the report at the start."""
    found: list[News] = []

    def add(kind: str, key: Key, text: str, *, field: str = "", part: str = "") -> None:
        named = _FIELD.search(text)
        about = (kind, key, field or (named[0] if named else ""))
        found.append(News("bad", f"{kind} {key}{part}", text, about))

    for key, gateway in sorted(inputs.gateways.items()):
        if Key("", gateway.spec.gateway_class_name) not in inputs.gateway_classes:
            known = ", ".join(sorted(name.name for name in inputs.gateway_classes))
            text = f"spec.gatewayClassName: GatewayClass {gateway.spec.gateway_class_name} does not exist"
            add("Gateway", key, f"{text}; there is {known}" if known else text)
        status = resolution.gateway_statuses.get(key)
        if status is None:
            continue
        wrong = [listener for listener in status.listeners if _failing(listener.conditions)]
        for condition in _failing(status.conditions):
            # That some listener isn't valid is said of the listener itself.
            if not (wrong and condition.reason == "ListenersNotValid"):
                add("Gateway", key, _sentence(condition))
        for listener in wrong:
            index = next((i for i, item in enumerate(gateway.spec.listeners) if item.name == listener.name), 0)
            for condition in _failing(listener.conditions)[:1]:
                text = _sentence(condition)
                named = _FIELD.search(text)
                field = named[0] if named else f"spec.listeners[{index}]"
                add("Gateway", key, text, field=field, part=f" listener {listener.name}")
    for key, route in sorted(inputs.http_routes.items()):
        resolved = resolution.http_routes.get(key)
        for level, text in route_news(None, resolved) if resolved else ():
            if level == "bad":
                add("HTTPRoute", key, text)
        for number, parent in enumerate(route.spec.parent_refs):
            target = Key(parent.namespace or key.namespace, parent.name)
            if parent.kind == "Gateway" and target not in inputs.gateways:
                add("HTTPRoute", key, f"spec.parentRefs[{number}]: Gateway {target} does not exist")
    for backend, endpoints in sorted(resolution.topology.endpoints.items()):
        if not endpoints.endpoints:
            text = "has no endpoint: its requests are answered 503"
            found.append(
                News("bad", f"Service {backend}", text, ("Service", Key(backend.namespace, backend.service), ""))
            )
    return found


def _failing(conditions: Iterable[Condition]) -> list[Condition]:
    """The conditions that are not as they should be."""
    return [c for c in conditions if (c.status == "True") == (c.type in _NEGATIVE)]


def _sentence(condition: Condition) -> str:
    return f"{condition.type}={condition.status} {condition.reason}: {condition.message}"
