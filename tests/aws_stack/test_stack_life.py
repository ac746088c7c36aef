"""Stacks are made, changed, replaced and removed: what there is then, what it cost, what stayed untouched."""

from __future__ import annotations

import pytest
from msgspec import structs
from tests.aws_stack.any_stack import picture, wanted_picture
from tests.aws_stack.stack_world import EAGER, KEY, Account, imported, in_order, listener, rule, with_targets

from gatewright.aws import AlreadyExists
from gatewright.aws.stack import operations as op
from gatewright.aws.stack.actual import read_all
from gatewright.aws.stack.apply import ApplyError, apply
from gatewright.aws.stack.desired import (
    AuthenticateOidc,
    ClientSecret,
    DesiredMutualAuthentication,
    DesiredRule,
    Forward,
    Respond,
    RuleCondition,
    Share,
    Stack,
    StackKey,
    SubnetMapping,
)
from gatewright.aws.stack.holdings import CLIENT_SECRET_TAG, FINGERPRINT_TAG
from gatewright.aws.stack.plan import plan
from gatewright.aws.views import Target
from gatewright.model.meta import Key


def kinds(operations: object) -> list[str]:
    assert isinstance(operations, tuple)
    return [type(operation).__name__ for operation in operations]


async def test_made_kept_and_removed(account: Account) -> None:
    desired = account.stack(
        listener(),
        listener(
            rule("/metrics"),
            rule("/api/*", "shop/api:80", "shop/api-v2:80"),
            rule("/*", "shop/web:80"),
            port=443,
            protocol="HTTPS",
            certificates=("shop/tls",),
        ),
        certificates=(imported("shop/tls"),),
    )
    made, actual = await account.become(desired)
    assert made.conflicts == ()
    found = await account.read(desired=desired)
    assert picture(found, desired) == wanted_picture(desired)
    assert in_order(found, 443) == [(100, "/metrics"), (200, "/api/*"), (300, "/*")]
    before = account.writes()
    again, _ = await account.become(desired)
    assert again.empty
    assert account.writes() == before
    assert plan(desired, actual).empty
    await account.become(None)
    left = await account.read()
    assert not left
    assert account.everything() == [left.backend_group]


async def test_everything_says_whose_it_is(account: Account) -> None:
    desired = account.stack(
        listener(rule("/*", "shop/web:80"), port=443, protocol="HTTPS", certificates=("shop/tls",)),
        certificates=(imported("shop/tls"),),
    )
    _, actual = await account.become(desired)
    (balancer,) = actual.load_balancers.values()
    (port,) = balancer.listeners.values()
    (only_rule,) = port.rules.values()
    (group,) = actual.target_groups.values()
    (security,) = actual.security_groups.values()
    (certificate,) = actual.certificates.values()
    things = (balancer, port, only_rule, group, security, certificate)
    assert all(KEY.tags.items() <= thing.tags.items() for thing in things)
    tag = "gateway.k8s.aws.alb/resource"
    told = [thing.tags.get(tag) for thing in things]
    assert told == ["LoadBalancer", "443", None, "shop/web:80", "ManagedLBSecurityGroup", "shop/tls"]


# --- one change costs a few calls ---


async def test_a_pod_costs_one_call(account: Account) -> None:
    desired = account.stack(listener(rule("/*", "shop/web:80")))
    _, actual = await account.become(desired)
    before = account.server.calls.copy()
    more = with_targets(desired, "shop/web:80", "10.0.1.1", "10.0.1.2")
    actual = await apply(account.aws, actual, plan(more, actual))
    assert account.server.calls - before == {("elbv2", "RegisterTargets"): 1}
    other = with_targets(desired, "shop/web:80", "10.0.1.3")
    todo = plan(other, actual)
    assert kinds(todo.operations) == ["RegisterTargets", "DeregisterTargets"]
    assert todo.steps[1].after == (0,)


async def test_new_rules_go_between(account: Account) -> None:
    await account.become(account.stack(listener(rule("/a"), rule("/c"), rule("/*"))))
    todo, actual = await account.become(account.stack(listener(rule("/a"), rule("/b"), rule("/c"), rule("/*"))))
    assert kinds(todo.operations) == ["CreateRule"]
    assert in_order(actual) == [(100, "/a"), (150, "/b"), (200, "/c"), (300, "/*")]


