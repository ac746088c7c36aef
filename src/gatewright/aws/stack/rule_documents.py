"""What rules say between our values and the documents of AWS's API, in both directions (pure).

What AWS shows is read into the same values that are asked for. In their canonical form two of them compare equal when
they mean the same to AWS. Target groups are ARNs in everything that was read.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from msgspec import structs

from gatewright.aws.stack.desired import (
    Action,
    AuthenticateCognito,
    AuthenticateOidc,
    Claim,
    ClientSecret,
    Forward,
    RedirectTo,
    Respond,
    RuleCondition,
    Share,
    Transform,
    ValidateJwt,
)
from gatewright.model.meta import Key

Document = dict[str, Any]
"""Something in the API's own form."""

_NO_SECRET = ClientSecret(Key("", ""), "", "")


# --- conditions ------------------------------------------------------------------------------------------------------

_CONFIGS = {
    "host-header": "HostHeaderConfig",
    "path-pattern": "PathPatternConfig",
    "http-header": "HttpHeaderConfig",
    "http-request-method": "HttpRequestMethodConfig",
    "query-string": "QueryStringConfig",
    "source-ip": "SourceIpConfig",
}


def condition_document(condition: RuleCondition) -> Document:
    """As CreateRule takes it."""
    config: Document = {}
    if condition.name:
        config["HttpHeaderName"] = condition.name
    if condition.values:
        config["Values"] = list(condition.values)
    if condition.regex_values:
        config["RegexValues"] = list(condition.regex_values)
    if condition.pairs:
        config["Values"] = [{**({"Key": key} if key else {}), "Value": value} for key, value in condition.pairs]
    return {"Field": condition.field, _CONFIGS[condition.field]: config}


def read_condition(raw: Mapping[str, Any]) -> RuleCondition:
    """A RuleCondition of the ELBv2 API; the older form without a config of its own, too."""
    config = raw.get(_CONFIGS.get(raw["Field"], "")) or raw
    if raw["Field"] == "query-string":
        pairs = tuple((each.get("Key") or "", each.get("Value") or "") for each in config.get("Values") or ())
        return RuleCondition(raw["Field"], pairs=pairs)
    return RuleCondition(
        raw["Field"],
        values=tuple(config.get("Values") or ()),
        regex_values=tuple(config.get("RegexValues") or ()),
        name=config.get("HttpHeaderName") or "",
    )


@functools.lru_cache(maxsize=16384)
def canonical_conditions(conditions: tuple[RuleCondition, ...]) -> tuple[RuleCondition, ...]:
    """All of them must hold, any value of each will do: order means nothing, nor do repeated values.

    Nor does the case of a host or of a header's name.
    """
    return tuple(
        sorted(
            (
                structs.replace(
                    each,
                    name=each.name.lower(),
                    values=tuple(
                        sorted({value.lower() if each.field == "host-header" else value for value in each.values})
                    ),
                    regex_values=tuple(sorted({*each.regex_values})),
                    pairs=tuple(sorted({*each.pairs})),
                )
                for each in conditions
            ),
            key=lambda each: (each.field, each.name, each.values, each.regex_values, each.pairs),
        )
    )


# --- actions ---------------------------------------------------------------------------------------------------------


def action_documents(actions: Iterable[Action]) -> list[Document]:
    """As CreateRule and CreateListener take them; target groups are ARNs already."""
    listed = list(actions)
    documents = [_action_document(action) for action in listed]
    if len(documents) > 1:
        for number, document in enumerate(documents, start=1):
            document["Order"] = number
    return documents


