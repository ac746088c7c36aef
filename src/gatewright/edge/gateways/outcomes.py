"""What came of a load balancer, as statuses tell it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from gatewright.aws.stack.holdings import ActualLoadBalancer, ActualStack
from gatewright.edge.gateways.health import WatchedGroup
from gatewright.model.meta import Key
from gatewright.topology import Origin, Refusal, RefusalKey


class LeftOut(Struct, frozen=True):
    """Something of a route that isn't served, and why: more than a quota allows, or what AWS refuses.

    `rule` is its number in the route; None is a remark about all of it.
    """

    origin: Origin
    rule: int | None
    message: str


class Provisioned(Struct, frozen=True):
    """What AWS has of a load balancer that was asked for.

    `state` is AWS's (`active`, `provisioning`, ...). `listeners` are the ports that it listens on. `problem` says why
    it isn't as it should be, `ports` why a port isn't.
    """

    name: str = ""
    arn: str = ""
    dns_name: str = ""
    hosted_zone: str = ""
    state: str = ""
    listeners: frozenset[int] = frozenset()
    problem: str = ""
    ports: Mapping[int, str] = {}
    left_out: tuple[LeftOut, ...] = ()
    remarks: tuple[str, ...] = ()
    groups: tuple[WatchedGroup, ...] = ()

    @property
    def described(self) -> str:
        """Its name and ARN, as messages say them."""
        return f"load balancer {self.name} ({self.arn})" if self.arn else ""


def provisioned(
    owner: Key,
    actual: ActualStack,
    serving: ActualLoadBalancer | None,
    *,
    state: str = "",
    problem: str = "",
    ports: Mapping[int, str] | None = None,
    left_out: tuple[LeftOut, ...] = (),
) -> Provisioned | None:
    """What to say of a stack; None where AWS has nothing of it and nothing is wrong."""
    if serving is None and not problem and not ports and not left_out:
        return None
    told = Provisioned(problem=problem, ports=ports or {}, left_out=left_out)
    if serving is None:
        return told
    view = serving.load_balancer
    return Provisioned(
        name=view.name,
        arn=view.arn,
        dns_name=view.dns_name,
        hosted_zone=view.hosted_zone,
        state=state or view.state,
        listeners=frozenset(listener.port for listener in serving.listeners.values()),
        problem=problem,
        ports=ports or {},
        left_out=left_out,
        groups=tuple(
            WatchedGroup(
                arn=arn,
                name=each.group.name,
                owner=owner,
                backend=_backend(each.tags.get(actual.key.resource_tag, "")),
                health_check=each.group.health_check,
                targets=each.targets or frozenset(),
            )
            for arn, each in sorted(actual.target_groups.items())
        ),
    )


def _backend(resource: str) -> str:
    """The Service of a target group's resource ID (`aws.gateways.names`), in words."""
    parts = resource.split(":")
    return f"Service {parts[1]}:{parts[2]}" if len(parts) > 2 else f"target group {resource}"


def refusals(gateway: Key, left_out: Iterable[LeftOut]) -> dict[RefusalKey, tuple[Refusal, ...]]:
    """What the routes on a Gateway are told of it."""
    found: dict[RefusalKey, dict[Refusal, None]] = {}
    for each in left_out:
        key = RefusalKey(each.origin.kind, each.origin.key, gateway)
        refusal = Refusal(each.origin.version, each.rule, each.message)
        found.setdefault(key, {})[refusal] = None
    return {key: tuple(each) for key, each in found.items()}