async def test_a_console_user_changed_a_rule(account: Account) -> None:
    desired = account.stack(listener(rule("/a"), rule("/*")))
    _, actual = await account.become(desired)
    arn = next(iter(next(iter(next(iter(actual.load_balancers.values())).listeners.values())).rules))
    condition = {"Field": "path-pattern", "PathPatternConfig": {"Values": ["/changed"]}}
    await account.aws.call("elbv2", "modify_rule", RuleArn=arn, Conditions=[condition])
    todo, _ = await account.become(desired)
    assert kinds(todo.operations) == ["ModifyRule"]
    found = await account.read(desired=desired)
    assert picture(found, desired) == wanted_picture(desired)


# --- make before break ---


async def test_a_target_group_is_full_before_anything_points_at_it(account: Account) -> None:
    desired = account.stack(listener(rule("/*", "shop/web:80")))
    steps = plan(desired, await account.read()).steps
    numbers = {type(step.operation): place for place, step in enumerate(steps)}

    def comes_after(later: type, earlier: type) -> bool:
        waiting, seen = [numbers[later]], set()
        while waiting:
            for place in steps[waiting.pop()].after:
                waiting.append(place)
                seen.add(place)
        return numbers[earlier] in seen

    assert comes_after(op.CreateRule, op.RegisterTargets)
    assert comes_after(op.CreateRule, op.CreateListener)
    assert comes_after(op.CreateListener, op.CreateLoadBalancer)
    assert comes_after(op.CreateLoadBalancer, op.CreateSecurityGroup)


async def test_a_target_group_that_cannot_become_another_is_replaced(account: Account) -> None:
    await account.become(account.stack(listener(rule("/*", "shop/web:80"))))
    desired = account.stack(
        listener(rule("/*", "shop/web:80")), target_groups=(account.group("shop/web:80", protocol="HTTPS"),)
    )
    todo, _ = await account.become(desired)
    assert kinds(todo.operations) == ["CreateTargetGroup", "RegisterTargets", "ModifyRule", "DeleteTargetGroup"]
    assert [(change.action, change.thing) for change in todo.changes] == [
        ("replace", "target group"),
        ("change", "rule"),
    ]
    found = await account.read(desired=desired)
    assert picture(found, desired) == wanted_picture(desired)
    (group,) = found.target_groups.values()
    assert group.group.name.startswith("k8s-shop-web-80-")


async def test_a_load_balancer_that_cannot_become_another_is_replaced_and_serves_on_meanwhile(
    account: Account,
) -> None:
    before = account.stack(listener(rule("/*", "shop/web:80")))
    _, actual = await account.become(before)
    (old,) = actual.load_balancers
    desired = account.stack(
        listener(rule("/*", "shop/web:80")),
        balancer={"scheme": "internet-facing", "subnets": tuple(map(SubnetMapping, account.seeded.public))},
    )
    todo, actual = await account.become(desired, keep=[old])
    assert todo.replaced == (old,)
    assert len(actual.load_balancers) == 2
    assert len(actual.target_groups) == 2
    assert not plan(desired, actual).empty
    assert plan(desired, actual, keep=[old]).empty
    assert {change.action for change in plan(desired, actual).changes} == {"delete"}
    todo, actual = await account.become(desired)
    assert picture(await account.read(desired=desired), desired) == wanted_picture(desired)
    assert len(account.everything()) == 4
    assert ("replace", "load balancer") in {(change.action, change.thing) for change in plan(before, actual).changes}


async def test_a_web_acl_is_there_before_the_first_listener(account: Account) -> None:
    acl = await _web_acl(account)
    desired = account.stack(listener(rule("/*")), balancer={"web_acl": acl})
    todo, actual = await account.become(desired)
    operations = kinds(todo.operations)
    created = operations.index("CreateListener")
    assert operations.index("SetWebAcl") in todo.steps[created].after
    assert next(iter(actual.load_balancers.values())).web_acl == acl
    without = account.stack(listener(rule("/*")), balancer={"web_acl": ""})
    todo, _ = await account.become(without)
    assert todo.operations == (op.SetWebAcl(next(iter(actual.load_balancers)), ""),)
    todo, _ = await account.become(without)
    assert todo.empty


async def _web_acl(account: Account) -> str:
    made = await account.aws.call(
        "wafv2",
        "create_web_acl",
        Name="edge",
        Scope="REGIONAL",
        DefaultAction={"Allow": {}},
        VisibilityConfig={"SampledRequestsEnabled": False, "CloudWatchMetricsEnabled": False, "MetricName": "edge"},
    )
    return str(made["Summary"]["ARN"])