def _action_document(action: Action) -> Document:
    match action:
        case Forward(shares=(Share(target_group=only, weight=1),), stickiness=None):
            return {"Type": "forward", "TargetGroupArn": only}
        case Forward():
            config: Document = {
                "TargetGroups": [{"TargetGroupArn": each.target_group, "Weight": each.weight} for each in action.shares]
            }
            if action.stickiness is not None:
                config["TargetGroupStickinessConfig"] = {"Enabled": True, "DurationSeconds": action.stickiness}
            return {"Type": "forward", "ForwardConfig": config}
        case RedirectTo():
            redirect = {
                "StatusCode": action.status_code,
                "Protocol": action.protocol,
                "Host": action.host,
                "Port": action.port,
                "Path": action.path,
                "Query": action.query,
            }
            return {"Type": "redirect", "RedirectConfig": redirect}
        case Respond():
            response = {"StatusCode": action.status_code, "ContentType": action.content_type}
            body = {"MessageBody": action.body} if action.body else {}
            return {"Type": "fixed-response", "FixedResponseConfig": {**response, **body}}
        case AuthenticateOidc():
            secret = {"ClientSecret": action.client.value} if not action.keep_client_secret else {}
            config = {
                "Issuer": action.issuer,
                "AuthorizationEndpoint": action.authorization_endpoint,
                "TokenEndpoint": action.token_endpoint,
                "UserInfoEndpoint": action.user_info_endpoint,
                "ClientId": action.client.client_id,
                "UseExistingClientSecret": action.keep_client_secret,
                **_session(action),
                **secret,
            }
            return {"Type": "authenticate-oidc", "AuthenticateOidcConfig": config}
        case AuthenticateCognito():
            config = {
                "UserPoolArn": action.user_pool,
                "UserPoolClientId": action.client_id,
                "UserPoolDomain": action.domain,
                **_session(action),
            }
            return {"Type": "authenticate-cognito", "AuthenticateCognitoConfig": config}
        case ValidateJwt():
            claims = [{"Name": each.name, "Format": each.format, "Values": list(each.values)} for each in action.claims]
            config = {"JwksEndpoint": action.jwks_endpoint, "Issuer": action.issuer}
            return {
                "Type": "jwt-validation",
                "JwtValidationConfig": {**config, **({"AdditionalClaims": claims} if claims else {})},
            }


def _session(action: AuthenticateOidc | AuthenticateCognito) -> Document:
    extra = {"AuthenticationRequestExtraParams": dict(action.extra_parameters)} if action.extra_parameters else {}
    return {
        "SessionCookieName": action.session_cookie,
        "Scope": action.scope,
        "SessionTimeout": action.session_timeout,
        "OnUnauthenticatedRequest": action.on_unauthenticated,
        **extra,
    }


def read_actions(raw: Iterable[Mapping[str, Any]]) -> tuple[Action, ...]:
    """Actions of the ELBv2 API in their order; what we never make (a Lambda function's, say) is a forward as well."""
    return tuple(_read_action(each) for each in sorted(raw, key=lambda each: int(each.get("Order") or 1)))


def _read_action(raw: Mapping[str, Any]) -> Action:
    match raw["Type"]:
        case "redirect":
            config = raw["RedirectConfig"]
            return RedirectTo(
                config["StatusCode"],
                config.get("Protocol") or "#{protocol}",
                config.get("Host") or "#{host}",
                config.get("Port") or "#{port}",
                config.get("Path") or "/#{path}",
                config.get("Query", "#{query}"),
            )
        case "fixed-response":
            config = raw["FixedResponseConfig"]
            return Respond(
                config["StatusCode"], config.get("ContentType") or "text/plain", config.get("MessageBody") or ""
            )
        case "authenticate-oidc":
            config = raw["AuthenticateOidcConfig"]
            return AuthenticateOidc(
                config["Issuer"],
                config["AuthorizationEndpoint"],
                config["TokenEndpoint"],
                config["UserInfoEndpoint"],
                structs.replace(_NO_SECRET, client_id=config.get("ClientId") or ""),
                *_read_session(config),
            )
        case "authenticate-cognito":
            config = raw["AuthenticateCognitoConfig"]
            return AuthenticateCognito(
                config["UserPoolArn"], config["UserPoolClientId"], config["UserPoolDomain"], *_read_session(config)
            )
        case "jwt-validation":
            config = raw["JwtValidationConfig"]
            claims = (
                Claim(each["Name"], each["Format"], tuple(each.get("Values") or ()))
                for each in config.get("AdditionalClaims") or ()
            )
            return ValidateJwt(config["Issuer"], config["JwksEndpoint"], tuple(claims))
    config = raw.get("ForwardConfig") or {}
    listed = config.get("TargetGroups") or [{"TargetGroupArn": raw.get("TargetGroupArn", "")}]
    sticky = config.get("TargetGroupStickinessConfig") or {}
    # A Network Load Balancer shows no weights where there is one target group.
    shares = (Share(each["TargetGroupArn"], 1 if each.get("Weight") is None else each["Weight"]) for each in listed)
    return Forward(tuple(shares), sticky.get("DurationSeconds") if sticky.get("Enabled") else None)


