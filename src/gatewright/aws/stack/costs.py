"""What a stack costs a month before it has any traffic, by AWS's list prices (pure).

Traffic comes on top: LCUs (Application Load Balancer) and NLCUs (Network Load Balancer) used, data transfer, requests
that a web ACL looks at, access logs. Prices are those that AWS published for on-demand use, without taxes, discounts
and free tier, as of `AS_OF`: an estimate to compare by, not a bill.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec import Struct

from gatewright.aws.stack.desired import Stack

AS_OF: Final = "2025-06"
"""The month of the prices (aws.amazon.com/elasticloadbalancing/pricing, aws.amazon.com/vpc/pricing,
aws.amazon.com/shield/pricing)."""

HOURS: Final = 730
"""In a month, as AWS's pricing calculator counts."""

DEFAULT_REGION: Final = "us-east-1"


class Prices(Struct, frozen=True):
    """US dollars an hour: of a load balancer, of one LCU and of one NLCU."""

    load_balancer: float
    lcu: float
    nlcu: float


PRICES: Final[dict[str, Prices]] = {
    "us-east-1": Prices(0.0225, 0.008, 0.006),
    "us-east-2": Prices(0.0225, 0.008, 0.006),
    "us-west-1": Prices(0.0252, 0.008, 0.006),
    "us-west-2": Prices(0.0225, 0.008, 0.006),
    "ca-central-1": Prices(0.02475, 0.0088, 0.0066),
    "eu-central-1": Prices(0.027, 0.008, 0.006),
    "eu-north-1": Prices(0.02394, 0.0076, 0.0057),
    "eu-west-1": Prices(0.0252, 0.008, 0.006),
    "eu-west-2": Prices(0.02646, 0.0084, 0.0063),
    "eu-west-3": Prices(0.02646, 0.0084, 0.0063),
    "ap-northeast-1": Prices(0.0243, 0.008, 0.006),
    "ap-south-1": Prices(0.0239, 0.008, 0.006),
    "ap-southeast-1": Prices(0.0252, 0.008, 0.006),
    "ap-southeast-2": Prices(0.0252, 0.008, 0.006),
    "sa-east-1": Prices(0.034, 0.011, 0.008),
}
"""By region, the same for both types of load balancers."""

PUBLIC_ADDRESS: Final = 0.005
"""US dollars an hour for each public IPv4 address, in all regions."""

SHIELD_ADVANCED: Final = 3000.0
"""US dollars a month for an organisation, however many load balancers it protects."""


class Cost(Struct, frozen=True):
    """One item: `quantity` of it at `unit_price` US dollars an hour (a month for Shield Advanced)."""

    item: str
    quantity: float
    unit_price: float
    monthly: float


class Estimate(Struct, frozen=True):
    """What stacks cost a month, in US dollars. `region` is that of the prices, which may be `DEFAULT_REGION`'s."""

    region: str
    items: tuple[Cost, ...]
    notes: tuple[str, ...] = ()

    @property
    def monthly(self) -> float:
        """The sum."""
        return round(sum(item.monthly for item in self.items), 2)


def estimate(stacks: Iterable[Stack], region: str) -> Estimate:
    """The base cost of stacks together."""
    known = region if region in PRICES else DEFAULT_REGION
    prices = PRICES[known]
    counts = {"application": 0, "network": 0}
    units = {"application": 0, "network": 0}
    addresses = shielded = 0
    for stack in stacks:
        balancer = stack.load_balancer
        counts[balancer.type] += 1
        units[balancer.type] += balancer.capacity_units or 0
        shielded += bool(balancer.shield)
        if balancer.scheme == "internet-facing" and balancer.ip_address_type != "dualstack-without-public-ipv4":
            # An Elastic IP costs the same; AWS may give an Application Load Balancer more when it grows.
            addresses += len(balancer.subnets)
    items = [
        *_hourly("Application Load Balancers", counts["application"], prices.load_balancer),
        *_hourly("Network Load Balancers", counts["network"], prices.load_balancer),
        *_hourly("reserved LCUs", units["application"], prices.lcu),
        *_hourly("reserved NLCUs", units["network"], prices.nlcu),
        *_hourly("public IPv4 addresses", addresses, PUBLIC_ADDRESS),
    ]
    if shielded:
        items.append(Cost("Shield Advanced, for the whole organisation", 1, SHIELD_ADVANCED, SHIELD_ADVANCED))
    notes = [
        f"list prices of {AS_OF}, {HOURS} hours a month; traffic comes on top: {prices.lcu} USD an LCU-hour, "
        f"{prices.nlcu} USD an NLCU-hour, data transfer"
    ]
    if known != region:
        notes.append(f"prices of {region} aren't known here: those of {known} are shown")
    return Estimate(known, tuple(items), tuple(notes))


def _hourly(item: str, quantity: int, price: float) -> list[Cost]:
    return [Cost(item, quantity, price, round(quantity * price * HOURS, 2))] if quantity else []