async def test_without_its_web_acl_a_load_balancer_does_not_listen(account: Account) -> None:
    acl = (await _web_acl(account)).replace("edge", "gone")
    desired = account.stack(listener(rule("/*")), balancer={"web_acl": acl})
    with pytest.raises(ApplyError) as caught:
        await account.become(desired)
    assert [type(failure.operation) for failure in caught.value.failures] == [op.SetWebAcl]
    (balancer,) = (await account.read()).load_balancers.values()
    assert balancer.listeners == {}


async def test_shield_and_capacity(account: Account) -> None:
    desired = account.stack(listener(), balancer={"shield": True, "capacity_units": 200})
    todo, _ = await account.become(desired)
    assert {"ProtectWithShield", "SetCapacity"} <= {*kinds(todo.operations)}
    todo, actual = await account.become(desired)
    assert todo.empty
    (balancer,) = actual.load_balancers.values()
    assert balancer.protection
    assert balancer.capacity_units == 200
    less = account.stack(listener(), balancer={"shield": False, "capacity_units": 0})
    todo, _ = await account.become(less)
    assert sorted(kinds(todo.operations)) == ["SetCapacity", "UnprotectFromShield"]
    todo, _ = await account.become(less)
    assert todo.empty


async def test_a_protection_goes_with_its_load_balancer(account: Account) -> None:
    await account.become(account.stack(listener(), balancer={"shield": True}))
    todo, _ = await account.become(None)
    assert "UnprotectFromShield" in kinds(todo.operations)
    protections = await account.aws.call("shield", "list_protections")
    assert protections["Protections"] == []


# --- certificates and secrets ---


async def test_a_certificate_is_exchanged_under_the_same_arn(account: Account) -> None:
    def with_certificate(version: int) -> Stack:
        return account.stack(
            listener(port=443, protocol="HTTPS", certificates=("shop/tls",)),
            certificates=(imported("shop/tls", version=version),),
        )

    _, first = await account.become(with_certificate(0))
    todo, second = await account.become(with_certificate(1))
    assert kinds(todo.operations) == ["ImportCertificate", "SetTags"]
    assert [*first.certificates] == [*second.certificates]
    (one,), (other,) = first.certificates.values(), second.certificates.values()
    assert one.tags[FINGERPRINT_TAG] != other.tags[FINGERPRINT_TAG]
    todo, _ = await account.become(with_certificate(1))
    assert todo.empty
    assert "PRIVATE KEY" not in repr(plan(with_certificate(0), second))


async def test_a_certificate_that_nobody_uses_goes(account: Account) -> None:
    await account.become(
        account.stack(
            listener(port=443, protocol="HTTPS", certificates=("shop/tls", "shop/more")),
            certificates=(imported("shop/tls"), imported("shop/more")),
        )
    )
    desired = account.stack(
        listener(port=443, protocol="HTTPS", certificates=("shop/more",)), certificates=(imported("shop/more"),)
    )
    todo, _ = await account.become(desired)
    assert kinds(todo.operations) == ["ModifyListener", "DeleteCertificate"]
    assert picture(await account.read(desired=desired), desired) == wanted_picture(desired)


async def test_a_new_client_secret_is_told_and_no_other(account: Account) -> None:
    def with_secret(value: str, path: str = "/*") -> Stack:
        client = ClientSecret(Key("shop", "oidc"), "client", str(len(value)), value)
        oidc = AuthenticateOidc("https://i", "https://i/a", "https://i/t", "https://i/u", client)
        rules = DesiredRule((RuleCondition("path-pattern", (path,)),), (oidc, Forward((Share("shop/web:80"),))))
        return account.stack(
            listener(rules, port=443, protocol="HTTPS", certificates=("shop/tls",)),
            certificates=(imported("shop/tls"),),
        )

    _, actual = await account.become(with_secret("hunter1"))
    todo = plan(with_secret("swordfish"), actual)
    assert kinds(todo.operations) == ["ModifyRule", "SetTags"]
    assert todo.operations[0].tell_secret  # type: ignore[union-attr]
    todo = plan(with_secret("hunter1", "/other"), actual)
    (operation,) = todo.operations
    assert isinstance(operation, op.ModifyRule)
    assert not operation.tell_secret
    todo, actual = await account.become(with_secret("swordfish"))
    (change,) = todo.changes
    assert "(a new one)" in str(change)
    assert "swordfish" not in str(todo.changes) + repr(todo)
    (balancer,) = actual.load_balancers.values()
    (port,) = balancer.listeners.values()
    assert all(len(each.tags[CLIENT_SECRET_TAG]) == 8 for each in port.rules.values())
    todo, _ = await account.become(with_secret("swordfish"))
    assert todo.empty


