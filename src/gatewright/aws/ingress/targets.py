"""The target group of a Service behind an Ingress: what the Service says, then the Ingress, then the defaults."""

from __future__ import annotations

import re
from typing import Final, Literal, cast

from msgspec import Struct

from gatewright.aws.configuration.objections import tags as usable_tags
from gatewright.aws.configuration.settings import HealthCheckSettings, TargetGroupSettings
from gatewright.aws.ingress.annotations import Annotations, field
from gatewright.aws.ingress.membership import Member
from gatewright.model.core import Service, ServicePort
from gatewright.model.meta import LabelSelector

_CODES: Final = re.compile(r"[0-9]{1,3}(-[0-9]{1,3})?(,[0-9]{1,3}(-[0-9]{1,3})?)*")
_LAST_PORT: Final = 65535
_INTERVAL, _TIMEOUT, _THRESHOLDS = 15, 5, 2
"""The defaults of the AWS Load Balancer Controller for Ingresses, in seconds and checks."""

_PATH, _CODES_OF_HTTP = "/", "200"
_METHOD, _CODES_OF_GRPC = "/AWS.ALB/healthcheck", "12"


class TargetsFound(Struct, frozen=True):
    """The settings of a target group, and what is wrong with the annotations."""

    settings: TargetGroupSettings
    problems: tuple[str, ...] = ()


def target_group(member: Member, service: Service, port: ServicePort, names: tuple[str, ...]) -> TargetsFound:
    """What is said of the target group of one port of a Service. `names` are what Ingresses call the port."""
    annotations = member.ingress.metadata.annotations
    reader = Annotations((f"Service {service.key}", service.metadata.annotations), ("", annotations))
    target_type = member.params.target_type or reader.choice("target-type", ("instance", "ip")) or "instance"
    version = reader.choice("backend-protocol-version", ("HTTP1", "HTTP2", "GRPC")) or "HTTP1"
    protocol = reader.choice("backend-protocol", ("HTTP", "HTTPS")) or "HTTP"
    codes = reader.text("success-codes", lambda text: bool(_CODES.fullmatch(text)), "codes as 200, 200,202 or 200-299")
    health = HealthCheckSettings(
        protocol=reader.choice("healthcheck-protocol", ("HTTP", "HTTPS")) or protocol,
        port=_health_port(reader, service, target_type),
        path=reader.text("healthcheck-path", lambda text: text.startswith("/"), "a path that begins with /")
        or (_METHOD if version == "GRPC" else _PATH),
        interval=reader.number("healthcheck-interval-seconds", 5, 300) or _INTERVAL,
        timeout=reader.number("healthcheck-timeout-seconds", 2, 120) or _TIMEOUT,
        healthy_threshold=reader.number("healthy-threshold-count", 2, 10) or _THRESHOLDS,
        unhealthy_threshold=reader.number("unhealthy-threshold-count", 2, 10) or _THRESHOLDS,
        http_codes=(codes or _CODES_OF_HTTP) if version != "GRPC" else None,
        grpc_codes=(codes or _CODES_OF_GRPC) if version == "GRPC" else None,
    )
    tags, bad_tags = _tags(member, service)
    labels = reader.mapping("target-node-labels") if target_type == "instance" else None
    return TargetsFound(
        settings=TargetGroupSettings(
            target_type=cast("Literal['instance', 'ip']", target_type),
            protocol=protocol,
            protocol_version=version,
            health_check=health,
            attributes=reader.mapping("target-group-attributes") or {},
            tags=tags,
            node_selector=LabelSelector(match_labels=labels) if labels else None,
            multi_cluster=bool(_either(member, service, "multi-cluster-target-group")),
            control_port=_control_port(reader, service, names, target_type),
            own=("Ingress", member.key),
        ),
        problems=(*reader.problems, *bad_tags, *_without_ports(service, port, target_type)),
    )


def _health_port(reader: Annotations, service: Service, target_type: str) -> str | None:
    """A number or `traffic-port`; of a named port of the Service, the number that targets have for it."""
    name = reader.raw("healthcheck-port")
    if name is None or name.strip() == "traffic-port":
        return name and name.strip()
    name = name.strip()
    if name.isascii() and name.isdigit():
        return str(port) if (port := reader.number("healthcheck-port", 1, _LAST_PORT)) else None
    found = next((port for port in service.spec.ports if port.name == name), None)
    if found is None:
        ports = ", ".join(port.name for port in service.spec.ports if port.name) or "none"
        reader.refuse("healthcheck-port", name, f"a number, traffic-port or a port of the Service ({ports})")
        return None
    if target_type == "instance":
        if not found.node_port:
            reader.refuse("healthcheck-port", name, "a port with a nodePort", "make the Service's type NodePort")
        return str(found.node_port) if found.node_port else None
    if isinstance(found.target_port, str):
        reader.refuse("healthcheck-port", name, "a port whose targetPort is a number", "write the number itself")
        return None
    return str(found.target_port or found.port)


def _control_port(reader: Annotations, service: Service, names: tuple[str, ...], target_type: str) -> int | None:
    for name in names:
        annotation = f"target-control-port.{service.name}.{name}"
        port = reader.number(annotation, 1, _LAST_PORT)
        if port is not None and target_type == "instance":
            reader.refuse(annotation, port, "target type ip", "set alb.ingress.kubernetes.io/target-type: ip")
        elif port is not None:
            return port
    return None


def _either(member: Member, service: Service, name: str) -> bool:
    """Whether the Ingress or the Service says true: here neither goes over the other."""
    readers = (member.annotations(), Annotations(("", service.metadata.annotations)))
    return any(reader.boolean(name) for reader in readers)


def _tags(member: Member, service: Service) -> tuple[dict[str, str], list[str]]:
    """The tags, and what is said of those of the Service; the Ingress's own are told where it is read."""
    own, _ = usable_tags(field("tags"), member.annotations().mapping("tags") or {})
    given = Annotations(("", service.metadata.annotations)).mapping("tags") or {}
    of_service, objections = usable_tags(f"{field('tags')} of Service {service.key}", given)
    every = own | of_service | {each.key: each.value for each in member.params.tags}
    return every, list(map(str, objections))


def _without_ports(service: Service, port: ServicePort, target_type: str) -> list[str]:
    if target_type == "instance" and not port.node_port:
        return [
            f"Service {service.key}: port {port.port} has no nodePort; targets of type instance are reached by it; "
            "make the Service's type NodePort or LoadBalancer, or set alb.ingress.kubernetes.io/target-type: ip"
        ]
    return []
