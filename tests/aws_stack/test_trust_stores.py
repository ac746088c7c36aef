"""Trust stores and what they are made from in S3: there before a listener needs them, changed in place, gone after."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs
from tests.aws_stack.any_stack import picture, wanted_picture
from tests.aws_stack.stack_world import BUCKET, EAGER, KEY, Account, imported, listener, rule, trusted

from gatewright.aws import AlreadyExists, Aws
from gatewright.aws.errors import classify
from gatewright.aws.stack import operations as op
from gatewright.aws.stack.actual import read_all
from gatewright.aws.stack.apply import ApplyError, apply
from gatewright.aws.stack.desired import DesiredMutualAuthentication, DesiredTrustStore, Stack, StackKey, SubnetMapping
from gatewright.aws.stack.holdings import Bundle, stack_of_bundle
from gatewright.aws.stack.plan import plan
from gatewright.aws.stack.quotas import VERIFYING_LISTENERS, check
from gatewright.local.aws.backends import LOCK, backend


def verifying(account: Account, *stores: DesiredTrustStore, **parts: object) -> Stack:
    """An HTTPS listener for each trust store; one without any where there is none."""
    verified = [DesiredMutualAuthentication("verify", each.resource) for each in stores]
    modes: list[DesiredMutualAuthentication | None] = [*verified] or [None]
    listeners = [
        listener(
            rule("/*"),
            port=443 + number,
            protocol="HTTPS",
            certificates=("shop/tls",),
            mutual_authentication=mode,
        )
        for number, mode in enumerate(modes)
    ]
    return account.stack(*listeners, certificates=(imported("shop/tls"),), trust_stores=stores, **parts)


def kinds(operations: object) -> list[str]:
    assert isinstance(operations, tuple)
    return [type(each).__name__ for each in operations]


async def test_it_is_there_before_the_listener_and_goes_after_it(account: Account) -> None:
    desired = verifying(account, trusted())
    todo, _ = await account.become(desired)
    number = {type(step.operation): place for place, step in enumerate(todo.steps)}
    assert number[op.PutBundle] in todo.steps[number[op.CreateTrustStore]].after
    assert number[op.CreateTrustStore] in todo.steps[number[op.CreateListener]].after
    found = await account.read(desired=desired)
    assert picture(found, desired) == wanted_picture(desired)
    assert plan(desired, found).empty

    todo, _ = await account.become(verifying(account))
    assert kinds(todo.operations) == ["ModifyListener", "DeleteBundle", "DeleteTrustStore"]
    steps = {type(step.operation): step.after for step in todo.steps}
    assert 0 in steps[op.DeleteBundle]
    assert {0, 1} <= {*steps[op.DeleteTrustStore]}
    assert account.objects() == []


async def test_other_authorities_cost_the_listener_nothing(account: Account) -> None:
    await account.become(verifying(account, trusted()))
    desired = verifying(account, trusted(version=1))
    todo, actual = await account.become(desired)
    assert kinds(todo.operations) == ["PutBundle", "ModifyTrustStore", "SetTags"]
    assert [(each.action, each.thing) for each in todo.changes] == [("change", "S3 object"), ("change", "trust store")]
    (store,) = actual.trust_stores.values()
    with LOCK:
        assert backend("elbv2").trust_stores[store.arn].bundle == desired.trust_stores[0].bundle


async def test_a_change_that_was_broken_off_is_made_again(account: Account) -> None:
    """What is in a trust store is told by its tags, which come last."""
    _, actual = await account.become(verifying(account, trusted()))
    desired = verifying(account, trusted(version=1))
    (store,) = actual.trust_stores
    with LOCK:
        backend("s3").put_object(BUCKET, desired.trust_stores[0].key, desired.trust_stores[0].bundle)
    todo, _ = await account.become(desired)
    assert kinds(todo.operations) == ["PutBundle", "ModifyTrustStore", "SetTags"]
    assert [*(await account.read()).trust_stores] == [store]


async def test_another_bucket_takes_over(account: Account) -> None:
    with LOCK:
        backend("s3").create_bucket("another", "us-east-1")
    await account.become(verifying(account, trusted()))
    desired = verifying(account, trusted(bucket="another"))
    todo, _ = await account.become(desired)
    assert kinds(todo.operations) == ["PutBundle", "ModifyTrustStore", "SetTags", "DeleteBundle"]
    assert (account.objects(), len(account.objects("another"))) == ([], 1)
    found = await account.read(desired=desired, bucket="another")
    assert plan(desired, found).empty


async def test_what_a_crash_left_in_the_bucket_is_known_by_its_name(account: Account) -> None:
    left = trusted()
    others = ("gatewright/other/alb/shop/edge/frontend.pem", "gatewright/prod/alb/shop/edge-2/frontend.pem", "mine.pem")
    with LOCK:
        for key in (left.key, *others):
            backend("s3").put_object(BUCKET, key, b"-")
    assert {*await read_all(account.aws, "prod", bucket=BUCKET)} == {KEY, StackKey("prod", "alb", "shop/edge-2")}
    todo, after = await account.become(None)
    assert todo.operations == (op.DeleteBundle(BUCKET, left.key),)
    assert not after
    assert account.objects() == list(others)


async def test_without_a_bucket_that_can_be_listed_everything_else_is_known(account: Account) -> None:
    desired = verifying(account, trusted())
    await account.become(desired)
    for bucket in ("", "no-such-bucket"):
        found = await account.read(desired=desired, bucket=bucket)
        assert picture(found, desired) == wanted_picture(desired)
    await account.become(None)
    assert account.objects() == []


async def test_one_that_is_somebody_elses_is_left_alone(account: Account) -> None:
    with LOCK:
        backend("s3").put_object(BUCKET, "mine.pem", trusted().bundle)
    name = trusted().name
    await account.aws.call(
        "elbv2",
        "create_trust_store",
        Name=name,
        CaCertificatesBundleS3Bucket=BUCKET,
        CaCertificatesBundleS3Key="mine.pem",
    )
    with pytest.raises(ApplyError) as caught:
        await account.become(verifying(account, trusted()))
    (failure,) = caught.value.failures
    assert isinstance(failure.error, AlreadyExists)
    assert f"a trust store named {name} exists in this account and region" in str(failure.error)
    await account.become(None)
    with LOCK:
        (kept,) = backend("elbv2").trust_stores.values()
    assert kept.name == name


async def test_one_that_a_replaced_load_balancer_serves_with_stays_as_long_as_that(account: Account) -> None:
    _, actual = await account.become(verifying(account, trusted("frontend:443")))
    (old,) = actual.load_balancers
    public = {"scheme": "internet-facing", "subnets": tuple(map(SubnetMapping, account.seeded.public))}
    desired = verifying(account, trusted("frontend"), balancer=public)
    _, actual = await account.become(desired, keep=[old])
    assert len(actual.trust_stores) == len(account.objects()) == 2
    assert plan(desired, actual, keep=[old]).empty
    _, actual = await account.become(desired)
    assert len(actual.trust_stores) == len(account.objects()) == 1


class Hesitant(Aws):
    """AWS while it is still reading the bundle of a new trust store."""

    def __init__(self, aws: Aws) -> None:
        self.calls = aws.calls
        self._aws = aws
        self._left = 2

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        if operation == "create_listener" and self._left:
            self._left -= 1
            raise classify("TrustStoreNotReady", 400)("TrustStoreNotReady", "not active", "elbv2:create_listener")
        return await self._aws.call(service, operation, **parameters)

    async def pages(self, service: str, operation: str, items: str, **parameters: Any) -> list[Any]:
        return await self._aws.pages(service, operation, items, **parameters)


async def test_a_listener_waits_until_the_trust_store_is_active(account: Account) -> None:
    desired = verifying(account, trusted())
    actual = await account.read()
    await apply(Hesitant(account.aws), actual, plan(desired, actual), patience=EAGER)
    assert picture(await account.read(desired=desired), desired) == wanted_picture(desired)


async def test_two_ports_may_share_one(account: Account) -> None:
    desired = verifying(account, trusted())
    (port,) = desired.listeners
    desired = structs.replace(desired, listeners=(port, structs.replace(port, port=8443)))
    todo, _ = await account.become(desired)
    assert kinds(todo.operations).count("CreateTrustStore") == 1
    found = await account.read(desired=desired)
    assert picture(found, desired) == wanted_picture(desired)


async def test_it_is_shown_by_name(account: Account) -> None:
    todo = plan(verifying(account, trusted()), await account.read())
    shown = {each.thing: each for each in todo.changes}
    assert shown["trust store"].name == "frontend"
    assert shown["S3 object"].name == f"s3://{BUCKET}/gatewright/prod/alb/shop/edge/frontend.pem"
    (clients,) = [each.new for each in shown["listener"].attributes if each.name == "mutual authentication"]
    assert (clients["mode"], clients["trust_store"]) == ("verify", "frontend")


def test_ports_that_are_too_many_are_named_and_those_that_serve_stay(account: Account) -> None:
    desired = verifying(account, *(trusted(f"frontend:{number}") for number in range(3)))
    (problem,) = check(desired)
    assert (problem.quota, problem.found, problem.allowed, problem.resource) == (VERIFYING_LISTENERS, 3, 2, "445")
    (problem,) = check(desired, standing={444, 445})
    assert problem.resource == "443"
    assert "443 is one too many; use another Gateway for it" in problem.message


def test_trust_stores_of_a_region_are_counted(account: Account) -> None:
    desired = verifying(account, trusted())
    assert check(desired, account={"trust-stores": 19}) == ()
    (problem,) = check(desired, account={"trust-stores": 20})
    assert (problem.quota, problem.found) == ("trust-stores", 21)
    assert check(verifying(account), account={"trust-stores": 21}) == ()


@pytest.mark.parametrize(
    ("key", "found"),
    [
        ("gatewright/prod/alb/shop/edge/frontend.pem", StackKey("prod", "alb", "shop/edge")),
        ("gatewright/prod/alb/frontend.pem", None),
        ("gatewright/prod/queue/shop/edge/frontend.pem", None),
        ("gatewright/production/alb/shop/edge/frontend.pem", None),
        ("elsewhere/gatewright/prod/alb/shop/edge/frontend.pem", None),
    ],
)
def test_whose_an_object_is(key: str, found: StackKey | None) -> None:
    assert stack_of_bundle("prod", key) == found


def test_bundles_are_told_as_people_write_them() -> None:
    assert str(Bundle("trust", "a/b.pem")) == "s3://trust/a/b.pem"
