"""Where clients come in to each Gateway: the load balancer that is furthest in front of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from gatewright.edge.front import Front, FrontBalancer
from gatewright.model.edgebinding import EdgeBinding
from gatewright.model.meta import Key
from gatewright.platform.certificates import GATEWAY
from gatewright.platform.outputs import Outputs


class Door(Struct, frozen=True):
    """A load balancer at which clients come in.

    `host` is its DNS name or address, `addresses` are those of its nodes, `ports` are ports with their protocols;
    `redirects` are those that send clients to another one. `behind` is the protocol that it speaks to the Gateway
    for clients of HTTPS, empty where it is the Gateway itself. `arn` is empty for what isn't AWS's.
    """

    name: str
    host: str
    ports: tuple[tuple[int, str], ...]
    addresses: tuple[str, ...] = ()
    redirects: frozenset[int] = frozenset()
    behind: str = ""
    arn: str = ""

    def port(self, protocol: str) -> int | None:
        """The port for a protocol, HTTP or HTTPS: the well-known one, or else the first."""
        ports = sorted(port for port, spoken in self.ports if spoken == protocol)
        usual = {"HTTP": 80, "HTTPS": 443}[protocol]
        return usual if usual in ports else next(iter(ports), None)


def doors(
    front: Front,
    bindings: Iterable[EdgeBinding],
    gateways: Iterable[Key],
    outputs: Outputs | None,
) -> dict[Key, Door]:
    """The door of each Gateway that has one: a load balancer that it is, one that is bound to it, or Terraform's."""
    found = {}
    by_binding = {_gateway_of(binding): binding for binding in bindings}
    for key in gateways:
        own = next((each for each in front.balancers if each.gateway == str(key)), None)
        arn = by_binding[key].status.target_group_arn if key in by_binding else None
        if arn is None and key in by_binding and outputs:
            arn = outputs.target_group_arn
        before = next((each for each in front.balancers if arn and arn in _groups(each)), None)
        balancer = own or before
        if balancer:
            found[key] = _door(balancer, "" if own else _behind(front, balancer))
        elif key == GATEWAY and outputs and outputs.application_gateway and outputs.entry:
            found[key] = Door(
                name=f"application gateway {outputs.application_gateway}",
                host=outputs.entry,
                ports=((80, "HTTP"), (443, "HTTPS")),
                redirects=frozenset({80}),
                behind="HTTPS",
            )
    return found


def _gateway_of(binding: EdgeBinding) -> Key:
    ref = binding.spec.gateway_ref
    return Key(ref.namespace or binding.namespace, ref.name)


def _groups(balancer: FrontBalancer) -> set[str]:
    return {arn for listener in balancer.listeners for arn in listener.groups}


def _behind(front: Front, balancer: FrontBalancer) -> str:
    """The protocol of what a load balancer forwards to, of its HTTPS listener where it has one."""
    listeners = sorted(balancer.listeners, key=lambda each: each.listener.protocol != "HTTPS")
    groups = (front.groups[arn] for listener in listeners for arn in listener.groups if arn in front.groups)
    return next((group.protocol for group in groups), "HTTPS")


def _door(each: FrontBalancer, behind: str) -> Door:
    balancer = each.balancer
    return Door(
        name=f"{'ALB' if balancer.type == 'application' else 'NLB'} {balancer.name}",
        host=balancer.dns_name,
        ports=tuple((listener.listener.port, listener.listener.protocol) for listener in each.listeners),
        addresses=each.addresses,
        redirects=frozenset(
            listener.listener.port for listener in each.listeners if listener.answer.startswith("redirects")
        ),
        behind=behind,
        arn=balancer.arn,
    )
