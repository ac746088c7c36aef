"""The targets' security groups let in the load balancers of the cluster, and nothing else of them is touched."""

from __future__ import annotations

from typing import Any

from tests.aws_stack.stack_world import EAGER, Account

from gatewright.aws.gateways.access import MARKER, AccessPiece, SharedAccess, shared_access
from gatewright.aws.stack.access import apply_access, plan_access, read_access
from gatewright.aws.stack.desired import BACKEND_GROUP, SecurityRule
from gatewright.local.aws.faults import Fault


def wanted(account: Account, *ports: int, cluster: str = "gatewright") -> SharedAccess:
    rules = frozenset(SecurityRule("tcp", port, port, security_group=BACKEND_GROUP) for port in ports)
    ingress = {account.seeded.node_security_group: rules} if rules else {}
    pieces = [AccessPiece(account.seeded.vpc, True, ingress)] if ports else []
    return shared_access(cluster, pieces)


async def bring_about(account: Account, asked: SharedAccess) -> list[str]:
    actual = await read_access(account.aws, asked.cluster)
    todo = plan_access(asked, actual)
    actual = await apply_access(account.aws, actual, todo, patience=EAGER)
    assert plan_access(asked, actual).empty
    assert plan_access(asked, await read_access(account.aws, asked.cluster)).empty
    return [type(operation).__name__ for operation in todo.operations]


async def marked(account: Account) -> list[tuple[int, int]]:
    answer = await account.aws.call("ec2", "describe_security_groups", GroupIds=[account.seeded.node_security_group])
    return sorted(
        (raw["FromPort"], raw["ToPort"])
        for raw in answer["SecurityGroups"][0]["IpPermissions"]
        for pair in raw.get("UserIdGroupPairs", [])
        if pair.get("Description") == MARKER
    )


async def permit(account: Account, **source: Any) -> None:
    permission = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, **source}
    await account.aws.call(
        "ec2",
        "authorize_security_group_ingress",
        GroupId=account.seeded.node_security_group,
        IpPermissions=[permission],
    )


async def test_made_widened_and_removed(account: Account) -> None:
    assert await bring_about(account, wanted(account, 80)) == ["CreateSecurityGroup", "AuthorizeIngress"]
    assert await marked(account) == [(80, 80)]
    # More is let in before less is.
    assert await bring_about(account, wanted(account, 80, 8080)) == ["AuthorizeIngress", "RevokeIngress"]
    assert await marked(account) == [(80, 8080)]
    assert await bring_about(account, wanted(account)) == ["RevokeIngress", "DeleteSecurityGroup"]
    assert await marked(account) == []
    assert account.everything() == []


async def test_what_others_let_in_stays(account: Account) -> None:
    await permit(account, IpRanges=[{"CidrIp": "10.9.0.0/16", "Description": "admins"}])
    other = await bring_about(account, wanted(account, 80, cluster="other"))
    assert other == ["CreateSecurityGroup", "AuthorizeIngress"]
    await bring_about(account, wanted(account, 8080))
    assert await marked(account) == [(80, 80), (8080, 8080)]
    await bring_about(account, wanted(account))
    assert await marked(account) == [(80, 80)]
    answer = await account.aws.call("ec2", "describe_security_groups", GroupIds=[account.seeded.node_security_group])
    assert "10.9.0.0/16" in str(answer)


async def test_a_range_of_addresses_that_is_ours_goes_when_it_is_not_needed(account: Account) -> None:
    await permit(account, IpRanges=[{"CidrIp": "10.0.0.0/24", "Description": MARKER}])
    assert await bring_about(account, wanted(account)) == ["RevokeIngress"]


async def test_answers_that_get_lost(account: Account) -> None:
    for operation in ("CreateSecurityGroup", "AuthorizeSecurityGroupIngress", "RevokeSecurityGroupIngress"):
        account.server.faults.inject(Fault("reset", "ec2", operation, count=1, after=True))
    await bring_about(account, wanted(account, 80))
    await bring_about(account, wanted(account, 81))
    assert await marked(account) == [(81, 81)]
    assert len(account.everything()) == 1
