"""NAT gateways as EC2 has them: an address of their subnet, and nothing left once they are deleted."""

from __future__ import annotations

from typing import Any, cast

from gatewright.local.aws import startup  # noqa: F401 - imports moto quickly

# isort: split

from moto.core.utils import utcnow
from moto.ec2.models import nat_gateways
from moto.ec2.utils import random_nat_gateway_id

from gatewright.local.aws.ec2 import ManagedInterface


class NatInterface(ManagedInterface):
    """The network interface of a NAT gateway."""

    requester, sort = "amazon-aws", "nat_gateway"


_NatGateway: Any = nat_gateways.NatGateway
"""moto's own, which `install` replaces."""


class NatGateway(_NatGateway):  # type: ignore[misc]
    """A NAT gateway."""

    def __init__(
        self,
        backend: Any,
        subnet_id: str,
        allocation_id: str,
        tags: dict[str, str] | None = None,
        connectivity_type: str = "public",
    ) -> None:
        subnet = backend.get_subnet(subnet_id)
        self.id = random_nat_gateway_id()
        self.subnet_id, self.vpc_id = subnet_id, subnet.vpc_id
        self.address_set: list[dict[str, Any]] = []
        self.state = "available"
        self.availability_mode = "zonal"
        self.connectivity_type = connectivity_type
        self.private_ip = subnet.get_available_subnet_ip(None)
        self.ec2_backend = backend
        self._created_at = utcnow()
        make = cast("Any", NatInterface)  # moto leaves methods for CloudFormation abstract
        self._eni = make(backend, subnet, self.private_ip, description=f"Interface for NAT Gateway {self.id}")
        self._eni._group_set = []
        self._eni.occupy(self.id)
        backend.enis[self._eni.id] = self._eni
        if allocation_id and connectivity_type == "public":
            backend.associate_address(eni=self._eni, allocation_id=allocation_id)
        self.add_tags(tags or {})

    @property
    def nat_gateway_addresses(self) -> list[dict[str, Any]]:
        """Its addresses, as DescribeNatGateways has them: there is only the primary one."""
        return [{**address, "isPrimary": True, "status": "succeeded"} for address in self.address_set]

    def dissolve(self) -> None:
        """Give its addresses back; it is still shown, as deleted."""
        self.state = "deleted"
        for address in self.ec2_backend.address_by_allocation(
            [each["allocationId"] for each in self.address_set if each.get("allocationId")] or None
        ):
            if address.eni is self._eni:
                self.ec2_backend.disassociate_address(association_id=address.association_id)
        self.ec2_backend.remove(self._eni)


def install() -> None:
    """Have moto use these NAT gateways from now on."""
    module: Any = nat_gateways
    module.NatGateway = NatGateway
