"""What WAFv2 refuses before it takes it: rules, addresses, expressions (AWS WAF API reference)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import re2

from gatewright.local.aws.wafv2.errors import Refusal, invalid, too_many

NAME = re.compile(r"[\w\-]{1,128}", re.ASCII)
WINDOWS = (60, 120, 300, 600)
"""Seconds over which a rate-based rule may count."""

_LONGEST_EXPRESSION = 512
_LEAST_RATE, _MOST_RATE = 10, 2_000_000_000
_MOST_ADDRESSES = 10_000
_MOST_EXPRESSIONS = 10
_MOST_KEYS = 5
_NONE_OR_MULTIPLE = "You have used none or multiple values for a field that requires exactly one value."
_TOO_LITTLE = (
    "You haven't met a minimum requirement for a threshold setting. Examples include a rule group capacity setting "
    "that's too low and an OR statement with only one nested statement."
)
_BAD_REFERENCE = "A reference in your rule statement is not valid."
_ACTIONS = {"Allow", "Block", "Count", "Captcha", "Challenge", "Monetize"}
_REFERENCES = {
    "IPSetReferenceStatement": "/ipset/",
    "RegexPatternSetReferenceStatement": "/regexpatternset/",
    "RuleGroupReferenceStatement": "/rulegroup/",
}
_GROUPS = {"RuleGroupReferenceStatement", "ManagedRuleGroupStatement"}

Exists = Callable[[str], None]
"""Raises a refusal where there is nothing of an ARN."""


def check_name(name: str) -> None:
    """The name of a web ACL, a set or a group."""
    if not NAME.fullmatch(name):
        raise invalid("The name isn't valid.", "ENTITY_LIMIT", name)


def check_rules(rules: Sequence[Mapping[str, Any]], exists: Exists, bodies: Iterable[str], *, in_group: bool) -> None:
    """The rules of a web ACL or rule group; `bodies` are the keys of its custom response bodies."""
    names = [rule["Name"] for rule in rules]
    priorities = [rule["Priority"] for rule in rules]
    for name in names:
        if names.count(name) > 1:
            raise invalid("You have used the same name for more than one rule.", "RULE", name)
    for priority in priorities:
        if priorities.count(priority) > 1:
            raise invalid("You have used the same priority for more than one rule.", "RULE", str(priority))
    for rule in rules:
        if not NAME.fullmatch(rule["Name"]):
            raise invalid("The name isn't valid.", "RULE", rule["Name"])
        _check_rule(rule, exists, frozenset(bodies), in_group=in_group)


def check_action(action: Mapping[str, Any] | None, bodies: Iterable[str], field: str = "DEFAULT_ACTION") -> None:
    """An action has one kind; a custom response refers to a body that is there."""
    kinds = [kind for kind, content in (action or {}).items() if content is not None]
    allowed = _ACTIONS if field == "RULE_ACTION" else {"Allow", "Block"}
    if len(kinds) != 1 or kinds[0] not in allowed:
        raise invalid(_NONE_OR_MULTIPLE, field, ",".join(kinds) or "null")
    content = (action or {})[kinds[0]]
    response = content.get("CustomResponse") if kinds[0] == "Block" else None
    if not response:
        return
    code = response.get("ResponseCode", 0)
    if not 200 <= code <= 599:
        raise invalid("The response code isn't valid.", "CUSTOM_RESPONSE", str(code))
    key = response.get("CustomResponseBodyKey")
    if key and key not in bodies:
        raise invalid("The custom response body isn't defined.", "CUSTOM_RESPONSE", key)


def check_addresses(version: str, addresses: Sequence[str]) -> None:
    """The addresses of an IP set: CIDR blocks of one version, none of them everything."""
    if len(addresses) > _MOST_ADDRESSES:
        raise too_many()
    for address in addresses:
        try:
            network = ipaddress.ip_network(address, strict=False)
        except ValueError:
            raise _bad_address(address) from None
        if "/" not in address or network.prefixlen == 0 or f"IPV{network.version}" != version:
            raise _bad_address(address)


def check_expressions(expressions: Sequence[str]) -> None:
    """The expressions of a regex pattern set."""
    if len(expressions) > _MOST_EXPRESSIONS:
        raise too_many()
    for expression in expressions:
        _check_expression(expression)


def _bad_address(address: str) -> Refusal:
    return invalid("Your IP address isn't valid. Use CIDR notation.", "IP_ADDRESS", address)


def _check_expression(expression: str) -> None:
    if not 0 < len(expression) <= _LONGEST_EXPRESSION:
        raise invalid("The length of the regular expression isn't valid.", "REGEX_PATTERN_SET", expression)
    try:
        re2.compile(expression.encode())
    except re2.error as problem:
        raise invalid(f"The regular expression isn't valid: {problem}.", "REGEX_PATTERN_SET", expression) from None


def _check_rule(rule: Mapping[str, Any], exists: Exists, bodies: frozenset[str], *, in_group: bool) -> None:
    kind = _kind(rule["Statement"])
    if kind in _GROUPS:
        if in_group:
            raise invalid("A rule group can't contain another rule group.", "STATEMENT", kind)
        override = rule.get("OverrideAction") or {}
        kinds = [name for name, content in override.items() if content is not None]
        if rule.get("Action") is not None or len(kinds) != 1 or kinds[0] not in ("None", "Count"):
            raise invalid(_NONE_OR_MULTIPLE, "RULE", "Rule")
    else:
        if rule.get("OverrideAction") is not None:
            raise invalid(_NONE_OR_MULTIPLE, "RULE", "Rule")
        check_action(rule.get("Action"), bodies, "RULE_ACTION")
    _check_statement(rule["Statement"], exists, is_whole=True)


def _kind(statement: Mapping[str, Any]) -> str:
    kinds = [kind for kind, content in statement.items() if content is not None]
    if len(kinds) != 1:
        raise invalid(_NONE_OR_MULTIPLE, "STATEMENT", "Statement")
    return kinds[0]


def _check_statement(statement: Mapping[str, Any], exists: Exists, *, is_whole: bool = False) -> None:
    """`is_whole`: it is all of a rule's statement, where alone rates are limited and groups referred to."""
    kind = _kind(statement)
    content = statement[kind]
    if not is_whole and kind in {*_GROUPS, "RateBasedStatement"}:
        raise invalid("The statement can't be nested.", "STATEMENT", kind)
    if kind in _REFERENCES:
        _check_reference(content["ARN"], _REFERENCES[kind], exists)
    match kind:
        case "AndStatement" | "OrStatement":
            if len(content["Statements"]) < 2:
                raise invalid(_TOO_LITTLE, f"{kind.removesuffix('Statement').upper()}_STATEMENT", kind)
            for each in content["Statements"]:
                _check_statement(each, exists)
        case "NotStatement":
            _check_statement(content["Statement"], exists)
        case "RegexMatchStatement":
            _check_expression(content["RegexString"])
        case "RateBasedStatement":
            _check_rate(content, exists)
    if content and "FieldToMatch" in content:
        _check_field(content)


