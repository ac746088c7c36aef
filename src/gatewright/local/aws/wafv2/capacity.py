"""Web ACL capacity units (AWS WAF developer guide, "Web ACL capacity units (WCUs) in AWS WAF")."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import ceil
from typing import Any

LIMIT = 5000
"""The most that a web ACL or a rule group may need."""

GroupCapacity = Callable[[str], int]
"""The capacity of a rule group of the account, by its ARN."""

_FIXED = {"GeoMatchStatement": 1, "AsnMatchStatement": 1, "LabelMatchStatement": 1, "XssMatchStatement": 40}
_PER_TRANSFORMATION = 10
_ALL_ARGUMENTS = 10
_LABELS_PER_UNIT = 5
_MANAGED = {
    "AWSManagedRulesCommonRuleSet": 700,
    "AWSManagedRulesAdminProtectionRuleSet": 100,
    "AWSManagedRulesKnownBadInputsRuleSet": 200,
    "AWSManagedRulesSQLiRuleSet": 200,
    "AWSManagedRulesLinuxRuleSet": 200,
    "AWSManagedRulesUnixRuleSet": 100,
    "AWSManagedRulesWindowsRuleSet": 200,
    "AWSManagedRulesPHPRuleSet": 100,
    "AWSManagedRulesWordPressRuleSet": 100,
    "AWSManagedRulesAmazonIpReputationList": 25,
    "AWSManagedRulesAnonymousIpList": 50,
    "AWSManagedRulesBotControlRuleSet": 50,
    "AWSManagedRulesATPRuleSet": 50,
    "AWSManagedRulesACFPRuleSet": 50,
}


def needed(rules: Iterable[Mapping[str, Any]], group: GroupCapacity) -> int:
    """What rules need."""
    return sum(_rule(rule, group) for rule in rules)


def _rule(rule: Mapping[str, Any], group: GroupCapacity) -> int:
    return _statement(rule["Statement"], group) + ceil(len(rule.get("RuleLabels") or ()) / _LABELS_PER_UNIT)


def _statement(statement: Mapping[str, Any], group: GroupCapacity) -> int:
    ((name, content),) = [(name, content) for name, content in statement.items() if content is not None]
    match name:
        case "AndStatement" | "OrStatement":
            return sum(_statement(each, group) for each in content["Statements"])
        case "NotStatement":
            return _statement(content["Statement"], group)
        case "RateBasedStatement":
            scope = content.get("ScopeDownStatement")
            keys = len(content.get("CustomKeys") or ())
            return 2 + 30 * keys + (_statement(scope, group) if scope else 0)
        case "RuleGroupReferenceStatement":
            return group(content["ARN"])
        case "ManagedRuleGroupStatement":
            scope = content.get("ScopeDownStatement")
            return _MANAGED.get(content["Name"], 0) + (_statement(scope, group) if scope else 0)
        case "IPSetReferenceStatement":
            position = (content.get("IPSetForwardedIPConfig") or {}).get("Position")
            return 5 if position == "ANY" else 1
    if name in _FIXED and name != "XssMatchStatement":
        return _FIXED[name]
    return _matching(name, content)


def _matching(name: str, content: Mapping[str, Any]) -> int:
    """A statement about a part of a request; a JSON body costs twice as much."""
    field: Mapping[str, Any] = content["FieldToMatch"]
    base = _base(name, content)
    if field.get("AllQueryArguments") is not None:
        base += _ALL_ARGUMENTS
    if field.get("JsonBody") is not None:
        base *= 2
    transformed: int = sum(each["Type"] != "NONE" for each in content["TextTransformations"])
    return base + _PER_TRANSFORMATION * transformed


def _base(name: str, content: Mapping[str, Any]) -> int:
    match name:
        case "ByteMatchStatement":
            return 10 if content["PositionalConstraint"].startswith("CONTAINS") else 2
        case "RegexMatchStatement":
            return 3
        case "RegexPatternSetReferenceStatement":
            return 25
        case "SqliMatchStatement":
            return 30 if content.get("SensitivityLevel") == "HIGH" else 20
    return _FIXED.get(name, 1)
