"""The Service annotations of the AWS Load Balancer Controller (its documentation, "Service annotations"), as settings.

Nothing is passed over in silence: what is wrong, not supported or not known is a `Problem` that names the annotation,
what was found, what was expected and what to do.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Literal, TypeVar

from msgspec import Struct, field

from gatewright.model.core import Service

T = TypeVar("T")

PREFIX = "service.beta.kubernetes.io/"
LOAD_BALANCER_CLASS = "service.k8s.aws/nlb"
_AWS = f"{PREFIX}aws-load-balancer-"
_SOURCE_RANGES = f"{PREFIX}load-balancer-source-ranges"

Scheme = Literal["internal", "internet-facing"]
TargetType = Literal["ip", "instance"]
IpAddressType = Literal["ipv4", "dualstack"]

_ALPN = ("HTTP1Only", "HTTP2Only", "HTTP2Optional", "HTTP2Preferred", "None")

_UNSUPPORTED: Mapping[str, str] = {
    "eip-allocations-discovery-tags": f"name the allocations in {_AWS}eip-allocations",
    "enable-icmp-for-path-mtu-discovery": "set the rule in a security group of your own",
    "enable-prefix-for-ipv6-source-nat": "leave it out; UDP over IPv6 is not supported",
    "inbound-sg-rules-on-private-link-traffic": "set it on the load balancer through the AWS API",
    "ipv6-addresses": "leave it out; AWS then chooses the addresses",
    "minimum-load-balancer-capacity": "reserve capacity through the AWS API",
    "multi-cluster-target-group": "bind the target group from each cluster with an EdgeBinding",
    "nlb-shield-advanced-protection": "protect the load balancer through the AWS API",
    "quic-enabled-containers": "use a UDP port",
    "quic-enabled-ports": "use a UDP port",
    "security-group-prefix-lists": f"put them into a security group of your own and name that in {_AWS}security-groups",
    "source-nat-ipv6-prefixes": "leave it out; UDP over IPv6 is not supported",
}
"""What the AWS controller knows and this one doesn't do, and what to do instead."""

_LEGACY = frozenset(
    {
        "access-log-emit-interval",
        "connection-draining-enabled",
        "connection-draining-timeout",
        "connection-idle-timeout",
        "extra-security-groups",
    }
)
"""Those of the cloud provider that was built into Kubernetes; they are about Classic Load Balancers."""


class Problem(Struct, frozen=True):
    """Something about a Service. `fatal`: its load balancer stays as it is until that is put right.

    `in_aws`: that may be done in AWS as well, by a subnet or a security group, or tags of theirs.
    """

    field: str
    found: str
    expected: str
    remedy: str
    fatal: bool = True
    in_aws: bool = False

    def __str__(self) -> str:
        return f"{self.field}: found {self.found}, expected {self.expected}; {self.remedy}"


class HealthCheckSettings(Struct, frozen=True):
    """What the annotations say of the health check; None: the default, which depends on the target type."""

    protocol: str | None = None
    port: str | None = None
    path: str | None = None
    interval: int | None = None
    timeout: int | None = None
    healthy_threshold: int | None = None
    unhealthy_threshold: int | None = None
    matcher: str | None = None


class Settings(Struct, frozen=True):
    """What the annotations of a Service ask for. `security_groups` and `subnets` are IDs or names (tag Name)."""

    target_type: TargetType = "instance"
    scheme: Scheme = "internal"
    name: str = ""
    ip_address_type: IpAddressType = "ipv4"
    subnets: tuple[str, ...] = ()
    private_addresses: tuple[str, ...] = ()
    allocations: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    source_ranges: tuple[str, ...] = ()
    attributes: dict[str, str] = field(default_factory=dict)
    target_group_attributes: dict[str, str] = field(default_factory=dict)
    listener_attributes: dict[str, dict[str, str]] = field(default_factory=dict)
    """By `protocol-port`, as `TCP-80`."""
    proxy_protocol_ports: tuple[str, ...] = ()
    """The ports whose target groups alone get the proxy protocol."""
    tags: dict[str, str] = field(default_factory=dict)
    certificates: tuple[str, ...] = ()
    tls_ports: tuple[str, ...] = ()
    ssl_policy: str = ""
    backend_tls: bool = False
    alpn_policy: str = ""
    node_labels: dict[str, str] = field(default_factory=dict)
    tcp_udp: bool = False
    health: HealthCheckSettings = HealthCheckSettings()


