"""Services that are kept while addresses of their load balancer are registered somewhere: by a finalizer.

Whoever deletes a load balancer (`edge.services`, for one) waits until the finalizer is gone, so that no target group
sends to addresses of which nobody knows whose they are next.
"""

from __future__ import annotations

from collections.abc import Iterable

from gatewright.cluster import Client
from gatewright.edge.bindingstatus import recorded
from gatewright.edge.groups import Balancers
from gatewright.edge.targets import GATEWAY_NAME, addresses_of, gateway_of
from gatewright.flow import Index
from gatewright.model.core import Service
from gatewright.model.edgebinding import FINALIZER, EdgeBinding
from gatewright.model.meta import Key, Object
from gatewright.resolve import Inputs


class ServiceHolds:
    """Puts the finalizer on Services of Gateways, and takes it off when nothing of theirs is registered any more."""

    def __init__(self, client: Client, inputs: Inputs, balancers: Balancers) -> None:
        self._client = client
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
                await set_finalizers(self._client, service, [*service.metadata.finalizers, FINALIZER])

    async def release(self, bindings: Iterable[EdgeBinding]) -> None:
        """Let go of those of which none of all the `bindings` has anything registered, or wants to. Raises AwsError."""
        held = self._held.lookup(True)
        if not held:
            return
        known = list(bindings)
        registered = {target.id for binding in known for target in recorded(binding)}
        bound = {gateway_of(each) for each in known if each.spec.via == "LoadBalancer" and not each.deleting}
        for service in held:
            gateway = Key(service.namespace, service.metadata.labels.get(GATEWAY_NAME, ""))
            if gateway in bound and not service.deleting and service.spec.type == "LoadBalancer":
                continue
            names = ingress_names([service])
            balancers = await self._balancers.find(names) if names and registered else {}
            if not addresses_of(service, balancers) & registered:
                left = [one for one in service.metadata.finalizers if one != FINALIZER]
                await set_finalizers(self._client, service, left)


async def set_finalizers(client: Client, obj: Object, finalizers: list[str]) -> bytes:
    """Give an object these finalizers, unless it has changed meanwhile; its JSON as it is stored then."""
    metadata = {"resourceVersion": obj.metadata.resource_version, "finalizers": finalizers}
    return await client.patch(type(obj), obj.key, {"metadata": metadata})


def ingress_names(services: Iterable[Service]) -> set[str]:
    """The DNS names of Services' load balancers."""
    return {entry.hostname for service in services for entry in service.status.load_balancer.ingress if entry.hostname}


def _gateway_of(key: Key, service: Service) -> list[Key]:
    name = service.metadata.labels.get(GATEWAY_NAME)
    return [Key(key.namespace, name)] if name else []
