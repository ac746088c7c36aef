"""A match and its hostnames as conditions, before they are spread over rules (Condition types for listener rules)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final

from msgspec import Struct

from gatewright.aws.rules import patterns
from gatewright.aws.rules.limits import HEADER_NAME_LENGTH, VALUE_LENGTH
from gatewright.aws.rules.refused import Refused, quoted, rule_field
from gatewright.aws.stack.desired import ConditionField, RuleCondition
from gatewright.aws.support import routes as rows
from gatewright.resolve.hostnames import ANY
from gatewright.topology import Match, Origin, PathMatch, Rule, ValueMatch

_DEFAULT_PORTS: Final = (80, 443)
_FORWARDED: Final = ("x-forwarded-proto", "x-forwarded-port")


class Option(Struct, frozen=True):
    """One thing that a condition may find, in the forms that it can have: as values, any of which will do, as one
    regular expression, or as the (key, value) of a query string.
    """

    plain: tuple[str, ...] = ()
    regex: str = ""
    pair: tuple[str, str] | None = None


class Dimension(Struct, frozen=True):
    """One condition before it is known in which form: any of the options has to be found.

    `name` is the header's; that of a query parameter only tells dimensions apart.
    """

    field: ConditionField
    options: tuple[Option, ...]
    name: str = ""


class Part(Struct, frozen=True):
    """Conditions that have to hold together, and what they are served without."""

    dimensions: tuple[Dimension, ...]
    remarks: tuple[str, ...] = ()


ANY_PATH: Final = Dimension("path-pattern", (Option(plain=("/*",)),))
"""What holds for each request: a rule needs a condition."""


# --- hostnames -------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=1 << 14)
def hosts_dimension(hostnames: tuple[str, ...], port: int) -> Dimension | None:
    """The condition on the Host; None where "*" is among the hostnames. Raises `Refused` for what can't be compared.

    A client names a port other than the scheme's own in the Host, where only regular expressions find it.
    """
    found = []
    for hostname in hostnames:
        if hostname == ANY:
            return None
        regex = patterns.host_regex(hostname)
        plain = (hostname,) if port in _DEFAULT_PORTS and patterns.is_host_value(hostname) else ()
        option = Option(plain, regex if patterns.is_regex(regex) else "")
        if option == Option() and patterns.is_host_value(hostname):
            option = Option((hostname,))
        if option == Option():
            raise Refused(rows.HOST_TOO_LONG, "spec.hostnames", quoted(hostname))
        found.append(option)
    return Dimension("host-header", tuple(found))


# --- matches ---------------------------------------------------------------------------------------------------------


def path_dimension(path: PathMatch, field: str) -> Dimension | None:
    """The condition on the path; None where any will do. Raises `Refused`."""
    if path.type == "RegularExpression":
        regex = patterns.anchored(path.value)
        if not patterns.is_regex(regex):
            raise Refused(rows.REGEX_SYNTAX, f"{field}.path", quoted(path.value))
        return Dimension("path-pattern", (Option(regex=regex),))
    value = path.value if path.type == "Exact" else path.value.rstrip("/")
    if not value:
        return None
    if not patterns.is_visible(value):
        raise Refused(rows.PATH_CHARACTERS, f"{field}.path.value", quoted(value))
    if path.type == "Exact":
        plain: tuple[str, ...] = (value,)
        regex = f"^{patterns.escaped(value)}$"
    else:
        plain = (value, f"{value}/*")
        regex = f"^{patterns.escaped(value)}(/.*)?$"
    fits = patterns.is_path_value(value) and len(plain[-1]) <= VALUE_LENGTH
    option = Option(plain if fits else (), regex if patterns.is_regex(regex) else "")
    if option == Option():
        raise Refused(rows.PATH_TOO_LONG, f"{field}.path.value", quoted(value))
    return Dimension("path-pattern", (option,))


def below(prefix: PathMatch) -> Dimension:
    """The condition for what is below a PathPrefix that is a condition itself, without just the prefix."""
    value = prefix.value.rstrip("/")
    plain = (f"{value}/*",) if patterns.is_path_value(value) and len(value) + 2 <= VALUE_LENGTH else ()
    regex = f"^{patterns.escaped(value)}/.*$"
    return Dimension("path-pattern", (Option(plain, regex if patterns.is_regex(regex) else ""),))


@lru_cache(maxsize=1 << 14)
def match_part(match: Match, field: str) -> Part:
    """The conditions of a match at `field`. Raises `Refused` for what can't be one."""
    found: list[Dimension] = []
    remarks: list[str] = []
    path = path_dimension(match.path, field)
    if path:
        found.append(path)
    if match.method == "TRACE":
        raise Refused(rows.METHOD_TRACE, f"{field}.method", match.method)
    if match.method:
        found.append(Dimension("http-request-method", (Option(plain=(match.method,)),)))
    for index, header in enumerate(match.headers):
        dimension, remark = _header(header, f"{field}.headers[{index}]")
        found.append(dimension)
        remarks += remark
    for index, parameter in enumerate(match.query_params):
        dimension, remark = _parameter(parameter, f"{field}.queryParams[{index}]")
        found.append(dimension)
        remarks += remark
    return Part(tuple(found), tuple(remarks))


