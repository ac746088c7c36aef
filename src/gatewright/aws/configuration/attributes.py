"""The attributes of load balancers, listeners and target groups that are known: whose they are, and their values.

From the ELBv2 API reference (LoadBalancerAttribute, ListenerAttribute, TargetGroupAttribute). One that isn't known
passes, since AWS may have learned it since: then AWS says what it is worth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final, NamedTuple

from gatewright.aws.configuration.objections import Objection, shown
from gatewright.model.awsgateway import Attribute

Expectation = Callable[[str], str]
"""What a value must be, where it isn't that; empty where it is."""

_DAY: Final = 86400
_WEEK: Final = 7 * _DAY


class Known(NamedTuple):
    """The kinds of thing that have an attribute (types of load balancer, protocols of a listener), and its values."""

    of: tuple[str, ...]
    expectation: Expectation = lambda _: ""


def _choice(*values: str) -> Expectation:
    return lambda value: "" if value in values else f"expected {' or '.join(values)}"


def _number(least: int, most: int, *others: str) -> Expectation:
    def expectation(value: str) -> str:
        number = value.isascii() and value.isdecimal() and len(value) < 10 and least <= int(value) <= most
        return "" if number or value in others else f"expected {' or '.join((*others, f'{least} to {most}'))}"

    return expectation


def _header_name(value: str) -> str:
    fine = 0 < len(value) <= 40 and value.isascii() and value.replace("-", "").replace("_", "").isalnum()
    return "" if fine else "expected 1 to 40 letters, digits, hyphens and underscores"


def _cookie_name(value: str) -> str:
    if value.upper().startswith("AWSALB"):
        return "names that begin with AWSALB are the load balancer's own; use the application's cookie"
    return "" if value and not set(value) & set("\t ;,=") else "expected the name of a cookie"


_ALB: Final = ("ALB",)
_NLB: Final = ("NLB",)
_BOTH: Final = ("ALB", "NLB")
_SWITCH: Final = _choice("true", "false")


def _logs(kind: str, of: tuple[str, ...]) -> dict[str, Known]:
    return {f"{kind}.s3.enabled": Known(of, _SWITCH), f"{kind}.s3.bucket": Known(of), f"{kind}.s3.prefix": Known(of)}


LOAD_BALANCER: Final[Mapping[str, Known]] = {
    "deletion_protection.enabled": Known(_BOTH, _SWITCH),
    "load_balancing.cross_zone.enabled": Known(_BOTH, _SWITCH),
    "ipv6.deny_all_igw_traffic": Known(_BOTH, _SWITCH),
    "zonal_shift.config.enabled": Known(_BOTH, _SWITCH),
    **_logs("access_logs", _BOTH),
    **_logs("connection_logs", _ALB),
    **_logs("health_check_logs", _ALB),
    "idle_timeout.timeout_seconds": Known(_ALB, _number(1, 4000)),
    "client_keep_alive.seconds": Known(_ALB, _number(60, _WEEK)),
    "routing.http.desync_mitigation_mode": Known(_ALB, _choice("monitor", "defensive", "strictest")),
    "routing.http.drop_invalid_header_fields.enabled": Known(_ALB, _SWITCH),
    "routing.http.preserve_host_header.enabled": Known(_ALB, _SWITCH),
    "routing.http.x_amzn_tls_version_and_cipher_suite.enabled": Known(_ALB, _SWITCH),
    "routing.http.xff_client_port.enabled": Known(_ALB, _SWITCH),
    "routing.http.xff_header_processing.mode": Known(_ALB, _choice("append", "preserve", "remove")),
    "routing.http2.enabled": Known(_ALB, _SWITCH),
    "waf.fail_open.enabled": Known(_ALB, _SWITCH),
    "dns_record.client_routing_policy": Known(
        _NLB, _choice("availability_zone_affinity", "partial_availability_zone_affinity", "any_availability_zone")
    ),
    "secondary_ips.auto_assigned.per_subnet": Known(_NLB, _number(0, 7)),
}

_HTTP: Final = ("HTTP", "HTTPS")
_HEADER_NAMES: Final = (
    "x_amzn_mtls_clientcert_serial_number",
    "x_amzn_mtls_clientcert_issuer",
    "x_amzn_mtls_clientcert_subject",
    "x_amzn_mtls_clientcert_validity",
    "x_amzn_mtls_clientcert_leaf",
    "x_amzn_mtls_clientcert",
    "x_amzn_tls_version",
    "x_amzn_tls_cipher_suite",
)
_HEADER_VALUES: Final[Mapping[str, Expectation]] = {
    "strict_transport_security": lambda _: "",
    "access_control_allow_origin": lambda _: "",
    "access_control_allow_methods": lambda _: "",
    "access_control_allow_headers": lambda _: "",
    "access_control_allow_credentials": _choice("true"),
    "access_control_expose_headers": lambda _: "",
    "access_control_max_age": _number(0, _DAY),
    "content_security_policy": lambda _: "",
    "x_content_type_options": _choice("nosniff"),
    "x_frame_options": _choice("DENY", "SAMEORIGIN", "ALLOWALL"),
}

LISTENER: Final[Mapping[str, Known]] = {
    "tcp.idle_timeout.seconds": Known(("TCP",), _number(60, 6000)),
    "routing.http.response.server.enabled": Known(_HTTP, _SWITCH),
    **{f"routing.http.response.{name}.header_value": Known(_HTTP, fine) for name, fine in _HEADER_VALUES.items()},
    **{f"routing.http.request.{name}.header_name": Known(("HTTPS",), _header_name) for name in _HEADER_NAMES},
}

