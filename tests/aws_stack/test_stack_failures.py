"""AWS on a bad day, a process that ends anywhere: the end is the same, nothing is there twice, nothing stays behind."""

from __future__ import annotations

from typing import Any

import pytest
from tests.aws_stack.any_stack import picture, wanted_picture
from tests.aws_stack.stack_world import BUCKET, EAGER, KEY, Account, imported, listener, rule, trusted

from gatewright.aws import AccessDenied, Aws, NotFound, Unavailable
from gatewright.aws.stack.actual import read
from gatewright.aws.stack.apply import ApplyError, apply
from gatewright.aws.stack.desired import DesiredMutualAuthentication, Stack
from gatewright.aws.stack.plan import plan
from gatewright.local.aws.faults import Fault

VERIFIED = DesiredMutualAuthentication("verify", "frontend")
_READING = ("describe", "list", "get")


def life(account: Account) -> list[Stack | None]:
    """A stack is made, changed in most ways, put elsewhere, and removed."""
    first = account.stack(
        listener(rule("/*", "shop/web:80"), port=80),
        listener(
            rule("/metrics"),
            rule("/api/*", "shop/api:80"),
            port=443,
            protocol="HTTPS",
            certificates=("shop/tls", "shop/more"),
            mutual_authentication=VERIFIED,
            attributes={"routing.http.response.server.enabled": "false"},
        ),
        certificates=(imported("shop/tls"), imported("shop/more")),
        trust_stores=(trusted(),),
        balancer={"attributes": {"idle_timeout.timeout_seconds": "30"}},
    )
    second = account.stack(
        listener(rule("/new", "shop/api:80"), rule("/*", "shop/web:80"), port=8080),
        listener(
            rule("/api/*", "shop/api:80", tags={"team": "a"}),
            rule("/metrics"),
            port=443,
            protocol="HTTPS",
            certificates=("shop/tls",),
            mutual_authentication=VERIFIED,
        ),
        certificates=(imported("shop/tls", version=1),),
        trust_stores=(trusted(version=1),),
        target_groups=(account.group("shop/web:80", ("10.0.1.2",)), account.group("shop/api:80", port=81)),
        balancer={"tags": {"team": "a"}, "subnets": account.stack().load_balancer.subnets[:2]},
    )
    third = account.stack(
        listener(rule("/*", "shop/web:80")),
        balancer={"scheme": "internet-facing", "subnets": tuple(map(_subnet, account.seeded.public))},
    )
    return [first, second, third, None]


def _subnet(subnet: str) -> Any:
    from gatewright.aws.stack.desired import SubnetMapping

    return SubnetMapping(subnet)


async def is_there(account: Account, desired: Stack | None) -> None:
    found = await account.read(desired=desired)
    if desired is None:
        assert account.everything() == [found.backend_group]
        return
    assert picture(found, desired) == wanted_picture(desired)
    # One load balancer, its security group and the shared one, its target groups, certificates and trust stores with
    # what they are made from, and nothing else.
    further = len(desired.target_groups) + len(desired.certificates) + 2 * len(desired.trust_stores)
    assert len(account.everything()) == 3 + further


async def bring_about(aws: Aws, desired: Stack | None) -> bool:
    """One run of a controller's loop; whether nothing was left to do."""
    try:
        actual = await read(aws, KEY, desired=desired, bucket=BUCKET)
        todo = plan(desired, actual)
        await apply(aws, actual, todo, patience=EAGER)
    except (ApplyError, AccessDenied, Unavailable):
        return False
    return todo.empty


async def settle(aws: Aws, desired: Stack | None) -> int:
    """Until nothing is left to do; how many runs that took."""
    for runs in range(1, 30):
        if await bring_about(aws, desired):
            return runs
    raise AssertionError("it doesn't settle")


@pytest.mark.parametrize(
    ("kind", "after"),
    [
        ("throttle", False),
        ("internal-error", False),
        ("internal-error", True),
        ("reset", False),
        ("reset", True),
    ],
    ids=["throttled", "500", "done but answered 500", "cut off before", "cut off after"],
)
async def test_the_first_call_of_every_operation_fails(account: Account, kind: Any, after: bool) -> None:
    for desired in life(account):
        for service, operation in _OPERATIONS:
            account.server.faults.inject(Fault(kind, service, operation, count=1, after=after))
        assert await settle(account.aws, desired) <= 3
        account.server.faults.clear()
        await is_there(account, desired)


