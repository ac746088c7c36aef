"""What a resolution is told of its load balancers: addresses, ports, and what routes are served without. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from gatewright.aws.gateways import LoadBalancers
from gatewright.edge.gateways.mirrors import mirror
from gatewright.edge.gateways.outcomes import Provisioned, refusals
from gatewright.flow import Collection, Context, Flow
from gatewright.model.gateway.gateway import GatewayStatusAddress
from gatewright.model.meta import Key
from gatewright.resolve import Addresses, Inputs, Resolution
from gatewright.topology import PortKey, PortState, Refusal, RefusalKey


class Feedback:
    """The feedback of the load balancers of one class, as derived collections; `write` puts it into the inputs."""

    def __init__(
        self,
        inputs: Inputs,
        resolution: Resolution,
        balancers: LoadBalancers,
        provisioned: Collection[Key, Provisioned],
    ) -> None:
        flow = inputs.flow
        self._inputs = inputs
        self.addresses = _addresses(flow, resolution, balancers, provisioned)
        self.ports = _ports(flow, resolution, balancers, provisioned)
        self.refusals = _refusals(flow, balancers, provisioned)

    def write(self) -> None:
        """Keep the inputs equal to it from now on."""
        mirror(self.addresses, self._inputs.addresses)
        mirror(self.ports, self._inputs.ports)
        mirror(self.refusals, self._inputs.refusals)


def _addresses(
    flow: Flow, resolution: Resolution, balancers: LoadBalancers, provisioned: Collection[Key, Provisioned]
) -> Collection[Key, Addresses]:
    """By Gateway: the DNS name once AWS has set the load balancer up."""

    def resolve(ctx: Context, key: Key, _: object) -> Addresses | None:
        found, remarks = ctx.get(provisioned, key) or Provisioned(), ctx.get(balancers.remarks, key)
        ready = found.dns_name and found.state != "provisioning"
        values = (GatewayStatusAddress(type="Hostname", value=found.dns_name),) if ready else ()
        every = (*(remarks or ()), *found.remarks)
        return Addresses(values, of=found.described if ready else "", remarks=every) if values or every else None

    return flow.derive("addresses of load balancers", resolution.gateways, resolve)


def _ports(
    flow: Flow, resolution: Resolution, balancers: LoadBalancers, provisioned: Collection[Key, Provisioned]
) -> Collection[PortKey, PortState]:
    """By port of a Gateway: whether AWS listens there, and why it doesn't."""

    def resolve(ctx: Context, port: PortKey, _: PortKey) -> PortState | None:
        found = ctx.get(provisioned, port.gateway)
        problems = ctx.get(balancers.blocked, port.gateway)
        blocked = "; ".join(problems or ())
        if blocked:
            there = found is not None and port.port in found.listeners
            return PortState(False, f"{blocked}; what AWS has stays as it was" if there else blocked)
        problem = ctx.get(balancers.ports, port) or (found.ports.get(port.port) if found else "")
        if problem:
            return PortState(False, problem)
        if found is None:
            return None
        if port.port in found.listeners:
            return PortState(True, found.problem)
        return PortState(False, found.problem) if found.problem else None

    return flow.derive("ports of load balancers", resolution.ports, resolve)


def _refusals(
    flow: Flow, balancers: LoadBalancers, provisioned: Collection[Key, Provisioned]
) -> Collection[RefusalKey, tuple[Refusal, ...]]:
    """By route and Gateway: what can't be translated, and what AWS refuses."""

    def by_aws(_: Context, gateway: Key, found: Provisioned) -> Mapping[RefusalKey, tuple[Refusal, ...]]:
        return refusals(gateway, found.left_out)

    refused = flow.derive_many("what AWS refuses of routes", provisioned, by_aws)
    keys = flow.merge("refused routes", balancers.refusals, refused)

    def every(ctx: Context, key: RefusalKey, _: tuple[Refusal, ...]) -> tuple[Refusal, ...]:
        return (*(ctx.get(balancers.refusals, key) or ()), *(ctx.get(refused, key) or ()))

    return flow.derive("refusals of load balancers", keys, every)