def _check_reference(arn: str, kind: str, exists: Exists) -> None:
    if not arn.startswith("arn:") or kind not in arn:
        raise invalid(_BAD_REFERENCE, "RULE", "Statement")
    exists(arn)


def _check_rate(content: Mapping[str, Any], exists: Exists) -> None:
    field = "RATE_BASED_STATEMENT"
    if not _LEAST_RATE <= content["Limit"] <= _MOST_RATE:
        raise invalid(_TOO_LITTLE, field, str(content["Limit"]))
    window = content.get("EvaluationWindowSec")
    if window is not None and window not in WINDOWS:
        raise invalid("The evaluation window isn't one of 60, 120, 300 and 600 seconds.", field, str(window))
    by, scope = content["AggregateKeyType"], content.get("ScopeDownStatement")
    if by == "FORWARDED_IP" and not content.get("ForwardedIPConfig"):
        raise invalid(_NONE_OR_MULTIPLE, "FORWARDED_IP_CONFIG", "ForwardedIPConfig")
    if by == "CONSTANT" and not scope:
        raise invalid(_NONE_OR_MULTIPLE, "SCOPE_DOWN", "ScopeDownStatement")
    keys = content.get("CustomKeys") or ()
    if (by == "CUSTOM_KEYS") != bool(keys) or len(keys) > _MOST_KEYS:
        raise invalid(_NONE_OR_MULTIPLE, "CUSTOM_KEYS", "CustomKeys")
    if scope:
        _check_statement(scope, exists)


def _check_field(content: Mapping[str, Any]) -> None:
    fields = [name for name, value in content["FieldToMatch"].items() if value is not None]
    if len(fields) != 1:
        raise invalid(_NONE_OR_MULTIPLE, "FIELD_TO_MATCH", "FieldToMatch")
    transformations = content.get("TextTransformations") or ()
    priorities = [each["Priority"] for each in transformations]
    if not transformations or len(set(priorities)) != len(priorities):
        raise invalid(
            "Text transformations need priorities of their own.", "TEXT_TRANSFORMATION", "TextTransformations"
        )
