"""What Terraform says of what it made: the outputs that `deploy/aws/terraform` and `deploy/azure/terraform` share."""

from __future__ import annotations

import msgspec


class Outputs(msgspec.Struct, frozen=True, kw_only=True):
    """Outputs of either configuration, by their names there. What a target or an architecture lacks is empty."""

    name: str
    region: str
    architecture: str
    cluster_name: str
    cluster_endpoint: str = ""
    cluster_certificate_authority: str = ""
    """Base64 of a PEM."""
    hostnames: tuple[str, ...] = ()
    """Names that the certificate is for and that clients use, the domain first; a wildcard name is `*.` of a domain."""
    entry: str = ""
    """DNS name or address of the load balancer at which clients come in, where Terraform makes it."""

    # AWS
    account_id: str = ""
    vpc_id: str = ""
    vpc_cidr: str = ""
    public_subnet_ids: tuple[str, ...] = ()
    private_subnet_ids: tuple[str, ...] = ()
    public_subnet_cidrs: tuple[str, ...] = ()
    """Where load balancers of the direct architecture stand."""
    controller_role_arn: str = ""
    alb_arn: str = ""
    target_group_arn: str = ""
    """The one that the HTTPS listener forwards to."""
    target_group_name: str = ""
    target_group_port: int = 443
    """Of the Gateway's listener that it leads to: 80 where the backend's protocol is HTTP."""
    web_acl_arn: str = ""
    certificate_arn: str = ""
    access_log_bucket: str = ""
    hosted_zone_id: str = ""
    security_group_id: str = ""
    """Of the ALB; in the direct architecture, for the ALB that the controller makes."""

    # Azure
    resource_group: str = ""
    application_gateway: str = ""
    """Its name."""
    gateway_address: str = ""
    """The internal load balancer's fixed address."""
    gateway_subnet: str = ""
    """Name of the subnet that it is in."""
    entry_certificate: str = ""
    """Base64 of a DER: the certificate that clients see where it is self-signed, so that nobody else vouches for it."""
