"""Conditions of a rule: RuleCondition of the API (Condition types for listener rules)."""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from typing import Any

from gatewright.local.aws.elbv2 import patterns, quotas
from gatewright.local.aws.elbv2.errors import invalid
from gatewright.local.aws.elbv2.models import Document

_CONFIGS = {
    "host-header": "HostHeaderConfig",
    "path-pattern": "PathPatternConfig",
    "http-header": "HttpHeaderConfig",
    "query-string": "QueryStringConfig",
    "http-request-method": "HttpRequestMethodConfig",
    "source-ip": "SourceIpConfig",
}
_ONCE = ("host-header", "path-pattern", "http-request-method", "source-ip")
_WITH_REGEXES = ("host-header", "path-pattern", "http-header")
_LONGEST = 128
_HOST = re.compile(r"[A-Za-z0-9.*?-]+\Z")
_LAST_LABEL = re.compile(r"[A-Za-z*?]+\Z")
_PATH = re.compile(r"""[A-Za-z0-9_\-.$/~"'@:+&*?]+\Z""")
_METHOD = re.compile(r"[A-Z_-]+\Z")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z")


def checked(conditions: list[Document]) -> list[Document]:
    """The conditions of a rule as DescribeRules shows them. Raises a refusal."""
    if not conditions:
        raise invalid("A rule must have at least one condition")
    counts = Counter(condition.get("Field", "") for condition in conditions)
    for field in counts:
        if field not in _CONFIGS:
            raise invalid(f"Condition field '{field}' must be one of '[{','.join(_CONFIGS)}]'")
    for field in _ONCE:
        if counts[field] > 1:
            raise invalid(f"A rule can only have one '{field}' condition")
    normal = [_normal(condition) for condition in conditions]
    values = wildcards = 0
    for condition in normal:
        config = condition[_CONFIGS[condition["Field"]]]
        values += len(config.get("Values", ())) + len(config.get("RegexValues", ()))
        wildcards += _wildcards(condition["Field"], config.get("Values", ()))
    if values > quotas.CONDITION_VALUES:
        raise invalid(f"A rule can only have '{quotas.CONDITION_VALUES}' condition values")
    if wildcards > quotas.CONDITION_WILDCARDS:
        raise invalid(f"A rule can only have '{quotas.CONDITION_WILDCARDS}' condition wildcards")
    return normal


def _normal(condition: Document) -> Document:
    field = condition["Field"]
    name = _CONFIGS[field]
    for other in _CONFIGS.values():
        if other != name and other in condition:
            raise invalid(f"A '{other}' cannot be specified with '{field}'")
    config = dict(condition.get(name, {}))
    for key, fields in (("Values", ("host-header", "path-pattern")), ("RegexValues", _WITH_REGEXES)):
        if key not in condition:
            continue
        if field not in fields:
            raise invalid(f"The '{key}' field is not compatible with '{field}'")
        if config.get(key):
            raise invalid(f"You cannot provide both {key} and '{name}' for a condition of type '{field}'")
        if key == "Values" and len(condition[key]) > 1:
            raise invalid(f"The '{field}' field contains too many values; the limit is '1'")
        config[key] = condition[key]
    if field not in ("host-header", "path-pattern") and name not in condition:
        raise invalid(f"A '{name}' must be specified with '{field}'")
    if config.get("RegexValues") and field not in _WITH_REGEXES:
        raise invalid(f"The 'RegexValues' field is not compatible with '{field}'")
    if not config.get("Values") and not config.get("RegexValues"):
        raise invalid("A condition value must be specified")
    if config.get("Values") and config.get("RegexValues"):
        raise invalid(f"You cannot provide both Values and RegexValues for a condition of type '{field}'")
    config = {key: value for key, value in config.items() if value not in ([], None)}
    _check(field, config)
    return _shown(field, name, config)


def _shown(field: str, name: str, config: Document) -> Document:
    shown: Document = {"Field": field, name: config}
    if field in ("host-header", "path-pattern"):
        shown["Values"] = config.get("Values", [])
    if "RegexValues" in config:
        shown["RegexValues"] = config["RegexValues"]
    return shown


def _check(field: str, config: Document) -> None:
    for pattern in config.get("RegexValues", ()):
        patterns.check(pattern, _LONGEST)
    if field == "query-string":
        for pair in config["Values"]:
            if "Value" not in pair:
                raise invalid("A 'Value' must be specified in 'QueryStringKeyValuePair'")
            for key, value in pair.items():
                if len(value) > _LONGEST:
                    raise invalid(f"The '{key}' value is too long; the limit is '{_LONGEST}'")
        return
    if field == "http-header":
        _check_header(config.get("HttpHeaderName", ""))
    if field == "source-ip" and "IpAddressType" in config:
        raise invalid("'IpAddressType' is supported only for Network Load Balancers")
    for value in config.get("Values", ()):
        _check_value(field, value)


def _check_header(name: str) -> None:
    if not name:
        raise invalid("A 'HttpHeaderName' must be specified in 'HttpHeaderConfig'")
    if len(name) > 40:
        raise invalid("The 'HttpHeaderName' value is too long; the limit is '40'")
    if not _TOKEN.match(name):
        raise invalid(f"The 'HttpHeaderName' value '{name}' contains a character that is not valid")
    if name.lower() == "host":
        raise invalid("You cannot use an 'http-header' condition to specify the host header; use 'host-header'")


def _check_value(field: str, value: str) -> None:
    limit = 40 if field == "http-request-method" else _LONGEST
    if len(value) > limit:
        raise invalid(f"The '{field}' value is too long; the limit is '{limit}'")
    if field == "source-ip":
        try:
            right = "/" in value and bool(ipaddress.ip_network(value, strict=False))
        except ValueError:
            right = False
        if not right:
            raise invalid(f"CIDR block '{value}' is not valid")
        return
    if not value:
        raise invalid("A condition value must be specified")
    if field == "http-request-method" and not _METHOD.match(value):
        raise invalid(f"The '{field}' value is invalid; the allowed characters are A-Z, hyphen and underscore")
    allowed = {"host-header": _HOST, "path-pattern": _PATH}.get(field)
    if allowed and not allowed.match(value):
        raise invalid(f"Condition value '{value}' contains a character that is not valid")
    if field == "host-header" and value != "*":
        _, dot, last = value.rpartition(".")
        if not dot or not _LAST_LABEL.match(last):
            raise invalid(
                f"Condition value '{value}' must include at least one '.' character, and only alphabetical characters "
                "after the final '.' character"
            )


def _wildcards(field: str, values: Any) -> int:
    if field not in ("host-header", "path-pattern", "http-header", "query-string"):
        return 0
    texts = [text for value in values for text in (value.values() if isinstance(value, dict) else (value,))]
    return sum(len(re.findall(r"(?<!\\)[*?]", text)) for text in texts)
