"""Carries out one operation, as often as it takes.

Every operation can be repeated without doing it twice: what an answer got lost of is found, and recognised by its tags.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gatewright.aws import views
from gatewright.aws.client import Aws
from gatewright.aws.errors import AlreadyExists, AwsError, InUse, NotFound, Throttled, Unavailable
from gatewright.aws.stack import adoption
from gatewright.aws.stack import operations as op
from gatewright.aws.stack.actual import read_listener, read_rule
from gatewright.aws.stack.calls import Call, calls_of
from gatewright.aws.stack.desired import StackKey
from gatewright.aws.stack.effects import Made
from gatewright.aws.stack.patience import Patience, Patient
from gatewright.aws.stack.references import References

_REMOVING = (
    op.DeleteCertificate,
    op.DeleteTrustStore,
    op.DeleteBundle,
    op.DeleteSecurityGroup,
    op.DeleteLoadBalancer,
    op.DeleteTargetGroup,
    op.DeleteListener,
    op.DeleteRule,
    op.DeregisterTargets,
    op.RevokeIngress,
    op.UnprotectFromShield,
)
_UNKNOWN = frozenset({"InvalidSecurityGroup"})
"""What AWS says, besides that it isn't found, of something that was just made and isn't known everywhere yet."""


async def carry_out(aws: Aws, operation: op.Operation, key: StackKey, names: References, patience: Patience) -> Made:
    """Carry out an operation on a stack's things; the answer is what was made or changed. Raises `AwsError`.

    `names` learns what the thing is that was made.
    """
    made: Made = None
    for call in calls_of(operation, names):
        answer = await _send(aws, operation, call, key, names, patience)
        made = made or _made(answer)
    if made is not None:
        names.learn(operation, made if isinstance(made, str) else made.arn)
    return made


async def _send(
    aws: Aws, operation: op.Operation, call: Call, key: StackKey, names: References, patience: Patience
) -> Mapping[str, Any]:
    """One call, as often as it takes. What an earlier attempt has done already is not done again."""
    looking = Patient(aws, patience)
    for attempt in range(patience.attempts):
        try:
            found = await adoption.before(looking, operation, unsure=attempt > 0)
            if found is not None:
                return found
            answer = await aws.call(call.service, call.operation, **call.parameters)
            await adoption.check(looking, operation, key, answer)
            return answer
        except NotFound:
            if isinstance(operation, op.RevokeIngress):
                await adoption.revoke_what_is_there(looking, operation, names)
            if isinstance(operation, _REMOVING):
                return {}
            if not names.in_use_by(call.parameters) or attempt + 1 == patience.attempts:
                raise
        except (AlreadyExists, InUse) as error:
            found = await adoption.instead(looking, operation, key, names, error)
            if found is not None:
                return found
            if error.code == "PriorityInUse" or not error.retryable or attempt + 1 == patience.attempts:
                raise
        except (Throttled, Unavailable):
            if attempt + 1 == patience.attempts:
                raise
        except AwsError as error:
            soon = error.code in _UNKNOWN and names.in_use_by(call.parameters)
            if not soon or attempt + 1 == patience.attempts:
                raise
        await patience.wait(attempt)
    raise AssertionError("there is at least one attempt")


def _made(answer: Mapping[str, Any]) -> Made:
    if answer.get("LoadBalancers"):
        return views.read_load_balancer(answer["LoadBalancers"][0])
    if answer.get("TargetGroups"):
        return views.read_target_group(answer["TargetGroups"][0])
    if answer.get("Listeners"):
        return read_listener(answer["Listeners"][0])
    for raw in answer.get("TrustStores") or ():
        return str(raw["TrustStoreArn"])
    for raw in answer.get("Rules") or ():
        return read_rule(raw, {})
    for name in ("CertificateArn", "GroupId", "ProtectionId"):
        if answer.get(name):
            return str(answer[name])
    return None
