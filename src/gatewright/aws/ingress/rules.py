"""The rules of an Ingress, in the order in which its load balancer is to try them.

A path whose conditions can't be read is left out. One whose action can't is served with 503: left out, its requests
would go to whatever comes next, which may let in whom it was to keep out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, TypeVar

from msgspec import Struct

from gatewright.aws.configuration.settings import FixedResponse, RuleSettings
from gatewright.aws.ingress.actions import Destination, Forwarding, read_action
from gatewright.aws.ingress.annotations import Annotations, field, shown
from gatewright.aws.ingress.authentication import read_authentication
from gatewright.aws.ingress.conditions import (
    Unusable,
    path_condition,
    rule_conditions,
    transforms,
)
from gatewright.aws.ingress.documents import ActionDocument, ConditionDocument, TransformDocument
from gatewright.aws.ingress.membership import Member
from gatewright.aws.permission import refusal
from gatewright.aws.stack.desired import Authentication, RedirectTo, RuleCondition, Share, Transform
from gatewright.model.core import Secret, Service, ServicePort
from gatewright.model.meta import Key
from gatewright.model.networking import HTTPIngressPath, IngressBackend, IngressRule
from gatewright.resolve.inputs import origin
from gatewright.topology import BackendKey, Extension, Match, PathMatch, Rule, RuleKey, WeightedBackend

D = TypeVar("D", bound=Struct)

DEFAULT_RULE: Final = -1
"""RuleKey.rule of what takes every request that no other rule takes: a listener's default action."""

USE_ANNOTATION: Final = "use-annotation"
"""The port of a backend that stands for an action."""

EXTENSION: Final = "Ingress"
"""The kind of the Extension by which a rule refers to its RuleSettings."""

_RANKS: Final = {"Exact": 0, "Prefix": 1}
_LAST: Final = 1 << 30
_NO_SERVICE: Final = "Backend service does not exist"
_NO_ACTION: Final = "Backend action does not exist"
_BROKEN: Final = "Backend action can't be served"
_AUTH: Final = frozenset(
    {
        "auth-type",
        "auth-idp-cognito",
        "auth-idp-oidc",
        "auth-on-unauthenticated-request",
        "auth-session-timeout",
        "auth-scope",
        "auth-session-cookie",
        "jwt-validation",
    }
)


class IngressRuleFound(Struct, frozen=True):
    """A rule and the host that it is for ("*" for any), with its settings. `ports` are what the Ingress calls the ports
    of the rule's backends."""

    host: str
    rule: Rule
    settings: RuleSettings
    ports: tuple[tuple[BackendKey, str], ...] = ()

    @property
    def key(self) -> Key:
        """By which the rule refers to its settings."""
        return settings_key(self.rule.key)


class RulesFound(Struct, frozen=True):
    """The rules of an Ingress in order, what was wrong, and the target groups whose ARNs have to be looked up."""

    rules: tuple[IngressRuleFound, ...] = ()
    problems: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


class Lookups(Struct, frozen=True):
    """How the rest of the cluster is asked. `target_group_arn` gives "" for none, None for not known yet.

    `target_group_tags` are those of a target group, by its ARN or the name that it is asked for by, as far as known.
    """

    service: Callable[[Key], Service | None]
    secret: Callable[[Key], Secret | None]
    target_group_arn: Callable[[str], str | None]
    target_group_tags: Callable[[str], Mapping[str, str] | None] = lambda _: None


def settings_key(rule: RuleKey) -> Key:
    """The key of a rule's settings; no object has such a name."""
    return Key(rule.route.namespace, f"{rule.route.name}/{rule.rule}/{rule.match}")


def find_rules(member: Member, lookups: Lookups) -> RulesFound:
    """The rules of an Ingress."""
    return _Builder(member, lookups).build()


class _Traffic(Struct, frozen=True):
    """What becomes of a rule's requests."""

    backends: tuple[WeightedBackend, ...] = ()
    shares: tuple[Share, ...] = ()
    fixed_response: FixedResponse | None = None
    redirect: RedirectTo | None = None
    stickiness: int | None = None
    ports: tuple[tuple[BackendKey, str], ...] = ()
    service: Service | None = None
    """The only destination."""


