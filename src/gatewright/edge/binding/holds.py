"""Services that are kept while addresses of their load balancer are registered somewhere: by a finalizer.

Whoever deletes a load balancer (`edge.nlb.services`, for one) waits until the finalizer is gone, so that no target
group sends to addresses of which nobody knows whose they are next, and requests under way are answered.

They are waited for only where others take the new ones meanwhile. A load balancer that is the only one is let go of as
soon as nothing new is sent to it: its successor can't be made before it has gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet

from gatewright.aws.views import TargetHealth
from gatewright.cluster import Client
from gatewright.edge.binding.groups import Balancers
from gatewright.edge.binding.targets import TargetKey, addresses_of, gateway_of
from gatewright.edge.finalizers import add_finalizer, remove_finalizer
from gatewright.flow import Index
from gatewright.model.core import Service
from gatewright.model.edgebinding import FINALIZER, EdgeBinding
from gatewright.model.gateway.shared import GATEWAY_NAME
from gatewright.model.meta import Key
from gatewright.resolve import Inputs


class ServiceHolds:
    """Puts the finalizer on Services of Gateways, and takes it off when nothing of theirs is registered any more."""

    def __init__(
        self,
        client: Client,
        inputs: Inputs,
        balancers: Balancers,
        health: Mapping[str, Mapping[TargetKey, TargetHealth] | None],
    ) -> None:
        """`health` is that of all targets by target group's ARN, kept up to date by somebody else."""
        self._client = client
        self._health = health
        self._balancers = balancers
        self.by_gateway: Index[Key, Key, Service] = inputs.services.index(_gateway_of, name="services by gateway")
        """A Gateway's Services."""
        self._held = inputs.services.index(
            lambda _, service: [True] if FINALIZER in service.metadata.finalizers else [], name="held services"
        )

    async def hold(self, gateway: Key) -> None:
        """Hold the Services whose load balancer's addresses are about to be registered."""
        for service in self.by_gateway.lookup(gateway):
            held = FINALIZER in service.metadata.finalizers
            if service.spec.type == "LoadBalancer" and not service.deleting and not held:
                await add_finalizer(self._client, service, FINALIZER)

    async def release(
        self,
        bindings: Iterable[EdgeBinding],
        own: Callable[[Key], Iterable[TargetKey]],
        may_refer: Callable[[str, Key], bool],
    ) -> None:
        """Let go of those of which none of all the `bindings` has anything registered, or wants to. Raises AwsError.

        `own` says what a binding has registered, `may_refer` whether bindings of a namespace may refer to a Gateway:
        who may not could only claim addresses of its load balancer, and has nobody's load balancer kept for it.
        """
        held = self._held.lookup(True)
        if not held:
            return
        known = list(bindings)
        registered = {binding.key: own(binding.key) for binding in known}
        bound = {gateway_of(each) for each in known if each.spec.via == "LoadBalancer" and not each.deleting}
        for service in held:
            gateway = Key(service.namespace, service.metadata.labels.get(GATEWAY_NAME, ""))
            if gateway in bound and not service.deleting and service.spec.type == "LoadBalancer":
                continue
            names = ingress_names([service])
            used = {
                target for key, targets in registered.items() if may_refer(key.namespace, gateway) for target in targets
            }
            balancers = await self._balancers.find(names) if names and used else {}
            addresses = addresses_of(service, balancers)
            if not any(self._needs(target, addresses) for target in used if target.id in addresses):
                await remove_finalizer(self._client, service, FINALIZER)

    def _needs(self, target: TargetKey, addresses: AbstractSet[str]) -> bool:
        """Whether a target needs the load balancer that has `addresses`: for new requests, or for those under way."""
        health = self._health.get(target.group)
        if health is None:
            return True
        if target in health and health[target].state != "draining":
            return True
        return any(other.id not in addresses and found.state == "healthy" for other, found in health.items())


def ingress_names(services: Iterable[Service]) -> set[str]:
    """The DNS names of Services' load balancers."""
    return {entry.hostname for service in services for entry in service.status.load_balancer.ingress if entry.hostname}


def _gateway_of(key: Key, service: Service) -> list[Key]:
    name = service.metadata.labels.get(GATEWAY_NAME)
    return [Key(key.namespace, name)] if name else []
