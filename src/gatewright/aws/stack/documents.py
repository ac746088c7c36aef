"""What load balancers are made of besides rules, between our values and the documents of AWS's API (pure)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from msgspec import structs

from gatewright.aws.stack.desired import DesiredMutualAuthentication, SecurityRule, SubnetMapping
from gatewright.aws.stack.rule_documents import Document
from gatewright.aws.views import HealthCheck, Target

# --- permissions of security groups ----------------------------------------------------------------------------------

_ALL_PORTS = (0, 65535)
_SOURCES = (
    ("IpRanges", "CidrIp", "cidr"),
    ("Ipv6Ranges", "CidrIpv6", "cidr_ipv6"),
    ("PrefixListIds", "PrefixListId", "prefix_list"),
    ("UserIdGroupPairs", "GroupId", "security_group"),
)


def permission_documents(rules: Iterable[SecurityRule]) -> list[Document]:
    """As AuthorizeSecurityGroupIngress and RevokeSecurityGroupIngress take them."""
    by_ports: dict[tuple[str, int, int], Document] = defaultdict(dict)
    for rule in sorted(rules):
        for member, key, attribute in _SOURCES:
            if source := getattr(rule, attribute):
                described = {"Description": rule.description} if rule.description else {}
                ports = (rule.protocol, rule.from_port, rule.to_port)
                by_ports[ports].setdefault(member, []).append({key: source, **described})
    return [{**_ports_document(*ports), **sources} for ports, sources in by_ports.items()]


def _ports_document(protocol: str, from_port: int, to_port: int) -> Document:
    if protocol == "-1":
        return {"IpProtocol": protocol}
    if protocol.startswith("icmp") and (from_port, to_port) == _ALL_PORTS:
        from_port = to_port = -1
    return {"IpProtocol": protocol, "FromPort": from_port, "ToPort": to_port}


def read_permissions(raw: Iterable[Mapping[str, Any]]) -> frozenset[SecurityRule]:
    """The IpPermissions of a security group."""
    return frozenset(rule for permission in raw for rule in _read_permission(permission))


def _read_permission(raw: Mapping[str, Any]) -> Iterator[SecurityRule]:
    protocol = str(raw.get("IpProtocol", "-1"))
    from_port, to_port = raw.get("FromPort"), raw.get("ToPort")
    if protocol == "-1" or from_port is None or to_port is None or from_port < 0:
        from_port, to_port = _ALL_PORTS
    for member, key, attribute in _SOURCES:
        for source in raw.get(member) or ():
            described = {"description": source.get("Description") or ""}
            yield SecurityRule(protocol, from_port, to_port or 0, **{attribute: source[key]}, **described)


# --- target groups, subnets, certificates ----------------------------------------------------------------------------


def health_check_document(check: HealthCheck, protocol_version: str) -> Document:
    """As CreateTargetGroup and ModifyTargetGroup take it; a TCP check has neither path nor codes."""
    document: Document = {
        "HealthCheckEnabled": check.enabled,
        "HealthCheckProtocol": check.protocol,
        "HealthCheckPort": check.port,
        "HealthCheckIntervalSeconds": check.interval,
        "HealthCheckTimeoutSeconds": check.timeout,
        "HealthyThresholdCount": check.healthy_threshold,
        "UnhealthyThresholdCount": check.unhealthy_threshold,
    }
    if check.protocol != "TCP" and check.path:
        document["HealthCheckPath"] = check.path
    if check.protocol != "TCP" and check.matcher:
        document["Matcher"] = {"GrpcCode" if protocol_version == "GRPC" else "HttpCode": check.matcher}
    return document


def same_check(wanted: HealthCheck, found: HealthCheck) -> bool:
    """Whether nothing has to be changed; what isn't said of path and codes stays as it is."""
    if wanted.protocol == "TCP" or not wanted.path:
        found = structs.replace(found, path=wanted.path)
    if wanted.protocol == "TCP" or not wanted.matcher:
        found = structs.replace(found, matcher=wanted.matcher)
    return wanted == found


def target_documents(targets: Iterable[Target]) -> list[Document]:
    """As RegisterTargets takes them; a zone is told only where it is `all`, since AWS knows its own network's."""
    return [
        {
            "Id": each.id,
            **({"Port": each.port} if each.port else {}),
            **({"AvailabilityZone": "all"} if each.zone == "all" else {}),
        }
        for each in targets
    ]


def mapping_document(mapping: SubnetMapping) -> Document:
    """As CreateLoadBalancer and SetSubnets take it."""
    members = {
        "PrivateIPv4Address": mapping.private_address,
        "AllocationId": mapping.allocation,
        "IPv6Address": mapping.ipv6_address,
        "SourceNatIpv6Prefix": mapping.source_nat_prefix,
    }
    return {"SubnetId": mapping.subnet, **{name: value for name, value in members.items() if value}}


def mutual_authentication_document(asked: DesiredMutualAuthentication) -> Document:
    """As CreateListener takes it; only `verify` has a trust store and settings of it."""
    if asked.mode != "verify":
        return {"Mode": asked.mode}
    return {
        "Mode": asked.mode,
        "TrustStoreArn": asked.trust_store,
        "IgnoreClientCertificateExpiry": asked.ignore_expiry,
        "AdvertiseTrustStoreCaNames": "on" if asked.advertise_ca_names else "off",
    }


def read_mutual_authentication(raw: Mapping[str, Any] | None) -> DesiredMutualAuthentication:
    """The MutualAuthentication of a listener; one without any has it off."""
    raw = raw or {}
    if raw.get("Mode") != "verify":
        return DesiredMutualAuthentication(raw.get("Mode") or "off")
    return DesiredMutualAuthentication(
        "verify",
        raw.get("TrustStoreArn") or "",
        bool(raw.get("IgnoreClientCertificateExpiry")),
        raw.get("AdvertiseTrustStoreCaNames") == "on",
    )
