"""What Network Load Balancers have of their own."""

from __future__ import annotations

from typing import Any

from msgspec import structs
from tests.aws_stack.any_stack import NLB_KEY, picture, wanted_picture
from tests.aws_stack.stack_world import Account

from gatewright.aws.stack import operations as op
from gatewright.aws.stack.desired import DesiredListener, Forward, Share, Stack, SubnetMapping
from gatewright.aws.views import HealthCheck

TCP = HealthCheck("TCP", "traffic-port", interval=10, timeout=10, healthy_threshold=3, unhealthy_threshold=3)


def nlb(account: Account, **balancer: Any) -> Stack:
    group = account.group("shop/one:1", protocol="TCP", protocol_version="", health_check=TCP)
    settings = {"type": "network", "security_groups": ("ManagedLBSecurityGroup",), **balancer}
    listener = DesiredListener("TCP", 80, (Forward((Share("shop/one:1"),)),))
    return account.stack(listener, key=NLB_KEY, load_balancer=account.balancer(**settings), target_groups=(group,))


def at(account: Account, host: int) -> tuple[SubnetMapping, ...]:
    """An address in the first private subnet."""
    subnet = account.seeded.private[0]
    network = account.addresses_of(subnet)
    return (SubnetMapping(subnet, private_address=str(network[host])),)


async def test_one_that_needs_the_same_address_waits_until_the_old_one_has_gone(account: Account) -> None:
    _, actual = await account.become(nlb(account, subnets=at(account, 40)), NLB_KEY)
    (old,) = actual.load_balancers
    desired = nlb(account, subnets=at(account, 40), security_groups=())
    todo, _ = await account.become(desired, NLB_KEY)
    kinds = [type(operation) for operation in todo.operations]
    assert kinds.index(op.DeleteLoadBalancer) < kinds.index(op.CreateLoadBalancer)
    created = todo.steps[kinds.index(op.CreateLoadBalancer)]
    assert kinds.index(op.DeleteLoadBalancer) in created.after
    found = await account.read(NLB_KEY, desired=desired)
    assert old not in found.load_balancers
    assert picture(found, desired) == wanted_picture(desired)
    # Its target group stayed, with its targets.
    assert [*found.target_groups] == [*actual.target_groups]


async def test_another_address_is_another_load_balancer(account: Account) -> None:
    await account.become(nlb(account, subnets=at(account, 40)), NLB_KEY)
    desired = nlb(account, subnets=at(account, 41))
    todo, _ = await account.become(desired, NLB_KEY)
    kinds = [type(operation) for operation in todo.operations]
    assert kinds.index(op.CreateLoadBalancer) < kinds.index(op.DeleteLoadBalancer)
    found = await account.read(NLB_KEY, desired=desired)
    assert picture(found, desired) == wanted_picture(desired)
    todo, _ = await account.become(desired, NLB_KEY)
    assert todo.empty


async def test_clients_of_private_links(account: Account) -> None:
    desired = nlb(account, private_link_inbound_rules="off")
    await account.become(desired, NLB_KEY)
    (balancer,) = (await account.read(NLB_KEY)).load_balancers.values()
    assert balancer.load_balancer.private_link_inbound_rules == "off"
    todo, _ = await account.become(desired, NLB_KEY)
    assert todo.empty
    on = structs.replace(desired.load_balancer, private_link_inbound_rules="on")
    todo, _ = await account.become(structs.replace(desired, load_balancer=on), NLB_KEY)
    assert [type(operation) for operation in todo.operations] == [op.SetSecurityGroups]
