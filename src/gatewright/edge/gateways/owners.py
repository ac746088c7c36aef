"""Whom load balancers are made for, as the loop sees them: Gateways, or groups of Ingresses."""

from __future__ import annotations

from typing import Literal, Protocol, TypeAlias

from gatewright.edge.gateways.outcomes import Provisioned
from gatewright.model.meta import Key

Standing: TypeAlias = Literal["wanted", "kept", "gone"]


class Owners(Protocol):
    """The objects that load balancers of one kind belong to, by the key of the load balancer's stack."""

    def all(self) -> list[Key]:
        """Those that may have something in AWS: there is an object, ours or with our finalizer."""

    def standing(self, key: Key) -> Standing:
        """Whether there is to be a load balancer. `kept`: what there is stays as it is, since nobody can tell."""

    async def hold(self, key: Key) -> None:
        """Keep the objects until `release`, since something is about to be made for them. Raises `ClusterError`."""

    async def release(self, key: Key) -> None:
        """Nothing is left of what was made; let the objects go. Raises `ClusterError`."""

    async def tell(
        self, key: Key, topic: str, told: set[tuple[str, str]], type_: Literal["Normal", "Warning"] = "Warning"
    ) -> None:
        """Say all of `told` (reason and message), except what was said of the topic the last time."""

    def reports_drift(self, key: Key) -> bool:
        """Whether what somebody changes in AWS is to be told, not mended."""

    def publish(self, key: Key, provisioned: Provisioned | None) -> None:
        """What came of it; None: there is nothing."""
