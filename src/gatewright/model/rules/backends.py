"""The rules of BackendTLSPolicy and of the experimental group's kinds."""

from __future__ import annotations

import re
from typing import Any, Final

from gatewright.model.rules.engine import Rule, Rules
from gatewright.model.rules.gateways import IMMUTABLE
from gatewright.model.rules.shared import SESSION_PERSISTENCE, TARGET_REFS, milliseconds


def _alternative(type_: str, field: str) -> tuple[Rule, Rule]:
    return (
        Rule(
            f"SubjectAltName element must contain {type_}, if Type is set to {type_}",
            lambda name: name["type"] != type_ or bool(name.get(field)),
        ),
        Rule(
            f"SubjectAltName element must not contain {type_}, if Type is not set to {type_}",
            lambda name: name["type"] == type_ or not name.get(field),
        ),
    )


def _authorities(validation: dict[str, Any]) -> tuple[bool, bool]:
    return bool(validation.get("caCertificateRefs")), bool(validation.get("wellKnownCACertificates"))


def _validation(where: str) -> Rules:
    return {
        where: (
            Rule(
                "must not contain both CACertificateRefs and WellKnownCACertificates",
                lambda validation: not all(_authorities(validation)),
            ),
            Rule(
                "must specify either CACertificateRefs or WellKnownCACertificates",
                lambda validation: any(_authorities(validation)),
            ),
        ),
        f"{where}.subjectAltNames[]": (*_alternative("Hostname", "hostname"), *_alternative("URI", "uri")),
    }


BACKEND_TLS_POLICY: Final[Rules] = {"spec.targetRefs": TARGET_REFS, **_validation("spec.validation")}

_DNS_LABEL: Final = re.compile(r"^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z")

X_BACKEND: Final[Rules] = {
    "spec": (
        Rule(
            "externalHostname must be set when type is ExternalHostname and must be unset otherwise",
            lambda spec: (spec["type"] == "ExternalHostname") == ("externalHostname" in spec),
        ),
    ),
    "spec.externalHostname.hostname": (
        Rule(
            "hostname must not be an IP address or end with .cluster.local",
            lambda hostname: not hostname.endswith(".cluster.local"),
        ),
    ),
    "spec.port.name": (
        Rule("Name must be a valid DNS label", lambda name: name == "" or bool(_DNS_LABEL.match(name))),
    ),
    "spec.tls": (
        Rule(
            "clientCertificateRef must be set if and only if mode is ClientAndServer",
            lambda tls: (tls["mode"] == "ClientAndServer") == ("clientCertificateRef" in tls),
        ),
    ),
    **_validation("spec.tls.validation"),
}

_HOUR: Final = 3_600_000

X_BACKEND_TRAFFIC_POLICY: Final[Rules] = {
    "spec.retryConstraint.budget.interval": (
        Rule(
            "interval cannot be greater than one hour or less than one second",
            lambda interval: 1000 <= milliseconds(interval) <= _HOUR,
        ),
    ),
    "spec.retryConstraint.minRetryRate.interval": (
        Rule("interval cannot be greater than one hour", lambda interval: 0 < milliseconds(interval) <= _HOUR),
    ),
    "spec.sessionPersistence": SESSION_PERSISTENCE,
}

X_MESH: Final[Rules] = {"spec.controllerName": IMMUTABLE}
