"""ListenerRuleConfiguration: what a rule of an ALB's listener does that the Gateway API has no words for."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from gatewright.model.awsgateway.shared import API_VERSION, Generation, Tags
from gatewright.model.constraints import NO_DEFAULT, entries, integer, items, text
from gatewright.model.meta import Model, Object, always

OnUnauthenticatedRequest = Literal["deny", "allow", "authenticate"]
ExtraParams = Annotated[dict[str, str], entries(at_most=10)]
SessionTimeout = Annotated[int, integer("int64", ge=1, le=604800)]
_Text256 = Annotated[str, text(max_length=256)]


class SecretReference(Model):
    """Names a Secret of the same namespace."""

    name: str


class AuthenticateOidcConfig(Model):
    """An OpenID provider that knows who may pass. The Secret has the keys `clientID` and `clientSecret`."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    user_info_endpoint: str
    secret: SecretReference
    scope: str = "openid"
    session_cookie_name: str = "AWSELBAuthSessionCookie"
    session_timeout: SessionTimeout = 604800
    on_unauthenticated_request: OnUnauthenticatedRequest = "authenticate"
    authentication_request_extra_params: ExtraParams = msgspec.field(default_factory=dict)
    use_existing_client_secret: bool | None = None


class AuthenticateCognitoConfig(Model):
    """A Cognito user pool that knows who may pass."""

    user_pool_arn: str
    user_pool_client_id: str
    user_pool_domain: str
    scope: str = "openid"
    session_cookie_name: str = "AWSELBAuthSessionCookie"
    session_timeout: SessionTimeout = 604800
    on_unauthenticated_request: OnUnauthenticatedRequest = "authenticate"
    authentication_request_extra_params: ExtraParams = msgspec.field(default_factory=dict)


class JwtAdditionalClaim(Model):
    """A claim that a token has to have, beside those that are always checked (exp, iss, nbf, iat)."""

    name: Annotated[str, text(min_length=1)]
    format: Literal["single-string", "string-array", "space-separated-values"]
    values: Annotated[tuple[_Text256, ...], items(at_least=1, at_most=10)]


class JwtValidationConfig(Model):
    """Whose tokens let requests pass."""

    issuer: _Text256
    jwks_endpoint: _Text256
    additional_claims: tuple[JwtAdditionalClaim, ...] = ()


class FixedResponseConfig(Model):
    """An answer that no backend is asked for."""

    status_code: Annotated[int, integer()]
    content_type: Literal["text/plain", "text/css", "text/html", "application/javascript", "application/json"] = (
        "text/plain"
    )
    message_body: str | None = None


class TargetGroupStickinessConfig(Model):
    """Whether, and for how many seconds, a client stays with the target group that it got first."""

    enabled: bool = False
    duration_seconds: Annotated[int, integer(ge=1, le=604800)] = 3600


class ForwardActionConfig(Model):
    """What a route can't say of how it forwards."""

    target_group_stickiness_config: Annotated[
        TargetGroupStickinessConfig, NO_DEFAULT, msgspec.Meta(extra_json_schema={"default": {}})
    ] = TargetGroupStickinessConfig()


class RedirectActionConfig(Model):
    """What a route can't say of a redirect: its query, in which `#{query}` and the like stand for the request's."""

    query: str = "#{query}"


class RuleAction(Model):
    """One action, and the one configuration that belongs to its type."""

    type: Literal[
        "forward", "fixed-response", "redirect", "authenticate-cognito", "authenticate-oidc", "jwt-validation"
    ]
    forward_config: ForwardActionConfig | None = None
    redirect_config: RedirectActionConfig | None = None
    fixed_response_config: FixedResponseConfig | None = None
    authenticate_cognito_config: AuthenticateCognitoConfig | None = None
    authenticate_oidc_config: AuthenticateOidcConfig | None = msgspec.field(default=None, name="authenticateOIDCConfig")
    jwt_validation_config: JwtValidationConfig | None = None


class SourceIPConfig(Model):
    """Where requests may come from, as CIDRs."""

    values: Annotated[tuple[str, ...], items(at_least=1)]


class ListenerRuleCondition(Model):
    """A further condition; `match_indexes` are the route's matches that it is for, all of them if there are none."""

    field: Literal["source-ip"]
    source_ip_config: SourceIPConfig | None = msgspec.field(default=None, name="sourceIPConfig")
    match_indexes: tuple[int, ...] = ()


class ListenerRuleConfigurationSpec(Model):
    """At most one action that comes before routing (an authentication, a check of tokens), and one of routing."""

    actions: Annotated[tuple[RuleAction, ...], items(at_least=1, at_most=2)] = ()
    conditions: Annotated[tuple[ListenerRuleCondition, ...], items(at_least=1)] = ()
    tags: Tags = msgspec.field(default_factory=dict)


class ListenerRuleConfigurationStatus(Model):
    """Whether it can be used, and why not."""

    accepted: bool | None = None
    message: str | None = None
    observed_generation: Generation | None = None


class ListenerRuleConfiguration(Object):
    """What rules do that the Gateway API has no words for: named by an ExtensionRef filter of a route's rule."""

    api_version: str = always(API_VERSION)
    kind: str = always("ListenerRuleConfiguration")
    spec: Annotated[ListenerRuleConfigurationSpec, NO_DEFAULT] = ListenerRuleConfigurationSpec()
    status: Annotated[ListenerRuleConfigurationStatus, NO_DEFAULT] = ListenerRuleConfigurationStatus()
