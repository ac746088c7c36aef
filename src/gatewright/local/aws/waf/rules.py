"""Rules of a web ACL in the order in which they are evaluated (AWS WAF developer guide, "Setting rule priority").

The rules of a rule group take the place of the rule that refers to it. So evaluation is one loop over one list.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from gatewright.envoy.syntax import UntranslatableError, field_value, token
from gatewright.local.aws.state import WebAclDocument
from gatewright.local.aws.waf.documents import Unsupported, rule_groups_of
from gatewright.local.aws.waf.lua import Code
from gatewright.local.aws.waf.statements import UnsupportedError, Vocabulary, expression, rate_key

FORBIDDEN = (
    "<html>\r\n<head><title>403 Forbidden</title></head>\r\n<body>\r\n"
    "<center><h1>403 Forbidden</h1></center>\r\n</body>\r\n</html>\r\n"
)
"""What an ALB answers with a request that WAF blocks."""

INSERTED_PREFIX = "x-amzn-waf-"
"""Begins the name of every header that WAF inserts into a request."""

_CONTENT_TYPES = {"TEXT_PLAIN": "text/plain", "TEXT_HTML": "text/html", "APPLICATION_JSON": "application/json"}
_DEFAULT_WINDOW = 300
_UNREADABLE = (AttributeError, KeyError, TypeError, ValueError)
_PASSED_ACTIONS = {
    "Captcha": "no CAPTCHA is shown",
    "Challenge": "no browser is challenged",
    "Monetize": "nobody is asked to pay",
}

Action = Mapping[str, Any]
"""As `evaluation.lua` has it: `type` (ALLOW, BLOCK, COUNT or PASS) and what belongs to it."""


class Rate(Struct, frozen=True):
    """At most `limit` requests within `window` seconds for each value of `key`, a function of Lua."""

    limit: int
    window: int
    key: Code


class Rule(Struct, frozen=True):
    """A rule whose `test` is an expression of Lua; None where it is skipped.

    `only_counts`: its rule group's action is overridden to Count, so where it would end the evaluation, that goes on
    with the rule at index `leave` (from 1), the first one after the group.
    """

    name: str
    test: Code | None
    action: Action
    labels: tuple[str, ...] = ()
    rate: Rate | None = None
    only_counts: bool = False
    leave: int = 0


class Program(Struct, frozen=True):
    """A web ACL ready to be evaluated."""

    rules: tuple[Rule, ...]
    default: Action
    vocabulary: Vocabulary
    unsupported: tuple[Unsupported, ...]


class _Place(Struct):
    """Where rules stand: their label namespace, custom response bodies, and how their names begin."""

    namespace: str
    bodies: Mapping[str, Mapping[str, str]]
    prefix: str = ""
    overrides: Mapping[str, Mapping[str, Any]] = {}


def program(document: WebAclDocument) -> Program:
    """What a web ACL says, whatever it says: a rule that can't be evaluated is skipped and told of.

    One that has no rules in any order, as the API would never have taken it, answers everything with 500.
    """
    compiler = _Compiler(document)
    try:
        return compiler.program(msgspec.json.decode(document.web_acl))
    except _UNREADABLE as problem:
        told = Unsupported("Default_Action", "WebACL", f"it can't be read: {problem!r}")
        failing = {"type": "BLOCK", "headers": {":status": "500"}, "body": ""}
        return Program((), failing, compiler.vocabulary, (*compiler.unsupported, told))


class _Compiler:
    def __init__(self, document: WebAclDocument) -> None:
        self.groups = rule_groups_of(document)
        self.vocabulary = Vocabulary(document.ip_sets, document.regex_sets)
        self.unsupported: list[Unsupported] = []
        self.rules: list[Rule] = []

    def program(self, acl: Mapping[str, Any]) -> Program:
        place = _Place(acl.get("LabelNamespace") or "", acl.get("CustomResponseBodies") or {})
        for rule in _by_priority(acl.get("Rules")):
            reference = (rule.get("Statement") or {}).get("RuleGroupReferenceStatement")
            if reference:
                self._add_group(rule, reference)
            else:
                self.rules.append(self._rule(rule, place))
        default = self._action("Default_Action", acl.get("DefaultAction") or {}, place)
        return Program(tuple(self.rules), default, self.vocabulary, tuple(self.unsupported))

    def _add_group(self, rule: Mapping[str, Any], reference: Mapping[str, Any]) -> None:
        body = self.groups.get(reference["ARN"])
        if body is None:
            why = f"there is no rule group {reference['ARN']}"
            self.rules.append(self._skipped(rule["Name"], "RuleGroupReferenceStatement", why))
            return
        group = msgspec.json.decode(body)
        overrides = {each["Name"]: each["ActionToUse"] for each in reference.get("RuleActionOverrides") or ()}
        overrides |= {each["Name"]: {"Count": {}} for each in reference.get("ExcludedRules") or ()}
        place = _Place(
            group.get("LabelNamespace") or "", group.get("CustomResponseBodies") or {}, f"{rule['Name']}/", overrides
        )
        members = [self._rule(each, place) for each in _by_priority(group.get("Rules"))]
        if (rule.get("OverrideAction") or {}).get("Count") is not None:
            leave = len(self.rules) + len(members) + 1
            members = [msgspec.structs.replace(member, only_counts=True, leave=leave) for member in members]
        self.rules.extend(members)

    def _rule(self, rule: Mapping[str, Any], place: _Place) -> Rule:
        name = f"{place.prefix}{rule['Name']}"
        try:
            return self._read(name, rule, place)
        except UnsupportedError as found:
            return self._skipped(name, found.statement, found.why)
        except _UNREADABLE as problem:
            return self._skipped(
                name, next(iter(rule.get("Statement") or ()), "Rule"), f"it can't be read: {problem!r}"
            )

    def _read(self, name: str, rule: Mapping[str, Any], place: _Place) -> Rule:
        statement = rule["Statement"]
        rated = statement.get("RateBasedStatement")
        rate = self._rate(rated) if rated else None
        test = self._scope(rated, place) if rated else expression(statement, place.namespace, self.vocabulary)
        action = self._action(name, place.overrides.get(rule["Name"]) or rule.get("Action") or {}, place)
        labels = tuple(f"{place.namespace}{label['Name']}" for label in rule.get("RuleLabels") or ())
        return Rule(name, test, action, labels, rate)

    def _scope(self, rated: Mapping[str, Any], place: _Place) -> Code:
        scope = rated.get("ScopeDownStatement")
        return expression(scope, place.namespace, self.vocabulary) if scope else Code("true")

    def _rate(self, statement: Mapping[str, Any]) -> Rate:
        window = statement.get("EvaluationWindowSec") or _DEFAULT_WINDOW
        return Rate(statement["Limit"], window, rate_key(statement, self.vocabulary))

    def _skipped(self, name: str, statement: str, why: str) -> Rule:
        self.unsupported.append(Unsupported(name, statement, why))
        return Rule(name, None, {"type": "PASS"})

    def _action(self, name: str, action: Mapping[str, Any], place: _Place) -> Action:
        for kind, content in action.items():
            if content is None:
                continue
            match kind:
                case "Block":
                    return self._block(name, content.get("CustomResponse"), place)
                case "Allow" | "Count":
                    handling = content.get("CustomRequestHandling") or {}
                    inserted = self._headers(name, handling.get("InsertHeaders"), INSERTED_PREFIX)
                    return {"type": kind.upper(), "insert": inserted}
                case _ if kind in _PASSED_ACTIONS:
                    self.unsupported.append(Unsupported(name, kind, _PASSED_ACTIONS[kind]))
                    return {"type": "PASS"}
        self.unsupported.append(Unsupported(name, "Action", f"{', '.join(action) or 'none'} isn't known here"))
        return {"type": "PASS"}

    def _block(self, name: str, response: Mapping[str, Any] | None, place: _Place) -> Action:
        if not response:
            return {"type": "BLOCK", "headers": {":status": "403", "content-type": "text/html"}, "body": FORBIDDEN}
        headers = {":status": str(response["ResponseCode"])}
        body = place.bodies.get(response.get("CustomResponseBodyKey") or "")
        if body:
            headers["content-type"] = _CONTENT_TYPES.get(body["ContentType"], "text/plain")
        headers |= dict(self._headers(name, response.get("ResponseHeaders")))
        return {"type": "BLOCK", "headers": headers, "body": body["Content"] if body else ""}

    def _headers(
        self, name: str, headers: Iterable[Mapping[str, str]] | None, prefix: str = ""
    ) -> list[tuple[str, str]]:
        """Headers of an action; one that HTTP has no form for is left out and told of."""
        found = []
        for header in headers or ():
            try:
                key = token(f"{prefix}{header['Name'].lower()}", "a header's name")
                found.append((key, field_value(header["Value"], f"header {key}")))
            except UntranslatableError as problem:
                self.unsupported.append(Unsupported(name, "CustomHTTPHeader", str(problem)))
        return found


def _by_priority(rules: list[Mapping[str, Any]] | None) -> Iterator[Mapping[str, Any]]:
    yield from sorted(rules or (), key=lambda rule: rule["Priority"])
