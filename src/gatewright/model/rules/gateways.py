"""The rules of GatewayClass, Gateway and ListenerSet."""

from __future__ import annotations

import re
from typing import Any, Final

from gatewright.model.rules.engine import Rule, Rules, TransitionRule
from gatewright.model.rules.shared import distinct

IMMUTABLE: Final = (TransitionRule("Value is immutable", lambda value, old: value == old),)

GATEWAY_CLASS: Final[Rules] = {"spec.controllerName": IMMUTABLE}

_HOSTNAME_PATTERN: Final = r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
_HOSTNAME: Final = re.compile(_HOSTNAME_PATTERN.removesuffix("$") + r"\Z")
_QUALIFIED_NAME: Final = re.compile(
    r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"
    r"([A-Za-z0-9][-A-Za-z0-9_.]{0,61})?[A-Za-z0-9]\Z"
)

_NO_TLS: Final = ("HTTP", "TCP", "UDP")
_NO_HOSTNAME: Final = ("TCP", "UDP")


def _endpoint(listener: dict[str, Any]) -> tuple[Any, ...]:
    return listener["port"], listener["protocol"], listener.get("hostname")


LISTENERS: Final = (
    Rule(
        "tls must not be specified for protocols ['HTTP', 'TCP', 'UDP']",
        lambda listeners: all("tls" not in one for one in listeners if one["protocol"] in _NO_TLS),
    ),
    Rule(
        "tls mode must be Terminate for protocol HTTPS",
        lambda listeners: all(
            one["tls"]["mode"] in ("", "Terminate") for one in listeners if one["protocol"] == "HTTPS" and "tls" in one
        ),
    ),
    Rule(
        "tls mode must be set for protocol TLS",
        lambda listeners: all(one.get("tls", {}).get("mode") for one in listeners if one["protocol"] == "TLS"),
    ),
    Rule(
        "hostname must not be specified for protocols ['TCP', 'UDP']",
        lambda listeners: not any(one.get("hostname") for one in listeners if one["protocol"] in _NO_HOSTNAME),
    ),
    Rule(
        "Listener name must be unique within the Gateway",
        lambda listeners: distinct(one["name"] for one in listeners),
    ),
    Rule(
        "Combination of port, protocol and hostname must be unique for each listener",
        lambda listeners: distinct(_endpoint(one) for one in listeners),
    ),
)

LISTENER_TLS: Final = (
    Rule(
        "certificateRefs or options must be specified when mode is Terminate",
        lambda tls: bool(tls.get("certificateRefs") or tls.get("options")) if tls["mode"] == "Terminate" else True,
    ),
)


def _unique_values(type_: str) -> Rule:
    return Rule(
        f"{type_} values must be unique",
        lambda addresses: distinct(one["value"] for one in addresses if one["type"] == type_ and "value" in one),
    )


def _keys(what: str) -> tuple[Rule, Rule]:
    return (
        Rule(
            f"{what.capitalize()} keys must be in the form of an optional DNS subdomain prefix "
            "followed by a required name segment of up to 63 characters.",
            lambda entries: all(_QUALIFIED_NAME.match(key) for key in entries),
        ),
        Rule(
            f"If specified, the {what} key's prefix must be a DNS subdomain not longer than 253 characters in total.",
            lambda entries: all(len(key.split("/")[0]) < 253 for key in entries),
        ),
    )


GATEWAY: Final[Rules] = {
    "spec.addresses": (_unique_values("IPAddress"), _unique_values("Hostname")),
    "spec.addresses[]": (
        Rule(
            f"Hostname value must be empty or contain only valid characters (matching {_HOSTNAME_PATTERN})",
            lambda one: one["type"] != "Hostname" or "value" not in one or bool(_HOSTNAME.match(one["value"])),
        ),
    ),
    "spec.infrastructure.annotations": _keys("annotation"),
    "spec.infrastructure.labels": _keys("label"),
    "spec.listeners": LISTENERS,
    "spec.listeners[].tls": LISTENER_TLS,
    "spec.tls.frontend.perPort": (
        Rule(
            "Port for TLS configuration must be unique within the Gateway",
            lambda ports: distinct(one["port"] for one in ports),
        ),
    ),
    "status.addresses[]": (
        Rule(
            f"Hostname value must only contain valid characters (matching {_HOSTNAME_PATTERN})",
            lambda one: one["type"] != "Hostname" or bool(_HOSTNAME.match(one["value"])),
        ),
    ),
}

LISTENER_SET: Final[Rules] = {"spec.listeners": LISTENERS, "spec.listeners[].tls": LISTENER_TLS}
