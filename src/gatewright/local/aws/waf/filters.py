"""A web ACL as HTTP filters of Envoy; they stand before all that may answer or route a request.

Rules are evaluated in Envoy's Lua filter, which knows all but two things. Regular expressions are left to RE2: for
each there is a filter that leaves a mark in the request's metadata where one of the prepared values matches. And what
all workers have to count together is left to Envoy's local rate limiter: at a rate-based rule the evaluation stops, the
rate limiter marks a request that is one too many, and the next Lua filter goes on from there.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from itertools import pairwise

from envoy.config.route.v3 import route_components_pb2
from envoy.extensions.common.matching.v3 import extension_matcher_pb2
from envoy.extensions.filters.common.matcher.action.v3 import skip_action_pb2
from envoy.extensions.filters.http.local_ratelimit.v3 import local_rate_limit_pb2
from envoy.extensions.filters.http.lua.v3 import lua_pb2
from envoy.extensions.filters.http.set_metadata.v3 import set_metadata_pb2
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import HttpFilter
from envoy.extensions.matching.common_inputs.network.v3 import network_inputs_pb2
from envoy.extensions.matching.input_matchers.metadata.v3 import metadata_pb2
from envoy.type.v3 import percent_pb2
from msgspec import Struct

from gatewright.local.aws.state import WebAclDocument
from gatewright.local.aws.waf.documents import Unsupported
from gatewright.local.aws.waf.lua import Code, literal
from gatewright.local.aws.waf.rules import Program, Rate, Rule, program
from gatewright.local.aws.waf.statements import Pattern

OUTCOME = "gatewright.waf"
"""The metadata namespace of what came of a request: `action` (ALLOW, BLOCK) and `rule`, the one that decided; names of
rules, separated by spaces, in `counted` and `skipped`; `labels`; `failed` where the evaluation itself failed."""

_VALUES = "gatewright.waf.values"
_MATCHES = "gatewright.waf.matches"
_RATES = "gatewright.waf.rates"
_MARK = "x-gatewright-waf-limited"
_UNLIMITED = 2**32 - 1
_TRACKED = 10_000
"""So many values are counted by at once; AWS WAF has the same limit."""
_BEYOND = 1_000_000
_TEXTS = ("transformations", "fields", "statements", "evaluation")


class WafFilters(Struct, frozen=True):
    """Filters for the HTTP connection managers of an ALB, in order, and the parts of the web ACL without effect."""

    filters: tuple[HttpFilter, ...]
    unsupported: tuple[Unsupported, ...]


def translate(document: WebAclDocument, *, pace: float = 1, fail_open: bool = False) -> WafFilters:
    """A web ACL as filters; none of what the API accepts makes it fail.

    `pace` divides the windows of rate-based rules. `fail_open` is the ALB's attribute `waf.fail_open.enabled`.
    Envoy must not append to X-Forwarded-For by itself: WAF sees that header as the client sent it.
    """
    compiled = program(document)
    common = f"local FAIL_OPEN = {literal(fail_open)}"
    content = _content(compiled)
    filters = []
    if compiled.vocabulary.patterns:
        filters.append(_lua("waf/prepare", common, 0, 0, content, "prepare"))
        filters.extend(map(_pattern, compiled.vocabulary.patterns))
    rated = [(index, rule.rate) for index, rule in enumerate(compiled.rules, 1) if rule.rate and rule.test is not None]
    stops = [0, *(index for index, _ in rated), _BEYOND]
    for (answered, asked), (_, rate) in zip(pairwise(stops), [*rated, (0, None)], strict=True):
        filters.append(_lua(f"waf/after-{answered}", common, answered, asked, content, "decide"))
        if rate:
            filters.append(_limit(asked, rate, pace))
    return WafFilters(tuple(filters), compiled.unsupported)


def unsupported(document: WebAclDocument) -> tuple[Unsupported, ...]:
    """The parts of a web ACL that have no effect here."""
    return program(document).unsupported


@cache
def _evaluation() -> str:
    folder = files("gatewright.local.aws.waf")
    return "\n".join(folder.joinpath(f"{name}.lua").read_text(encoding="utf-8") for name in _TEXTS)


def _content(compiled: Program) -> str:
    vocabulary = compiled.vocabulary
    patterns = ", ".join(f"{pattern.name} = {pattern.field}" for pattern in vocabulary.patterns)
    rules = ",\n".join(_rule(rule) for rule in compiled.rules)
    return (
        f"local FIELDS = {literal(list(vocabulary.fields.values()))}\n"
        f"local SETS = {literal(list(vocabulary.sets.values()))}\n"
        f"PATTERNS = {{{patterns}}}\n"
        f"RULES = {{\n{rules}\n}}\n"
        f"DEFAULT = {literal(compiled.default)}\n"
    )


def _rule(rule: Rule) -> Code:
    if rule.test is None:
        return literal({"name": rule.name, "skipped": True})
    return literal({
        "name": rule.name,
        "test": Code(f"function(r) return {rule.test} end"),
        "action": rule.action,
        "labels": rule.labels,
        "key": rule.rate.key if rule.rate else None,
        "only_counts": rule.only_counts,
        "leave": rule.leave,
    })  # fmt: skip


def _lua(name: str, common: str, answered: int, asked: int, content: str, role: str) -> HttpFilter:
    message = lua_pb2.Lua()
    message.default_source_code.inline_string = "\n".join((
        f"local ANSWERED, ASKED = {answered}, {asked}",
        common,
        _evaluation(),
        content,
        f"envoy_on_request = guarded({role})",
    ))  # fmt: skip
    return _filter(name, message)


def _pattern(pattern: Pattern) -> HttpFilter:
    marking = set_metadata_pb2.Config()
    entry = marking.metadata.add(metadata_namespace=_MATCHES, allow_overwrite=True)
    entry.value.update({pattern.name: True})
    message = extension_matcher_pb2.ExtensionWithMatcher()
    message.extension_config.name = "mark"
    message.extension_config.typed_config.Pack(marking)
    matcher = message.xds_matcher.matcher_list.matchers.add()
    predicate = matcher.predicate.not_matcher.single_predicate
    predicate.input.name = "envoy.matching.inputs.dynamic_metadata"
    values = network_inputs_pb2.DynamicMetadataInput(filter=_VALUES)
    values.path.add(key=pattern.name)
    predicate.input.typed_config.Pack(values)
    condition = metadata_pb2.Metadata()
    condition.value.list_match.one_of.string_match.safe_regex.regex = pattern.expression
    predicate.custom_match.name = "envoy.matching.matchers.metadata_matcher"
    predicate.custom_match.typed_config.Pack(condition)
    matcher.on_match.action.name = "skip"
    matcher.on_match.action.typed_config.Pack(skip_action_pb2.SkipFilter())
    return _filter(f"waf/{pattern.name}", message)


def _limit(index: int, rate: Rate, pace: float) -> HttpFilter:
    """Marks a request that is one too many; it never answers one itself."""
    message = local_rate_limit_pb2.LocalRateLimit(stat_prefix="waf", max_dynamic_descriptors={"value": _TRACKED})
    message.token_bucket.max_tokens = _UNLIMITED  # of requests that are not counted
    message.token_bucket.fill_interval.seconds = 1
    hundred = percent_pb2.FractionalPercent(numerator=100)
    message.filter_enabled.default_value.CopyFrom(hundred)
    message.filter_enforced.default_value.numerator = 0
    marked = message.request_headers_to_add_when_not_enforced.add()
    marked.header.key, marked.header.value = _MARK, "1"
    counted = route_components_pb2.RateLimit.Action()
    counted.metadata.descriptor_key = "key"
    counted.metadata.source = route_components_pb2.RateLimit.Action.MetaData.DYNAMIC
    counted.metadata.metadata_key.key = _RATES
    counted.metadata.metadata_key.path.add(key=f"rule{index}")
    message.rate_limits.add().actions.append(counted)
    descriptor = message.descriptors.add()
    descriptor.entries.add(key="key")
    bucket = descriptor.token_bucket
    bucket.max_tokens = bucket.tokens_per_fill.value = rate.limit
    bucket.fill_interval.FromMilliseconds(max(1, round(rate.window * 1000 / pace)))
    return _filter(f"waf/rate-{index}", message)


def _filter(name: str, message: object) -> HttpFilter:
    found = HttpFilter(name=name)
    found.typed_config.Pack(message)
    return found
