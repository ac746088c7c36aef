"""The backend: moto's, holding our models, with look-ups that refuse as AWS does and what follows from the state."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import ClassVar

from moto.elbv2.models import ELBv2Backend

from gatewright.local.aws.elbv2 import actions
from gatewright.local.aws.elbv2.errors import Refusal, invalid
from gatewright.local.aws.elbv2.models import Document, Draining, Listener, LoadBalancer, Rule, TargetGroup, TrustStore
from gatewright.local.aws.state import CloudState

_ARN = re.compile(
    r"arn:aws[a-z-]*:elasticloadbalancing:[a-z0-9-]+:\d{12}:"
    r"(?:(?P<lb>loadbalancer/(?:app|net)/[A-Za-z0-9-]+/[0-9a-f]+)"
    r"|(?P<tg>targetgroup/[A-Za-z0-9-]+/[0-9a-f]+)"
    r"|(?P<store>truststore/[A-Za-z0-9-]+/[0-9a-f]+)"
    r"|(?P<listener>listener/(?:app|net)/[A-Za-z0-9-]+/[0-9a-f]+/[0-9a-f]+)"
    r"|(?P<rule>listener-rule/(?:app|net)/[A-Za-z0-9-]+/[0-9a-f]+/[0-9a-f]+/[0-9a-f]+))\Z"
)


class Backend(ELBv2Backend):
    """Elastic Load Balancing of one account in one region. `install` makes a subclass that knows its cloud."""

    cloud: ClassVar[CloudState]
    pace: ClassVar[float] = 1.0
    carries_traffic: ClassVar[bool] = False
    """Whether a data plane writes `cloud.served`."""

    load_balancers: dict[str, LoadBalancer]  # type: ignore[assignment]
    target_groups: dict[str, TargetGroup]  # type: ignore[assignment]

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.trust_stores: dict[str, TrustStore] = {}

    def load_balancer(self, arn: str) -> LoadBalancer:
        """By ARN; raises a refusal."""
        check_arn(arn, "lb")
        found = self.load_balancers.get(arn)
        if found is None:
            raise Refusal("LoadBalancerNotFound", f"Load balancer '{arn}' not found")
        return found

    def target_group(self, arn: str) -> TargetGroup:
        """By ARN; raises a refusal."""
        check_arn(arn, "tg")
        found = self.target_groups.get(arn)
        if found is None:
            raise Refusal("TargetGroupNotFound", "One or more target groups not found")
        return found

    def trust_store(self, arn: str) -> TrustStore:
        """By ARN; raises a refusal."""
        check_arn(arn, "store")
        found = self.trust_stores.get(arn)
        if found is None:
            raise Refusal("TrustStoreNotFound", f"Trust store '{arn}' not found")
        return found

    def listener(self, arn: str) -> Listener:
        """By ARN; raises a refusal."""
        check_arn(arn, "listener")
        load_balancer = self.load_balancers.get(arn.replace(":listener/", ":loadbalancer/").rpartition("/")[0])
        found = load_balancer.listeners.get(arn) if load_balancer else None
        if found is None:
            raise Refusal("ListenerNotFound", "One or more listeners not found")
        return found

    def rule(self, arn: str) -> tuple[Listener, Rule]:
        """A rule by ARN, the default one too, and its listener; raises a refusal."""
        check_arn(arn, "rule")
        above = arn.replace(":listener-rule/", ":listener/").rpartition("/")[0]
        load_balancer = self.load_balancers.get(above.replace(":listener/", ":loadbalancer/").rpartition("/")[0])
        listener = load_balancer.listeners.get(above) if load_balancer else None
        if listener:
            if arn == listener.default_rule.arn:
                return listener, listener.default_rule
            if arn in listener.other_rules:
                return listener, listener.other_rules[arn]
        raise Refusal("RuleNotFound", "One or more rules not found")

    def listeners(self) -> Iterator[tuple[LoadBalancer, Listener]]:
        """All of them, each with its load balancer."""
        for load_balancer in self.load_balancers.values():
            for listener in load_balancer.listeners.values():
                yield load_balancer, listener

    def users(self, group: str | None = None) -> dict[str, list[str]]:
        """By ARN of a target group (or of `group` only): the ARNs of the load balancers that forward to it."""
        found: dict[str, list[str]] = {}
        for load_balancer, listener in self.listeners():
            for rule in (listener.default_rule, *listener.other_rules.values()):
                for arn in actions.groups(rule.actions):
                    if group in (None, arn):
                        using = found.setdefault(arn, [])
                        if load_balancer.arn not in using:
                            using.append(load_balancer.arn)
        return found

    def groups_of(self, load_balancer: LoadBalancer, without: Rule | None = None) -> dict[str, None]:
        """ARNs of the target groups that a load balancer forwards to, by rules other than `without`."""
        return {
            arn: None
            for listener in load_balancer.listeners.values()
            for rule in (listener.default_rule, *listener.other_rules.values())
            if rule is not without
            for arn in actions.groups(rule.actions)
        }

    def shown(self, load_balancer: LoadBalancer) -> Document:
        """A load balancer as DescribeLoadBalancers shows it, with the state that it is in by now.

        It provisions until the data plane has taken each of its listeners; one that the data plane refused impairs it.
        """
        served = {arn: self.cloud.served.get(arn) for arn in load_balancer.listeners} if self.carries_traffic else {}
        refused = [arn for arn, one in served.items() if one is False]
        if load_balancer.state != "provisioning" or None not in served.values():
            load_balancer.state = "active_impaired" if refused else "active"
        document = load_balancer.document()
        if refused:
            document["State"]["Reason"] = f"The data plane refused: {', '.join(refused)}"
        return document

    def drain(self, group: TargetGroup, key: tuple[str, int]) -> None:
        """Deregister a target; one that is in use drains."""
        now = time.monotonic()
        group.draining = {key: one for key, one in group.draining.items() if one.until > now}
        registration = group.targets.pop(key, None)
        if registration and self.users(group.arn):
            delay = float(group.attributes.get("deregistration_delay.timeout_seconds", "0")) / self.pace
            if delay:
                group.draining[key] = Draining(registration, now + delay)

    def notify_terminate_instances(self, instance_ids: list[str]) -> None:
        """Deregister instances that are gone; EC2's backend says so."""
        for group in self.target_groups.values():
            for key in [key for key in group.targets if key[0] in instance_ids]:
                self.drain(group, key)


_KINDS = {
    "lb": "load balancer",
    "tg": "target group",
    "listener": "listener",
    "rule": "listener rule",
    "store": "trust store",
}


def check_arn(arn: str, kind: str) -> None:
    """Raise a ValidationError unless `arn` is one of a load balancer, a target group, a listener or a rule."""
    found = _ARN.match(arn)
    if not found or not found[kind]:
        raise invalid(f"'{arn}' is not a valid {_KINDS[kind]} ARN")
