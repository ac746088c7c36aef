"""Quotas of Elastic Load Balancing, with AWS's defaults (Quotas for your Application / Network Load Balancers)."""

from __future__ import annotations

LOAD_BALANCERS = 50
"""Of each type, in a region."""
TARGET_GROUPS = 3000
TAGS = 50
LISTENERS = 50
"""Of a load balancer."""
RULES = 100
"""Of a load balancer; default rules don't count."""
CERTIFICATES = 25
"""Of a load balancer; default certificates don't count."""
CONDITION_VALUES = 5
"""Of a rule."""
CONDITION_WILDCARDS = 5
"""Of a rule."""
GROUPS_PER_ACTION = 5
GROUPS_PER_LOAD_BALANCER = {"application": 100, "network": 50}
TARGETS_PER_GROUP = 1000
TARGETS_PER_LOAD_BALANCER = {"application": 1000, "network": 3000}
REGISTRATIONS_PER_ID = 1000
"""How often the same instance or address may be registered with the groups of an ALB."""
ALB_TARGETS = 1
"""Of a target group for ALBs."""

LIMITS: dict[str, int] = {
    "application-load-balancers": LOAD_BALANCERS,
    "target-groups": TARGET_GROUPS,
    "targets-per-application-load-balancer": TARGETS_PER_LOAD_BALANCER["application"],
    "listeners-per-application-load-balancer": LISTENERS,
    "rules-per-application-load-balancer": RULES,
    "network-load-balancers": LOAD_BALANCERS,
    "targets-per-network-load-balancer": TARGETS_PER_LOAD_BALANCER["network"],
    "targets-per-availability-zone-per-network-load-balancer": 500,
    "listeners-per-network-load-balancer": LISTENERS,
    "condition-values-per-alb-rule": CONDITION_VALUES,
    "condition-wildcards-per-alb-rule": CONDITION_WILDCARDS,
    "target-groups-per-application-load-balancer": GROUPS_PER_LOAD_BALANCER["application"],
    "target-groups-per-action-on-application-load-balancer": GROUPS_PER_ACTION,
    "target-groups-per-action-on-network-load-balancer": GROUPS_PER_ACTION,
    "certificates-per-application-load-balancer": CERTIFICATES,
    "certificates-per-network-load-balancer": CERTIFICATES,
    "targets-per-target-group": TARGETS_PER_GROUP,
    "target-id-registrations-per-application-load-balancer": REGISTRATIONS_PER_ID,
    "network-load-balancer-enis-per-vpc": 1200,
    "application-load-balancers-per-target-group": ALB_TARGETS,
}
"""What DescribeAccountLimits answers. Those of zones and network interfaces are shown and not enforced."""
