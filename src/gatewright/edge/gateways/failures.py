"""What AWS's refusals mean for a stack: which part of it they are about, and what is left to try again. Pure."""

from __future__ import annotations

from msgspec import Struct

from gatewright.aws.errors import AlreadyExists, AwsError, Invalid, LimitExceeded, NotFound, Unavailable
from gatewright.aws.stack import operations as op
from gatewright.aws.stack.apply import ApplyError, Failure
from gatewright.aws.stack.desired import DesiredMutualAuthentication, Stack
from gatewright.aws.stack.holdings import ActualStack
from gatewright.edge.gateways.narrowing import group_id, listener_id, rule_id, store_id

_FINAL = (Invalid, LimitExceeded, NotFound)
"""What AWS will say again, until what is asked for is something else."""


class Failures(Struct, frozen=True):
    """What went wrong. `refused` are parts of the stack by ID (see `narrowing`), with AWS's reason in words.

    `problems` are all others. `remarks` are what may go wrong yet. `doubtful`: what AWS holds now has to be read.
    """

    refused: dict[str, str] = {}
    problems: tuple[AwsError, ...] = ()
    conflicts: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    """The problems in words."""
    doubtful: bool = False
    remarks: tuple[str, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """What is to be told of the load balancer as a whole, each once."""
        return tuple(dict.fromkeys([*self.conflicts, *self.told]))


def failures_of(error: ApplyError, stack: Stack | None) -> Failures:
    """What an `ApplyError` says of `stack`, which was to be applied; None: everything was to go."""
    refused: dict[str, str] = {}
    problems: list[AwsError] = []
    told: list[str] = []
    doubtful = False
    for failure in error.failures:
        part = _part(failure, stack, error.actual) if stack and _is_final(failure) else ""
        if part:
            refused[part] = _subject(failure.operation) + _words(failure.error)
        else:
            problems.append(failure.error)
            told.append(f"AWS: {_subject(failure.operation)}{failure.error}")
        doubtful = doubtful or isinstance(failure.error, Unavailable | AlreadyExists | NotFound)
    return Failures(refused, tuple(problems), told=tuple(told), doubtful=doubtful)


def _is_final(failure: Failure) -> bool:
    """Whether AWS will say the same again. Without a trust store nobody waits for permission: the port has to close."""
    if isinstance(failure.operation, op.PutBundle | op.CreateTrustStore):
        return not failure.error.retryable
    return isinstance(failure.error, _FINAL)


def _part(failure: Failure, stack: Stack, actual: ActualStack) -> str:
    """The ID of the part of the stack that an operation is about, if it can be left out."""
    match failure.operation:
        case op.CreateRule(port=port, rule=rule) | op.ModifyRule(port=port, rule=rule):
            # Its target groups may be told by their ARNs by now, so it is known by the rest.
            for listener in stack.listeners:
                for each in listener.rules if listener.port == port else ():
                    if (each.conditions, each.origins) == (rule.conditions, rule.origins):
                        return rule_id(port, each)
        case op.CreateTargetGroup(target_group=group):
            for wanted in stack.target_groups:
                if wanted.resource == group.resource:
                    return group_id(wanted)
        case op.CreateListener(listener=listener):
            return _listener_at(listener.port, stack)
        case op.ModifyListener(arn=arn, listener=listener):
            if _verifies(listener.mutual_authentication) and not any(
                arn in each.listeners and _verifies(each.listeners[arn].mutual_authentication)
                for each in actual.load_balancers.values()
            ):
                return _listener_at(listener.port, stack)  # as it is, it lets in anybody
        case op.PutBundle(trust_store=store, arn="") | op.CreateTrustStore(trust_store=store):
            return store_id(store)
    return ""


def _listener_at(port: int, stack: Stack) -> str:
    return next((listener_id(each) for each in stack.listeners if each.port == port), "")


def _verifies(mutual: DesiredMutualAuthentication | None) -> bool:
    return mutual is not None and mutual.mode == "verify"


def _words(error: AwsError) -> str:
    return f"AWS refuses it: {error.message} ({error.code})" + (f"; {error.remedy}" if error.remedy else "")


def _subject(operation: op.Operation) -> str:
    """The setting that an operation is about, where AWS's own words don't name it."""
    match operation:
        case op.SetWebAcl(web_acl=arn):
            return f"wafV2.webACL {arn}: "
        case op.SetLoadBalancerAttributes(attributes=attributes):
            return f"loadBalancerAttributes {', '.join(sorted(attributes))}: "
        case op.SetTargetGroupAttributes(attributes=attributes):
            return f"targetGroupAttributes {', '.join(sorted(attributes))}: "
        case op.PutBundle(trust_store=store) | op.CreateTrustStore(trust_store=store):
            return f"spec.tls.frontend, trust store {store.name} of s3://{store.bucket}/{store.key}: "
        case op.ModifyTrustStore(trust_store=store):
            return f"spec.tls.frontend, trust store {store.name} of s3://{store.bucket}/{store.key}: "
        case op.SetListenerAttributes(attributes=attributes):
            return f"listenerAttributes {', '.join(sorted(attributes))}: "
    return ""
