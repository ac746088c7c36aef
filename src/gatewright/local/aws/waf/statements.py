"""Statements of WAFv2 rules as expressions of `statements.lua` (AWS WAF developer guide, "Rule statements").

A statement that can't be evaluated here raises `UnsupportedError`; its rule is skipped and reported, never guessed at.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import re2
from msgspec import Struct

from gatewright.local.aws.waf.lua import Code, call, literal

Statement = Mapping[str, Any]

TRANSFORMATIONS = frozenset({
    "LOWERCASE", "UPPERCASE", "URL_DECODE", "URL_DECODE_UNI", "COMPRESS_WHITE_SPACE", "REMOVE_WHITESPACE", "TRIM",
    "TRIM_LEFT", "TRIM_RIGHT", "HTML_ENTITY_DECODE", "CMD_LINE", "BASE64_DECODE", "BASE64_DECODE_EXT", "HEX_DECODE",
    "SQL_HEX_DECODE", "REPLACE_COMMENTS", "NORMALIZE_PATH", "NORMALIZE_PATH_WIN", "REMOVE_NULLS", "REPLACE_NULLS",
})  # fmt: skip
"""Those of `transformations.lua`."""

_MAX_PROGRAM = 32768  # what Envoy is told to take, see envoy/bootstrap.py
_MAX_DEPTH = 50  # Lua's own limit is about 200

_POSITIONS = {
    "EXACTLY": "exactly",
    "STARTS_WITH": "starts_with",
    "ENDS_WITH": "ends_with",
    "CONTAINS": "contains",
    "CONTAINS_WORD": "contains_word",
}
_SIMPLE_PARTS = {
    "UriPath": "uri_path",
    "QueryString": "query_string",
    "Method": "method",
    "AllQueryArguments": "arguments",
}
_UNSUPPORTED = {
    "GeoMatchStatement": "where an address is can't be told here",
    "AsnMatchStatement": "whose network an address belongs to can't be told here",
    "ManagedRuleGroupStatement": "the rules of managed rule groups aren't public",
    "SqliMatchStatement": "detection of SQL injection isn't there",
    "XssMatchStatement": "detection of cross-site scripting isn't there",
}
_UNSUPPORTED_FIELDS = {
    "Body": "bodies aren't inspected",
    "JsonBody": "bodies aren't inspected",
    "JA3Fingerprint": "TLS fingerprints aren't taken",
    "JA4Fingerprint": "TLS fingerprints aren't taken",
    "UriFragment": "fragments of URLs aren't inspected",
}


class UnsupportedError(Exception):
    """A part of a statement that can't be evaluated: `statement` is WAFv2's name of it, `why` the reason in words."""

    def __init__(self, statement: str, why: str) -> None:
        self.statement = statement
        self.why = why
        super().__init__(f"{statement}: {why}")


class Pattern(Struct, frozen=True):
    """What a field's values as a whole have to match: `field` is an expression of Lua, `expression` one of RE2."""

    name: str
    field: Code
    expression: str


class Vocabulary:
    """What statements refer to: collects the fields, address sets and patterns of one web ACL as they are met."""

    def __init__(self, ip_sets: Mapping[str, tuple[str, ...]], regex_sets: Mapping[str, tuple[str, ...]]) -> None:
        self.ip_sets = ip_sets
        self.regex_sets = regex_sets
        self.fields: dict[str, Code] = {}
        """By JSON: how `fields.lua` has it."""
        self.sets: dict[str, Code] = {}
        """By ARN of an IPSet: an address set."""
        self.patterns: list[Pattern] = []

    def field(self, field: Mapping[str, Any], transformations: Iterable[Mapping[str, Any]]) -> Code:
        """An expression for a FieldToMatch with TextTransformations."""
        found = _field(field)
        found["transformations"] = _transformations(transformations)
        text = json.dumps(found, sort_keys=True)
        self.fields.setdefault(text, literal(found))
        return Code(f"FIELDS[{list(self.fields).index(text) + 1}]")

    def address_set(self, arn: str) -> Code:
        """An expression for an IPSet."""
        if arn not in self.ip_sets:
            raise UnsupportedError("IPSetReferenceStatement", f"there is no IP set {arn}")
        self.sets.setdefault(arn, _address_set(self.ip_sets[arn]))
        return Code(f"SETS[{list(self.sets).index(arn) + 1}]")

    def pattern(self, field: Code, expressions: tuple[str, ...]) -> str:
        """The name of a pattern."""
        alternatives = "|".join(f"(?:{expression})" for expression in expressions)
        # Envoy matches a value as a whole; `\C` is a byte, so that what isn't UTF-8 hides nothing.
        whole = rf"\C*?(?:{alternatives})\C*"
        for expression in (*expressions, whole):
            try:
                size = re2.compile(expression.encode()).programsize
            except re2.error as problem:
                raise UnsupportedError("RegexMatchStatement", f"RE2 refuses {expression!r}: {problem}") from None
            if size > _MAX_PROGRAM:
                raise UnsupportedError("RegexMatchStatement", "the regular expressions are too large")
        name = f"pattern{len(self.patterns) + 1}"
        self.patterns.append(Pattern(name, field, whole))
        return name


