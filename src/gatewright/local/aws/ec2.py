"""EC2 with addresses that are its subnets': moto's, extended.

EC2 hands out addresses of a subnet from its end downwards; what lives at its start, pods and Gateways, never asks EC2.
A freed address isn't given again before all others were: a load balancer that is made anew is found elsewhere, as it is
in AWS.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any

from gatewright.local.aws import startup  # noqa: F401 - imports moto quickly

# isort: split

from moto.ec2.exceptions import DependencyViolationError, EC2ClientError, VPCIdNotSpecifiedError
from moto.ec2.models import EC2Backend, ec2_backends, subnets
from moto.ec2.models.elastic_network_interfaces import NetworkInterface

_RESERVED = 4
"""AWS keeps the first four addresses of a subnet, and the last one."""
_HALVED = 1024
"""From this size on, EC2 gives addresses of a subnet's upper half only, unless it is asked for one of the others."""


class AddressUnavailable(EC2ClientError):
    """An address that was asked for can't be had: it is taken, or not one of the subnet's."""


class Subnet(subnets.Subnet):
    """A subnet that gives addresses from its end downwards."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._first = int(self.cidr.network_address) + _RESERVED
        if self.cidr.num_addresses >= _HALVED:
            self._first = int(self.cidr.network_address) + self.cidr.num_addresses // 2
        self._last = int(self.cidr.broadcast_address) - 1
        self._next = self._last

    @property
    def available_ip_address_count(self) -> int:
        """How many addresses are left."""
        return int(self.cidr.num_addresses) - 5 - len(self._subnet_ips)

    def get_available_subnet_ip(self, instance: Any) -> str:
        """Take the next free address for `instance`, or whoever else has it."""
        for _ in range(self._last - self._first + 1):
            address = str(ipaddress.ip_address(self._next))
            self._next = self._next - 1 if self._next > self._first else self._last
            if address not in self._subnet_ips:
                self._subnet_ips[address] = instance
                return address
        raise EC2ClientError(
            "InsufficientFreeAddressesInSubnet",
            f"There are not enough free addresses in subnet '{self.id}' to satisfy the requested number of instances.",
        )

    def request_ip(self, ip: str, instance: Any) -> None:
        """Take `ip` for `instance`; raises `AddressUnavailable`."""
        try:
            address = ipaddress.ip_address(ip)
        except ValueError:
            address = None
        if address is None or address not in self.cidr:
            raise AddressUnavailable(
                "InvalidParameterValue", f"Address {ip} does not fall within the subnet's address range"
            )
        number = int(address) - int(self.cidr.network_address)
        if number < _RESERVED or address == self.cidr.broadcast_address:
            raise AddressUnavailable("InvalidParameterValue", f"Address {ip} is in subnet's reserved address range")
        if ip in self._subnet_ips:
            raise AddressUnavailable("InvalidIPAddress.InUse", f"Address {ip} is in use.")
        self._subnet_ips[ip] = instance

    def del_subnet_ip(self, ip: str) -> None:
        """Give `ip` back."""
        self._subnet_ips.pop(ip, None)


class _NoDefaultVpc:
    """What moto has in the place of a default VPC; AWS accounts may be without one, too."""

    id = ""


@dataclass(frozen=True)
class _Attachment:
    attachment_id: str
    instance_owner_id: str
    status: str = "attached"
    device_index: int = 1
    network_card_index: int = 0
    delete_on_termination: bool = False
    instance_id: str | None = None
    attach_time: Any = None


class ManagedInterface(NetworkInterface):
    """A network interface that a service of AWS made, and manages, for something of its own."""

    requester = ""
    """Who made it, as an account's alias."""
    sort = "interface"
    """The interface's type."""

    def occupy(self, owner: str) -> None:
        """Make it the interface of `owner`, by what its service names it."""
        self.owner = owner
        self.requester_managed = True
        self.requester_id = self.requester
        self.status = "in-use"
        self.interface_type = self.sort

    @property
    def attachment(self) -> Any:
        """Whom it is attached to."""
        prefix = "ela-attach" if self.requester == "amazon-elb" else "eni-attach"
        return _Attachment(f"{prefix}-{self.id.removeprefix('eni-')}", instance_owner_id=self.requester)

    def get_filter_value(self, filter_name: str, method_name: str | None = None) -> Any:
        """The value for a filter of DescribeNetworkInterfaces."""
        match filter_name:
            case "requester-id" | "attachment.instance-owner-id":
                return self.requester
            case "requester-managed":
                return "true"
            case "interface-type":
                return self.interface_type
            case "status":
                return self.status
        return super().get_filter_value(filter_name, method_name)


