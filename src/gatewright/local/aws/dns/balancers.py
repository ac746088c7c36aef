"""The addresses that a load balancer's DNS name stands for: one a zone, those of healthy zones.

An NLB's zone is taken out of DNS while one of its target groups has no healthy target there, unless no zone has (NLB
user guide, "Availability Zones"); an ALB's zones see all targets. An NLB has names for single zones, too:
`us-east-1a.<its name>`.
"""

from __future__ import annotations

from collections.abc import Iterable

from gatewright.local.aws.state import CloudState, Forward, LoadBalancer, Node

_SHARED = "127.0.0.1"


class BalancerNames:
    """Addresses by name, as the state is when it is asked. `shared`: all load balancers are at 127.0.0.1."""

    def __init__(self, state: CloudState, *, shared: bool = False) -> None:
        self._state = state
        self._shared = shared
        self._by_name = state.load_balancers.index(lambda _, each: [each.dns_name.lower()], name="balancers by name")
        self._listeners = state.listeners.index(lambda _, each: [each.load_balancer], name="listeners by balancer")
        self._targets = state.targets.index(lambda key, _: [key.group], name="targets by group")

    def addresses(self, name: str) -> tuple[str, ...] | None:
        """The IPv4 addresses of a name, in lower case; None where it is no load balancer's."""
        name = name.removeprefix("dualstack.")
        found = self._by_name.lookup(name)
        if found:
            return self._shown(self._healthy(found[0]))
        zone, _, rest = name.partition(".")
        found = self._by_name.lookup(rest)
        if not found or found[0].type != "network":
            return None
        nodes = [node for node in found[0].nodes if node.zone == zone]
        return self._shown(nodes) if nodes else None

    def _shown(self, nodes: Iterable[Node]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(_SHARED if self._shared else node.address for node in nodes))

    def _healthy(self, balancer: LoadBalancer) -> tuple[Node, ...]:
        if balancer.type != "network":
            return balancer.nodes
        groups = {
            arn
            for listener in self._listeners.lookup(balancer.arn)
            if isinstance(listener.action, Forward)
            for arn, _ in listener.action.groups
        }
        fine = tuple(node for node in balancer.nodes if all(self._serves(balancer, arn, node.zone) for arn in groups))
        return fine or balancer.nodes

    def _serves(self, balancer: LoadBalancer, arn: str, zone: str) -> bool:
        group = self._state.target_groups.get(arn)
        everywhere = group.attributes.get("load_balancing.cross_zone.enabled", "") if group else ""
        if everywhere not in ("true", "false"):
            everywhere = balancer.attributes.get("load_balancing.cross_zone.enabled", "false")
        return any(
            health.state == "healthy"
            for target in self._targets.lookup(arn)
            if everywhere == "true" or target.zone in ("", zone)
            for health in [self._state.health.get(target.key)]
            if health
        )