# --- what isn't ours ---


async def test_a_load_balancer_of_the_same_name_is_left_alone(account: Account) -> None:
    desired = account.stack(listener())
    foreign = await account.aws.call(
        "elbv2",
        "create_load_balancer",
        Name=desired.load_balancer.name,
        Subnets=account.seeded.private,
        Scheme="internal",
    )
    todo = plan(desired, await account.read())
    assert todo.empty
    (conflict,) = todo.conflicts
    assert "exists in this account and region, and isn't this one's" in conflict
    assert "elbv2.k8s.aws/cluster=prod" in conflict
    # Somebody was quicker than we are: it wasn't there when we looked.
    blind = structs.replace(await account.read(), taken_load_balancers=frozenset())
    with pytest.raises(ApplyError) as caught:
        await apply(account.aws, blind, plan(desired, blind), patience=EAGER)
    assert isinstance(caught.value.failures[0].error, AlreadyExists)
    found = await account.aws.call("elbv2", "describe_load_balancers")
    assert [each["LoadBalancerArn"] for each in found["LoadBalancers"]] == [
        foreign["LoadBalancers"][0]["LoadBalancerArn"]
    ]


async def test_a_target_group_of_the_same_name_is_left_alone(account: Account) -> None:
    desired = account.stack(listener(rule("/*", "shop/web:80")))
    (group,) = desired.target_groups
    await account.aws.call(
        "elbv2",
        "create_target_group",
        Name=group.name,
        Protocol="HTTP",
        Port=80,
        VpcId=account.seeded.vpc,
        TargetType="ip",
    )
    _, actual = await account.become(desired)
    (made,) = actual.target_groups.values()
    assert made.group.name != group.name
    todo, _ = await account.become(desired)
    assert todo.empty


async def test_another_clusters_stack_of_the_same_name_is_left_alone(account: Account) -> None:
    theirs = account.stack(
        listener(rule("/*", "a:80")), key=StackKey("other", "alb", KEY.id), balancer={"name": "theirs"}
    )
    await account.become(theirs)
    ours = account.stack(listener(rule("/*", "shop/web:80")))
    await account.become(ours)
    await account.become(None)
    found = await read_all(account.aws, "other")
    assert [*found] == [theirs.key]
    assert plan(theirs, found[theirs.key]).empty
    assert await read_all(account.aws, "prod") == {}


async def test_targets_of_other_clusters_stay(account: Account) -> None:
    def shared(*addresses: str) -> Stack:
        group = account.group("shop/web:80", addresses, keep_others=True)
        return account.stack(listener(rule("/*", "shop/web:80")), target_groups=(group,))

    _, actual = await account.become(shared("10.0.1.1", "10.0.1.2"))
    (arn,) = actual.target_groups
    await account.aws.call("elbv2", "register_targets", TargetGroupArn=arn, Targets=[{"Id": "10.0.1.9", "Port": 8080}])
    desired = shared("10.0.1.1", "10.0.1.3")
    found = await account.read(desired=desired, known=actual)
    todo = plan(desired, found)
    assert todo.operations == (
        op.RegisterTargets(arn, (Target("10.0.1.3", 8080),)),
        op.DeregisterTargets(arn, (structs.replace(_target(found, arn, "10.0.1.2")),)),
    )
    actual = await apply(account.aws, found, todo)
    assert {target.id for target in actual.target_groups[arn].targets or ()} == {"10.0.1.1", "10.0.1.3", "10.0.1.9"}


def _target(found: object, arn: str, address: str) -> Target:
    from gatewright.aws.stack.actual import ActualStack

    assert isinstance(found, ActualStack)
    return next(target for target in found.target_groups[arn].targets or () if target.id == address)


# --- deletion protection ---

_PROTECTED = {"deletion_protection.enabled": "true"}


