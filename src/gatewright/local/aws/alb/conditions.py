"""Conditions of rules as predicates of Envoy's matcher ("Condition types for listener rules").

Of a value's two wildcards `*` is any number of characters, `?` just one. Values are compared with all of the field, in
any case except for paths and methods; regular expressions are searched for. Host names are compared without their
port, but a regular expression sees it. A value of a query string that has no key goes with any key.

A regular expression that RE2 doesn't know (the API refuses it) never matches.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_network
from typing import TypeAlias

import re2
import structlog
from envoy.extensions.matching.input_matchers.ip.v3 import ip_pb2
from envoy.type.matcher.v3 import http_inputs_pb2
from xds.type.matcher.v3 import matcher_pb2

from gatewright.envoy.filters import escape_re2
from gatewright.local.aws.state import Condition

_log = structlog.get_logger(__name__)

Predicate: TypeAlias = matcher_pb2.Matcher.MatcherList.Predicate

PATH_HEADER = "x-gatewright-path"
"""The path of a request without its query, set within Envoy whatever the client sends, and never forwarded."""

SOURCE_HEADER = "x-gatewright-source"
"""The address that the connection comes from, likewise: Envoy chooses routes by headers only."""

_NEVER = r"[^\s\S]"
"""A regular expression that nothing matches."""

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.max_mem = 8 << 20


def is_regex(pattern: str) -> bool:
    """Whether Envoy takes it as a regular expression."""
    try:
        re2.compile(pattern, _OPTIONS)
    except re2.error:
        return False
    return True


def predicate(conditions: Sequence[Condition]) -> Predicate:
    """What holds where all of the conditions do; without any it always does."""
    parts = [_condition(condition) for condition in conditions]
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return _header(":method", ".*")
    message = Predicate()
    message.and_matcher.predicate.extend(parts)
    return message


def wildcards(pattern: str, *, any_character: str = ".", escapes: bool = False) -> str:
    """A value as a regular expression. With `escapes`, a backslash takes its meaning from a wildcard."""
    found = []
    characters = iter(pattern)
    for character in characters:
        if character == "\\" and escapes:
            character = next(characters, character)
            found.append(escape_re2(character))
        elif character == "*":
            found.append(f"{any_character}*")
        elif character == "?":
            found.append(any_character)
        else:
            found.append(escape_re2(character))
    return "".join(found)


def _condition(condition: Condition) -> Predicate:
    match condition.field:
        case "host-header":
            hosts = [f"(?:{wildcards(value)})(?::[0-9]+)?" for value in condition.values]
            return _header(":authority", _any(hosts, condition.regexes, flags="is"))
        case "path-pattern":
            paths = [wildcards(value) for value in condition.values]
            return _header(PATH_HEADER, _any(paths, condition.regexes))
        case "http-header":
            # Envoy joins the values of a header that occurs several times; any of them may match.
            values = [f"(?:.*,)?{wildcards(value)}(?:,.*)?" for value in condition.values]
            return _header(condition.name.lower(), _any(values, condition.regexes, flags="is"))
        case "http-request-method":
            return _header(":method", _any([escape_re2(value) for value in condition.values], ()))
        case "query-string":
            pairs = [_pair(key, value) for key, value in condition.pairs]
            return _header(":path", _any([rf"[^?]*\?(?:.*&)?{pair}(?:&.*)?" for pair in pairs], (), flags="is"))
        case "source-ip":
            return _source(condition.values)


def _pair(key: str, value: str) -> str:
    left = wildcards(key, any_character="[^&=]", escapes=True) if key else "[^&=]*"
    return f"{left}={wildcards(value, any_character='[^&]', escapes=True)}"


def _any(values: Iterable[str], regexes: Iterable[str], flags: str = "s") -> str:
    """A pattern that all of a text matches: one of `values`, or anything with one of `regexes` in it."""
    parts = [f"(?{flags}:{value})" for value in values]
    parts += [f"(?s:.*)(?:{regex})(?s:.*)" for regex in _sound(regexes)]
    return "|".join(parts) or _NEVER


def _sound(regexes: Iterable[str]) -> list[str]:
    found = []
    for regex in regexes:
        if is_regex(regex):
            found.append(regex)
        else:
            _log.warning("a condition's regular expression is unknown to RE2; it matches nothing", regex=regex)
    return found


def _header(name: str, pattern: str) -> Predicate:
    message = Predicate()
    single = message.single_predicate
    single.input.name = "header"
    single.input.typed_config.Pack(http_inputs_pb2.HttpRequestHeaderMatchInput(header_name=name), deterministic=True)
    single.value_match.safe_regex.google_re2.SetInParent()
    single.value_match.safe_regex.regex = pattern
    return message


def _source(blocks: Iterable[str]) -> Predicate:
    networks = ip_pb2.Ip(stat_prefix="source")
    for block in blocks:
        network = ip_network(block, strict=False)
        found = networks.cidr_ranges.add(address_prefix=str(network.network_address))
        found.prefix_len.value = network.prefixlen
    if not networks.cidr_ranges:
        return _header(SOURCE_HEADER, _NEVER)
    message = Predicate()
    single = message.single_predicate
    single.input.name = "source"
    single.input.typed_config.Pack(
        http_inputs_pb2.HttpRequestHeaderMatchInput(header_name=SOURCE_HEADER), deterministic=True
    )
    single.custom_match.name = "addresses"
    single.custom_match.typed_config.Pack(networks, deterministic=True)
    return message