def expression(statement: Statement, namespace: str, vocabulary: Vocabulary, depth: int = 0) -> Code:
    """A boolean expression for a statement; `namespace` is the label namespace of its web ACL or rule group."""
    if depth > _MAX_DEPTH:
        raise UnsupportedError("Statement", f"it is nested more than {_MAX_DEPTH} deep")
    (name, content), *others = [(name, content) for name, content in statement.items() if content is not None]
    if others:
        raise UnsupportedError(name, "a statement has one kind")
    match name:
        case "AndStatement" | "OrStatement":
            inner = [expression(each, namespace, vocabulary, depth + 1) for each in content["Statements"]]
            return Code("(" + (" and " if name == "AndStatement" else " or ").join(inner) + ")")
        case "NotStatement":
            return Code(f"(not {expression(content['Statement'], namespace, vocabulary, depth + 1)})")
        case "ByteMatchStatement":
            return _byte_match(content, vocabulary)
        case "RegexMatchStatement":
            return _regex_match(content, (content["RegexString"],), vocabulary)
        case "RegexPatternSetReferenceStatement":
            return _regex_match(content, _regex_set(content["ARN"], vocabulary), vocabulary)
        case "SizeConstraintStatement":
            field = vocabulary.field(content["FieldToMatch"], content["TextTransformations"])
            constraint = (content["ComparisonOperator"], content["Size"])
            return call("holds", Code("r"), field, Code("size"), constraint)
        case "IPSetReferenceStatement":
            return _ip_set(content, vocabulary)
        case "LabelMatchStatement":
            function = "labelled" if content["Scope"] == "LABEL" else "labelled_within"
            return call(function, Code("r"), namespace, content["Key"])
    raise UnsupportedError(name, _UNSUPPORTED.get(name, "it isn't known here, or not at this place"))


def rate_key(statement: Statement, vocabulary: Vocabulary) -> Code:
    """An expression for the function that tells what a RateBasedStatement counts a request by."""
    kind = statement["AggregateKeyType"]
    match kind:
        case "IP":
            return Code("by_address")
        case "FORWARDED_IP":
            return _forwarded_key(statement)
        case "CONSTANT":
            return Code('function() return "*" end')
        case "CUSTOM_KEYS":
            keys = [_custom_key(key, statement, vocabulary) for key in statement["CustomKeys"]]
            return Code(f"by_all({literal(keys)})")
    raise UnsupportedError("RateBasedStatement", f"AggregateKeyType {kind} isn't known here")


def _forwarded_key(statement: Statement) -> Code:
    forwarded = statement["ForwardedIPConfig"]
    return call("by_forwarded_address", forwarded["HeaderName"].lower(), forwarded["FallbackBehavior"] == "MATCH")


def _custom_key(key: Mapping[str, Any], statement: Statement, vocabulary: Vocabulary) -> Code:
    ((name, content),) = [(name, content) for name, content in key.items() if content is not None]
    fields = {
        "Header": "SingleHeader",
        "QueryArgument": "SingleQueryArgument",
        "QueryString": "QueryString",
        "UriPath": "UriPath",
        "Cookie": "SingleCookie",
    }
    match name:
        case "IP":
            return Code("by_address")
        case "ForwardedIP":
            return _forwarded_key(statement)
        case "HTTPMethod":
            return call("by_field", vocabulary.field({"Method": {}}, ()))
        case "LabelNamespace":
            return call("by_label", content["Namespace"])
        case _ if name in fields:
            return call("by_field", vocabulary.field({fields[name]: content}, content["TextTransformations"]))
    raise UnsupportedError("RateBasedStatement", f"a request isn't counted by its {name} here")


