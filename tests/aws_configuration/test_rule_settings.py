"""ListenerRuleConfigurations: what a rule does that the Gateway API has no words for."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from tests.aws_configuration.configured_world import World, configuration

from gatewright.aws.configuration.settings import FixedResponse, RuleSettings
from gatewright.aws.stack.desired import (
    AuthenticateCognito,
    AuthenticateOidc,
    Claim,
    RuleCondition,
    ValidateJwt,
)
from gatewright.model.meta import Key

RULE = "ListenerRuleConfiguration"
POOL = "arn:aws:cognito-idp:eu-west-1:123456789012:userpool/eu-west-1_a"
OIDC = {
    "issuer": "https://id.example",
    "authorizationEndpoint": "https://id.example/authorize",
    "tokenEndpoint": "https://id.example/token",
    "userInfoEndpoint": "https://id.example/me",
    "secret": {"name": "client"},
}


def rule(**spec: Any) -> str:
    return configuration(RULE, "rule", spec)


def action(type_: str, config: str, **values: Any) -> dict[str, Any]:
    return {"type": type_, config: values}


def secret(**data: str) -> str:
    lines = "".join(f"  {key}: {base64.b64encode(value.encode()).decode()}\n" for key, value in data.items())
    return f"apiVersion: v1\nkind: Secret\nmetadata: {{name: client, namespace: shop}}\ndata:\n{lines}---\n"


def settings(world: World) -> RuleSettings | None:
    return world.rules.get(Key("shop", "rule"))


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({}, RuleSettings()),
        (
            {"actions": [action("fixed-response", "fixedResponseConfig", statusCode=403, messageBody="no")]},
            RuleSettings(fixed_response=FixedResponse("403", "text/plain", "no")),
        ),
        (
            {"actions": [action("redirect", "redirectConfig", query="from=old&#{query}")]},
            RuleSettings(redirect_query="from=old&#{query}"),
        ),
        (
            {"actions": [action("forward", "forwardConfig", targetGroupStickinessConfig={"enabled": True})]},
            RuleSettings(stickiness=3600),
        ),
        ({"actions": [action("forward", "forwardConfig")]}, RuleSettings()),
        ({"tags": {"team": "shop"}}, RuleSettings(tags={"team": "shop"})),
        (
            {
                "conditions": [
                    {"field": "source-ip", "matchIndexes": [2, 0], "sourceIPConfig": {"values": ["10.0.0.0/8"]}},
                    {"field": "source-ip", "matchIndexes": [1], "sourceIPConfig": {"values": ["2001:db8::/32"]}},
                ]
            },
            RuleSettings(
                conditions=(
                    ((0, 2), RuleCondition("source-ip", ("10.0.0.0/8",))),
                    ((1,), RuleCondition("source-ip", ("2001:db8::/32",))),
                )
            ),
        ),
        (
            {"conditions": [{"field": "source-ip", "sourceIPConfig": {"values": ["10.0.0.0/8", "10.0.0.0/8"]}}]},
            RuleSettings(conditions=((None, RuleCondition("source-ip", ("10.0.0.0/8",))),)),
        ),
        (
            {
                "actions": [
                    action(
                        "authenticate-cognito",
                        "authenticateCognitoConfig",
                        userPoolArn=POOL,
                        userPoolClientId="shop",
                        userPoolDomain="shop",
                        onUnauthenticatedRequest="deny",
                        authenticationRequestExtraParams={"lang": "en"},
                    ),
                    action(
                        "forward", "forwardConfig", targetGroupStickinessConfig={"enabled": True, "durationSeconds": 9}
                    ),
                ]
            },
            RuleSettings(
                authentication=AuthenticateCognito(
                    POOL, "shop", "shop", on_unauthenticated="deny", extra_parameters={"lang": "en"}
                ),
                stickiness=9,
            ),
        ),
        (
            {
                "actions": [
                    action(
                        "jwt-validation",
                        "jwtValidationConfig",
                        issuer="https://id.example",
                        jwksEndpoint="https://id.example/keys",
                        additionalClaims=[{"name": "scope", "format": "space-separated-values", "values": ["read"]}],
                    )
                ]
            },
            RuleSettings(
                authentication=ValidateJwt(
                    "https://id.example",
                    "https://id.example/keys",
                    (Claim("scope", "space-separated-values", ("read",)),),
                )
            ),
        ),
    ],
)
def test_what_can_be_asked_for(spec: dict[str, Any], expected: RuleSettings) -> None:
    world = World(rule(**spec))
    assert world.problem(RULE, "rule") == ""
    assert settings(world) == expected


def test_the_client_of_a_provider_is_in_a_secret() -> None:
    config = rule(actions=[action("authenticate-oidc", "authenticateOIDCConfig", **OIDC, useExistingClientSecret=True)])
    world = World(config)
    assert "Secret shop/client does not exist" in world.problem(RULE, "rule")
    assert settings(world) is None, "a rule must not be open because its authentication can't be had"

    world.apply(secret(clientID="shop"))
    assert world.problem(RULE, "rule") == (
        "spec.actions[0].authenticateOIDCConfig.secret.name: found client; "
        "Secret shop/client has no clientSecret; add it"
    )

    world.apply(secret(clientID="shop\n", clientSecret="hidden\n"))
    assert world.problem(RULE, "rule") == ""
    found = settings(world)
    assert found is not None
    oidc = found.authentication
    assert isinstance(oidc, AuthenticateOidc)
    assert (oidc.client.client_id, oidc.client.value, oidc.keep_client_secret) == ("shop", "hidden", True)
    assert (oidc.issuer, oidc.user_info_endpoint) == ("https://id.example", "https://id.example/me")
    assert "hidden" not in repr(found)

    before = oidc.client.digest
    world.apply(secret(clientId="shop", clientSecret="other"))
    found = settings(world)
    assert found is not None
    assert isinstance(found.authentication, AuthenticateOidc)
    assert found.authentication.client.digest != before


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (
            {"actions": [action("fixed-response", "fixedResponseConfig", statusCode=200, messageBody="x" * 1025)]},
            "messageBody: found 1,025 characters; an ALB answers with at most 1,024",
        ),
        (
            {"actions": [action("fixed-response", "fixedResponseConfig", statusCode=301)]},
            "statusCode: found 301; expected a status of 2XX, 4XX or 5XX",
        ),
        (
            {
                "actions": [
                    action(
                        "authenticate-cognito",
                        "authenticateCognitoConfig",
                        userPoolArn="pool",
                        userPoolClientId=" ",
                        userPoolDomain="d",
                    )
                ]
            },
            "userPoolArn: found pool; expected the ARN of a user pool",
        ),
        (
            {"actions": [action("jwt-validation", "jwtValidationConfig", issuer="i", jwksEndpoint="http://i/keys")]},
            "jwksEndpoint: found http://i/keys; expected a full URL that begins with https://",
        ),
        (
            {
                "actions": [
                    action(
                        "jwt-validation",
                        "jwtValidationConfig",
                        issuer="i",
                        jwksEndpoint="https://i/keys",
                        additionalClaims=[{"name": "exp", "format": "single-string", "values": ["1"]}],
                    )
                ]
            },
            "additionalClaims[0].name: found exp; an ALB always checks it",
        ),
        (
            {
                "actions": [
                    action(
                        "jwt-validation",
                        "jwtValidationConfig",
                        issuer="i",
                        jwksEndpoint="https://i/keys",
                        additionalClaims=[{"name": "s", "format": "space-separated-values", "values": ["a b"]}],
                    )
                ]
            },
            "additionalClaims[0].values: found one with a space",
        ),
        (
            {
                "actions": [
                    action(
                        "jwt-validation",
                        "jwtValidationConfig",
                        issuer="i",
                        jwksEndpoint="https://i/keys",
                        additionalClaims=[{"name": "s", "format": "single-string", "values": ["a"]}] * 11,
                    )
                ]
            },
            "additionalClaims: found 11; an ALB checks at most 10 claims",
        ),
        (
            {"conditions": [{"field": "source-ip", "sourceIPConfig": {"values": ["10.0.0.1"]}}]},
            "spec.conditions[0].sourceIPConfig.values[0]: found 10.0.0.1; expected a CIDR",
        ),
        (
            {"conditions": [{"field": "source-ip", "sourceIPConfig": {"values": ["10.0.0.0/8"]}}] * 2},
            "spec.conditions[1]: found a second condition for the same match; a rule of an ALB has one",
        ),
        (
            {
                "conditions": [
                    {"field": "source-ip", "matchIndexes": [-1], "sourceIPConfig": {"values": ["10.0.0.0/8"]}}
                ]
            },
            "matchIndexes: found -1",
        ),
    ],
)
def test_what_can_not_be_used_is_not_served(spec: dict[str, Any], problem: str) -> None:
    world = World(rule(**spec))
    assert problem in world.problem(RULE, "rule")
    assert settings(world) is None
    status = world.statuses[RULE, Key("shop", "rule")]
    assert status["accepted"] is False
    assert problem in status["message"]