def _header(match: ValueMatch, field: str) -> tuple[Dimension, list[str]]:
    if match.name == "host":
        raise Refused(rows.HEADER_HOST, f"{field}.name", match.name)
    if len(match.name) > HEADER_NAME_LENGTH:
        raise Refused(rows.HEADER_NAME, f"{field}.name", quoted(match.name))
    remarks = []
    if match.name in _FORWARDED:
        remarks.append(rows.HEADER_FORWARDED.message(f"{field}.name", match.name))
    if match.type == "RegularExpression":
        regex = patterns.anchored(match.value)
        if not patterns.is_regex(regex):
            raise Refused(rows.HEADER_REGEX, f"{field}.value", quoted(match.value))
        return Dimension("http-header", (Option(regex=regex),), match.name), remarks
    regex = f"^{patterns.escaped(match.value)}$"
    if patterns.is_regex(regex):
        return Dimension("http-header", (Option(regex=regex),), match.name), remarks
    if len(match.value) > VALUE_LENGTH or not patterns.is_visible(match.value) or set(match.value) & set("*?\\"):
        raise Refused(rows.HEADER_VALUE, f"{field}.value", quoted(match.value))
    if _has_case(match.value):
        remarks.append(rows.HEADER_CASE.message(f"{field}.value", quoted(match.value)))
    return Dimension("http-header", (Option(plain=(match.value,)),), match.name), remarks


def _parameter(match: ValueMatch, field: str) -> tuple[Dimension, list[str]]:
    if match.type == "RegularExpression":
        raise Refused(rows.QUERY_REGEX, f"{field}.type", f"RegularExpression {quoted(match.value)}")
    pair = (patterns.query_value(match.name), patterns.query_value(match.value))
    for name, text in zip(("name", "value"), pair, strict=True):
        if len(text) > VALUE_LENGTH or not patterns.is_visible(text):
            raise Refused(rows.QUERY_VALUE, f"{field}.{name}", quoted(text))
    remarks = []
    if _has_case(match.name) or _has_case(match.value):
        every = field.partition(".matches[")[0]
        remarks.append(rows.QUERY_CASE.message(f"{every}.matches[].queryParams[]", quoted(match.name)))
    return Dimension("query-string", (Option(pair=pair),), match.name), remarks


def _has_case(text: str) -> bool:
    return text.lower() != text.upper()


# --- conditions that users wrote themselves --------------------------------------------------------------------------


def as_dimension(condition: RuleCondition, name: str = "") -> Dimension:
    """A condition that is given as AWS has it. `name` tells it apart from others of its field."""
    options = (
        *(Option(plain=(value,)) for value in condition.values),
        *(Option(regex=regex) for regex in condition.regex_values),
        *(Option(pair=pair) for pair in condition.pairs),
    )
    return Dimension(condition.field, tuple(dict.fromkeys(options)), condition.name or name)


def given_dimensions(given: Iterable[tuple[tuple[int, ...] | None, RuleCondition]], rule: Rule) -> Iterator[Dimension]:
    """The additional conditions that are for this match of a rule. Raises `Refused` for a second one on the source."""
    sources = 0
    for number, (indexes, condition) in enumerate(given):
        if indexes is not None and rule.key.match not in indexes:
            continue
        sources += condition.field == "source-ip"
        if sources > 1:
            raise Refused(rows.SOURCE_WITH_MATCH, f"{rule_field(rule.origin)}.filters", "two source-ip conditions")
        yield as_dimension(condition, str(number))


_NAMES: Final[dict[ConditionField, str]] = {
    "host-header": "hostname",
    "path-pattern": "path",
    "http-request-method": "method",
    "http-header": "header",
    "query-string": "query parameter",
    "source-ip": "source address",
}


def _described(dimensions: Sequence[Dimension]) -> str:
    """What a match wants, counted."""
    counts = Counter(dimension.field for dimension in dimensions)
    parts = [f"{count} {_NAMES[field]}{'s' if count > 1 else ''}" for field, count in counts.items()]
    return f"{', '.join(parts)}: {len(dimensions)} values"


def too_many(dimensions: Sequence[Dimension], origin: Origin) -> Refused:
    """The refusal of a match that wants more than one rule can hold."""
    return Refused(rows.TOO_MANY_VALUES, origin.field, _described(dimensions))
