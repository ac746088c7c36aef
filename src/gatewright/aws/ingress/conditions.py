"""Hosts, paths and `conditions.` annotations as conditions of an ALB's rule, and `transforms.` as its transforms.

Like the AWS Load Balancer Controller: further host and path values go into the one condition on host and on path that a
rule may have, so any of them will do; each further header and query string is a condition of its own.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Final

import re2

from gatewright.aws.ingress.documents import ConditionDocument, Rewrites, TransformDocument, Values
from gatewright.aws.stack.desired import RuleCondition, Transform
from gatewright.topology import PathMatch

_LONGEST_VALUE: Final = 128
_LONGEST_HEADER: Final = 40
_LONGEST_REWRITE: Final = 1024
_WILDCARDS: Final = re.compile(r"[*?]")
_METHOD: Final = re.compile(r"[A-Z_-]{1,40}")
_HEADER: Final = re.compile(rf"[!#$%&'*+.^_`|~0-9A-Za-z-]{{1,{_LONGEST_HEADER}}}")
EVERY_PATH: Final = "/*"

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False


class Unusable(ValueError):
    """Why something can't be used: what was found and what was expected."""


def path_condition(path: str, path_type: str, *, regex: bool) -> tuple[tuple[str, ...], tuple[str, ...], PathMatch]:
    """The values and regular expressions of a path, and what it matches. Raises Unusable.

    Without a path every request is taken, and there are no values. `regex`: a path of type ImplementationSpecific is a
    regular expression after its first character.
    """
    if path_type == "Prefix":
        stem = path.rstrip("/")
        if not stem:
            return (EVERY_PATH,), (), PathMatch("PathPrefix", "/")
        if _WILDCARDS.search(stem):
            return (), (f"^{_literal(stem)}(/.*)?$",), PathMatch("PathPrefix", stem)
        return (stem, f"{stem}/*"), (), PathMatch("PathPrefix", stem)
    if path_type == "Exact":
        if _WILDCARDS.search(path):
            return (), (f"^{_literal(path)}$",), PathMatch("Exact", path)
        return (path,), (), PathMatch("Exact", path)
    if not path:
        return (), (), PathMatch("PathPrefix", "/")
    if regex:
        expression = _checked_regex(path[1:])
        return (), (expression,), PathMatch("RegularExpression", _searched(expression))
    return (path,), (), _pattern_match(path)


def _pattern_match(pattern: str) -> PathMatch:
    """What a pattern with ALB's wildcards matches."""
    if not _WILDCARDS.search(pattern):
        return PathMatch("Exact", pattern)
    if pattern in (EVERY_PATH, "*"):
        return PathMatch("PathPrefix", "/")
    parts = (
        {"*": ".*", "?": "."}.get(part, re2.escape(part) if part.isascii() else part)
        for part in re.split(r"([*?])", pattern)
    )
    return PathMatch("RegularExpression", "".join(parts))


def _searched(expression: str) -> str:
    """A regular expression that matches all of a text in which `expression` is found."""
    start = "" if expression.startswith("^") else ".*"
    end = "" if expression.endswith("$") else ".*"
    return f"{start}(?:{expression.removeprefix('^').removesuffix('$')}){end}"


def _literal(text: str) -> str:
    return re.sub(r"([\\^$.|?*+()\[\]{}])", r"\\\1", text)


def rule_conditions(
    host: str, path_values: Sequence[str], path_regexes: Sequence[str], documents: Sequence[ConditionDocument]
) -> tuple[RuleCondition, ...]:
    """All conditions of a rule: those of the annotation, the host's and the path's; at least one. Raises Unusable."""
    hosts, host_regexes = [host] if host else [], list[str]()
    paths, regexes = list(path_values), list(path_regexes)
    found: list[RuleCondition] = []
    for document in documents:
        if document.field == "host-header":
            values = _given(document.host_header_config, "hostHeaderConfig")
            hosts += values.values
            host_regexes += values.regex_values
        elif document.field == "path-pattern":
            values = _given(document.path_pattern_config, "pathPatternConfig")
            paths += values.values
            regexes += values.regex_values
        else:
            found.append(_condition(document))
    for name, plain, expressions in (("host", hosts, host_regexes), ("path", paths, regexes)):
        if plain and expressions:
            raise Unusable(
                f"values ({plain[0]}) and regexValues ({expressions[0]}) in the condition on the {name}; a condition "
                "has either values or regular expressions"
            )
    for expression in (*host_regexes, *regexes):
        _checked_regex(expression)
    if hosts or host_regexes:
        found.append(RuleCondition("host-header", _checked(hosts), _checked(host_regexes)))
    if paths or regexes:
        found.append(RuleCondition("path-pattern", _checked(paths), _checked(regexes)))
    return tuple(found) or (RuleCondition("path-pattern", (EVERY_PATH,)),)