def is_ours(service: Service) -> bool:
    """Whether a Service is the AWS controller's to serve: type LoadBalancer, and its class, or its type annotation."""
    if service.spec.type != "LoadBalancer":
        return False
    if service.spec.load_balancer_class is not None:
        return service.spec.load_balancer_class == LOAD_BALANCER_CLASS
    return service.metadata.annotations.get(f"{_AWS}type") in ("external", "nlb-ip")


def read(service: Service) -> tuple[Settings, tuple[Problem, ...]]:
    """The settings of a Service that is ours, and everything that is wrong with its annotations."""
    reader = _Reader(service.metadata.annotations)
    settings = _settings(reader, service)
    return settings, (*reader.problems, *reader.rest(), *_contradictions(settings))


def _settings(reader: _Reader, service: Service) -> Settings:
    attributes = reader.mapping("attributes")
    if (cross_zone := reader.boolean("cross-zone-load-balancing-enabled")) is not None:
        attributes["load_balancing.cross_zone.enabled"] = _text(cross_zone)
    if (access_log := reader.boolean("access-log-enabled")) is not None:
        attributes["access_logs.s3.enabled"] = _text(access_log)
    bucket, folder = reader.text("access-log-s3-bucket-name"), reader.text("access-log-s3-bucket-prefix")
    if access_log:
        attributes |= {"access_logs.s3.bucket": bucket} if bucket else {}
        attributes |= {"access_logs.s3.prefix": folder} if folder else {}
    elif bucket or folder:
        name, expected = "access-log-s3-bucket-name", f"{_AWS}access-log-enabled: true"
        remedy = "set it, since nothing is logged without"
        reader.problems.append(
            _wrong(name if bucket else "access-log-s3-bucket-prefix", bucket or folder, expected, remedy, fatal=False)
        )
    target_group_attributes = reader.mapping("target-group-attributes")
    if reader.text("proxy-protocol", lambda value: value == "*", "*"):
        target_group_attributes["proxy_protocol_v2.enabled"] = "true"
    internal = reader.boolean("internal")
    scheme = reader.choice("scheme", ("internal", "internet-facing"))
    if not scheme:
        scheme = "internet-facing" if internal is False else "internal"
    ranges = service.spec.load_balancer_source_ranges or reader.items(_SOURCE_RANGES, _is_network, "CIDRs")
    return Settings(
        target_type=_target_type(reader, service),
        scheme="internal" if scheme == "internal" else "internet-facing",
        name=reader.text(
            "name",
            lambda value: bool(re.fullmatch(r"(?!internal-)[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?", value)),
            "at most 32 letters, digits and hyphens, not beginning with internal-",
        ),
        ip_address_type="dualstack"
        if reader.choice("ip-address-type", ("ipv4", "dualstack")) == "dualstack"
        else "ipv4",
        subnets=reader.items("subnets"),
        private_addresses=reader.items("private-ipv4-addresses", _is_ipv4, "IPv4 addresses"),
        allocations=reader.items("eip-allocations", lambda value: value.startswith("eipalloc-"), "eipalloc-..."),
        security_groups=reader.items("security-groups"),
        source_ranges=tuple(ranges),
        attributes=attributes,
        target_group_attributes=target_group_attributes,
        listener_attributes=reader.listener_attributes(),
        proxy_protocol_ports=reader.items("proxy-protocol-per-target-group"),
        tags=reader.mapping("additional-resource-tags"),
        certificates=reader.items("ssl-cert", lambda value: value.startswith("arn:"), "ARNs of certificates"),
        tls_ports=reader.items("ssl-ports"),
        ssl_policy=reader.text("ssl-negotiation-policy"),
        backend_tls=reader.choice("backend-protocol", ("tcp", "ssl")) == "ssl",
        alpn_policy=reader.choice("alpn-policy", _ALPN),
        node_labels=reader.mapping("target-node-labels"),
        tcp_udp=bool(reader.boolean("enable-tcp-udp-listener")),
        health=HealthCheckSettings(
            protocol=reader.choice("healthcheck-protocol", ("TCP", "HTTP", "HTTPS"), fold=True) or None,
            port=reader.text("healthcheck-port") or None,
            path=reader.text("healthcheck-path", lambda value: value.startswith("/"), "a path that begins with /")
            or None,
            interval=reader.number("healthcheck-interval", 5, 300),
            timeout=reader.number("healthcheck-timeout", 2, 120),
            healthy_threshold=reader.number("healthcheck-healthy-threshold", 2, 10),
            unhealthy_threshold=reader.number("healthcheck-unhealthy-threshold", 2, 10),
            matcher=reader.text("healthcheck-success-codes", _is_matcher, "codes of 200 to 599, as 200,202 or 200-399")
            or None,
        ),
    )


