"""What becomes of a route's rules, and what its status says of that (Gateway API, RouteStatus)."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct, structs

from gatewright.flow import Context
from gatewright.model.gateway.shared import RouteParentStatus
from gatewright.resolve.attachment import Attachment
from gatewright.resolve.conditions import condition
from gatewright.resolve.dialects import Dialect
from gatewright.resolve.inputs import Inputs, Route, origin
from gatewright.topology import RefusalKey, Rule, Stream


class Refused(Struct, frozen=True):
    """Why a reference leads nowhere: a reason of the ResolvedRefs condition, and the whole story."""

    reason: str
    message: str


class Unsupported(Exception):
    """A part of a rule that can't be served as it says; the text names the field, `reason` is of the condition."""

    def __init__(self, message: str, reason: str = "UnsupportedValue") -> None:
        super().__init__(message)
        self.reason = reason


class Problem(Struct, frozen=True):
    """Why a rule can't be served as it says: a reason of the Accepted condition, and the whole story."""

    reason: str
    message: str

    @classmethod
    def of(cls, error: Unsupported) -> Problem:
        """What an exception says."""
        return cls(error.reason, str(error))


class Outcome(Struct, frozen=True):
    """What became of one rule of a route: a topology rule for each match, or one stream.

    `refused` are the references that lead nowhere, `problem` is why the rule can't be served as it says, `notes` name
    what it is served without.
    """

    rules: tuple[Rule, ...] = ()
    streams: tuple[Stream, ...] = ()
    refused: tuple[Refused, ...] = ()
    problem: Problem | None = None
    notes: tuple[str, ...] = ()


def heed_rejection(
    ctx: Context, inputs: Inputs, route: Route, outcomes: Sequence[Outcome], dialect: Dialect
) -> Sequence[Outcome]:
    """The outcomes where the proxy has refused the route as it is: nothing of it is served."""
    rejection = ctx.get(inputs.rejections, (route.kind, route.key)) if dialect.heeds_rejections else None
    if rejection is None or rejection.version != origin(route).version:
        return outcomes
    problem = Problem("UnsupportedValue", f"the proxy refused the route: {rejection.message}")
    return [structs.replace(outcome, rules=(), streams=(), problem=problem) for outcome in outcomes]


def heed_refusals(
    ctx: Context, inputs: Inputs, route: Route, attachment: Attachment, outcomes: Sequence[Outcome]
) -> Sequence[Outcome]:
    """The outcomes on one Gateway where its target leaves rules out, or serves the route without something."""
    if not attachment.listeners:
        return outcomes
    refusals = ctx.get(inputs.refusals, RefusalKey(route.kind, route.key, attachment.listeners[0].gateway))
    version = origin(route).version
    told = list(outcomes)
    for refusal in refusals or ():
        if refusal.version != version or (refusal.rule or 0) >= len(told):
            continue
        index = refusal.rule or 0
        outcome = told[index]
        if refusal.rule is None:
            told[index] = structs.replace(outcome, notes=(*outcome.notes, refusal.message))
        elif outcome.problem is None:
            told[index] = structs.replace(outcome, problem=Problem(refusal.reason, refusal.message))
    return told


def parent_status(route: Route, attachment: Attachment, outcomes: Sequence[Outcome]) -> RouteParentStatus:
    """What the route's status says of one parentRef."""
    generation = route.metadata.generation
    problems = [outcome.problem for outcome in outcomes if outcome.problem]
    complaints = "; ".join(dict.fromkeys(problem.message for problem in problems))
    if attachment.accepted and problems and len(problems) == len(outcomes):
        accepted = condition("Accepted", False, problems[0].reason, complaints, generation)
        partial = []
    else:
        notes = [note for outcome in outcomes for note in outcome.notes] if attachment.accepted else []
        message = "; served without ".join([attachment.message, *notes])
        accepted = condition("Accepted", attachment.accepted, attachment.reason, message, generation)
        partial = problems if attachment.accepted else []
    refused = [refused for outcome in outcomes for refused in outcome.refused]
    reason = refused[0].reason if refused else "ResolvedRefs"
    message = "; ".join(item.message for item in refused) or "every reference is resolved"
    conditions = [accepted, condition("ResolvedRefs", not refused, reason, message, generation)]
    if partial:
        # The first words are the specification's (RouteConditionPartiallyInvalid).
        message = f"Dropped Rule: {complaints}"
        conditions.append(condition("PartiallyInvalid", True, "UnsupportedValue", message, generation))
    return RouteParentStatus(
        parent_ref=attachment.parent, controller_name=attachment.controller, conditions=tuple(conditions)
    )


def noted(status: RouteParentStatus, notes: Sequence[str]) -> RouteParentStatus:
    """The status with more said in its Accepted condition."""
    accepted, *others = status.conditions
    message = "; ".join([accepted.message, *notes])
    holds = accepted.status == "True"
    accepted = condition(accepted.type, holds, accepted.reason, message, accepted.observed_generation)
    return structs.replace(status, conditions=(accepted, *others))
