"""How target groups ask whether their targets are well (pure)."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from gatewright.aws.configuration.settings import TargetGroupSettings
from gatewright.aws.views import HealthCheck
from gatewright.model.core import Service

TRAFFIC_PORT = "traffic-port"


class _Pace(Struct, frozen=True):
    interval: int
    timeout: int
    healthy: int
    unhealthy: int


_USUAL = _Pace(15, 5, 3, 3)
_LOCAL = _Pace(10, 6, 2, 2)


def health_check(
    settings: TargetGroupSettings,
    service: Service,
    *,
    kind: Literal["alb", "nlb", "ingress"],
    protocol: str,
    version: str,
) -> tuple[HealthCheck, tuple[str, ...]]:
    """A target group's health check, and what is to be said of it.

    What the settings leave open is as the AWS Load Balancer Controller has it: path `/` and codes 200-399 (gRPC:
    `/AWS.ALB/healthcheck` and 12; a plain connection behind an NLB), every 15 s, 5 s for an answer, thresholds of 3.
    The pods' readiness probes are not taken for it: kubelet asks them already, and an endpoint that isn't ready isn't
    registered; this check asks whether the load balancer reaches the pod.

    Behind an NLB, instance targets of a Service with externalTrafficPolicy Local are asked where kube-proxy tells
    whether the node has an endpoint (healthCheckNodePort).
    """
    asked = settings.health_check
    local = (
        kind == "nlb"
        and settings.target_type == "instance"
        and service.spec.external_traffic_policy == "Local"
        and service.spec.health_check_node_port > 0
    )
    pace = _LOCAL if local else _USUAL
    spoken, remarks = _protocol(settings, kind, protocol, local=local)
    port, bad_port = _port(settings, service, str(service.spec.health_check_node_port) if local else TRAFFIC_PORT)
    # AWS wants the timeout to be shorter than the interval; who changes the one rarely thinks of the other.
    interval = asked.interval or max(pace.interval, (asked.timeout or 0) + 1)
    grpc = version == "GRPC"
    if spoken == "TCP":
        path = matcher = ""
    elif grpc:
        path, matcher = asked.path or "/AWS.ALB/healthcheck", asked.grpc_codes or "12"
    else:
        path = asked.path or ("/healthz" if local else "/")
        matcher = asked.http_codes or "200-399"
    check = HealthCheck(
        protocol=spoken,
        port=port,
        path=path,
        interval=interval,
        timeout=asked.timeout or max(2, min(pace.timeout, interval - 1)),
        healthy_threshold=asked.healthy_threshold or pace.healthy,
        unhealthy_threshold=asked.unhealthy_threshold or pace.unhealthy,
        matcher=matcher,
    )
    return check, (*remarks, *bad_port)


def _protocol(settings: TargetGroupSettings, kind: str, protocol: str, *, local: bool) -> tuple[str, tuple[str, ...]]:
    asked = settings.health_check.protocol
    if kind == "nlb":
        return asked or ("HTTP" if local else "TCP"), ()
    if asked == "TCP":
        told = "healthCheckConfig.healthCheckProtocol: found TCP; an ALB asks by HTTP or HTTPS only"
        return protocol, (f"{told}; {protocol} is used; set a path that answers",)
    return asked or protocol, ()


def _port(settings: TargetGroupSettings, service: Service, default: str) -> tuple[str, tuple[str, ...]]:
    """The port to ask at; it may be given by the name of a port of the Service."""
    asked = settings.health_check.port or default
    if asked == TRAFFIC_PORT or asked.isdecimal():
        return asked, ()
    field = f"healthCheckConfig.healthCheckPort: found {asked}"
    for port in service.spec.ports:
        if port.name == asked:
            target = port.target_port if port.target_port is not None else port.port
            number = port.node_port if settings.target_type == "instance" else target
            if isinstance(number, int) and number:
                return str(number), ()
            told = f"{field}, whose target port in Service {service.key} is no number"
            return TRAFFIC_PORT, (f"{told}; {TRAFFIC_PORT} is used; give a number",)
    told = f"{field}, which is no port of Service {service.key}"
    return TRAFFIC_PORT, (f"{told}; {TRAFFIC_PORT} is used; give a number or a port's name",)
