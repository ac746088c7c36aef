"""Types that several Gateway API kinds share."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from gatewright.model.constraints import REQUIRED, entries, integer, items, text
from gatewright.model.meta import Condition, Model

GROUP: Final = "gateway.networking.k8s.io"
API_VERSION: Final = f"{GROUP}/v1"
EXPERIMENTAL_GROUP: Final = "gateway.networking.x-k8s.io"
GATEWAY_NAME: Final = f"{GROUP}/gateway-name"
"""The label by which what was made for a Gateway names it (GEP-1762)."""

NEGATIVE = ("Conflicted", "OverlappingTLSConfig", "PartiallyInvalid", "InsecureFrontendValidationMode")
"""The conditions that are bad when they hold."""

_SUBDOMAIN: Final = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"

Group = Annotated[str, text(pattern=rf"^$|^{_SUBDOMAIN}$", max_length=253)]
KindName = Annotated[str, text(pattern="^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$", min_length=1, max_length=63)]
ObjectName = Annotated[str, text(min_length=1, max_length=253)]
NamespaceName = Annotated[str, text(pattern="^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", min_length=1, max_length=63)]
SectionName = Annotated[str, text(pattern=rf"^{_SUBDOMAIN}$", min_length=1, max_length=253)]
Hostname = Annotated[str, text(pattern=rf"^(\*\.)?{_SUBDOMAIN}$", min_length=1, max_length=253)]
"""A host name of RFC 1123 that may start with the wildcard label `*`."""
PreciseHostname = Annotated[str, text(pattern=rf"^{_SUBDOMAIN}$", min_length=1, max_length=253)]
PortNumber = Annotated[int, integer(ge=1, le=65535)]
Duration = Annotated[str, text(pattern="^([0-9]{1,5}(h|m|s|ms)){1,4}$")]
"""A GEP-2257 duration, such as `10s` or `1m30s`."""
ControllerName = Annotated[
    str, text(pattern=rf"^{_SUBDOMAIN}\/[A-Za-z0-9\/\-._~%!$&'()*+,;=:]+$", min_length=1, max_length=253)
]
HeaderName = Annotated[str, text(pattern=r"^[A-Za-z0-9!#$%&'*+\-.^_\x60|~]+$", min_length=1, max_length=256)]
HeaderValue = Annotated[
    str,
    text(pattern=r"^[!-~]+([\t ]?[!-~]+)*$", linear=r"^[!-~]+([\t ][!-~]+)*$", min_length=1, max_length=4096),
]
DefaultScope = Literal["All", "None"]
AnnotationValue = Annotated[str, text(min_length=0, max_length=4096)]
TLSOptions = Annotated[dict[str, AnnotationValue], entries(at_most=16)]

EPOCH: Final = "1970-01-01T00:00:00Z"


def pending(type_: str) -> Condition:
    """The condition that the API gives a new object until its controller sees it."""
    return Condition(
        type=type_, status="Unknown", reason="Pending", message="Waiting for controller", last_transition_time=EPOCH
    )


class ParentReference(Model):
    """Names what a route wants to attach to. No namespace means the route's own."""

    name: ObjectName
    group: Group = GROUP
    kind: KindName = "Gateway"
    namespace: NamespaceName | None = None
    section_name: SectionName | None = None
    port: PortNumber | None = None


ParentReferences = Annotated[tuple[ParentReference, ...], items(at_most=32, kind="atomic")]
Hostnames = Annotated[tuple[Hostname, ...], items(at_most=16, kind="atomic")]


class BackendObjectReference(Model):
    """Names a backend. No namespace means the referrer's own; `port` is required for a Service."""

    name: ObjectName
    group: Group = ""
    kind: KindName = "Service"
    namespace: NamespaceName | None = None
    port: PortNumber | None = None


class BackendRef(BackendObjectReference):
    """A backend with its share of the traffic: `weight` over the sum of the rule's weights; 0 gets none."""

    weight: Annotated[int, integer(ge=0, le=1_000_000)] = 1


class SecretObjectReference(Model):
    """Names a Secret, or another kind that holds a certificate."""

    name: ObjectName
    group: Group = ""
    kind: KindName = "Secret"
    namespace: NamespaceName | None = None


class ObjectReference(Model):
    """Names an object of any kind."""

    group: Group
    kind: KindName
    name: ObjectName
    namespace: NamespaceName | None = None


class LocalObjectReference(Model):
    """Names an object of any kind in the referrer's namespace."""

    group: Group
    kind: KindName
    name: ObjectName


class RouteParentStatus(Model):
    """What one controller says of a route's attachment to one parent."""

    parent_ref: ParentReference
    controller_name: ControllerName
    conditions: Annotated[tuple[Condition, ...], items(at_least=1, at_most=8, keys=("type",))]


class RouteStatus(Model, omit_defaults=False):
    """A route's status: one entry for each parent and controller."""

    parents: Annotated[tuple[RouteParentStatus, ...], items(at_most=32, kind="atomic"), REQUIRED] = ()


class PolicyAncestorStatus(Model):
    """What one controller says of a policy's effect on one ancestor (usually a Gateway)."""

    ancestor_ref: ParentReference
    controller_name: ControllerName
    conditions: Annotated[tuple[Condition, ...], items(at_least=1, at_most=8, keys=("type",))]


class PolicyStatus(Model, omit_defaults=False):
    """A policy's status (GEP-713)."""

    ancestors: Annotated[tuple[PolicyAncestorStatus, ...], items(at_most=16, kind="atomic"), REQUIRED] = ()


class CookieConfig(Model):
    """How a session's cookie lives."""

    lifetime_type: Literal["Permanent", "Session"] = "Session"


class SessionPersistence(Model):
    """Keeps a client's requests on one backend (GEP-1619)."""

    session_name: Annotated[str, text(max_length=128)] | None = None
    absolute_timeout: Duration | None = None
    type: Literal["Cookie", "Header"] = "Cookie"
    cookie_config: CookieConfig | None = None