async def test_deletion_protection_is_taken_off_when_nobody_asks_for_it_any_more(account: Account) -> None:
    _, actual = await account.become(account.stack(listener(), balancer={"attributes": _PROTECTED}))
    todo = plan(None, actual, protected=True)
    assert "DeleteLoadBalancer" not in kinds(todo.operations)
    assert "deletion_protection.enabled is true" in todo.conflicts[0]
    await account.become(None)
    assert not await account.read()


async def test_a_protected_load_balancer_is_not_replaced_but_kept_up_to_date(account: Account) -> None:
    await account.become(account.stack(listener(rule("/*", "shop/web:80")), balancer={"attributes": _PROTECTED}))
    desired = account.stack(
        listener(rule("/*", "shop/web:80")),
        balancer={
            "attributes": _PROTECTED,
            "scheme": "internet-facing",
            "subnets": tuple(map(SubnetMapping, account.seeded.public)),
        },
    )
    todo, actual = await account.become(with_targets(desired, "shop/web:80", "10.0.1.7"))
    assert kinds(todo.operations) == ["RegisterTargets", "DeregisterTargets"]
    (conflict,) = todo.conflicts
    assert "scheme is internal, asked for is internet-facing" in conflict
    assert len(actual.load_balancers) == 1


# --- listeners ---


async def test_a_listener_goes_from_http_to_https_and_back(account: Account) -> None:
    plain = account.stack(listener(rule("/*", "shop/web:80"), port=8443))
    secure = account.stack(
        listener(rule("/*", "shop/web:80"), port=8443, protocol="HTTPS", certificates=("shop/tls",)),
        certificates=(imported("shop/tls"),),
    )
    for desired in (plain, secure, plain):
        todo, _ = await account.become(desired)
        assert picture(await account.read(desired=desired), desired) == wanted_picture(desired)
    assert "ModifyListener" in kinds(todo.operations)


async def test_a_new_listener_of_a_live_load_balancer_has_its_rules_before_its_default(account: Account) -> None:
    await account.become(account.stack(listener()))
    forward = (Forward((Share("shop/web:80"),)),)
    desired = account.stack(listener(), listener(rule("/metrics"), port=81, default=forward))
    todo, _ = await account.become(desired)
    operations = kinds(todo.operations)
    assert operations.index("CreateRule") < operations.index("ModifyListener")
    created = next(each for each in todo.operations if isinstance(each, op.CreateListener))
    assert created.listener.default == (Respond("503"),)
    assert picture(await account.read(desired=desired), desired) == wanted_picture(desired)
    todo, _ = await account.become(desired)
    assert todo.empty


async def test_more_rules_than_fit_beside_the_old_ones(account: Account) -> None:
    await account.become(account.stack(listener(*(rule(f"/old/{number}") for number in range(98)))))
    desired = account.stack(
        listener(*(rule(f"/new/{number}", host=f"h{number % 7}.example.com") for number in range(95)))
    )
    await account.become(desired)
    assert picture(await account.read(desired=desired), desired) == wanted_picture(desired)


async def test_mutual_authentication_is_off_where_nothing_is_said(account: Account) -> None:
    def with_mode(asked: DesiredMutualAuthentication | None) -> Stack:
        return account.stack(
            listener(port=443, protocol="HTTPS", certificates=("shop/tls",), mutual_authentication=asked),
            certificates=(imported("shop/tls"),),
        )

    await account.become(with_mode(DesiredMutualAuthentication("passthrough")))
    todo, _ = await account.become(with_mode(None))
    assert kinds(todo.operations) == ["ModifyListener"]
    todo, _ = await account.become(with_mode(DesiredMutualAuthentication("off")))
    assert todo.empty


async def test_permissions_are_exactly_those_asked_for(account: Account) -> None:
    desired = account.stack(listener(), listener(port=81))
    _, actual = await account.become(desired)
    (group,) = actual.security_groups
    await account.aws.call(
        "ec2",
        "authorize_security_group_ingress",
        GroupId=group,
        IpPermissions=[{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "10.0.0.0/8", "Description": "me"}]}],
    )
    await account.aws.call(
        "ec2",
        "revoke_security_group_ingress",
        GroupId=group,
        IpPermissions=[{"IpProtocol": "tcp", "FromPort": 81, "ToPort": 81, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}],
    )
    todo, _ = await account.become(desired)
    assert kinds(todo.operations) == ["AuthorizeIngress", "RevokeIngress"]
    assert picture(await account.read(desired=desired), desired) == wanted_picture(desired)
