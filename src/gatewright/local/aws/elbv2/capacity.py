"""Capacity that is reserved for a load balancer (ALB and NLB guides, "LCU reservations"); it changes no traffic."""

from __future__ import annotations

from moto.core.utils import utcnow

from gatewright.local.aws.elbv2.backend import Backend
from gatewright.local.aws.elbv2.errors import invalid, misconfigured
from gatewright.local.aws.elbv2.models import Document, LoadBalancer

_LEAST = {"application": 100, "network": 2750}
"""Capacity units ("LCU reservation": at least 100 for an ALB, 2,750 for an NLB)."""
_DECREASES = 2
"""How often a day a reservation may become smaller."""


def modify_capacity_reservation(elb: Backend, request: Document) -> Document:
    """ModifyCapacityReservation: provisioned at once."""
    load_balancer = elb.load_balancer(request["LoadBalancerArn"])
    wanted = (request.get("MinimumLoadBalancerCapacity") or {}).get("CapacityUnits")
    if request.get("ResetCapacityReservation"):
        if wanted is not None:
            raise misconfigured("A capacity reservation can be modified or reset, not both")
        wanted = 0
    elif wanted is None:
        raise invalid("MinimumLoadBalancerCapacity or ResetCapacityReservation must be specified")
    elif wanted < _LEAST[load_balancer.type]:
        least = _LEAST[load_balancer.type]
        raise invalid(f"The minimum capacity of a load balancer of type '{load_balancer.type}' is {least} units")
    load_balancer.reserved = wanted
    return _document(load_balancer)


def describe_capacity_reservation(elb: Backend, request: Document) -> Document:
    """DescribeCapacityReservation."""
    return _document(elb.load_balancer(request["LoadBalancerArn"]))


def _document(load_balancer: LoadBalancer) -> Document:
    document: Document = {"DecreaseRequestsRemaining": _DECREASES, "CapacityReservationState": []}
    if load_balancer.reserved:
        document |= {
            "LastModifiedTime": utcnow(),
            "MinimumLoadBalancerCapacity": {"CapacityUnits": load_balancer.reserved},
            "CapacityReservationState": [
                {
                    "State": {"Code": "provisioned"},
                    "AvailabilityZone": subnet.availability_zone,
                    "EffectiveCapacityUnits": load_balancer.reserved / len(load_balancer.subnets),
                }
                for subnet in load_balancer.subnets
            ],
        }
    return document
