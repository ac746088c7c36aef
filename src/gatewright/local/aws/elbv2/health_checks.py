"""Health check settings of a target group: CreateTargetGroup and ModifyTargetGroup of the API."""

from __future__ import annotations

import re

from gatewright.local.aws.elbv2.errors import invalid, misconfigured
from gatewright.local.aws.elbv2.models import Document

SETTINGS = (
    "HealthCheckProtocol",
    "HealthCheckPort",
    "HealthCheckEnabled",
    "HealthCheckIntervalSeconds",
    "HealthCheckTimeoutSeconds",
    "HealthyThresholdCount",
    "UnhealthyThresholdCount",
    "HealthCheckPath",
    "Matcher",
)
_GRPC_PATH = "/AWS.ALB/healthcheck"
_CODES = re.compile(r"\d+(-\d+)?(,\d+(-\d+)?)*\Z")


def checked(protocol: str, target_type: str, version: str, asked: Document, before: Document | None = None) -> Document:
    """The complete settings of a target group (`protocol` is empty for Lambda functions). Raises a refusal.

    `asked` are those of the request; what it doesn't have stays as `before`, or gets the default.
    """
    given = {name: asked[name] for name in SETTINGS if asked.get(name) not in (None, {})}
    if target_type == "lambda":
        return _of_functions(given, before or {})
    if given.get("HealthCheckEnabled") is False:
        raise misconfigured(f"Health checks cannot be disabled for target groups with target type '{target_type}'")
    http, grpc = protocol in ("HTTP", "HTTPS"), version == "GRPC"
    check = _protocol(protocol, target_type, given, before or {})
    defaults: Document = {
        "HealthCheckProtocol": check,
        "HealthCheckPort": "traffic-port",
        "HealthCheckEnabled": True,
        "HealthCheckIntervalSeconds": 30,
        "HealthCheckTimeoutSeconds": 5 if http else 6 if check == "HTTP" else 10,
        "HealthyThresholdCount": 5,
        "UnhealthyThresholdCount": 2,
    }
    if check == "TCP":
        for name, what in (("HealthCheckPath", "paths"), ("Matcher", "matchers")):
            if given.get(name):
                raise misconfigured(f"Health check {what} are not supported for TCP health checks")
    else:
        defaults["HealthCheckPath"] = _GRPC_PATH if grpc else "/"
        defaults["Matcher"] = {"GrpcCode": "12"} if grpc else {"HttpCode": "200" if http else "200-399"}
    kept = {name: value for name, value in (before or {}).items() if name in defaults}
    settings = {**defaults, **kept, **given, "HealthCheckProtocol": check}
    _check_port(settings["HealthCheckPort"])
    if check != "TCP":
        _check_path(settings["HealthCheckPath"], version)
        _check_matcher(http=http, grpc=grpc, matcher=settings["Matcher"])
    _check_times(settings, given, strict=http)
    return settings


def _of_functions(given: Document, before: Document) -> Document:
    for name in ("HealthCheckProtocol", "HealthCheckPort"):
        if name in given:
            raise invalid(f"{name} cannot be specified for target groups with target type 'lambda'")
    defaults: Document = {
        "HealthCheckEnabled": False,
        "HealthCheckIntervalSeconds": 35,
        "HealthCheckTimeoutSeconds": 30,
        "HealthyThresholdCount": 5,
        "UnhealthyThresholdCount": 2,
        "HealthCheckPath": "/",
        "Matcher": {"HttpCode": "200"},
    }
    settings = {**defaults, **before, **given}
    _check_matcher(http=True, grpc=False, matcher=settings["Matcher"])
    _check_times(settings, given, strict=True)
    return settings


def _protocol(protocol: str, target_type: str, asked: Document, before: Document) -> str:
    default = "HTTP" if protocol in ("HTTP", "HTTPS") or target_type == "alb" else "TCP"
    allowed = ("HTTP", "HTTPS") if default == "HTTP" else ("HTTP", "HTTPS", "TCP")
    check = str(asked.get("HealthCheckProtocol") or before.get("HealthCheckProtocol") or default)
    if check not in allowed:
        what = f"target type '{target_type}'" if target_type == "alb" else f"the {protocol} protocol"
        raise invalid(
            f"Health check protocol '{check}' not supported for target groups with {what}. "
            f"Must be one of the following values '[{', '.join(allowed)}]'."
        )
    return check


def _check_port(port: str) -> None:
    if port != "traffic-port" and not (port.isascii() and port.isdecimal() and 1 <= int(port) <= 65535):
        raise invalid(f"Health check port '{port}' must be either 'traffic-port' or between '1-65535' inclusive")


def _check_path(path: str, version: str) -> None:
    if not path.startswith("/"):
        raise invalid(f"Health check path '{path}' must begin with a '/' character")
    if re.search(r"[\s#]", path) or not path.isascii():
        raise invalid(f"Health check path '{path}' contains a character that is not valid")
    if version == "GRPC" and not re.fullmatch(r"/[\w.]+/\w+", path):
        raise invalid(f"Health check path '{path}' must have the format '/package.service/method'")


def _check_matcher(*, http: bool, grpc: bool, matcher: Document) -> None:
    wanted, other = ("GrpcCode", "HttpCode") if grpc else ("HttpCode", "GrpcCode")
    if other in matcher:
        version = "with" if grpc else "without"
        raise misconfigured(
            f"Health check matcher {other} cannot be specified for target groups {version} the protocol version 'GRPC'"
        )
    codes = str(matcher.get(wanted, ""))
    if not _CODES.match(codes):
        raise invalid(f"Health check matcher {wanted} '{codes}' must be like 200 | 200-399 | 200,201 ...")
    least, most = (0, 99) if grpc else (200, 499 if http else 599)
    for part in codes.split(","):
        first, _, last = part.partition("-")
        if not least <= int(first) <= int(last or first) <= most:
            raise invalid(f"Health check matcher {wanted} '{part}' must be within '{least}-{most}' inclusive")


def _check_times(settings: Document, asked: Document, *, strict: bool) -> None:
    timeout, interval = settings["HealthCheckTimeoutSeconds"], settings["HealthCheckIntervalSeconds"]
    if timeout < interval or (timeout == interval and not strict):
        return
    if "HealthCheckTimeoutSeconds" not in asked:
        raise invalid("Health check interval must be greater than the timeout.")
    than = "smaller than" if strict else "smaller than or equal to"
    raise invalid(f"Health check timeout '{timeout}' must be {than} the interval '{interval}'")
