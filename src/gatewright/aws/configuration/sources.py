"""The objects of the configuration kinds, as sources of a flow."""

from __future__ import annotations

from typing import Any

from gatewright.flow import Flow, Source
from gatewright.model.awsgateway import ListenerRuleConfiguration, LoadBalancerConfiguration, TargetGroupConfiguration
from gatewright.model.meta import Key, Object


class Configurations:
    """The sources; each holds the cluster's objects by key."""

    def __init__(self, flow: Flow) -> None:
        self.load_balancers: Source[Key, LoadBalancerConfiguration] = flow.source("load balancer configurations")
        self.target_groups: Source[Key, TargetGroupConfiguration] = flow.source("target group configurations")
        self.rules: Source[Key, ListenerRuleConfiguration] = flow.source("listener rule configurations")

        self.by_type: dict[type[Object], Source[Key, Any]] = {
            LoadBalancerConfiguration: self.load_balancers,
            TargetGroupConfiguration: self.target_groups,
            ListenerRuleConfiguration: self.rules,
        }
        """The source of each kind: what has to be watched."""
