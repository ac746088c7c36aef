"""The rules of GRPCRoute, TCPRoute, TLSRoute and UDPRoute."""

from __future__ import annotations

import ipaddress
import re
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
    mirror,
)

_FILTER_LIST: Final = at_most_one("RequestHeaderModifier", "ResponseHeaderModifier")
_FILTER: Final = filter_settings(
    requestHeaderModifier="RequestHeaderModifier",
    responseHeaderModifier="ResponseHeaderModifier",
    requestMirror="RequestMirror",
    extensionRef="ExtensionRef",
)


def _filters(where: str) -> Rules:
    return {where: _FILTER_LIST, f"{where}[]": _FILTER, **mirror(f"{where}[].requestMirror")}


_SERVICE: Final = re.compile(r"^\.?[a-z_][a-z_0-9]*(\.[a-z_][a-z_0-9]*)*\Z", re.IGNORECASE)
_METHOD: Final = re.compile(r"^[A-Za-z_][A-Za-z_0-9]*\Z")


def _exact(match: dict[str, Any], field: str, pattern: re.Pattern[str]) -> bool:
    return match["type"] != "Exact" or field not in match or bool(pattern.match(match[field]))


_METHOD_MATCH: Final = (
    Rule(
        "One or both of 'service' or 'method' must be specified",
        lambda match: "service" in match or "method" in match,
    ),
    Rule(
        r"service must only contain valid characters (matching ^(?i)\.?[a-z_][a-z_0-9]*(\.[a-z_][a-z_0-9]*)*$)",
        lambda match: _exact(match, "service", _SERVICE),
    ),
    Rule(
        "method must only contain valid characters (matching ^[A-Za-z_][A-Za-z_0-9]*$)",
        lambda match: _exact(match, "method", _METHOD),
    ),
)

GRPC_ROUTE: Final[Rules] = {
    "spec.parentRefs": PARENT_REFS,
    "spec.rules": (TOTAL_MATCHES, RULE_NAMES),
    "spec.rules[].backendRefs[]": BACKEND_REF,
    **_filters("spec.rules[].backendRefs[].filters"),
    **_filters("spec.rules[].filters"),
    "spec.rules[].matches[].method": _METHOD_MATCH,
    "spec.rules[].sessionPersistence": SESSION_PERSISTENCE,
}

TCP_ROUTE: Final[Rules] = {"spec.parentRefs": PARENT_REFS, "spec.rules[].backendRefs[]": BACKEND_REF}
UDP_ROUTE: Final[Rules] = TCP_ROUTE

_NAME: Final = re.compile(r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*)\Z")


def _is_ip(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


TLS_ROUTE: Final[Rules] = {
    **TCP_ROUTE,
    "spec.hostnames": (
        Rule("Hostnames cannot contain an IP", lambda names: not any(map(_is_ip, names))),
        Rule(
            "Hostnames must be valid based on RFC-1123",
            lambda names: all(_NAME.match(name) for name in names if "*" not in name),
        ),
        Rule(
            "Wildcards on hostnames must be the first label, and the rest of hostname must be valid based on RFC-1123",
            lambda names: all(name.startswith("*.") and _NAME.match(name[2:]) for name in names if "*" in name),
        ),
    ),
}
