"""What happens on an edge, one clear line each: routes that attach, references that are refused, backends that go."""

from __future__ import annotations

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


class News(Struct, frozen=True):
    """One line: about which object, whether it is good, and what happened."""

    level: Literal["good", "bad", "info"]
    subject: str
    text: str

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
            bad = (condition.status == "True") == (condition.type == "Conflicted")
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
    for key, gateway_status in sorted(resolution.gateway_statuses.items()):
        failing = [condition for condition in gateway_status.conditions if condition.status != "True"]
        found += [News("bad", f"Gateway {key}", _sentence(condition)) for condition in failing]
        for listener in gateway_status.listeners:
            wrong = [c for c in listener.conditions if (c.status == "True") == (c.type == "Conflicted")]
            subject = f"Gateway {key} listener {listener.name}"
            found += [News("bad", subject, _sentence(condition)) for condition in wrong[:1]]
    for key, route in sorted(resolution.http_routes.items()):
        found += [News(level, f"HTTPRoute {key}", text) for level, text in route_news(None, route) if level == "bad"]
    for key, spec in sorted((key, route.spec) for key, route in inputs.http_routes.items()):
        for index, parent in enumerate(spec.parent_refs):
            gateway = Key(parent.namespace or key.namespace, parent.name)
            if parent.kind == "Gateway" and gateway not in inputs.gateways:
                text = f"spec.parentRefs[{index}]: Gateway {gateway} does not exist"
                found.append(News("bad", f"HTTPRoute {key}", text))
    for key, gateway_spec in sorted((key, gateway.spec) for key, gateway in inputs.gateways.items()):
        if Key("", gateway_spec.gateway_class_name) not in inputs.gateway_classes:
            text = f"spec.gatewayClassName: GatewayClass {gateway_spec.gateway_class_name} does not exist"
            found.append(News("bad", f"Gateway {key}", text))
    for backend, endpoints in sorted(resolution.topology.endpoints.items()):
        if not endpoints.endpoints:
            found.append(News("bad", f"Service {backend}", "has no endpoint: its requests are answered 503"))
    return found


def _sentence(condition: Condition) -> str:
    return f"{condition.type}={condition.status} {condition.reason}: {condition.message}"