_OPERATIONS = [
    ("elbv2", "*LoadBalancer*"),
    ("elbv2", "*Listeners"),
    ("elbv2", "CreateListener"),
    ("elbv2", "ModifyListener"),
    ("elbv2", "DeleteListener"),
    ("elbv2", "*ListenerAttributes"),
    ("elbv2", "AddListenerCertificates"),
    ("elbv2", "RemoveListenerCertificates"),
    ("elbv2", "CreateRule"),
    ("elbv2", "ModifyRule"),
    ("elbv2", "SetRulePriorities"),
    ("elbv2", "DeleteRule"),
    ("elbv2", "DescribeRules"),
    ("elbv2", "CreateTargetGroup"),
    ("elbv2", "DeleteTargetGroup"),
    ("elbv2", "*TargetGroupAttributes"),
    ("elbv2", "RegisterTargets"),
    ("elbv2", "DeregisterTargets"),
    ("elbv2", "*Tags"),
    ("ec2", "CreateSecurityGroup"),
    ("ec2", "*SecurityGroupIngress"),
    ("ec2", "DeleteSecurityGroup"),
    ("ec2", "DescribeSecurityGroups"),
    ("acm", "ImportCertificate"),
    ("acm", "DeleteCertificate"),
    ("acm", "ListCertificates"),
    ("acm", "*Tags*"),
    ("elbv2", "CreateTrustStore"),
    ("elbv2", "ModifyTrustStore"),
    ("elbv2", "DeleteTrustStore"),
    ("elbv2", "DescribeTrustStores"),
    ("s3", "PutObject"),
    ("s3", "DeleteObject"),
    ("s3", "ListObjectsV2"),
]


class Stumbling(Aws):
    """AWS for a process in which the write with this number is denied, or is the last thing it does."""

    def __init__(self, aws: Aws, number: int, *, dies: bool) -> None:
        self.calls = aws.calls
        self._aws = aws
        self._left = number
        self._dies = dies
        self.stumbled = False

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        if self.stumbled and self._dies:
            raise Unavailable("Closed", "the process has ended", f"{service}:{operation}")
        if operation.startswith(_READING):
            return await self._aws.call(service, operation, **parameters)
        self._left -= 1
        if self._left != 0:
            return await self._aws.call(service, operation, **parameters)
        self.stumbled = True
        if not self._dies:
            raise AccessDenied("AccessDenied", "not permitted", f"{service}:{operation}")
        await self._aws.call(service, operation, **parameters)
        raise Unavailable("Closed", "the process has ended", f"{service}:{operation}")

    async def pages(self, service: str, operation: str, items: str, **parameters: Any) -> list[Any]:
        if self.stumbled and self._dies:
            raise Unavailable("Closed", "the process has ended", f"{service}:{operation}")
        return await self._aws.pages(service, operation, items, **parameters)


@pytest.mark.parametrize("dies", [False, True], ids=["denied once", "the process ends"])
async def test_it_may_be_stopped_at_any_write(account: Account, dies: bool) -> None:
    for desired in life(account):
        for number in range(1, 4) if desired is None else (1, 2, 3, 5, 8, 13):
            aws = Stumbling(account.aws, number, dies=dies)
            if await bring_about(aws, desired) or not aws.stumbled:
                break
        await settle(account.aws, desired)
        await is_there(account, desired)


@pytest.mark.parametrize("dies", [False, True], ids=["denied once", "the process ends"])
async def test_each_write_of_a_new_stack_in_turn(account: Account, dies: bool) -> None:
    desired = life(account)[0]
    number = 1
    while True:
        account.reset()
        desired = life(account)[0]
        aws = Stumbling(account.aws, number, dies=dies)
        await bring_about(aws, desired)
        if not aws.stumbled:
            break
        await settle(account.aws, desired)
        await is_there(account, desired)
        number += 1
    assert number > 15