class _Builder:
    def __init__(self, member: Member, lookups: Lookups) -> None:
        self._member = member
        self._lookups = lookups
        self._reader = member.annotations()
        self._regex = bool(self._reader.boolean("use-regex-path-match"))
        tags = self._reader.mapping("tags") or {}
        self._tags = tags | {each.key: each.value for each in member.params.tags}
        self._problems: list[str] = []
        self._names: list[str] = []

    def build(self) -> RulesFound:
        spec = self._member.ingress.spec
        rules = [
            found
            for number, rule in enumerate(spec.rules)
            for position, (index, path) in enumerate(_in_order(rule))
            if (found := self._rule(rule, number, index, position, path))
        ]
        if spec.default_backend:
            rules.append(self._default(spec.default_backend))
        return RulesFound(
            rules=tuple(rules),
            problems=tuple(dict.fromkeys((*self._problems, *self._unused()))),
            names=tuple(dict.fromkeys(self._names)),
        )

    def _rule(
        self, rule: IngressRule, number: int, index: int, position: int, path: HTTPIngressPath
    ) -> IngressRuleFound | None:
        where = f"spec.rules[{number}].http.paths[{index}]"
        name = path.backend.service.name if path.backend.service else ""
        try:
            values, regexes, match = path_condition(path.path, path.path_type, regex=self._regex)
            documents = self._document(f"conditions.{name}", ConditionDocument) if name else ()
            conditions = rule_conditions(rule.host, values, regexes, documents)
        except Unusable as error:
            self._say(f"{where}: found {error}; the rule is left out; correct it")
            return None
        key = RuleKey("Ingress", self._member.key, number, index)
        precedence = (*self._member.place, number, position)
        return self._made(key, precedence, rule.host.lower() or "*", match, conditions, path.backend, where)

    def _default(self, backend: IngressBackend) -> IngressRuleFound:
        key = RuleKey("Ingress", self._member.key, DEFAULT_RULE, 0)
        precedence = (_LAST, *self._member.place[1:], 0, 0)
        match = PathMatch("PathPrefix", "/")
        return self._made(key, precedence, "*", match, None, backend, "spec.defaultBackend")

    def _made(
        self,
        key: RuleKey,
        precedence: tuple[int | str, ...],
        host: str,
        path: PathMatch,
        conditions: tuple[RuleCondition, ...] | None,
        backend: IngressBackend,
        where: str,
    ) -> IngressRuleFound:
        name = backend.service.name if backend.service else ""
        authentication: Authentication | None = None
        rewrites: tuple[Transform, ...] = ()
        try:
            traffic = self._traffic(backend, where)
            authentication = self._authentication(traffic)
            rewrites = transforms(self._document(f"transforms.{name}", TransformDocument)) if name else ()
            if key.rule == DEFAULT_RULE and rewrites:
                self._say(f"{field(f'transforms.{name}')}: a listener's default action has no transforms; drop it")
                rewrites = ()
        except Unusable as error:
            self._say(f"{where}.backend: found {error}; its requests are answered with 503; correct it")
            traffic = _unavailable(_BROKEN)
        settings = RuleSettings(
            authentication=authentication,
            fixed_response=traffic.fixed_response,
            redirect=traffic.redirect,
            stickiness=traffic.stickiness,
            shares=traffic.shares,
            transforms=rewrites if traffic.backends or traffic.shares else (),
            tags=self._tags,
            all_conditions=conditions,
        )
        made = Rule(
            key=key,
            precedence=precedence,
            match=Match(path),
            filters=(Extension(EXTENSION, settings_key(key), where),),
            backends=traffic.backends,
            origin=origin(self._member.ingress, where),
        )
        return IngressRuleFound(host, made, settings, traffic.ports)

    def _traffic(self, backend: IngressBackend, where: str) -> _Traffic:
        if backend.service is None:
            found = f"{backend.resource.kind} {backend.resource.name}" if backend.resource else "nothing"
            raise Unusable(f"{found}; a load balancer forwards to a Service, or to an action by {USE_ANNOTATION}")
        port = backend.service.port
        if port.name == USE_ANNOTATION:
            return self._action(backend.service.name, where)
        wanted = port.name or port.number
        return self._forward(Forwarding((Destination(service=backend.service.name, port=wanted),)), where)

    def _action(self, name: str, where: str) -> _Traffic:
        annotation = f"actions.{name}"
        if not self._reader.has(annotation):
            self._say(f"{where}.backend: found {USE_ANNOTATION} without {field(annotation)}; write the action there")
            return _unavailable(_NO_ACTION)
        document = self._reader.document(annotation, ActionDocument)
        if document is None:
            raise Unusable(f"{field(annotation)} that can't be read")
        try:
            action = read_action(document)
        except Unusable as error:
            raise Unusable(f"{field(annotation)} with {error}") from error
        if isinstance(action, FixedResponse):
            return _Traffic(fixed_response=action)
        if isinstance(action, RedirectTo):
            return _Traffic(redirect=action)
        return self._forward(action, field(annotation))

    def _forward(self, forwarding: Forwarding, where: str) -> _Traffic:
        backends: list[WeightedBackend] = []
        shares: list[Share] = []
        ports: list[tuple[BackendKey, str]] = []
        only: Service | None = None
        for destination in forwarding.destinations:
            if destination.service:
                service, port = self._service(destination, where)
                backend = None
                if service and port:
                    backend = BackendKey(service.namespace, service.name, port.port)
                    ports.append((backend, str(destination.port)))
                    only = service
                backends.append(WeightedBackend(backend, destination.weight))
            elif arn := self._existing(destination, where):
                shares.append(Share(arn, destination.weight))
            else:
                backends.append(WeightedBackend(None, destination.weight))
        if not shares and not any(share.backend for share in backends):
            return _unavailable(_NO_SERVICE)
        single = len(forwarding.destinations) == 1
        return _Traffic(
            backends=tuple(backends),
            shares=tuple(shares),
            stickiness=forwarding.stickiness,
            ports=tuple(dict.fromkeys(ports)),
            service=only if single else None,
        )

    def _service(self, destination: Destination, where: str) -> tuple[Service | None, ServicePort | None]:
        """Services are of the Ingress's own namespace only: a group may span several."""
        key = Key(self._member.key.namespace, destination.service)
        service = self._lookups.service(key)
        if service is None:
            self._say(f"{where}: Service {key} does not exist; create it")
            return None, None
        if service.spec.type == "ExternalName":
            self._say(f"{where}: Service {key} is of type ExternalName, which has no endpoints; name another one")
            return None, None
        port = next(
            (
                port
                for port in service.spec.ports
                if port.protocol == "TCP" and destination.port in (port.port, port.name or None)
            ),
            None,
        )
        if port is None:
            there = ", ".join(f"{each.name}:{each.port}".removeprefix(":") for each in service.spec.ports) or "none"
            self._say(f"{where}: found port {shown(destination.port)}; expected a TCP port of Service {key} ({there})")
        return service, port

    def _existing(self, destination: Destination, where: str) -> str:
        """The ARN of a target group that exists; empty where there is none, or none that may be used."""
        asked = destination.arn or destination.name
        arn = destination.arn or self._named(destination.name, where)
        if destination.arn:
            self._names.append(asked)  # to know its tags
        why = refusal(asked, self._lookups.target_group_tags(asked) or {}, self._member.key.namespace)
        if why:
            self._say(f"{where}: {why}")
            return ""
        return arn

    def _named(self, name: str, where: str) -> str:
        self._names.append(name)
        arn = self._lookups.target_group_arn(name)
        if arn is None:
            self._say(f"{where}: target group {shown(name)} is being looked up")
        elif not arn:
            self._say(f"{where}: there is no target group of the name {shown(name)}; create it or name its ARN")
        return arn or ""

    def _authentication(self, traffic: _Traffic) -> Authentication | None:
        """By annotations of the Service, if it is the only destination, over those of the Ingress."""
        own = self._member.ingress.metadata.annotations
        layers = [("", own)]
        if traffic.service:
            layers.insert(0, (f"Service {traffic.service.key}", traffic.service.metadata.annotations))
        reader = Annotations(*layers)
        found = read_authentication(reader, self._reader, self._member.key.namespace, self._lookups.secret)
        self._problems += reader.problems
        if refused := sorted((reader.refused | self._reader.refused) & _AUTH):
            raise Unusable(f"{field(refused[0])} that can't be read")
        return found

    def _document(self, name: str, type_: type[D]) -> tuple[D, ...]:
        if not self._reader.has(name):
            return ()
        found = self._reader.documents(name, type_)
        if found is None:
            raise Unusable(f"{field(name)} that can't be read")
        return found

    def _say(self, problem: str) -> None:
        self._problems.append(problem)

    def _unused(self) -> Iterator[str]:
        """What was said while annotations were read, and actions that no backend uses."""
        yield from self._reader.problems
        spec = self._member.ingress.spec
        paths = [path.backend for rule in spec.rules if rule.http for path in rule.http.paths]
        services = [backend.service for backend in (*paths, spec.default_backend) if backend and backend.service]
        used = {service.name for service in services}
        for family in ("actions.", "conditions.", "transforms."):
            for name in self._reader.names(family):
                if name.removeprefix(family) not in used:
                    yield f"{field(name)}: no backend of the Ingress has this name; nothing comes of it; drop it"


def _unavailable(body: str) -> _Traffic:
    return _Traffic(fixed_response=FixedResponse("503", body=body))


def _in_order(rule: IngressRule) -> Iterable[tuple[int, HTTPIngressPath]]:
    """Exact paths, then prefixes, the longest first, then the others as written, with their positions."""
    paths = list(enumerate(rule.http.paths if rule.http else ()))
    return sorted(
        paths,
        key=lambda item: (_RANKS.get(item[1].path_type, 2), -len(item[1].path) if item[1].path_type == "Prefix" else 0),
    )