def _target_type(reader: _Reader, service: Service) -> TargetType:
    load_balancer_type = reader.text("type")
    chosen = reader.choice("nlb-target-type", ("ip", "instance"))
    if load_balancer_type == "nlb-ip" or chosen == "ip":
        return "ip"
    if not chosen and service.spec.load_balancer_class is None and "nlb-target-type" not in reader.refused:
        # The AWS controller leaves such a Service alone, without a word.
        reader.refuse("nlb-target-type", "none", "ip or instance", "choose what the load balancer forwards to")
    return "instance"


def _contradictions(settings: Settings) -> Iterator[Problem]:
    fixed, allocated, subnets = settings.private_addresses, settings.allocations, settings.subnets
    if fixed and settings.scheme != "internal":
        yield _wrong(
            "private-ipv4-addresses", ", ".join(fixed), f"{_AWS}scheme: internal", "make it internal or drop it"
        )
    if allocated and settings.scheme != "internet-facing":
        expected = f"{_AWS}scheme: internet-facing"
        yield _wrong("eip-allocations", ", ".join(allocated), expected, "make it internet-facing or drop it")
    for name, values in (("private-ipv4-addresses", fixed), ("eip-allocations", allocated)):
        if values and subnets and len(values) != len(subnets):
            yield _wrong(
                name,
                f"{len(values)} values",
                f"{len(subnets)}, one a subnet",
                f"compare with {_AWS}subnets, in its order",
            )
    if settings.tls_ports and not settings.certificates:
        yield _wrong("ssl-ports", ", ".join(settings.tls_ports), f"a certificate in {_AWS}ssl-cert", "name its ARN")
    if settings.alpn_policy and not settings.certificates:
        yield _wrong(
            "alpn-policy", settings.alpn_policy, f"TLS listeners ({_AWS}ssl-cert)", "name a certificate", fatal=False
        )


def _wrong(name: str, found: str, expected: str, remedy: str, *, fatal: bool = True) -> Problem:
    return Problem(f"metadata.annotations[{_key(name)}]", found, expected, remedy, fatal)