class ClusterInterface(ManagedInterface):
    """The network interface of an EKS cluster's control plane in one subnet; its owner is the cluster's name."""

    requester = "amazon-eks"


class LoadBalancerInterface(ManagedInterface):
    """The network interface of one node of a load balancer: Elastic Load Balancing made it, and manages it."""

    requester = "amazon-elb"

    def occupy(self, owner: str) -> None:
        """Make it the interface of a load balancer, the end of an ARN: `net/name/0123456789abcdef`."""
        super().occupy(owner)
        self.load_balancer = owner
        if owner.startswith("net/"):
            self.interface_type = "network_load_balancer"


class Ec2(EC2Backend):
    """moto's EC2 with addresses that are the subnet's, and without a default VPC."""

    _terminating = False

    def create_default_vpc(self) -> Any:
        """There is none at the start; CreateDefaultVpc makes it."""
        if not hasattr(self, "default_vpc"):
            return _NoDefaultVpc()
        self.default_vpc = super().create_default_vpc()
        return self.default_vpc

    def _load_amis(self) -> None:
        """Put off: there are 1,300 of them, and most users never ask."""
        self._amis_are_loaded = False

    def describe_images(self, *args: Any, **kwargs: Any) -> Any:
        """As moto's."""
        if not self._amis_are_loaded:
            self._amis_are_loaded = True
            super()._load_amis()
        return super().describe_images(*args, **kwargs)

    def create_subnet(self, vpc_id: str, *args: Any, **kwargs: Any) -> Any:
        """As moto's; only those of a default VPC are default ones, and give public addresses."""
        subnet = super().create_subnet(vpc_id, *args, **kwargs)
        subnet.default_for_az = subnet.map_public_ip_on_launch = self.get_vpc(vpc_id).is_default
        return subnet

    def create_launch_template(
        self, name: str, description: str, template_data: dict[str, Any], tag_spec: dict[str, Any]
    ) -> Any:
        """As moto's; the template's own tags are no part of what instances get from it."""
        given = template_data.pop("TagSpecifications", [])
        if kept := [each for each in given if each["ResourceType"] != "launch-template"]:
            template_data["TagSpecifications"] = kept
        return super().create_launch_template(name, description, template_data, tag_spec)

    def create_security_group(
        self, name: str, description: str, vpc_id: str | None = None, *args: Any, **kwargs: Any
    ) -> Any:
        """As moto's."""
        if not vpc_id and isinstance(self.default_vpc, _NoDefaultVpc):
            raise VPCIdNotSpecifiedError
        return super().create_security_group(name, description, vpc_id, *args, **kwargs)

    def create_network_interface(
        self,
        subnet: Any,
        private_ip_address: Any,
        private_ip_addresses: list[Any] | None = None,
        *args: Any,
        secondary_ips_count: int | str | None = None,
        **kwargs: Any,
    ) -> NetworkInterface:
        """As moto's, with addresses of the subnet."""
        of_instance = "device_index" in kwargs
        if isinstance(subnet, str):
            subnet = self.get_subnet(subnet)
            if not of_instance:
                private_ip_address = None  # of a VPC endpoint; moto makes one up
        wanted = [item["PrivateIpAddress"] if isinstance(item, dict) else item for item in private_ip_addresses or ()]
        if private_ip_address:
            primary = private_ip_address[0] if isinstance(private_ip_address, list) else private_ip_address
        else:
            primary = next(
                (item["PrivateIpAddress"] for item in private_ip_addresses or () if _is_primary(item)),
                wanted[0] if wanted else None,
            )
        given = of_instance and kwargs["device_index"] == 0  # moto took that one already
        taken: list[str] = []
        try:
            if primary is None:
                taken.append(subnet.get_available_subnet_ip(self))
            else:
                for address in dict.fromkeys([primary, *wanted]):
                    if not (given and address == primary):
                        subnet.request_ip(address, self)
                    taken.append(address)
            taken.extend(subnet.get_available_subnet_ip(self) for _ in range(int(secondary_ips_count or 0)))
        except EC2ClientError:
            for address in taken:
                if not (given and address == primary):
                    subnet.del_subnet_ip(address)
            raise
        addresses = [{"Primary": number == 0, "PrivateIpAddress": address} for number, address in enumerate(taken)]
        return super().create_network_interface(subnet, taken[0], addresses, *args, **kwargs)

    def assign_private_ip_addresses(
        self, eni_id: str, private_ip_addresses: list[str] | None = None, secondary_ips_count: int | None = None
    ) -> NetworkInterface:
        """As moto's, with addresses of the subnet."""
        interface = self.get_network_interface(eni_id)
        own = {item["PrivateIpAddress"] for item in interface.private_ip_addresses}
        fresh = [address for address in private_ip_addresses or () if address not in own]
        for address in fresh:
            interface.subnet.request_ip(address, interface)
        if not private_ip_addresses:
            fresh = [interface.subnet.get_available_subnet_ip(interface) for _ in range(secondary_ips_count or 0)]
        return super().assign_private_ip_addresses(eni_id, fresh)

    def unassign_private_ip_addresses(self, eni_id: str, private_ip_address: list[str] | None = None) -> Any:
        """As moto's."""
        interface = super().unassign_private_ip_addresses(eni_id, private_ip_address)
        for address in private_ip_address or ():
            interface.subnet.del_subnet_ip(address)
        return interface

    def delete_network_interface(self, eni_id: str) -> None:
        """As moto's; one that somebody uses stays."""
        interface = self.get_network_interface(eni_id)
        if isinstance(interface, ManagedInterface) or (interface.instance and not self._terminating):
            raise EC2ClientError("InvalidParameterValue", f"Network interface '{eni_id}' is currently in use.")
        self.remove(interface)

    def terminate_instances(self, instance_ids: list[str]) -> Any:
        """As moto's; their addresses are free then."""
        for instance in self.get_multi_instances_by_id(instance_ids):
            for index, interface in instance.nics.items():
                interface.delete_on_termination = interface.delete_on_termination or index == 0
        self._terminating = True
        try:
            return super().terminate_instances(instance_ids)
        finally:
            self._terminating = False

    def delete_subnet(self, subnet_id: str) -> Any:
        """As moto's; one that holds network interfaces stays."""
        if any(interface.subnet.id == subnet_id for interface in self.enis.values()):
            raise DependencyViolationError(f"The subnet '{subnet_id}' has dependencies and cannot be deleted.")
        return super().delete_subnet(subnet_id)

    def delete_security_group(self, name: str | None = None, group_id: str | None = None) -> None:
        """As moto's; one that a network interface or a rule of another group has stays."""
        group = self.get_security_group_by_name_or_id(group_id or name or "")
        if group and self.is_used(group.id):
            raise DependencyViolationError(f"resource {group.id} has a dependent object")
        super().delete_security_group(name, group_id)

    def is_used(self, group_id: str) -> bool:
        """Whether a network interface has a security group, or a rule of another group names it."""
        group: Any = self.get_security_group_from_id(group_id)
        if any(group in interface.group_set for interface in self.enis.values()):
            return True
        return any(
            rule.source_group.get("GroupId") == group.id
            for other in self.groups[group.vpc_id].values()
            if other is not group
            for rule in (*other.ingress_rules, *other.egress_rules)
        )

    def delete_nat_gateway(self, nat_gateway_id: str) -> Any:
        """DeleteNatGateway, which is done at once; the gateway is shown on, as deleted."""
        gateway: Any = self.nat_gateways.get(nat_gateway_id)
        if gateway is None or gateway.state == "deleted":
            raise EC2ClientError("NatGatewayNotFound", f"The Nat Gateway {nat_gateway_id} was not found")
        gateway.dissolve()
        return gateway

    def remove(self, interface: NetworkInterface) -> None:
        """Delete a network interface, whoever uses it; its addresses are free then."""
        self.enis.pop(interface.id, None)
        for item in interface.private_ip_addresses:
            interface.subnet.del_subnet_ip(item["PrivateIpAddress"])


def _is_primary(item: Any) -> bool:
    return isinstance(item, dict) and bool(item.get("Primary"))


def install() -> None:
    """Have moto use these classes from now on."""
    module: Any = subnets
    module.Subnet = Subnet
    ec2_backends.backend = Ec2