def _byte_match(content: Statement, vocabulary: Vocabulary) -> Code:
    field = vocabulary.field(content["FieldToMatch"], content["TextTransformations"])
    test = Code(_POSITIONS[content["PositionalConstraint"]])
    try:
        text = base64.b64decode(content["SearchString"], validate=True)
    except binascii.Error:
        raise UnsupportedError("ByteMatchStatement", "SearchString isn't in base64") from None
    return call("holds", Code("r"), field, test, text)


def _regex_match(content: Statement, expressions: tuple[str, ...], vocabulary: Vocabulary) -> Code:
    field = vocabulary.field(content["FieldToMatch"], content["TextTransformations"])
    return call("matches", Code("r"), field, vocabulary.pattern(field, expressions))


def _regex_set(arn: str, vocabulary: Vocabulary) -> tuple[str, ...]:
    if arn not in vocabulary.regex_sets:
        raise UnsupportedError("RegexPatternSetReferenceStatement", f"there is no regex pattern set {arn}")
    return vocabulary.regex_sets[arn]


def _ip_set(content: Statement, vocabulary: Vocabulary) -> Code:
    addresses = vocabulary.address_set(content["ARN"])
    forwarded = content.get("IPSetForwardedIPConfig")
    if not forwarded:
        return call("from_set", Code("r"), addresses)
    fallback = forwarded["FallbackBehavior"] == "MATCH"
    header = forwarded["HeaderName"].lower()
    return call("forwarded_from_set", Code("r"), addresses, header, forwarded["Position"], fallback)


def _field(field: Mapping[str, Any]) -> dict[str, Any]:
    ((name, content),) = [(name, content) for name, content in field.items() if content is not None]
    match name:
        case "SingleHeader":
            header = content["Name"].lower()
            return {"part": "header", "name": ":authority" if header == "host" else header}
        case "SingleQueryArgument":
            return {"part": "argument", "name": content["Name"].lower()}
        case "SingleCookie":
            return {"part": "cookie", "name": content["Name"]}
        case "Headers" | "Cookies":
            return {
                "part": name.lower(),
                "scope": content["MatchScope"],
                "oversize": _oversize(content["OversizeHandling"]),
                **_listed(content["MatchPattern"]),
            }
        case "HeaderOrder":
            return {"part": "header_order"}
        case _ if name in _SIMPLE_PARTS:
            return {"part": _SIMPLE_PARTS[name]}
    raise UnsupportedError(f"FieldToMatch {name}", _UNSUPPORTED_FIELDS.get(name, "it isn't known here"))


def _oversize(handling: str) -> str | None:
    return None if handling == "CONTINUE" else handling


def _listed(pattern: Mapping[str, Any]) -> dict[str, Any]:
    """Of which headers or cookies: no `names` for all of them, else those that are included, or all others."""
    for kind, names in pattern.items():
        if kind != "All" and names is not None:
            return {
                "names": dict.fromkeys((each.lower() for each in names), True),
                "included": None if kind.startswith("Excluded") else True,
            }
    return {}


def _transformations(transformations: Iterable[Mapping[str, Any]]) -> list[str]:
    ordered = sorted(transformations, key=lambda each: each["Priority"])
    names = [each["Type"] for each in ordered if each["Type"] != "NONE"]
    for name in names:
        if name not in TRANSFORMATIONS:
            raise UnsupportedError(f"TextTransformation {name}", "this transformation isn't there")
    return names


@lru_cache(maxsize=64)
def _address_set(blocks: tuple[str, ...]) -> Code:
    networks = [ipaddress.ip_network(block, strict=False) for block in blocks]
    return call("address_set", *(_ranges(networks, version, digits) for version, digits in ((4, 8), (6, 32))))


def _ranges(networks: Iterable[ipaddress.IPv4Network | ipaddress.IPv6Network], version: int, digits: int) -> str:
    """Sorted and disjoint, as `first-last` in hexadecimal digits."""
    merged: list[list[int]] = []
    own = (network for network in networks if network.version == version)
    for first, last in sorted((int(each.network_address), int(each.broadcast_address)) for each in own):
        if merged and first <= merged[-1][1] + 1:
            merged[-1][1] = max(last, merged[-1][1])
        else:
            merged.append([first, last])
    return ",".join(f"{first:0{digits}x}-{last:0{digits}x}" for first, last in merged)