class _Reader:
    """Reads annotations by the part of their name after the common prefix, and notes which were read."""

    def __init__(self, annotations: Mapping[str, str]) -> None:
        self._annotations = annotations
        self._read: set[str] = set()
        self.refused: set[str] = set()
        self.problems: list[Problem] = []

    def refuse(self, name: str, found: str, expected: str, remedy: str) -> None:
        self.refused.add(name)
        self.problems.append(_wrong(name, found, expected, remedy))

    def _raw(self, name: str) -> str:
        key = _key(name)
        self._read.add(key)
        return self._annotations.get(key, "").strip()

    def text(self, name: str, valid: Callable[[str], bool] = lambda _: True, expected: str = "") -> str:
        value = self._raw(name)
        if value and not valid(value):
            self.refuse(name, value, expected, "correct the value")
            return ""
        return value

    def choice(self, name: str, choices: tuple[str, ...], *, fold: bool = False) -> str:
        value = self._raw(name)
        value = value.upper() if fold else value
        if value and value not in choices:
            self.refuse(name, value, " or ".join(choices), "correct the value")
            return ""
        return value

    def boolean(self, name: str) -> bool | None:
        value = self.choice(name, ("true", "false"))
        return value == "true" if value else None

    def number(self, name: str, least: int, most: int) -> int | None:
        value = self.text(name, lambda text: is_number(text, least, most), f"a number from {least} to {most}")
        return int(value) if value else None

    def items(self, name: str, valid: Callable[[str], bool] = lambda _: True, expected: str = "") -> tuple[str, ...]:
        values = [value.strip() for value in self._raw(name).split(",") if value.strip()]
        wrong = [value for value in values if not valid(value)]
        if wrong:
            self.refuse(name, ", ".join(wrong), expected, "correct the list, whose items are separated by commas")
            return ()
        return tuple(dict.fromkeys(values))

    def mapping(self, name: str) -> dict[str, str]:
        found: dict[str, str] = {}
        for item in self._raw(name).split(","):
            key, separator, value = item.partition("=")
            if not item.strip():
                continue
            if not separator or not key.strip():
                self.refuse(name, item.strip(), "key=value pairs, separated by commas", "correct the pair")
                continue
            found[key.strip()] = value.strip()
        return found

    def listener_attributes(self) -> dict[str, dict[str, str]]:
        found = {}
        start = f"{_AWS}listener-attributes."
        for key in sorted(self._annotations):
            if key.startswith(start):
                name = key.removeprefix(_AWS)
                if re.fullmatch(r"(TCP|UDP|TLS|TCP_UDP)-[0-9]{1,5}", key.removeprefix(start)):
                    found[key.removeprefix(start)] = self.mapping(name)
                else:
                    self._read.add(key)
                    expected = f"{start}PROTOCOL-PORT, as TCP-80"
                    self.refuse(name, key.removeprefix(start), expected, "correct the annotation's name")
        return found

    def rest(self) -> Iterator[Problem]:
        """What no part of the settings was read from."""
        manage = "manage-backend-security-group-rules"
        for key in sorted(self._annotations.keys() - self._read):
            if not key.startswith(_AWS):
                continue
            name, value = key.removeprefix(_AWS), self._annotations[key]
            if name == manage:
                if value.strip() != "false":
                    remedy = "let the security groups of nodes and pods admit the load balancer yourself"
                    yield _wrong(name, value, "false; rules of backends' groups are not managed", remedy, fatal=False)
            elif name == "disable-nlb-sg":
                if value.strip() != "true":
                    remedy = f"name the groups in {_AWS}security-groups"
                    yield _wrong(name, value, "true; no security group is made for it", remedy, fatal=False)
            elif name in _UNSUPPORTED:
                yield _wrong(
                    name, value, "none; it is not supported and has no effect", _UNSUPPORTED[name], fatal=False
                )
            elif name in _LEGACY:
                expected = "an annotation of the AWS Load Balancer Controller; this one is about Classic Load Balancers"
                yield _wrong(name, value, expected, f"use {_AWS}attributes or remove it", fatal=False)
            else:
                expected = "an annotation that the AWS Load Balancer Controller knows"
                yield _wrong(name, value, expected, "correct its name or remove it; it has no effect", fatal=False)


def _key(name: str) -> str:
    return name if name.startswith(PREFIX) else f"{_AWS}{name}"


def _text(value: bool) -> str:
    return "true" if value else "false"


def is_number(text: str, least: int, most: int) -> bool:
    """Whether a text is a whole number of these bounds; one of thousands of digits isn't even tried."""
    return re.fullmatch("[0-9]{1,6}", text) is not None and least <= int(text) <= most


def _is_ipv4(value: str) -> bool:
    try:
        return ipaddress.ip_address(value).version == 4
    except ValueError:
        return False


def _is_network(value: str) -> bool:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        return False
    return True


def _is_matcher(value: str) -> bool:
    bounds = [part.split("-") for part in value.split(",")]
    return all(
        len(pair) <= 2 and all(is_number(code, 200, 599) for code in pair) and int(pair[0]) <= int(pair[-1])
        for pair in bounds
    )
