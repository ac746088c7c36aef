"""Actions of rules and listeners: Action of the API (Action types for listener rules)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from gatewright.local.aws.elbv2 import quotas
from gatewright.local.aws.elbv2.errors import Refusal, bad_action, invalid
from gatewright.local.aws.elbv2.models import Document

_CONFIGS = {
    "forward": "ForwardConfig",
    "redirect": "RedirectConfig",
    "fixed-response": "FixedResponseConfig",
    "authenticate-oidc": "AuthenticateOidcConfig",
    "authenticate-cognito": "AuthenticateCognitoConfig",
    "jwt-validation": "JwtValidationConfig",
}
_FINAL = ("forward", "redirect", "fixed-response")
_WEEK = 604800
_CONTENT_TYPES = ("text/html", "application/json", "application/javascript", "text/css", "text/plain")
_KEYWORD = re.compile(r"#\{[^}]*\}")
_KEYWORDS = {
    "Host": ("#{host}",),
    "Path": ("#{host}", "#{path}", "#{port}"),
    "Query": ("#{host}", "#{path}", "#{port}", "#{protocol}", "#{query}"),
}
_UNCHANGED = {
    "Protocol": "#{protocol}",
    "Port": "#{port}",
    "Host": "#{host}",
    "Path": "/#{path}",
    "Query": "#{query}",
}


class Place(NamedTuple):
    """Where actions are: a listener's protocol and port, and its load balancer's type."""

    type: str
    protocol: str
    port: int


def checked(actions: list[Document], place: Place) -> list[Document]:
    """The actions of a rule in their order, as DescribeRules shows them. Raises a refusal."""
    if not actions:
        raise invalid("At least one action must be specified")
    _check_order(actions)
    ordered = sorted(actions, key=lambda action: int(action.get("Order", 1)))
    kinds = [action.get("Type", "") for action in ordered]
    if place.type == "network" and kinds != ["forward"]:
        raise bad_action("Listeners of Network Load Balancers must have exactly one action, of type 'forward'")
    if sum(kind in _FINAL for kind in kinds) != 1 or kinds[-1] not in _FINAL:
        raise bad_action(
            "Exactly one action must be of type 'forward', 'redirect' or 'fixed-response', and it must be the last one"
        )
    for kind in kinds[:-1]:
        if place.protocol != "HTTPS":
            raise bad_action(f"Actions of type '{kind}' are supported only on HTTPS listeners")
    if len(kinds) > 2 or len(set(kinds)) != len(kinds):
        raise Refusal("TooManyActions", "You've reached the limit on the number of actions per rule")
    return [{**_normal(action, place), "Order": action.get("Order", 1)} for action in ordered]


def _check_order(actions: list[Document]) -> None:
    if len(actions) == 1:
        return
    orders = [action.get("Order") for action in actions]
    if None in orders:
        raise bad_action("You must specify an order for each action of a rule with multiple actions")
    if len(set(orders)) != len(orders):
        raise bad_action("The actions of a rule must have different orders")


def groups(actions: list[Document]) -> Iterator[str]:
    """ARNs of the target groups that normal actions forward to."""
    for action in actions:
        for group in action.get("ForwardConfig", {}).get("TargetGroups", ()):
            yield group["TargetGroupArn"]


def _normal(action: Document, place: Place) -> Document:
    kind = action["Type"]
    name = _CONFIGS[kind]
    for other in _CONFIGS.values():
        if other != name and other in action:
            raise bad_action(f"For actions of type '{kind}', you can't specify the following fields: '{other}'")
    if kind != "forward":
        if "TargetGroupArn" in action:
            raise bad_action(f"For actions of type '{kind}', you can't specify the following fields: 'TargetGroupArn'")
        if name not in action:
            raise bad_action(f"For actions of type '{kind}', you must specify the following fields: '{name}'")
    match kind:
        case "forward":
            return _forward(action)
        case "redirect":
            return {"Type": kind, name: _redirect(action[name], place)}
        case "fixed-response":
            return {"Type": kind, name: _fixed_response(action[name])}
        case "jwt-validation":
            _check_jwt(action[name])
    config = {key: value for key, value in action[name].items() if key != "ClientSecret"}
    return {"Type": kind, name: config}


def _forward(action: Document) -> Document:
    config = action.get("ForwardConfig", {})
    listed = config.get("TargetGroups", [])
    alone = action.get("TargetGroupArn")
    if alone and not listed:
        listed = [{"TargetGroupArn": alone}]
    if alone and [group.get("TargetGroupArn") for group in listed] != [alone]:
        raise bad_action(
            "If you specify both TargetGroupArn and ForwardConfig, ForwardConfig must have that target group only"
        )
    arns = [group.get("TargetGroupArn") for group in listed]
    if not arns or None in arns:
        raise bad_action("A target group ARN must be specified for actions of type 'forward'")
    if len(arns) > quotas.GROUPS_PER_ACTION:
        raise Refusal("TooManyTargetGroups", f"An action can only have '{quotas.GROUPS_PER_ACTION}' target groups")
    if len(set(arns)) != len(arns):
        raise bad_action("A target group can be specified only once in an action")
    weighted = [{"TargetGroupArn": group["TargetGroupArn"], "Weight": group.get("Weight", 1)} for group in listed]
    for group in weighted:
        if not 0 <= group["Weight"] <= 999:
            raise invalid(f"Target group weight '{group['Weight']}' must be between '0-999' inclusive")
    normal: Document = {
        "Type": "forward",
        "ForwardConfig": {
            "TargetGroups": weighted,
            "TargetGroupStickinessConfig": _stickiness(config.get("TargetGroupStickinessConfig", {})),
        },
    }
    if len(weighted) == 1:
        normal["TargetGroupArn"] = arns[0]
    return normal


def _stickiness(config: Document) -> Document:
    enabled = config.get("Enabled", False)
    seconds = config.get("DurationSeconds")
    if enabled and seconds is None:
        raise bad_action("You must specify the duration of target group stickiness when you enable it")
    if seconds is not None and not 1 <= seconds <= _WEEK:
        raise invalid(f"Target group stickiness duration '{seconds}' must be between '1-{_WEEK}' inclusive")
    return {"Enabled": enabled} | ({} if seconds is None else {"DurationSeconds": seconds})


def _redirect(config: Document, place: Place) -> Document:
    normal = {**_UNCHANGED, **config}
    port = normal["Port"]
    if port != "#{port}" and not (port.isascii() and port.isdecimal() and 1 <= int(port) <= 65535):
        raise bad_action("The Port parameter must be a valid port, from 1 to 65535, or '#{port}'.")
    for name in ("Host", "Path", "Query"):
        if not _placeholders_are_right(name, normal[name]):
            raise bad_action(
                f"The {name} parameter must be a valid {_MEANING[name]}, and may contain up to one of each of these "
                f"placeholders: {', '.join(repr(keyword) for keyword in _KEYWORDS[name])}."
            )
    if place.protocol == "HTTPS" and normal["Protocol"] == "HTTP":
        raise bad_action("The redirect configuration is not valid because HTTPS can't be redirected to HTTP.")
    # What the query becomes doesn't count: "You must modify at least one of the following components to avoid a
    # redirect loop: protocol, port, hostname, or path."
    if (
        normal["Protocol"] in (_UNCHANGED["Protocol"], place.protocol)
        and port in (_UNCHANGED["Port"], str(place.port))
        and normal["Host"] == _UNCHANGED["Host"]
        and normal["Path"] == _UNCHANGED["Path"]
    ):
        raise bad_action("The redirect configuration is not valid because it creates a loop.")
    return normal


_MEANING = {"Host": "hostname", "Path": "path, should start with a '/'", "Query": "query"}


def _placeholders_are_right(name: str, value: str) -> bool:
    found = _KEYWORD.findall(value)
    if len(set(found)) != len(found) or any(keyword not in _KEYWORDS[name] for keyword in found):
        return False
    rest = _KEYWORD.sub("", value)
    match name:
        case "Host":
            return re.fullmatch(r"[A-Za-z0-9.-]*", rest) is not None
        case "Path":
            return value.startswith("/") and not re.search(r"[\s?#]", rest)
    return not re.search(r"[\s#]", rest)


def _fixed_response(config: Document) -> Document:
    content_type = config.get("ContentType")
    if content_type and content_type not in _CONTENT_TYPES:
        listed = ", ".join(repr(one) for one in _CONTENT_TYPES)
        raise bad_action(f"The ContentType must be one of:{listed}")
    return config


def _check_jwt(config: Document) -> None:
    for name in ("JwksEndpoint", "Issuer"):
        if len(config[name]) > 256:
            raise invalid(f"The '{name}' value is too long; the limit is '256'")
    if not re.match(r"https://[^/]+/", config["JwksEndpoint"]):
        raise bad_action("The JwksEndpoint must be a full URL with the HTTPS protocol, the domain and the path")
    if len(config.get("AdditionalClaims", ())) > 10:
        raise invalid("There can be at most '10' additional claims")
