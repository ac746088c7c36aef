"""What an ALB does with a request, by its rules: written from AWS's documentation, for tests.

Condition types for listener rules, Transforms for listener rules, API: RedirectActionConfig.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, NamedTuple

from gatewright.aws.rules import NOT_FOUND
from gatewright.aws.stack.desired import (
    AuthenticateCognito,
    AuthenticateOidc,
    DesiredRule,
    Forward,
    RedirectTo,
    Respond,
    RuleCondition,
    ValidateJwt,
)
from gatewright.explain import Request


class Forwarded(NamedTuple):
    shares: tuple[tuple[str, int], ...]
    host: str
    path: str


class Found(NamedTuple):
    status: int
    location: str


Answer = Forwarded | Found | int


def evaluate(rules: Iterable[DesiredRule], request: Request, port: int) -> tuple[Answer, DesiredRule | None]:
    """What comes of it, and the rule that took it (None: the default action)."""
    rule = next((rule for rule in rules if all(holds(each, request) for each in rule.conditions)), None)
    action = rule.actions[-1] if rule else NOT_FOUND
    host, target = request.host, request.target
    for transform in rule.transforms if rule else ():
        replacement = re.sub(r"\$(\d)", r"\\\1", transform.replace.replace("\\", "\\\\"))
        if transform.type == "host-header-rewrite":
            host = re.sub(transform.regex, replacement, host, count=1)
        else:
            target = re.sub(transform.regex, replacement, target, count=1)
    match action:
        case Respond():
            return int(action.status_code), rule
        case RedirectTo():
            return Found(int(action.status_code[-3:]), _location(action, request, target, port)), rule
        case Forward():
            shares = tuple((share.target_group, share.weight) for share in action.shares)
            return Forwarded(shares, host, target), rule
    raise AssertionError(action)


def holds(condition: RuleCondition, request: Request) -> bool:
    """Whether any of a condition's values is found."""
    match condition.field:
        case "host-header":
            return any(_like(value, request.hostname, any_case=True) for value in condition.values) or any(
                re.search(regex, request.host) for regex in condition.regex_values
            )
        case "path-pattern":
            path = request.bare_path
            return any(_like(value, path) for value in condition.values) or any(
                re.search(regex, path) for regex in condition.regex_values
            )
        case "http-request-method":
            return request.method in condition.values
        case "http-header":
            found = [value.strip() for name, value in request.headers if name.lower() == condition.name.lower()]
            return any(_like(value, each, any_case=True) for value in condition.values for each in found) or any(
                re.search(regex, each) for regex in condition.regex_values for each in found
            )
        case "query-string":
            pairs = [part.partition("=") for part in request.path.partition("?")[2].split("&")]
            return any(
                _like(key, name, any_case=True, escapes=True) and _like(value, text, any_case=True, escapes=True)
                for key, value in condition.pairs
                for name, mark, text in pairs
                if mark
            )
    raise AssertionError(condition)


def _like(value: str, text: str, *, any_case: bool = False, escapes: bool = False) -> bool:
    parts = re.findall(r"\\.|." if escapes else ".", value)
    pattern = "".join({"*": ".*", "?": "."}.get(part) or re.escape(part[-1]) for part in parts)
    return re.fullmatch(pattern, text, re.IGNORECASE if any_case else 0) is not None


def _location(action: RedirectTo, request: Request, target: str, port: int) -> str:
    path, _, query = target.partition("?")
    parts = {
        "#{protocol}": request.scheme,
        "#{host}": request.host.partition(":")[0],
        "#{port}": str(port),
        "#{path}": path.removeprefix("/"),
        "#{query}": query,
    }

    def filled(text: str) -> str:
        return re.sub(r"#\{\w+\}", lambda found: parts[found[0]], text)

    asked = filled(action.query)
    where = f"{filled(action.protocol).lower()}://{filled(action.host)}:{filled(action.port)}{filled(action.path)}"
    return f"{where}?{asked}" if asked else where


# --- as the API wants it ---------------------------------------------------------------------------------------------

_CONFIGS = {
    "host-header": "HostHeaderConfig",
    "path-pattern": "PathPatternConfig",
    "http-header": "HttpHeaderConfig",
    "query-string": "QueryStringConfig",
    "http-request-method": "HttpRequestMethodConfig",
    "source-ip": "SourceIpConfig",
}


def condition_document(condition: RuleCondition) -> dict[str, Any]:
    """A condition of CreateRule."""
    config: dict[str, Any] = {}
    if condition.values:
        config["Values"] = list(condition.values)
    if condition.regex_values:
        config["RegexValues"] = list(condition.regex_values)
    if condition.pairs:
        config["Values"] = [{"Key": key, "Value": value} if key else {"Value": value} for key, value in condition.pairs]
    if condition.name:
        config["HttpHeaderName"] = condition.name
    return {"Field": condition.field, _CONFIGS[condition.field]: config}


def transform_documents(rule: DesiredRule) -> list[dict[str, Any]]:
    """The transforms of CreateRule."""
    names = {"host-header-rewrite": "HostHeaderRewriteConfig", "url-rewrite": "UrlRewriteConfig"}
    return [
        {"Type": each.type, names[each.type]: {"Rewrites": [{"Regex": each.regex, "Replace": each.replace}]}}
        for each in rule.transforms
    ]


def action_documents(rule: DesiredRule) -> list[dict[str, Any]]:
    """The actions of CreateRule; what authenticates is not here."""
    found: list[dict[str, Any]] = []
    for order, action in enumerate(rule.actions, 1):
        match action:
            case Forward():
                groups = [{"TargetGroupArn": each.target_group, "Weight": each.weight} for each in action.shares]
                config: dict[str, Any] = {"TargetGroups": groups}
                if action.stickiness:
                    sticky = {"Enabled": True, "DurationSeconds": action.stickiness}
                    config["TargetGroupStickinessConfig"] = sticky
                found.append({"Type": "forward", "Order": order, "ForwardConfig": config})
            case RedirectTo():
                config = {
                    "StatusCode": action.status_code,
                    "Protocol": action.protocol,
                    "Host": action.host,
                    "Port": action.port,
                    "Path": action.path,
                    "Query": action.query,
                }
                found.append({"Type": "redirect", "Order": order, "RedirectConfig": config})
            case Respond():
                config = {"StatusCode": action.status_code, "ContentType": action.content_type}
                found.append({"Type": "fixed-response", "Order": order, "FixedResponseConfig": config})
            case AuthenticateOidc() | AuthenticateCognito() | ValidateJwt():
                pass
    return found