def _read_session(config: Mapping[str, Any]) -> tuple[Any, ...]:
    return (
        config.get("Scope") or "openid",
        config.get("SessionCookieName") or "AWSELBAuthSessionCookie",
        int(config.get("SessionTimeout") or 604800),
        config.get("OnUnauthenticatedRequest") or "authenticate",
        dict(config.get("AuthenticationRequestExtraParams") or {}),
    )


def canonical_actions(actions: Iterable[Action]) -> tuple[Action, ...]:
    """Without what AWS never shows (the client secret), and target groups in one order."""
    return tuple(_canonical_action(action) for action in actions)


def _canonical_action(action: Action) -> Action:
    match action:
        case Forward():
            return structs.replace(action, shares=tuple(sorted(action.shares, key=lambda each: each.target_group)))
        case AuthenticateOidc():
            client = structs.replace(_NO_SECRET, client_id=action.client.client_id)
            return structs.replace(action, client=client, keep_client_secret=False)
        case ValidateJwt():
            claims = (structs.replace(each, values=tuple(sorted({*each.values}))) for each in action.claims)
            return structs.replace(action, claims=tuple(sorted(claims, key=lambda each: each.name)))
    return action


def refer(actions: Iterable[Action], arn: Callable[[str], str]) -> tuple[Action, ...]:
    """The actions with `arn` of each target group that they forward to."""
    return tuple(
        structs.replace(
            action, shares=tuple(structs.replace(each, target_group=arn(each.target_group)) for each in action.shares)
        )
        if isinstance(action, Forward)
        else action
        for action in actions
    )


def target_groups_of(actions: Iterable[Action]) -> Iterator[str]:
    """The target groups that actions forward to."""
    for action in actions:
        if isinstance(action, Forward):
            for share in action.shares:
                yield share.target_group


def client_secret(actions: Iterable[Action]) -> ClientSecret | None:
    """The client secret that AWS is told with these actions, if there is one."""
    return next((each.client for each in actions if isinstance(each, AuthenticateOidc)), None)


def keeping_secret(actions: Iterable[Action]) -> tuple[Action, ...]:
    """The actions of a change that leaves the client secret as it is: it needn't be sent again."""
    return tuple(
        structs.replace(each, keep_client_secret=True) if isinstance(each, AuthenticateOidc) else each
        for each in actions
    )


# --- transforms ------------------------------------------------------------------------------------------------------

_REWRITES = {"host-header-rewrite": "HostHeaderRewriteConfig", "url-rewrite": "UrlRewriteConfig"}


def transform_document(transform: Transform) -> Document:
    """As CreateRule takes it."""
    rewrites = [{"Regex": transform.regex, "Replace": transform.replace}]
    return {"Type": transform.type, _REWRITES[transform.type]: {"Rewrites": rewrites}}


def read_transform(raw: Mapping[str, Any]) -> Transform:
    """A RuleTransform of the ELBv2 API."""
    rewrite: Mapping[str, Any] = next(iter((raw.get(_REWRITES[raw["Type"]]) or {}).get("Rewrites") or ()), {})
    return Transform(raw["Type"], rewrite.get("Regex") or "", rewrite.get("Replace") or "")


def canonical_transforms(transforms: Iterable[Transform]) -> tuple[Transform, ...]:
    """One of each type there is at the most: order means nothing."""
    return tuple(sorted(transforms, key=lambda each: each.type))