TARGET_GROUP: Final[Mapping[str, Known]] = {
    "deregistration_delay.timeout_seconds": Known(_BOTH, _number(0, 3600)),
    "stickiness.enabled": Known(_BOTH, _SWITCH),
    "stickiness.type": Known(_BOTH, _choice("lb_cookie", "app_cookie", "source_ip")),
    "load_balancing.cross_zone.enabled": Known(_BOTH, _choice("true", "false", "use_load_balancer_configuration")),
    "target_group_health.dns_failover.minimum_healthy_targets.count": Known(_BOTH, _number(1, 1000, "off")),
    "target_group_health.dns_failover.minimum_healthy_targets.percentage": Known(_BOTH, _number(1, 100, "off")),
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count": Known(_BOTH, _number(1, 1000)),
    "target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": Known(
        _BOTH, _number(1, 100, "off")
    ),
    "load_balancing.algorithm.type": Known(
        _ALB, _choice("round_robin", "least_outstanding_requests", "weighted_random")
    ),
    "load_balancing.algorithm.anomaly_mitigation": Known(_ALB, _choice("on", "off")),
    "slow_start.duration_seconds": Known(_ALB, _number(30, 900, "0")),
    "stickiness.lb_cookie.duration_seconds": Known(_ALB, _number(1, _WEEK)),
    "stickiness.app_cookie.cookie_name": Known(_ALB, _cookie_name),
    "stickiness.app_cookie.duration_seconds": Known(_ALB, _number(1, _WEEK)),
    "deregistration_delay.connection_termination.enabled": Known(_NLB, _SWITCH),
    "preserve_client_ip.enabled": Known(_NLB, _SWITCH),
    "proxy_protocol_v2.enabled": Known(_NLB, _SWITCH),
    "target_health_state.unhealthy.connection_termination.enabled": Known(_NLB, _SWITCH),
    "target_health_state.unhealthy.draining_interval_seconds": Known(_NLB, _number(0, 360000)),
}

_STICKINESS: Final = {"ALB": ("lb_cookie", "app_cookie"), "NLB": ("source_ip",)}


def fitting(
    field: str, given: Iterable[Attribute], known: Mapping[str, Known], of: str
) -> tuple[dict[str, str], list[Objection]]:
    """The attributes that a thing of the kind `of` can have; and what is said of the others, which are left out.

    Of two with the same key the later counts.
    """
    taken: dict[str, str] = {}
    objections: list[Objection] = []
    for attribute in given:
        key, value = attribute.key, attribute.value
        if why := _why_not(known.get(key), key, value, of):
            objections.append(Objection(f"{field}[{key}]", shown(value), why))
            continue
        if taken.get(key, value) != value:
            why = f"it is given twice; this value counts, not {shown(taken[key])}; keep one"
            objections.append(Objection(f"{field}[{key}]", shown(value), why))
        taken[key] = value
    return taken, objections


def _why_not(known: Known | None, key: str, value: str, of: str) -> str:
    if known is None:
        return ""
    if of not in known.of:
        return f"{_article(of)} {of} has no such attribute, which is for {' and '.join(known.of)}; leave it out"
    if key == "stickiness.type" and value not in _STICKINESS.get(of, (value,)):
        return f"behind {_article(of)} {of} it is {' or '.join(_STICKINESS[of])}; use that"
    if key == "load_balancing.cross_zone.enabled" and of == "ALB" and known is LOAD_BALANCER[key] and value != "true":
        return "an ALB always balances across zones; set it on target groups"
    return known.expectation(value)


def _article(noun: str) -> str:
    return "an" if noun in ("ALB", "NLB", "HTTP", "HTTPS") else "a"


def agreeing_of_load_balancer(field: str, given: Mapping[str, str]) -> tuple[dict[str, str], list[Objection]]:
    """The attributes of a load balancer without those that lack others; and what is said of these."""
    left, objections = dict(given), list[Objection]()
    for kind in ("access_logs", "connection_logs", "health_check_logs"):
        key = f"{kind}.s3.enabled"
        if left.get(key) == "true" and not left.get(f"{kind}.s3.bucket"):
            why = f"logs need a bucket; give {kind}.s3.bucket"
            objections.append(Objection(f"{field}[{key}]", left.pop(key), why))
    return left, objections


def agreeing_of_target_group(field: str, given: Mapping[str, str]) -> tuple[dict[str, str], list[Objection]]:
    """The attributes of a target group without those that others rule out; and what is said of these.

    As the API refuses them (ALB and NLB user guides, "Edit target group attributes").
    """
    left, objections = dict(given), list[Objection]()

    def leave_out(key: str, why: str) -> None:
        objections.append(Objection(f"{field}[{key}]", left.pop(key), why))

    if left.get("stickiness.type") == "app_cookie" and not left.get("stickiness.app_cookie.cookie_name"):
        left.pop("stickiness.enabled", None)
        leave_out("stickiness.type", "it needs the cookie's name; give stickiness.app_cookie.cookie_name")
    algorithm = left.get("load_balancing.algorithm.type", "round_robin")
    if left.get("load_balancing.algorithm.anomaly_mitigation") == "on" and algorithm != "weighted_random":
        why = f"the algorithm is {algorithm}; set load_balancing.algorithm.type to weighted_random"
        leave_out("load_balancing.algorithm.anomaly_mitigation", why)
    if left.get("slow_start.duration_seconds", "0") != "0" and algorithm != "round_robin":
        why = f"the algorithm {algorithm} has no slow start; use round_robin"
        leave_out("slow_start.duration_seconds", why)
    cut = "target_health_state.unhealthy.connection_termination.enabled"
    wait = "target_health_state.unhealthy.draining_interval_seconds"
    if left.get(wait, "0") != "0" and left.get(cut) != "false":
        leave_out(wait, f"connections to unhealthy targets are cut at once; set {cut} to false")
    return left, objections
