"""`auth-` and `jwt-validation` annotations: who may pass."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, cast

from gatewright.aws.ingress.annotations import Annotations
from gatewright.aws.ingress.conditions import Unusable
from gatewright.aws.ingress.documents import CognitoDocument, JwtDocument, OidcDocument
from gatewright.aws.stack.desired import (
    AuthenticateCognito,
    AuthenticateOidc,
    Authentication,
    Claim,
    ClientSecret,
    ValidateJwt,
)
from gatewright.model.core import Secret
from gatewright.model.meta import Key

_COOKIE: Final = "AWSELBAuthSessionCookie"
_LONGEST_SESSION: Final = 604800  # seconds
_FORMATS: Final = ("single-string", "string-array", "space-separated-values")
_ENTRIES: Final = ("clientID", "clientId"), ("clientSecret",)
_MOST_CLAIMS: Final = 10


def read_authentication(
    reader: Annotations, own: Annotations, namespace: str, secret: Callable[[Key], Secret | None]
) -> Authentication | None:
    """What `reader` says of authentication and `own`, the Ingress's, of tokens.

    Raises Unusable; whatever else can't be read is among the readers' refusals: the rule mustn't be served then.
    """
    kind = reader.choice("auth-type", ("none", "cognito", "oidc"))
    token = _token(own)
    if kind in ("cognito", "oidc") and token:
        raise Unusable("auth-type and jwt-validation; a rule has one of them")
    if kind == "cognito":
        return _cognito(reader)
    if kind == "oidc":
        return _oidc(reader, namespace, secret)
    return token


def _cognito(reader: Annotations) -> Authentication | None:
    document = reader.document("auth-idp-cognito", CognitoDocument)
    if document is None:
        raise Unusable("auth-type cognito without a readable auth-idp-cognito")
    return AuthenticateCognito(
        user_pool=document.user_pool_arn,
        client_id=document.user_pool_client_id,
        domain=document.user_pool_domain,
        scope=reader.text("auth-scope") or "openid",
        session_cookie=reader.text("auth-session-cookie") or _COOKIE,
        session_timeout=reader.number("auth-session-timeout", 1, _LONGEST_SESSION) or _LONGEST_SESSION,
        on_unauthenticated=_behaviour(reader),
        extra_parameters=document.authentication_request_extra_params,
    )


def _oidc(reader: Annotations, namespace: str, secret: Callable[[Key], Secret | None]) -> Authentication | None:
    document = reader.document("auth-idp-oidc", OidcDocument)
    if document is None:
        raise Unusable("auth-type oidc without a readable auth-idp-oidc")
    urls = (document.issuer, document.authorization_endpoint, document.token_endpoint, document.user_info_endpoint)
    if wrong := [url for url in urls if not url.startswith("https://")]:
        raise Unusable(f"auth-idp-oidc with {wrong[0]!r}; AWS takes https:// URLs")
    return AuthenticateOidc(
        issuer=document.issuer,
        authorization_endpoint=document.authorization_endpoint,
        token_endpoint=document.token_endpoint,
        user_info_endpoint=document.user_info_endpoint,
        client=_client(Key(namespace, document.secret_name), secret),
        scope=reader.text("auth-scope") or "openid",
        session_cookie=reader.text("auth-session-cookie") or _COOKIE,
        session_timeout=reader.number("auth-session-timeout", 1, _LONGEST_SESSION) or _LONGEST_SESSION,
        on_unauthenticated=_behaviour(reader),
        extra_parameters=document.authentication_request_extra_params,
    )


def _behaviour(reader: Annotations) -> Literal["deny", "allow", "authenticate"]:
    found = reader.choice("auth-on-unauthenticated-request", ("deny", "allow", "authenticate"))
    return cast("Literal['deny', 'allow', 'authenticate']", found or "authenticate")


def _client(key: Key, secret: Callable[[Key], Secret | None]) -> ClientSecret:
    """The client's ID and secret, without the line end that often goes into a Secret by mistake."""
    found = secret(key)
    if found is None:
        raise Unusable(f"auth-idp-oidc with Secret {key}, which does not exist")
    values: list[str] = []
    for names in _ENTRIES:
        value = next((data for name in names if (data := found.value(name))), None)
        if value is None:
            raise Unusable(f"auth-idp-oidc with Secret {key}, which has no data[{names[0]}]")
        try:
            values.append(value.decode().rstrip())
        except UnicodeDecodeError as error:
            raise Unusable(f"auth-idp-oidc with Secret {key}, whose data[{names[0]}] is no text") from error
    client_id, client_secret = values
    return ClientSecret.of(key, client_id, client_secret)


def _token(reader: Annotations) -> ValidateJwt | None:
    document = reader.document("jwt-validation", JwtDocument)
    if document is None:
        return None
    if not document.issuer or not document.jwks_endpoint.startswith("https://"):
        raise Unusable("jwt-validation without an issuer, or with a jwksEndpoint that isn't an https:// URL")
    claims = document.additional_claims
    if len(claims) > _MOST_CLAIMS:
        raise Unusable(f"jwt-validation with {len(claims)} additional claims; AWS takes {_MOST_CLAIMS}")
    for claim in claims:
        if claim.format not in _FORMATS or not claim.name or not claim.values:
            raise Unusable(
                f"jwt-validation with a claim that isn't a name, values and a format of {', '.join(_FORMATS)}"
            )
    return ValidateJwt(
        issuer=document.issuer,
        jwks_endpoint=document.jwks_endpoint,
        claims=tuple(
            Claim(
                claim.name,
                cast("Literal['single-string', 'string-array', 'space-separated-values']", claim.format),
                claim.values,
            )
            for claim in claims
        ),
    )