def _given(config: Values | None, name: str) -> Values:
    if config is None or not (config.values or config.regex_values):
        raise Unusable(f"no {name} with values; expected at least one value")
    if config.values and config.regex_values:
        raise Unusable(f"values and regexValues in {name}; expected one of them")
    return config


def _condition(document: ConditionDocument) -> RuleCondition:
    if document.field == "http-header":
        header = document.http_header_config
        if header is None:
            raise Unusable("no httpHeaderConfig")
        values = _given(Values(header.values, header.regex_values), "httpHeaderConfig")
        if not _HEADER.fullmatch(header.http_header_name) or header.http_header_name.lower() == "host":
            raise Unusable(
                f"header {header.http_header_name!r}; expected the name of a header, at most {_LONGEST_HEADER} "
                "characters; conditions on Host are host-header"
            )
        for expression in values.regex_values:
            _checked_regex(expression)
        return RuleCondition(
            "http-header", _checked(values.values), _checked(values.regex_values), name=header.http_header_name
        )
    if document.field == "http-request-method":
        values = _given(document.http_request_method_config, "httpRequestMethodConfig")
        if values.regex_values or not all(_METHOD.fullmatch(value) for value in values.values):
            raise Unusable(f"methods {', '.join(values.values)}; expected upper case letters, - and _")
        return RuleCondition("http-request-method", _checked(values.values))
    if document.field == "source-ip":
        values = _given(document.source_ip_config, "sourceIpConfig")
        for value in values.values:
            try:
                ipaddress.ip_network(value)
            except ValueError as error:
                raise Unusable(f"source {value!r}; expected a CIDR ({error})") from error
        return RuleCondition("source-ip", _checked(values.values))
    if document.field == "query-string":
        pairs = document.query_string_config.values if document.query_string_config else ()
        if not pairs or not all(pair.value for pair in pairs):
            raise Unusable("a queryStringConfig without values; expected at least one value")
        _checked([text for pair in pairs for text in (pair.key, pair.value) if text])
        return RuleCondition("query-string", pairs=tuple((pair.key, pair.value) for pair in pairs))
    fields = "host-header, path-pattern, http-header, http-request-method, query-string or source-ip"
    raise Unusable(f"field {document.field!r}; expected {fields}")


def _checked(values: Sequence[str]) -> tuple[str, ...]:
    for value in values:
        if not 0 < len(value) <= _LONGEST_VALUE:
            raise Unusable(f"a value of {len(value)} characters; AWS takes 1 to {_LONGEST_VALUE}")
    return tuple(dict.fromkeys(values))


def _checked_regex(expression: str) -> str:
    """Load balancers know no lookarounds, back references, atomic groups, ...: what RE2 doesn't know either."""
    try:
        re2.compile(expression, _OPTIONS)
    except (re2.error, UnicodeError) as error:
        reason = error.args[0] if error.args else error
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        raise Unusable(f"regular expression {expression!r}; load balancers take those of RE2 ({text})") from error
    return expression


def transforms(documents: Sequence[TransformDocument]) -> tuple[Transform, ...]:
    """The transforms of a rule, at most one of each type. Raises Unusable."""
    found: dict[str, Transform] = {}
    for document in documents:
        if document.type == "url-rewrite":
            transform = _transform("url-rewrite", document.url_rewrite_config)
        elif document.type == "host-header-rewrite":
            transform = _transform("host-header-rewrite", document.host_header_rewrite_config)
        else:
            raise Unusable(f"type {document.type!r}; expected url-rewrite or host-header-rewrite")
        if document.type in found:
            raise Unusable(f"two transforms of type {document.type}; a rule has one of each type")
        found[document.type] = transform
    return tuple(found.values())


def _transform(type_: str, config: Rewrites | None) -> Transform:
    rewrites = config.rewrites if config else ()
    if len(rewrites) != 1:
        raise Unusable(f"{len(rewrites)} rewrites in a transform of type {type_}; expected exactly one")
    rewrite = rewrites[0]
    if not rewrite.regex or max(len(rewrite.regex), len(rewrite.replace)) > _LONGEST_REWRITE:
        raise Unusable(f"a regex or replacement that is empty or has more than {_LONGEST_REWRITE} characters")
    _checked_regex(rewrite.regex)
    return Transform("url-rewrite" if type_ == "url-rewrite" else "host-header-rewrite", rewrite.regex, rewrite.replace)
