"""Rules before they are cut to the size that AWS allows: alternatives kept together as long as they can be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import NamedTuple

from msgspec import Struct, structs

from gatewright.aws.configuration.settings import RuleSettings
from gatewright.aws.rules.actions import NO_SETTINGS, Deeds, Doing, RuleContext, deeds, instead, settings_of
from gatewright.aws.rules.conditions import (
    ANY_PATH,
    Dimension,
    as_dimension,
    below,
    given_dimensions,
    hosts_dimension,
    match_part,
    path_dimension,
    too_many,
)
from gatewright.aws.rules.fitting import forms, separated, spread
from gatewright.aws.rules.refused import Refused
from gatewright.aws.stack.desired import Action, DesiredRule, Transform
from gatewright.resolve.hostnames import ANY
from gatewright.topology import Origin, PathMatch, Rule, RuleKey


class RuleRefusal(Struct, frozen=True):
    """What an ALB can't do of a rule: its requests get an error, or if not `dropped` it is served without something."""

    rule: RuleKey
    origin: Origin
    message: str
    dropped: bool = True


class Draft(Struct, frozen=True):
    """A rule with any number of alternatives. `source` is the rule of a route that it comes from."""

    source: RuleKey
    hosts: tuple[str, ...]
    dimensions: tuple[Dimension, ...]
    actions: tuple[Action, ...]
    transforms: tuple[Transform, ...]
    tags: dict[str, str]
    origins: tuple[Origin, ...]

    @property
    def takes_all(self) -> bool:
        """Whether it takes each request for its hosts."""
        return all(dimension.field == "host-header" for dimension in self.dimensions)


class Drafted(NamedTuple):
    """The drafts of one match, in order, and what is to be said of it."""

    drafts: list[Draft]
    refusals: list[RuleRefusal]


def draft(rule: Rule, hosts: Sequence[str], context: RuleContext) -> Drafted:
    """What becomes of one match of a rule for some hosts: nothing where its match can't be expressed."""
    settings, problem = NO_SETTINGS, ""
    try:
        settings = settings_of(rule, context)
    except Refused as refused:
        problem = str(refused)
    names = tuple(hosts) if settings.all_conditions is None else (ANY,)
    try:
        wanted, remarks = _wanted(rule, settings, names, context)
    except Refused as refused:
        return Drafted([], [RuleRefusal(rule.key, rule.origin, problem or str(refused))])
    done = Deeds((Doing((instead(rule),)),))
    if not problem:
        try:
            done = deeds(rule, settings, hosts, context)
        except Refused as refused:
            problem = str(refused)
    drafts = [
        Draft(
            rule.key._replace(match=0),
            doing.hosts or names,
            dimensions,
            doing.actions,
            doing.transforms,
            settings.tags,
            (rule.origin,),
        )
        for doing in done.doings
        for dimensions in _with_hosts(_narrowed(wanted, doing, rule), doing.hosts or names, context)
    ]
    if problem:
        return Drafted(drafts, [RuleRefusal(rule.key, rule.origin, problem)])
    remarks += done.remarks
    return Drafted(drafts, [RuleRefusal(rule.key, rule.origin, remark, dropped=False) for remark in remarks])


def _wanted(
    rule: Rule, settings: RuleSettings, hosts: Sequence[str], context: RuleContext
) -> tuple[tuple[Dimension, ...], tuple[str, ...]]:
    """The conditions of a match but for those on the Host, and remarks. Raises `Refused` for what can't be one rule."""
    remarks: tuple[str, ...] = ()
    if settings.all_conditions is None:
        part = match_part(rule.match, rule.origin.field)
        found, remarks = part.dimensions, part.remarks
    else:
        found = tuple(as_dimension(each, str(number)) for number, each in enumerate(settings.all_conditions))
    found += tuple(given_dimensions(settings.conditions, rule))
    for dimensions in _with_hosts(found, hosts, context):
        if spread(dimensions) is None:
            raise too_many(dimensions, rule.origin)
    return found, remarks


def _narrowed(dimensions: tuple[Dimension, ...], doing: Doing, rule: Rule) -> tuple[Dimension, ...]:
    """The conditions of what is done with a part of the match's paths."""
    if doing.part == "all":
        return dimensions
    others = tuple(each for each in dimensions if each.field != "path-pattern")
    if doing.part == "below":
        return (below(rule.match.path), *others)
    exactly = path_dimension(PathMatch("Exact", rule.match.path.value.rstrip("/")), rule.origin.field)
    return (exactly, *others) if exactly else others


def _with_hosts(
    dimensions: tuple[Dimension, ...], hosts: Iterable[str], context: RuleContext
) -> list[tuple[Dimension, ...]]:
    """The conditions with that on the Host, as many times as options need different forms."""
    host = hosts_dimension(tuple(hosts), context.port)
    wanted = (host, *dimensions) if host else dimensions
    return list(product(*(separated(each) for each in wanted)))


# --- together, and apart again ---------------------------------------------------------------------------------------


def joined(drafts: Iterable[Draft]) -> list[Draft]:
    """The drafts, with neighbours of one route's rule as one where they differ in one condition only."""
    found: list[Draft] = []
    for each in drafts:
        both = _join(found[-1], each) if found else None
        if both:
            found[-1] = both
        else:
            found.append(each)
    return found


def _join(one: Draft, other: Draft) -> Draft | None:
    if (one.source, one.hosts, one.actions, one.transforms, one.tags) != (
        other.source,
        other.hosts,
        other.actions,
        other.transforms,
        other.tags,
    ):
        return None
    if [(each.field, each.name) for each in one.dimensions] != [(each.field, each.name) for each in other.dimensions]:
        return None
    differing = [at for at, each in enumerate(one.dimensions) if each != other.dimensions[at]]
    if len(differing) > 1:
        return None
    dimensions = list(one.dimensions)
    for at in differing:
        options = dict.fromkeys((*one.dimensions[at].options, *other.dimensions[at].options))
        dimensions[at] = structs.replace(dimensions[at], options=tuple(options))
        if not forms(dimensions[at]):
            return None
    apart = [spread(each.dimensions or (ANY_PATH,)) for each in (one, other)]
    together = spread(tuple(dimensions) or (ANY_PATH,))
    if together is None or len(together) > sum(len(each) for each in apart if each):
        return None
    return structs.replace(one, dimensions=tuple(dimensions), origins=(*one.origins, *other.origins))


def rules_of(drafts: Iterable[Draft]) -> Iterator[DesiredRule]:
    """The rules that AWS gets, each within its quotas."""
    for each in drafts:
        # What a draft has been made of fits, and so does what it was joined with.
        for conditions in spread(each.dimensions or (ANY_PATH,)) or ():
            yield DesiredRule(conditions, each.actions, each.transforms, each.tags, tuple(dict.fromkeys(each.origins)))
