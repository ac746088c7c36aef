"""The JSON documents of Ingress annotations (AWS Load Balancer Controller, "Ingress annotations").

As its own reader does, the names of fields are taken in any case: `TargetGroupARN` is `targetGroupARN`.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Struct


class Malformed(ValueError):
    """A text that is no document of its type; the message says what was expected."""


class _Document(Struct, frozen=True, rename="camel"):
    """A part of a document."""


class FixedResponseDocument(_Document, frozen=True):
    """Answer at once."""

    status_code: str | int
    content_type: str = "text/plain"
    message_body: str = ""


class RedirectDocument(_Document, frozen=True):
    """Redirect; what isn't given stays as in the request."""

    status_code: str | int
    host: str = "#{host}"
    path: str = "/#{path}"
    port: str | int = "#{port}"
    protocol: str = "#{protocol}"
    query: str = "#{query}"


class TargetGroupTuple(_Document, frozen=True):
    """A Service's port, or a target group that exists."""

    target_group_arn: str | None = msgspec.field(default=None, name="targetGroupARN")
    target_group_name: str | None = None
    service_name: str | None = None
    service_port: str | int | None = None
    weight: int | None = None


class Stickiness(_Document, frozen=True):
    """Whether a client stays with one of the target groups, and for how many seconds."""

    enabled: bool = False
    duration_seconds: int | None = None


class ForwardConfig(_Document, frozen=True):
    """Forward to several target groups by weight."""

    target_groups: tuple[TargetGroupTuple, ...] = ()
    target_group_stickiness_config: Stickiness = Stickiness()


class ActionDocument(_Document, frozen=True):
    """What an `actions.` annotation says."""

    type: str
    target_group_arn: str | None = msgspec.field(default=None, name="targetGroupARN")
    target_group_name: str | None = None
    fixed_response_config: FixedResponseDocument | None = None
    redirect_config: RedirectDocument | None = None
    forward_config: ForwardConfig | None = None


class Values(_Document, frozen=True):
    """Values with wildcards, or regular expressions."""

    values: tuple[str, ...] = ()
    regex_values: tuple[str, ...] = ()


class HeaderValues(_Document, frozen=True):
    """Those of one header."""

    http_header_name: str
    values: tuple[str, ...] = ()
    regex_values: tuple[str, ...] = ()


class QueryPair(_Document, frozen=True):
    """A value, of any key where none is given."""

    value: str
    key: str = ""


class QueryValues(_Document, frozen=True):
    """Pairs of a query string."""

    values: tuple[QueryPair, ...] = ()


class ConditionDocument(_Document, frozen=True):
    """One item of a `conditions.` annotation."""

    field: str
    host_header_config: Values | None = None
    path_pattern_config: Values | None = None
    http_header_config: HeaderValues | None = None
    http_request_method_config: Values | None = None
    query_string_config: QueryValues | None = None
    source_ip_config: Values | None = None


class Rewrite(_Document, frozen=True):
    """A regular expression and what replaces what it finds."""

    regex: str
    replace: str


class Rewrites(_Document, frozen=True):
    """AWS takes exactly one."""

    rewrites: tuple[Rewrite, ...] = ()


class TransformDocument(_Document, frozen=True):
    """One item of a `transforms.` annotation."""

    type: str
    host_header_rewrite_config: Rewrites | None = None
    url_rewrite_config: Rewrites | None = None


class CognitoDocument(_Document, frozen=True):
    """`auth-idp-cognito`."""

    user_pool_arn: str = msgspec.field(name="userPoolARN")
    user_pool_client_id: str = msgspec.field(name="userPoolClientID")
    user_pool_domain: str
    authentication_request_extra_params: dict[str, str] = msgspec.field(default_factory=dict)


class OidcDocument(_Document, frozen=True):
    """`auth-idp-oidc`; the Secret has the client's ID and secret."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    user_info_endpoint: str
    secret_name: str
    authentication_request_extra_params: dict[str, str] = msgspec.field(default_factory=dict)


class ClaimDocument(_Document, frozen=True):
    """A claim that a token has to have."""

    name: str
    format: str
    values: tuple[str, ...]


class JwtDocument(_Document, frozen=True):
    """`jwt-validation`."""

    jwks_endpoint: str
    issuer: str
    additional_claims: tuple[ClaimDocument, ...] = ()


class MutualAuthenticationDocument(_Document, frozen=True):
    """One item of `mutual-authentication`."""

    port: int
    mode: str
    trust_store: str | None = None
    ignore_client_certificate_expiry: bool | None = None
    advertise_trust_store_ca_names: str | None = None


_DOCUMENTS: Final[tuple[type[_Document], ...]] = tuple(_Document.__subclasses__())
_NAMES: Final = {name.lower(): name for type_ in _DOCUMENTS for name in type_.__struct_encode_fields__}
_OPEN: Final = frozenset({"authenticationrequestextraparams"})
"""Fields whose content has names of the user's."""


def decode(text: str, type_: Any) -> Any:
    """A document of `type_`. Raises Malformed."""
    try:
        return msgspec.convert(_plain(msgspec.json.decode(text)), type_, strict=False)
    except msgspec.ValidationError as error:
        raise Malformed(str(error).replace("`$.", "`").replace("`$", "`")) from error
    except (msgspec.DecodeError, UnicodeError) as error:
        raise Malformed(f"JSON ({error})") from error
    except RecursionError as error:
        raise Malformed("JSON that isn't nested so deeply") from error


def plain(text: str) -> Any:
    """Any JSON. Raises Malformed."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise Malformed(f"JSON ({error})") from error
    except RecursionError as error:
        raise Malformed("JSON that isn't nested so deeply") from error


def _plain(value: Any) -> Any:
    """Names of fields as documented, and no nulls."""
    if isinstance(value, dict):
        return {
            _NAMES.get(name.lower(), name): item if name.lower() in _OPEN else _plain(item)
            for name, item in value.items()
            if item is not None
        }
    return [_plain(item) for item in value] if isinstance(value, list) else value