async def test_what_fails_keeps_only_what_depends_on_it_from_being_done(account: Account) -> None:
    bad = rule("/bad", actions=(_loop(),))
    desired = account.stack(listener(rule("/a", "shop/web:80"), bad, rule("/b", "shop/web:80")))
    actual = await account.read()
    with pytest.raises(ApplyError) as caught:
        await apply(account.aws, actual, plan(desired, actual), patience=EAGER)
    (failure,) = caught.value.failures
    assert failure.operation.rule == bad  # type: ignore[union-attr]
    assert "loop" in str(failure.error)
    assert not caught.value.retryable
    assert caught.value.skipped == ()
    found = await account.read(desired=desired)
    assert (
        found == caught.value.actual or plan(desired, found).operations == plan(desired, caught.value.actual).operations
    )
    (balancer,) = found.load_balancers.values()
    (port,) = balancer.listeners.values()
    assert sorted(each.conditions[0].values for each in port.rules.values()) == [("/a",), ("/b",)]


def _loop() -> Any:
    from gatewright.aws.stack.desired import RedirectTo

    return RedirectTo("HTTP_301")


async def test_a_certificate_is_not_imported_twice_when_the_answer_gets_lost(account: Account) -> None:
    desired = account.stack(
        listener(port=443, protocol="HTTPS", certificates=("shop/tls",)), certificates=(imported("shop/tls"),)
    )
    account.server.faults.inject(Fault("reset", "acm", "ImportCertificate", count=2, after=True))
    _, actual = await account.become(desired)
    assert len(actual.certificates) == 1
    assert len([arn for arn in account.everything() if ":acm:" in arn]) == 1


async def test_duplicates_that_a_crash_left_are_removed(account: Account) -> None:
    desired = account.stack(
        listener(rule("/*", "shop/web:80"), port=443, protocol="HTTPS", certificates=("shop/tls",)),
        certificates=(imported("shop/tls"),),
    )
    _, actual = await account.become(desired)
    (certificate,) = desired.certificates
    tags = [{"Key": key, "Value": value} for key, value in next(iter(actual.certificates.values())).tags.items()]
    await account.aws.call(
        "acm", "import_certificate", Certificate=certificate.chain, PrivateKey=certificate.private_key, Tags=tags
    )
    group = next(iter(actual.target_groups.values()))
    await account.aws.call(
        "elbv2",
        "create_target_group",
        Name="left-over",
        Protocol="HTTP",
        Port=80,
        VpcId=account.seeded.vpc,
        TargetType="ip",
        Tags=[{"Key": key, "Value": value} for key, value in group.tags.items()],
    )
    made, _ = await account.become(desired)
    assert sorted(type(operation).__name__ for operation in made.operations) == [
        "DeleteCertificate",
        "DeleteTargetGroup",
    ]
    await is_there(account, desired)


class Forgetful(Aws):
    """AWS that doesn't know what it has just made, once for each operation."""

    def __init__(self, aws: Aws) -> None:
        self.calls = aws.calls
        self._aws = aws
        self._told: set[str] = set()

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        if operation in ("create_listener", "create_rule", "register_targets") and operation not in self._told:
            self._told.add(operation)
            raise NotFound("NotFound", "no such thing", f"{service}:{operation}")
        return await self._aws.call(service, operation, **parameters)

    async def pages(self, service: str, operation: str, items: str, **parameters: Any) -> list[Any]:
        return await self._aws.pages(service, operation, items, **parameters)


async def test_what_was_just_made_may_not_be_known_everywhere(account: Account) -> None:
    desired = account.stack(listener(rule("/*", "shop/web:80")))
    actual = await account.read()
    await apply(Forgetful(account.aws), actual, plan(desired, actual), patience=EAGER)
    await is_there(account, desired)
    found = await account.read(desired=desired)
    more = account.stack(listener(rule("/*", "shop/web:80"), rule("/new")))
    with pytest.raises(ApplyError):  # of what was there before, the same means that it has gone
        await apply(Forgetful(account.aws), found, plan(more, found), patience=EAGER)
