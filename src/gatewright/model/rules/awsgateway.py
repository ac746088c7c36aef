"""The rules of the AWS configuration kinds (gateway.k8s.aws and elbv2.k8s.aws), each with its CEL and its message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from gatewright.model.rules.engine import Rule, Rules

Json = dict[str, Any]


def _only_verify(field: str) -> Rule:
    return Rule(
        f"Mutual Authentication mode 'off' or 'passthrough' does not support '{field}'",
        lambda mutual: mutual["mode"] == "verify" or field not in mutual,
        f"!(self.mode != 'verify' && has(self.{field}))",
    )


LOAD_BALANCER_CONFIGURATION: Final[Rules] = {
    "spec.listenerConfigurations[].mutualAuthentication": (
        Rule(
            "trustStore is required when mutualAuthentication mode is 'verify'",
            lambda mutual: mutual["mode"] != "verify" or "trustStore" in mutual,
            "!(self.mode == 'verify' && !has(self.trustStore))",
        ),
        _only_verify("trustStore"),
        _only_verify("ignoreClientCertificateExpiry"),
        _only_verify("advertiseTrustStoreCaNames"),
    ),
}

ACTION_CONFIGURATIONS: Final = {
    "forward": "forwardConfig",
    "redirect": "redirectConfig",
    "fixed-response": "fixedResponseConfig",
    "authenticate-cognito": "authenticateCognitoConfig",
    "authenticate-oidc": "authenticateOIDCConfig",
    "jwt-validation": "jwtValidationConfig",
}
"""The field that configures an action, by the action's type."""

BEFORE_ROUTING: Final = ("authenticate-oidc", "authenticate-cognito", "jwt-validation")
ROUTING: Final = ("fixed-response", "forward", "redirect")


def _belongs(discriminator: str, type_: str, field: str) -> Rule:
    return Rule(
        f"{field} must be specified only when {discriminator} is '{type_}'",
        lambda value: (value[discriminator] == type_) == (field in value),
        f"has(self.{discriminator}) && self.{discriminator} == '{type_}' ? has(self.{field}) : !has(self.{field})",
    )


def _any_of(types: tuple[str, ...]) -> str:
    return " || ".join(f"a.type == '{type_}'" for type_ in types)


def _at_most_one(types: tuple[str, ...]) -> Callable[[Json], bool]:
    return lambda spec: sum(action["type"] in types for action in spec.get("actions", ())) <= 1


LISTENER_RULE_CONFIGURATION: Final[Rules] = {
    "spec": (
        Rule(
            "At least one action must be specified if actions field is present",
            lambda spec: len(spec.get("actions", "-")) > 0,
            "!has(self.actions) || size(self.actions) > 0",
        ),
        Rule(
            "Only forward, redirect, authenticate-oidc, authenticate-cognito, jwt-validation, and fixed-response "
            "action types are supported",
            lambda spec: all(action["type"] in ACTION_CONFIGURATIONS for action in spec.get("actions", ())),
            f"!has(self.actions) || self.actions.all(a, {_any_of((*BEFORE_ROUTING, *ROUTING))})",
        ),
        Rule(
            "At most one pre-routing action (authenticate-oidc, authenticate-cognito, or jwt-validation) can be "
            "specified",
            _at_most_one(BEFORE_ROUTING),
            f"!has(self.actions) || size(self.actions.filter(a, {_any_of(BEFORE_ROUTING)})) <= 1",
        ),
        Rule(
            "At most one routing action (fixed-response or forward or redirect) can be specified",
            _at_most_one(ROUTING),
            f"!has(self.actions) || size(self.actions.filter(a, {_any_of(ROUTING)})) <= 1",
        ),
    ),
    "spec.actions[]": tuple(_belongs("type", type_, field) for type_, field in ACTION_CONFIGURATIONS.items()),
    "spec.actions[].fixedResponseConfig.statusCode": (
        Rule(
            "StatusCode must be a valid HTTP status code in the 2XX, 4XX, or 5XX range",
            lambda code: 200 <= code <= 299 or 400 <= code <= 599,
            "(self >= 200 && self <= 299) || (self >= 400 && self <= 599)",
        ),
    ),
    "spec.conditions[]": (_belongs("field", "source-ip", "sourceIPConfig"),),
}

INGRESS_CLASS_PARAMS: Final[Rules] = {
    "spec": (
        Rule(
            "cannot specify both 'prefixListsIDs' and 'PrefixListsIDs' fields",
            lambda spec: not ("prefixListsIDs" in spec and "PrefixListsIDs" in spec),
            "!(has(self.prefixListsIDs) && has(self.PrefixListsIDs))",
        ),
    ),
}
