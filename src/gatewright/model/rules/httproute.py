"""The rules of HTTPRoute."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

from gatewright.model.rules.engine import Rule, Rules
from gatewright.model.rules.shared import (
    BACKEND_REF,
    PARENT_REFS,
    RULE_NAMES,
    SESSION_PERSISTENCE,
    TOTAL_MATCHES,
    at_most_one,
    filter_settings,
    milliseconds,
    mirror,
)

_FILTER_LIST: Final = (
    Rule(
        "May specify either httpRouteFilterRequestRedirect or httpRouteFilterRequestRewrite, but not both",
        lambda filters: not {"RequestRedirect", "URLRewrite"} <= {f["type"] for f in filters},
    ),
    *at_most_one("CORS", "RequestHeaderModifier", "ResponseHeaderModifier", "RequestRedirect", "URLRewrite"),
)

_FILTER: Final = filter_settings(
    cors="CORS",
    requestHeaderModifier="RequestHeaderModifier",
    responseHeaderModifier="ResponseHeaderModifier",
    requestMirror="RequestMirror",
    requestRedirect="RequestRedirect",
    urlRewrite="URLRewrite",
    extensionRef="ExtensionRef",
    externalAuth="ExternalAuth",
)


def _star_alone(message: str) -> tuple[Rule, ...]:
    return (Rule(message, lambda values: "*" not in values or len(values) == 1),)


def _goes_with(choice: str, value: str, field: str, *, quote_in_need: str) -> tuple[Rule, Rule]:
    """`field` is there exactly when `choice` is `value`."""
    return (
        Rule(
            f"{field} must be specified when {choice} is set to '{value}'",
            lambda part: part[choice] != value or field in part,
        ),
        Rule(
            f"{choice} must be {quote_in_need} when {field} is set",
            lambda part: field not in part or part[choice] == value,
        ),
    )


_PATH_MODIFIER: Final = (
    *_goes_with("type", "ReplaceFullPath", "replaceFullPath", quote_in_need="'ReplaceFullPath'"),
    *_goes_with("type", "ReplacePrefixMatch", "replacePrefixMatch", quote_in_need="'ReplacePrefixMatch'"),
)

_EXTERNAL_AUTH: Final = (
    *_goes_with("protocol", "GRPC", "grpc", quote_in_need="'GRPC'"),
    *_goes_with("protocol", "HTTP", "http", quote_in_need="'HTTP'"),
)


def _filters(where: str) -> Rules:
    return {
        where: _FILTER_LIST,
        f"{where}[]": _FILTER,
        f"{where}[].cors.allowHeaders": _star_alone("AllowHeaders cannot contain '*' alongside other methods"),
        f"{where}[].cors.allowMethods": _star_alone("AllowMethods cannot contain '*' alongside other methods"),
        f"{where}[].cors.allowOrigins": _star_alone("AllowOrigins cannot contain '*' alongside other origins"),
        f"{where}[].externalAuth": _EXTERNAL_AUTH,
        f"{where}[].externalAuth.backendRef": BACKEND_REF,
        **mirror(f"{where}[].requestMirror"),
        f"{where}[].requestRedirect.path": _PATH_MODIFIER,
        f"{where}[].urlRewrite.path": _PATH_MODIFIER,
    }


def _replaces_prefix(filters: list[dict[str, Any]], field: str) -> bool:
    """Whether exactly one filter has the settings `field` and replaces a prefix."""
    paths = [f[field].get("path", {}) for f in filters if field in f]
    replacing = [path for path in paths if path.get("type") == "ReplacePrefixMatch" and "replacePrefixMatch" in path]
    return len(replacing) == 1


def _one_prefix(rule: dict[str, Any]) -> bool:
    matches = rule["matches"]
    return len(matches) == 1 and matches[0].get("path", {}).get("type") == "PathPrefix"


def _needs_one_prefix(message: str, field: str) -> Rule:
    return Rule(message, lambda rule: not _replaces_prefix(rule.get("filters", []), field) or _one_prefix(rule))


def _backends_need_one_prefix(message: str, field: str) -> Rule:
    def holds(rule: dict[str, Any]) -> bool:
        replacing = [ref for ref in rule.get("backendRefs", ()) if _replaces_prefix(ref.get("filters", []), field)]
        return len(replacing) != 1 or _one_prefix(rule)

    return Rule(message, holds)


_RULE: Final = (
    Rule(
        "RequestRedirect filter must not be used together with backendRefs",
        lambda rule: not rule.get("backendRefs") or all("requestRedirect" not in f for f in rule.get("filters", ())),
    ),
    _needs_one_prefix(
        "When using RequestRedirect filter with path.replacePrefixMatch, "
        "exactly one PathPrefix match must be specified",
        "requestRedirect",
    ),
    _needs_one_prefix(
        "When using URLRewrite filter with path.replacePrefixMatch, exactly one PathPrefix match must be specified",
        "urlRewrite",
    ),
    _backends_need_one_prefix(
        "Within backendRefs, when using RequestRedirect filter with path.replacePrefixMatch, "
        "exactly one PathPrefix match must be specified",
        "requestRedirect",
    ),
    _backends_need_one_prefix(
        "Within backendRefs, When using URLRewrite filter with path.replacePrefixMatch, "
        "exactly one PathPrefix match must be specified",
        "urlRewrite",
    ),
)

_LITERAL: Final = "when type one of ['Exact', 'PathPrefix']"
_PATH_PATTERN: Final = r"^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$"
_PATH: Final = re.compile(_PATH_PATTERN.removesuffix("$") + r"\Z")


def _literal_path(message: str, holds: Callable[[str], bool]) -> Rule:
    return Rule(message, lambda match: match["type"] not in ("Exact", "PathPrefix") or holds(match["value"]))


def _without(part: str) -> Rule:
    return _literal_path(f"must not contain '{part}' {_LITERAL}", lambda value: part not in value)


def _not_ending(part: str) -> Rule:
    return _literal_path(f"must not end with '{part}' {_LITERAL}", lambda value: not value.endswith(part))


_PATH_MATCH: Final = (
    _literal_path(
        f"value must be an absolute path and start with '/' {_LITERAL}",
        lambda value: value.startswith("/"),
    ),
    *(_without(part) for part in ("//", "/./", "/../", "%2f", "%2F", "#")),
    _not_ending("/.."),
    _not_ending("/."),
    Rule(
        "type must be one of ['Exact', 'PathPrefix', 'RegularExpression']",
        lambda match: match["type"] in ("Exact", "PathPrefix", "RegularExpression"),
    ),
    _literal_path(
        f"must only contain valid characters (matching {_PATH_PATTERN}) for types ['Exact', 'PathPrefix']",
        lambda value: bool(_PATH.match(value)),
    ),
)


def _within_request(timeouts: dict[str, Any]) -> bool:
    if not {"request", "backendRequest"} <= timeouts.keys():
        return True
    request = milliseconds(timeouts["request"])
    return request == 0 or milliseconds(timeouts["backendRequest"]) <= request


HTTP_ROUTE: Final[Rules] = {
    "spec.parentRefs": PARENT_REFS,
    "spec.rules": (TOTAL_MATCHES, RULE_NAMES),
    "spec.rules[]": _RULE,
    "spec.rules[].backendRefs[]": BACKEND_REF,
    **_filters("spec.rules[].backendRefs[].filters"),
    **_filters("spec.rules[].filters"),
    "spec.rules[].matches[].path": _PATH_MATCH,
    "spec.rules[].sessionPersistence": SESSION_PERSISTENCE,
    "spec.rules[].timeouts": (Rule("backendRequest timeout cannot be longer than request timeout", _within_request),),
}
