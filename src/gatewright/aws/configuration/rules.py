"""What ListenerRuleConfigurations ask of rules.

The Secret of an authentication is of the configuration's own namespace; its keys are the AWS Load Balancer
Controller's, `clientID` (or `clientId`, as its first version had it) and `clientSecret`.
"""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from gatewright.aws.configuration.objections import Objection, is_https, networks, shown, tags
from gatewright.aws.configuration.settings import FixedResponse, RuleSettings
from gatewright.aws.configuration.sources import Configurations
from gatewright.aws.stack.desired import (
    AuthenticateCognito,
    AuthenticateOidc,
    Authentication,
    Claim,
    ClientSecret,
    RuleCondition,
    ValidateJwt,
)
from gatewright.flow import Collection, Context
from gatewright.model.awsgateway import (
    AuthenticateCognitoConfig,
    AuthenticateOidcConfig,
    JwtValidationConfig,
    ListenerRuleCondition,
    ListenerRuleConfiguration,
    RuleAction,
)
from gatewright.model.meta import Key
from gatewright.resolve.inputs import Inputs

_USER_POOL: Final = re.compile(r"arn:[\w-]+:cognito-idp:[\w-]+:\d{12}:userpool/[\w-]+", re.ASCII)
_BODY: Final = 1024  # ELBv2 API, FixedResponseActionConfig
_CLAIMS: Final = 10  # ELBv2 API, JwtValidationActionConfig
_CHECKED: Final = ("exp", "iss", "nbf", "iat")
_STATUSES: Final = (*range(200, 300), *range(400, 600))
_CLIENT_ID: Final = ("clientID", "clientId")
_CLIENT_SECRET: Final = "clientSecret"  # noqa: S105 - the name of a key
_CONTROL: Final = "".join(map(chr, (*range(32), 127)))


class Findings(Struct, frozen=True):
    """A ListenerRuleConfiguration as settings; with `problems` it can't be used, `remarks` are what is left out."""

    settings: RuleSettings
    problems: tuple[Objection, ...] = ()
    remarks: tuple[Objection, ...] = ()


def rule_findings(inputs: Inputs, configurations: Configurations) -> Collection[Key, Findings]:
    """What becomes of each ListenerRuleConfiguration."""
    return inputs.flow.derive(
        "listener rule findings",
        inputs.written(configurations.rules),
        lambda ctx, _, config: _Reading(ctx, inputs, config).findings(),
    )


def rule_settings(inputs: Inputs, configurations: Configurations) -> Collection[Key, RuleSettings]:
    """The settings of every ListenerRuleConfiguration that can be used.

    A rule that names another one must not be served: it would be open to those whom the configuration is to keep out.
    """
    findings = rule_findings(inputs, configurations)
    return inputs.flow.derive(
        "rule settings", findings, lambda _, __, found: None if found.problems else found.settings
    )


