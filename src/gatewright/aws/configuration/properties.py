"""What a target group behind one type of load balancer can have of a TargetGroupConfiguration's properties."""

from __future__ import annotations

from typing import Any

from msgspec import structs

from gatewright.aws.configuration import attributes
from gatewright.aws.configuration.examination import LoadBalancerType
from gatewright.aws.configuration.objections import Objection, codes, is_name, shown, tags
from gatewright.aws.configuration.support import NO_CONTROL_PORT, NO_GRPC_CHECK, NO_TCP_CHECK, NO_VERSION
from gatewright.aws.support.row import Row
from gatewright.model.awsgateway import HealthCheckConfiguration, TargetGroupProps

_PROTOCOLS = {"ALB": ("HTTP", "HTTPS"), "NLB": ("TCP", "TLS", "UDP", "TCP_UDP")}
_PORTS = range(1, 65536)
_CODES = {"ALB": (200, 499), "NLB": (200, 599)}  # ELBv2 API, Matcher.HttpCode
_GRPC_CODES = (0, 99)
_NUMBERS = {  # ELBv2 API, CreateTargetGroup
    "health_check_interval": ("healthCheckInterval", 5, 300),
    "health_check_timeout": ("healthCheckTimeout", 2, 120),
    "healthy_threshold_count": ("healthyThresholdCount", 2, 10),
    "unhealthy_threshold_count": ("unhealthyThresholdCount", 2, 10),
}


class _Left:
    """What is left out of a value, and why."""

    def __init__(self, field: str) -> None:
        self.field = field
        self.without: dict[str, Any] = {}
        self.objections: list[Objection] = []

    def out(self, attribute: str, name: str, found: object, why: str) -> None:
        self.without[attribute] = None
        self.objections.append(Objection(f"{self.field}.{name}", str(found), why))

    def refuse(self, attribute: str, row: Row, found: object) -> None:
        """In the words of the support table."""
        self.out(attribute, row.field.rpartition(".")[2], found, f"{row.note}; {row.instead}")


def usable_properties(
    props: TargetGroupProps, of: LoadBalancerType, field: str
) -> tuple[TargetGroupProps, list[Objection]]:
    """The properties as far as a target group behind that type can have them; and what is said of the rest."""
    left = _Left(field)
    name, port = props.target_group_name, props.target_control_port
    if name is not None and not is_name(name):
        why = "a name has at most 32 letters, digits and hyphens, and no hyphen at either end; leave it out for one"
        left.out("target_group_name", "targetGroupName", shown(name), why)
    if props.protocol is not None and props.protocol not in _PROTOCOLS[of]:
        why = f"target groups behind an {of} are {', '.join(_PROTOCOLS[of])}; use one of these"
        left.out("protocol", "protocol", props.protocol, why)
    if props.protocol_version is not None and of == "NLB":
        left.refuse("protocol_version", NO_VERSION, props.protocol_version)
    if port is not None and of == "NLB":
        left.refuse("target_control_port", NO_CONTROL_PORT, port)
    elif port is not None and port not in _PORTS:
        left.out("target_control_port", "targetControlPort", port, "expected a port, 1 to 65535")
    given, objections = tags(f"{field}.tags", props.tags)
    left.objections += objections
    pairs = props.target_group_attributes
    fit, objections = attributes.fitting(f"{field}.targetGroupAttributes", pairs, attributes.TARGET_GROUP, of)
    left.objections += objections
    check = props.health_check_config
    if check is not None:
        check, objections = usable_health_check(check, of, f"{field}.healthCheckConfig")
        left.objections += objections
    rest = structs.replace(
        props,
        tags=given,
        target_group_attributes=tuple(pair for pair in pairs if fit.get(pair.key) == pair.value),
        health_check_config=check,
        **left.without,
    )
    return rest, left.objections


def _is_port(value: str) -> bool:
    return value.isascii() and value.isdecimal() and len(value) <= 5 and int(value) in _PORTS


def usable_health_check(
    check: HealthCheckConfiguration, of: LoadBalancerType, field: str
) -> tuple[HealthCheckConfiguration, list[Objection]]:
    """The health check as far as that type can make it (ELBv2 API, CreateTargetGroup); and what is said of the rest."""
    left = _Left(field)
    if check.health_check_protocol == "TCP" and of == "ALB":
        left.refuse("health_check_protocol", NO_TCP_CHECK, "TCP")
    port, path = check.health_check_port, check.health_check_path
    if port is not None and port != "traffic-port" and not _is_port(port):
        left.out("health_check_port", "healthCheckPort", shown(port), "expected traffic-port or a port, 1 to 65535")
    if path is not None and not (path.startswith("/") and len(path) <= 1024 and not any(map(str.isspace, path))):
        why = "expected a path of at most 1,024 characters that begins with / and has no spaces"
        left.out("health_check_path", "healthCheckPath", shown(path), why)
    for attribute, (name, least, most) in _NUMBERS.items():
        number = getattr(check, attribute)
        if number is not None and not least <= number <= most:
            left.out(attribute, name, number, f"expected {least} to {most}")
    interval, timeout = check.health_check_interval, check.health_check_timeout
    if interval is not None and timeout is not None and timeout >= interval and not left.without.keys() & _NUMBERS:
        why = f"expected less than healthCheckInterval, which is {interval}"
        left.out("health_check_timeout", "healthCheckTimeout", timeout, why)
    matcher = check.matcher
    if matcher is not None:
        inner = _Left(f"{field}.matcher")
        http, grpc = matcher.http_code, matcher.grpc_code
        if http is not None and not codes(http, *_CODES[of]):
            least, most = _CODES[of]
            why = f"expected codes and ranges between {least} and {most}, as 200,301-399"
            inner.out("http_code", "httpCode", shown(http), why)
        if grpc is not None and of == "NLB":
            inner.refuse("grpc_code", NO_GRPC_CHECK, shown(grpc))
        elif grpc is not None and not codes(grpc, *_GRPC_CODES):
            inner.out("grpc_code", "grpcCode", shown(grpc), "expected codes and ranges between 0 and 99, as 0,12-15")
        left.objections += inner.objections
        matcher = structs.replace(matcher, **inner.without)
    return structs.replace(check, matcher=matcher, **left.without), left.objections
