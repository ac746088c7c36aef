"""What load balancers cost before they have traffic."""

from __future__ import annotations

from tests.aws_stack.stack_world import Account

from gatewright.aws.stack.costs import AS_OF, PRICES, estimate
from gatewright.aws.stack.desired import SubnetMapping


def test_an_internal_one_costs_its_hours(account: Account) -> None:
    found = estimate([account.stack()], "us-east-1")
    assert [(item.item, item.quantity, item.monthly) for item in found.items] == [
        ("Application Load Balancers", 1, 16.43)
    ]
    assert found.monthly == 16.43
    assert AS_OF in found.notes[0]


def test_addresses_capacity_and_shield(account: Account) -> None:
    public = {"scheme": "internet-facing", "subnets": tuple(map(SubnetMapping, account.seeded.public[:2]))}
    stacks = [
        account.stack(balancer={**public, "capacity_units": 100, "shield": True}),
        account.stack(balancer={**public, "type": "network"}),
        account.stack(balancer={**public, "ip_address_type": "dualstack-without-public-ipv4"}),
    ]
    found = estimate(stacks, "eu-central-1")
    assert [(item.item, item.quantity) for item in found.items] == [
        ("Application Load Balancers", 2),
        ("Network Load Balancers", 1),
        ("reserved LCUs", 100),
        ("public IPv4 addresses", 4),
        ("Shield Advanced, for the whole organisation", 1),
    ]
    assert found.monthly == 39.42 + 19.71 + 584.0 + 14.6 + 3000.0


def test_a_region_without_known_prices_says_so(account: Account) -> None:
    found = estimate([account.stack()], "mars-1")
    assert found.region == "us-east-1"
    assert "prices of mars-1 aren't known here" in found.notes[1]
    assert estimate([], "us-east-1").monthly == 0
    assert all(price.lcu > price.nlcu for price in PRICES.values())