class _Reading:
    """One configuration being read."""

    def __init__(self, ctx: Context, inputs: Inputs, config: ListenerRuleConfiguration) -> None:
        self._ctx = ctx
        self._inputs = inputs
        self._config = config
        self._problems: list[Objection] = []

    def findings(self) -> Findings:
        spec = self._config.spec
        authentication: Authentication | None = None
        fixed_response: FixedResponse | None = None
        redirect_query: str | None = None
        stickiness: int | None = None
        for place, action in enumerate(spec.actions):
            field = f"spec.actions[{place}]"
            if action.type == "fixed-response":
                fixed_response = self._fixed_response(action, field)
            elif action.type == "redirect":
                redirect_query = action.redirect_config.query if action.redirect_config else None
            elif action.type == "forward":
                forward = action.forward_config and action.forward_config.target_group_stickiness_config
                stickiness = forward.duration_seconds if forward and forward.enabled else None
            else:
                authentication = self._authentication(action, field)
        given, remarks = tags("spec.tags", spec.tags)
        settings = RuleSettings(
            authentication=authentication,
            fixed_response=fixed_response,
            redirect_query=redirect_query,
            stickiness=stickiness,
            conditions=self._conditions(spec.conditions),
            tags=given,
        )
        return Findings(settings, tuple(self._problems), tuple(remarks))

    def _object(self, field: str, found: str, why: str) -> None:
        self._problems.append(Objection(field, found, why))

    def _fixed_response(self, action: RuleAction, field: str) -> FixedResponse | None:
        given = action.fixed_response_config
        if given is None:
            self._object(f"{field}.fixedResponseConfig", "none", "type fixed-response needs it; give it")
            return None
        body = given.message_body or ""
        if len(body) > _BODY:
            why = f"an ALB answers with at most {_BODY:,} characters by itself; let a backend answer"
            self._object(f"{field}.fixedResponseConfig.messageBody", f"{len(body):,} characters", why)
        if given.status_code not in _STATUSES:
            why = "expected a status of 2XX, 4XX or 5XX; for 3XX use a RequestRedirect filter"
            self._object(f"{field}.fixedResponseConfig.statusCode", str(given.status_code), why)
        return FixedResponse(str(given.status_code), given.content_type, body)

    def _authentication(self, action: RuleAction, field: str) -> Authentication | None:
        if action.authenticate_oidc_config is not None:
            return self._oidc(action.authenticate_oidc_config, f"{field}.authenticateOIDCConfig")
        if action.authenticate_cognito_config is not None:
            return self._cognito(action.authenticate_cognito_config, f"{field}.authenticateCognitoConfig")
        if action.jwt_validation_config is not None:
            return self._jwt(action.jwt_validation_config, f"{field}.jwtValidationConfig")
        self._object(f"{field}.type", action.type, "its configuration is missing; give it")
        return None

    def _urls(self, field: str, **urls: str) -> None:
        for name, url in urls.items():
            if not is_https(url):
                self._object(f"{field}.{name}", shown(url), "expected a full URL that begins with https://")

    def _oidc(self, given: AuthenticateOidcConfig, field: str) -> AuthenticateOidc | None:
        self._urls(
            field,
            issuer=given.issuer,
            authorizationEndpoint=given.authorization_endpoint,
            tokenEndpoint=given.token_endpoint,
            userInfoEndpoint=given.user_info_endpoint,
        )
        client = self._client(given.secret.name, f"{field}.secret.name")
        if client is None:
            return None
        return AuthenticateOidc(
            issuer=given.issuer,
            authorization_endpoint=given.authorization_endpoint,
            token_endpoint=given.token_endpoint,
            user_info_endpoint=given.user_info_endpoint,
            client=client,
            scope=given.scope,
            session_cookie=given.session_cookie_name,
            session_timeout=given.session_timeout,
            on_unauthenticated=given.on_unauthenticated_request,
            extra_parameters=given.authentication_request_extra_params,
            keep_client_secret=bool(given.use_existing_client_secret),
        )

    def _client(self, name: str, field: str) -> ClientSecret | None:
        key = Key(self._config.namespace, name)
        secret = self._ctx.get(self._inputs.secrets, key)
        if secret is None:
            self._object(field, name, f"Secret {key} does not exist; make it, in this namespace")
            return None
        # As that controller reads them: files that became a Secret often end with a line's end.
        ids = (secret.value(name) for name in _CLIENT_ID)
        client_id = next((found.decode(errors="replace").rstrip() for found in ids if found is not None), "")
        value = (secret.value(_CLIENT_SECRET) or b"").decode(errors="replace").rstrip(_CONTROL)
        missing = [name for name, found in ((_CLIENT_ID[0], client_id), (_CLIENT_SECRET, value)) if not found]
        if missing:
            self._object(field, name, f"Secret {key} has no {' and no '.join(missing)}; add it")
            return None
        return ClientSecret.of(key, client_id, value)

    def _cognito(self, given: AuthenticateCognitoConfig, field: str) -> AuthenticateCognito:
        if not _USER_POOL.fullmatch(given.user_pool_arn):
            why = "expected the ARN of a user pool, as arn:aws:cognito-idp:REGION:ACCOUNT:userpool/ID"
            self._object(f"{field}.userPoolArn", shown(given.user_pool_arn), why)
        names = {"userPoolClientId": given.user_pool_client_id, "userPoolDomain": given.user_pool_domain}
        for name, value in names.items():
            if not value.strip():
                self._object(f"{field}.{name}", shown(value), "expected a value")
        return AuthenticateCognito(
            user_pool=given.user_pool_arn,
            client_id=given.user_pool_client_id,
            domain=given.user_pool_domain,
            scope=given.scope,
            session_cookie=given.session_cookie_name,
            session_timeout=given.session_timeout,
            on_unauthenticated=given.on_unauthenticated_request,
            extra_parameters=given.authentication_request_extra_params,
        )

    def _jwt(self, given: JwtValidationConfig, field: str) -> ValidateJwt:
        self._urls(field, jwksEndpoint=given.jwks_endpoint)
        if not given.issuer.strip():
            self._object(f"{field}.issuer", shown(given.issuer), "expected whose tokens are valid")
        claims = given.additional_claims
        if len(claims) > _CLAIMS:
            why = f"an ALB checks at most {_CLAIMS} claims; check the others in the backend"
            self._object(f"{field}.additionalClaims", str(len(claims)), why)
        for place, claim in enumerate(claims):
            at = f"{field}.additionalClaims[{place}]"
            if claim.name in _CHECKED:
                self._object(f"{at}.name", claim.name, "an ALB always checks it; leave it out")
            if claim.format == "space-separated-values" and any(" " in value for value in claim.values):
                why = "format space-separated-values tells values apart by spaces; give each by itself"
                self._object(f"{at}.values", "one with a space", why)
        return ValidateJwt(
            given.issuer,
            given.jwks_endpoint,
            tuple(Claim(claim.name, claim.format, claim.values) for claim in claims),
        )

    def _conditions(
        self, given: tuple[ListenerRuleCondition, ...]
    ) -> tuple[tuple[tuple[int, ...] | None, RuleCondition], ...]:
        found: list[tuple[tuple[int, ...] | None, RuleCondition]] = []
        for place, condition in enumerate(given):
            field = f"spec.conditions[{place}]"
            values = condition.source_ip_config.values if condition.source_ip_config else ()
            if not values:
                self._object(f"{field}.sourceIPConfig.values", "none", "expected CIDRs")
            self._problems += networks(f"{field}.sourceIPConfig.values", values)
            negative = [index for index in condition.match_indexes if index < 0]
            if negative:
                why = "expected the places of the rule's matches, from 0"
                self._object(f"{field}.matchIndexes", str(negative[0]), why)
            indexes = tuple(sorted(set(condition.match_indexes))) or None
            if any(_overlap(indexes, other) for other, _ in found):
                why = "a rule of an ALB has one source-ip condition; put the values of both into one"
                self._object(field, "a second condition for the same match", why)
            found.append((indexes, RuleCondition("source-ip", tuple(dict.fromkeys(values)))))
        return tuple(found)


def _overlap(one: tuple[int, ...] | None, other: tuple[int, ...] | None) -> bool:
    return one is None or other is None or bool(set(one) & set(other))
