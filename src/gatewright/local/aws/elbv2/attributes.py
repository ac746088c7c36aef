"""The attributes of load balancers, listeners and target groups: which there are, their defaults and their values.

From the API reference: LoadBalancerAttribute, ListenerAttribute, TargetGroupAttribute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from gatewright.local.aws.elbv2.errors import invalid, misconfigured
from gatewright.local.aws.elbv2.models import Document

_DAY = 86400


class Attribute(NamedTuple):
    """`expected` says what a value must be, or None if it is right."""

    default: str
    expected: Callable[[str], str | None]


def _one_of(*values: str) -> Callable[[str], str | None]:
    return lambda value: None if value in values else f"must be one of [{', '.join(values)}]"


def _between(least: int, most: int, *others: str) -> Callable[[str], str | None]:
    def expected(value: str) -> str | None:
        if value in others or (value.isascii() and value.isdecimal() and least <= int(value) <= most):
            return None
        return f"must be between '{least}-{most}' inclusive" + "".join(f", or '{other}'" for other in others)

    return expected


def _text(most: int = 1024) -> Callable[[str], str | None]:
    return lambda value: None if len(value) <= most else f"must have at most {most} characters"


def _switch(default: bool) -> Attribute:
    return Attribute("true" if default else "false", _one_of("true", "false"))


def _cookie_name(value: str) -> str | None:
    if value.upper().startswith("AWSALB"):
        return "must not start with a reserved prefix (AWSALB, AWSALBAPP, AWSALBTG)"
    if len(value) > 256 or any(character in value for character in "\t ;,="):
        return "must be the name of a cookie"
    return None


def _logs(kind: str) -> dict[str, Attribute]:
    return {
        f"{kind}.s3.enabled": _switch(False),
        f"{kind}.s3.bucket": Attribute("", _text(63)),
        f"{kind}.s3.prefix": Attribute("", _text()),
    }


def of_load_balancer(kind: str, scheme: str) -> dict[str, Attribute]:
    """Those of a load balancer of type `application` or `network`."""
    common = {
        **_logs("access_logs"),
        "deletion_protection.enabled": _switch(False),
        "ipv6.deny_all_igw_traffic": _switch(scheme == "internal"),
        "zonal_shift.config.enabled": _switch(False),
    }
    if kind == "network":
        return common | {
            "load_balancing.cross_zone.enabled": _switch(False),
            "dns_record.client_routing_policy": Attribute(
                "any_availability_zone",
                _one_of("availability_zone_affinity", "partial_availability_zone_affinity", "any_availability_zone"),
            ),
            "secondary_ips.auto_assigned.per_subnet": Attribute("0", _between(0, 7)),
        }
    return common | {
        **_logs("connection_logs"),
        **_logs("health_check_logs"),
        "load_balancing.cross_zone.enabled": Attribute("true", _one_of("true")),
        "idle_timeout.timeout_seconds": Attribute("60", _between(1, 4000)),
        "client_keep_alive.seconds": Attribute("3600", _between(60, 604800)),
        "routing.http.desync_mitigation_mode": Attribute("defensive", _one_of("monitor", "defensive", "strictest")),
        "routing.http.drop_invalid_header_fields.enabled": _switch(False),
        "routing.http.preserve_host_header.enabled": _switch(False),
        "routing.http.x_amzn_tls_version_and_cipher_suite.enabled": _switch(False),
        "routing.http.xff_client_port.enabled": _switch(False),
        "routing.http.xff_header_processing.mode": Attribute("append", _one_of("append", "preserve", "remove")),
        "routing.http2.enabled": _switch(True),
        "waf.fail_open.enabled": _switch(False),
    }


def of_listener(protocol: str) -> dict[str, Attribute]:
    """Those of a listener."""
    if protocol == "TCP":
        return {"tcp.idle_timeout.seconds": Attribute("350", _between(60, 6000))}
    if protocol not in ("HTTP", "HTTPS"):
        return {}
    response = {
        "routing.http.response.server.enabled": _switch(True),
        **{
            f"routing.http.response.{name}.header_value": Attribute("", _text())
            for name in (
                "strict_transport_security",
                "access_control_allow_origin",
                "access_control_allow_methods",
                "access_control_allow_headers",
                "access_control_expose_headers",
                "access_control_max_age",
                "content_security_policy",
            )
        },
        "routing.http.response.access_control_allow_credentials.header_value": Attribute("", _one_of("", "true")),
        "routing.http.response.x_content_type_options.header_value": Attribute("", _one_of("", "nosniff")),
        "routing.http.response.x_frame_options.header_value": Attribute("", _one_of("", "DENY", "SAMEORIGIN")),
    }
    if protocol == "HTTP":
        return response
    return response | {
        f"routing.http.request.{name}.header_name": Attribute(header, _header_name)
        for name, header in (
            ("x_amzn_mtls_clientcert_serial_number", "X-Amzn-Mtls-Clientcert-Serial-Number"),
            ("x_amzn_mtls_clientcert_issuer", "X-Amzn-Mtls-Clientcert-Issuer"),
            ("x_amzn_mtls_clientcert_subject", "X-Amzn-Mtls-Clientcert-Subject"),
            ("x_amzn_mtls_clientcert_validity", "X-Amzn-Mtls-Clientcert-Validity"),
            ("x_amzn_mtls_clientcert_leaf", "X-Amzn-Mtls-Clientcert-Leaf"),
            ("x_amzn_mtls_clientcert", "X-Amzn-Mtls-Clientcert"),
            ("x_amzn_tls_version", "X-Amzn-Tls-Version"),
            ("x_amzn_tls_cipher_suite", "X-Amzn-Tls-Cipher-Suite"),
        )
    }


def _header_name(value: str) -> str | None:
    right = value and len(value) <= 40 and all(one.isascii() and (one.isalnum() or one in "-_") for one in value)
    return None if right else "must have 1 to 40 characters of A-Z, a-z, 0-9, hyphen and underscore"


_GROUP_HEALTH = {
    "load_balancing.cross_zone.enabled": Attribute(
        "use_load_balancer_configuration", _one_of("true", "false", "use_load_balancer_configuration")
    ),
    "target_group_health.dns_failover.minimum_healthy_targets.count": Attribute("1", _between(1, 1000, "off")),
    "target_group_health.dns_failover.minimum_healthy_targets.percentage": Attribute("off", _between(1, 100, "off")),
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count": Attribute("1", _between(1, 1000)),
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": Attribute(
        "off", _between(1, 100, "off")
    ),
}
_DELAY = {"deregistration_delay.timeout_seconds": Attribute("300", _between(0, 3600))}


def of_target_group(protocol: str, target_type: str) -> dict[str, Attribute]:
    """Those of a target group; `protocol` is empty for Lambda functions."""
    if target_type == "lambda":
        return {"lambda.multi_value_headers.enabled": _switch(False)}
    if protocol in ("HTTP", "HTTPS"):
        return (
            _DELAY
            | _GROUP_HEALTH
            | {
                "stickiness.enabled": _switch(False),
                "stickiness.type": Attribute("lb_cookie", _one_of("lb_cookie", "app_cookie", "source_ip")),
                "stickiness.lb_cookie.duration_seconds": Attribute(str(_DAY), _between(1, 7 * _DAY)),
                "stickiness.app_cookie.cookie_name": Attribute("", _cookie_name),
                "stickiness.app_cookie.duration_seconds": Attribute(str(_DAY), _between(1, 7 * _DAY)),
                "load_balancing.algorithm.type": Attribute(
                    "round_robin", _one_of("round_robin", "least_outstanding_requests", "weighted_random")
                ),
                "load_balancing.algorithm.anomaly_mitigation": Attribute("off", _one_of("on", "off")),
                "slow_start.duration_seconds": Attribute("0", _slow_start),
            }
        )
    datagrams = protocol in ("UDP", "TCP_UDP")
    common = _DELAY | _GROUP_HEALTH | {"deregistration_delay.connection_termination.enabled": _switch(datagrams)}
    if target_type == "alb":
        return common | {"preserve_client_ip.enabled": Attribute("true", _one_of("true"))}
    preserved = datagrams or target_type == "instance"
    return (
        common
        | {
            "stickiness.enabled": _switch(False),
            "stickiness.type": Attribute("source_ip", _one_of("source_ip", "lb_cookie", "app_cookie")),
            "preserve_client_ip.enabled": _switch(True) if not datagrams else Attribute("true", _one_of("true")),
            "proxy_protocol_v2.enabled": _switch(False),
            "target_health_state.unhealthy.connection_termination.enabled": (
                Attribute("false", _one_of("false")) if datagrams else _switch(True)
            ),
            "target_health_state.unhealthy.draining_interval_seconds": Attribute("0", _between(0, 360000)),
        }
        | ({} if preserved else {"preserve_client_ip.enabled": _switch(False)})
    )


def _slow_start(value: str) -> str | None:
    return None if value == "0" else _between(30, 900, "0")(value)


_LOAD_BALANCERS = of_load_balancer("application", "internal") | of_load_balancer("network", "internal")
_LISTENERS = of_listener("TCP") | of_listener("HTTPS")
_TARGET_GROUPS = of_target_group("", "lambda") | of_target_group("HTTP", "ip") | of_target_group("TCP", "ip")


def defaults(known: Mapping[str, Attribute]) -> dict[str, str]:
    """The value of each attribute before anyone set it."""
    return {key: attribute.default for key, attribute in known.items()}


def wanted(request: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """`Attributes` of a request by key. Raises a refusal."""
    values: dict[str, str] = {}
    for item in request:
        key = item.get("Key", "")
        if key in values:
            raise invalid(f"Attribute key '{key}' was specified more than once")
        values[key] = item.get("Value", "")
    return values


def document(values: Mapping[str, str]) -> Document:
    """As the Describe* and Modify* operations show them."""
    return {"Attributes": [{"Key": key, "Value": value} for key, value in values.items()]}


def _check(known: Mapping[str, Attribute], values: Mapping[str, str]) -> None:
    for key, value in values.items():
        expected = known[key].expected(value)
        if expected:
            raise invalid(f"'{key}' value '{value}' {expected}")


def check_load_balancer(kind: str, scheme: str, before: Mapping[str, str], values: Mapping[str, str]) -> None:
    """Raise a refusal if a load balancer with attributes `before` can't have `values` too."""
    known = of_load_balancer(kind, scheme)
    for key in values:
        if key not in _LOAD_BALANCERS:
            raise invalid(f"Load balancer attribute key '{key}' is not recognized")
        if key not in known:
            raise misconfigured(
                f"Load balancer attribute key '{key}' is not supported on load balancers with type '{kind}'"
            )
    _check(known, values)
    after = {**before, **values}
    for kind_of_log in ("access_logs", "connection_logs", "health_check_logs"):
        if after.get(f"{kind_of_log}.s3.enabled") == "true" and not after[f"{kind_of_log}.s3.bucket"]:
            raise misconfigured(f"'{kind_of_log}.s3.bucket' must be specified when '{kind_of_log}.s3.enabled' is true")
    addresses = "secondary_ips.auto_assigned.per_subnet"
    if int(after.get(addresses, "0")) < int(before.get(addresses, "0")):
        raise misconfigured(f"'{addresses}' can't be decreased")


