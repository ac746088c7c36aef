"""Gateways as owners of load balancers: who is to have one, their finalizer and events, and what came of it."""

from __future__ import annotations

from typing import Final, Literal

from gatewright.cluster import Client
from gatewright.edge.events import Events
from gatewright.edge.finalizers import add_finalizer, remove_finalizer
from gatewright.edge.gateways.outcomes import Provisioned
from gatewright.edge.gateways.owners import Standing
from gatewright.flow import Source
from gatewright.model.meta import Key
from gatewright.resolve import Inputs, Resolution

FINALIZERS: Final = {"alb": "gateway.k8s.aws/alb", "nlb": "gateway.k8s.aws/nlb"}
"""On a Gateway while AWS holds something of it; the AWS controller's own."""

DRIFT: Final = "gatewright.dev/drift"
"""Annotation of a Gateway. `report`: what somebody changes in AWS is told and stays; else it is mended."""


class GatewayOwners:
    """The Gateways of one class of load balancer. What came of them is `provisioned`."""

    def __init__(
        self,
        client: Client,
        events: Events,
        inputs: Inputs,
        resolution: Resolution,
        controller: str,
        kind: Literal["alb", "nlb"],
    ) -> None:
        self.provisioned: Source[Key, Provisioned] = inputs.flow.source(f"{kind} load balancers as they are")
        self._client = client
        self._events = events
        self._inputs = inputs
        self._resolution = resolution
        self._controller = controller
        self._finalizer = FINALIZERS[kind]

    def all(self) -> list[Key]:
        """Those that are ours, and those that have our finalizer."""
        held = [key for key, each in self._inputs.gateways.items() if self._finalizer in each.metadata.finalizers]
        return [*self._resolution.gateways, *held]

    def standing(self, key: Key) -> Standing:
        """A Gateway whose class has gone keeps what it has: it may have been a mistake, and come back."""
        gateway = self._inputs.gateways.get(key)
        if gateway is None or gateway.deleting:
            return "gone"
        found = self._inputs.gateway_classes.get(Key("", gateway.spec.gateway_class_name))
        if found is None:
            return "kept"
        return "wanted" if found.spec.controller_name == self._controller else "gone"

    async def hold(self, key: Key) -> None:
        """Put our finalizer on the Gateway. Raises `ClusterError`."""
        gateway = self._inputs.gateways.get(key)
        if gateway and self._finalizer not in gateway.metadata.finalizers:
            await add_finalizer(self._client, gateway, self._finalizer)

    async def release(self, key: Key) -> None:
        """Take our finalizer from the Gateway. Raises `ClusterError`."""
        gateway = self._inputs.gateways.get(key)
        if gateway is None:
            return
        if self._finalizer in gateway.metadata.finalizers:
            await remove_finalizer(self._client, gateway, self._finalizer)
        self._events.forget(gateway)

    async def tell(
        self, key: Key, topic: str, told: set[tuple[str, str]], type_: Literal["Normal", "Warning"] = "Warning"
    ) -> None:
        """As events of the Gateway."""
        gateway = self._inputs.gateways.get(key)
        if gateway:
            await self._events.tell(gateway, topic, told, type_)

    def reports_drift(self, key: Key) -> bool:
        """Whether the Gateway is annotated to say so."""
        gateway = self._inputs.gateways.get(key)
        return gateway is not None and gateway.metadata.annotations.get(DRIFT) == "report"

    def publish(self, key: Key, provisioned: Provisioned | None) -> None:
        """Write it to `provisioned`."""
        if provisioned is None:
            self.provisioned.delete(key)
        else:
            self.provisioned.set(key, provisioned)
