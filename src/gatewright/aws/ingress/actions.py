"""`actions.` annotations: what a rule does with its requests."""

from __future__ import annotations

import re
from typing import Final, Literal

from msgspec import Struct

from gatewright.aws.configuration.settings import FixedResponse
from gatewright.aws.ingress.conditions import Unusable
from gatewright.aws.ingress.documents import (
    ActionDocument,
    FixedResponseDocument,
    ForwardConfig,
    RedirectDocument,
    TargetGroupTuple,
)
from gatewright.aws.stack.desired import RedirectTo

_STATUS: Final = re.compile(r"[245][0-9][0-9]")
_CONTENT_TYPES: Final = ("text/plain", "text/css", "text/html", "application/javascript", "application/json")
_LONGEST_BODY: Final = 1024
_LONGEST_PART: Final = 128
_HEAVIEST: Final = 999
_STICKINESS: Final = (1, 604800)  # seconds
_REDIRECTS: Final[dict[str, Literal["HTTP_301", "HTTP_302"]]] = {"HTTP_301": "HTTP_301", "HTTP_302": "HTTP_302"}


class Destination(Struct, frozen=True):
    """Where a share of the requests goes: a port of a Service, by name or number, or an existing target group."""

    weight: int = 1
    service: str = ""
    port: str | int = ""
    arn: str = ""
    name: str = ""


class Forwarding(Struct, frozen=True):
    """Requests are forwarded. `stickiness` is how long a client stays with one target group, in seconds."""

    destinations: tuple[Destination, ...]
    stickiness: int | None = None


def read_action(document: ActionDocument) -> Forwarding | FixedResponse | RedirectTo:
    """What an action says. Raises Unusable."""
    if document.type == "fixed-response":
        if document.fixed_response_config is None:
            raise Unusable("no fixedResponseConfig")
        return _fixed_response(document.fixed_response_config)
    if document.type == "redirect":
        if document.redirect_config is None:
            raise Unusable("no redirectConfig")
        return _redirect(document.redirect_config)
    if document.type != "forward":
        raise Unusable(f"type {document.type!r}; expected forward, redirect or fixed-response")
    named = TargetGroupTuple(target_group_arn=document.target_group_arn, target_group_name=document.target_group_name)
    simple = bool(named.target_group_arn or named.target_group_name)
    if simple == (document.forward_config is not None):
        raise Unusable("not exactly one of forwardConfig, targetGroupARN and targetGroupName")
    return _forward(document.forward_config or ForwardConfig((named,)))


def _fixed_response(config: FixedResponseDocument) -> FixedResponse:
    status = str(config.status_code)
    if not _STATUS.fullmatch(status):
        raise Unusable(f"statusCode {status!r}; expected 2XX, 4XX or 5XX")
    if config.content_type not in _CONTENT_TYPES:
        raise Unusable(f"contentType {config.content_type!r}; expected {', '.join(_CONTENT_TYPES)}")
    if len(config.message_body) > _LONGEST_BODY:
        raise Unusable(f"a messageBody of {len(config.message_body)} characters; AWS takes {_LONGEST_BODY}")
    return FixedResponse(status, config.content_type, config.message_body)


def _redirect(config: RedirectDocument) -> RedirectTo:
    status = _REDIRECTS.get(str(config.status_code))
    if status is None:
        raise Unusable(f"statusCode {config.status_code!r}; a load balancer redirects with HTTP_301 or HTTP_302")
    if config.protocol not in ("HTTP", "HTTPS", "#{protocol}"):
        raise Unusable(f"protocol {config.protocol!r}; expected HTTP, HTTPS or #{{protocol}}")
    port = str(config.port)
    if port != "#{port}" and not (port.isascii() and port.isdigit() and len(port) < 6 and 0 < int(port) < 65536):
        raise Unusable(f"port {port!r}; expected 1 to 65535 or #{{port}}")
    if not config.path.startswith("/"):
        raise Unusable(f"path {config.path!r}; expected one that begins with /")
    if not config.host:
        raise Unusable("an empty host")
    if max(len(config.host), len(config.path), len(config.query)) > _LONGEST_PART:
        raise Unusable(f"a part of more than {_LONGEST_PART} characters")
    return RedirectTo(status, config.protocol, config.host, port, config.path, config.query.removeprefix("?"))


def _forward(config: ForwardConfig) -> Forwarding:
    groups = config.target_groups
    if not groups:
        raise Unusable("no targetGroups")
    for index, group in enumerate(groups):
        if sum(1 for each in (group.target_group_arn, group.target_group_name, group.service_name) if each) != 1:
            raise Unusable(
                f"not exactly one of targetGroupARN, targetGroupName and serviceName in targetGroups[{index}]"
            )
        if group.service_name and not group.service_port:
            raise Unusable(f"no servicePort in targetGroups[{index}]")
        if group.weight is None and len(groups) > 1:
            raise Unusable(f"no weight in targetGroups[{index}]; several target groups need one each")
        if not 0 <= (group.weight or 0) <= _HEAVIEST:
            raise Unusable(f"weight {group.weight} in targetGroups[{index}]; expected 0 to {_HEAVIEST}")
    stickiness = config.target_group_stickiness_config
    duration = stickiness.duration_seconds
    if stickiness.enabled and not _STICKINESS[0] <= (duration or 0) <= _STICKINESS[1]:
        raise Unusable(f"durationSeconds {duration}; stickiness lasts {_STICKINESS[0]} to {_STICKINESS[1]} seconds")
    return Forwarding(tuple(_destination(group) for group in groups), duration if stickiness.enabled else None)


def _destination(group: TargetGroupTuple) -> Destination:
    return Destination(
        weight=1 if group.weight is None else group.weight,
        service=group.service_name or "",
        port=_port(group.service_port),
        arn=group.target_group_arn or "",
        name=group.target_group_name or "",
    )


def _port(port: str | int | None) -> str | int:
    """The AWS controller once had numbers as texts."""
    if isinstance(port, str) and port.isascii() and port.isdigit() and len(port) < 6:
        return int(port)
    return "" if port is None else port


def loops(redirect: RedirectTo, protocol: str, port: int, hosts: frozenset[str], paths: frozenset[str]) -> bool:
    """Whether a redirect leads to the very rule that gives it, on the listener at `protocol` and `port`.

    One annotation for both ports is an old way to redirect to HTTPS; on the HTTPS port it says nothing.
    """
    return (
        (redirect.host == "#{host}" or redirect.host in hosts)
        and (redirect.path == "/#{path}" or redirect.path in paths)
        and redirect.port in ("#{port}", str(port))
        and redirect.protocol in ("#{protocol}", protocol)
        and redirect.query == "#{query}"
    )