def check_listener(protocol: str, values: Mapping[str, str]) -> None:
    """Raise a refusal if a listener can't have these attributes."""
    known = of_listener(protocol)
    for key in values:
        if key not in _LISTENERS:
            raise invalid(f"Listener attribute key '{key}' is not recognized")
        if key not in known:
            raise misconfigured(f"Listener attribute key '{key}' is not supported on {protocol} listeners")
    _check(known, values)


def check_target_group(protocol: str, target_type: str, before: Mapping[str, str], values: Mapping[str, str]) -> None:
    """Raise a refusal if a target group with attributes `before` can't have `values` too."""
    known = of_target_group(protocol, target_type)
    for key in values:
        if key not in _TARGET_GROUPS:
            raise invalid(f"Target group attribute key '{key}' is not recognized")
        if key not in known:
            what = f"protocol '{protocol}'" if target_type in ("instance", "ip") else f"target type '{target_type}'"
            raise misconfigured(f"A target group with {what} does not support the attribute {key}")
    _check(known, values)
    after = {**before, **values}
    _check_stickiness(protocol, after, values)
    algorithm = after.get("load_balancing.algorithm.type", "round_robin")
    if after.get("slow_start.duration_seconds", "0") != "0" and algorithm != "round_robin":
        raise misconfigured(f"You cannot enable slow start with the load balancing algorithm type '{algorithm}'")
    if after.get("load_balancing.algorithm.anomaly_mitigation") == "on" and algorithm != "weighted_random":
        raise misconfigured(
            "'load_balancing.algorithm.anomaly_mitigation' can be enabled only when "
            "'load_balancing.algorithm.type' is 'weighted_random'"
        )
    if (
        after.get("target_health_state.unhealthy.connection_termination.enabled") == "true"
        and after.get("target_health_state.unhealthy.draining_interval_seconds", "0") != "0"
    ):
        raise misconfigured(
            "'target_health_state.unhealthy.draining_interval_seconds' can be configured only when "
            "'target_health_state.unhealthy.connection_termination.enabled' is false"
        )


def _check_stickiness(protocol: str, after: Mapping[str, str], values: Mapping[str, str]) -> None:
    kind = values.get("stickiness.type")
    http = protocol in ("HTTP", "HTTPS")
    if kind and (kind == "source_ip") == http:
        raise misconfigured(f"Stickiness type '{kind}' is not supported for target groups with the {protocol} protocol")
    if protocol == "TLS" and after.get("stickiness.enabled") == "true":
        raise misconfigured("You cannot enable stickiness on target groups with the TLS protocol")
    if after.get("stickiness.type") == "app_cookie" and not after["stickiness.app_cookie.cookie_name"]:
        raise misconfigured("You must set an application cookie name to enable stickiness of type 'app_cookie'")
