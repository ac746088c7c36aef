"""Where names may lead: the account's load balancers by DNS name, and those in front of Gateways by EdgeBindings."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Literal, cast

from gatewright.aws import Aws, views
from gatewright.aws.errors import NotFound
from gatewright.aws.records.names import plain
from gatewright.aws.records.records import Place
from gatewright.edge.binding.targets import gateway_of
from gatewright.flow import Collection, Flow, Source
from gatewright.model.edgebinding import EdgeBinding
from gatewright.model.meta import Key

_AT_ONCE = 20  # ARNs a call


class Places:
    """Sources of what AWS says of load balancers; `look` reads it anew."""

    def __init__(self, aws: Aws, flow: Flow, bindings: Collection[Key, EdgeBinding] | None) -> None:
        self._aws = aws
        self._bindings = bindings
        self._balancers: dict[str, str] = {}  # DNS names by ARN
        self.places: Source[str, Place] = flow.source("load balancers by their DNS names")
        self.fronts: Source[Key, tuple[str, ...]] = flow.source("load balancers in front of gateways")

    async def look(self) -> None:
        """Read all load balancers, and the target groups of EdgeBindings. Raises `AwsError`."""
        groups = self._bound()
        found, arns = await asyncio.gather(views.load_balancers(self._aws), self._attached(set(groups)))
        self.places.replace(
            {
                plain(each.dns_name): Place(
                    plain(each.dns_name),
                    each.hosted_zone,
                    cast("Literal['internal', 'internet-facing']", each.scheme),
                    each.ip_address_type.startswith("dualstack"),
                )
                for each in found
                if each.dns_name and each.hosted_zone and each.scheme
            }
        )
        names = {each.arn: each.dns_name for each in found}
        fronts: dict[Key, set[str]] = {}
        for group, gateways in groups.items():
            for gateway in gateways:
                fronts.setdefault(gateway, set()).update(names[arn] for arn in arns.get(group, ()) if arn in names)
        self.fronts.replace({gateway: tuple(sorted(of)) for gateway, of in fronts.items() if of})

    def missing(self, names: Iterable[str]) -> bool:
        """Whether a load balancer of one of these DNS names, or of a binding, isn't known."""
        bound = {gateway for gateways in self._bound().values() for gateway in gateways}
        return any(plain(name) not in self.places for name in names) or any(key not in self.fronts for key in bound)

    def _bound(self) -> dict[str, set[Key]]:
        """Gateways by the ARN of the target group that an EdgeBinding has bound them to."""
        found: dict[str, set[Key]] = {}
        for binding in self._bindings.values() if self._bindings is not None else ():
            arn = binding.status.target_group_arn
            bound = any(each.type == "Bound" and each.status == "True" for each in binding.status.conditions)
            if arn and bound and not binding.deleting:
                found.setdefault(arn, set()).add(gateway_of(binding))
        return found

    async def _attached(self, groups: set[str]) -> dict[str, tuple[str, ...]]:
        """ARNs of load balancers by target group."""
        found: dict[str, tuple[str, ...]] = {}
        left = sorted(groups)
        while left:
            some, left = left[:_AT_ONCE], left[_AT_ONCE:]
            try:
                read = await views.target_groups(self._aws, arns=some)
            except NotFound:  # one has gone, which must not hide the others
                read = [group for arn in some if (group := await views.target_group_by_arn(self._aws, arn))]
            found |= {group.arn: group.load_balancers for group in read}
        return found
