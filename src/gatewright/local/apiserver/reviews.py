"""Questions about users and their rights: reviews of authentication.k8s.io and authorization.k8s.io, all of them v1."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from gatewright.local.apiserver.authentication import ADMINISTRATOR, AUDIENCE
from gatewright.local.apiserver.authorization import (
    AUTHENTICATED,
    MASTERS,
    Attributes,
    Policy,
    User,
    authorize,
    rules_of,
)
from gatewright.local.apiserver.errors import bad_request
from gatewright.local.apiserver.protobuf import PROTOBUF, decode_protobuf
from gatewright.local.apiserver.request import as_object, decode_document, media_type
from gatewright.local.apiserver.store import Json

USER, GROUPS = ADMINISTRATOR.name, list(ADMINISTRATOR.groups)


class Asked(NamedTuple):
    """A review, and what it takes to answer it."""

    spec: Json
    user: User
    """Who asks."""
    namespace: str
    """The path's; empty in most reviews."""
    policy: Policy
    known: Callable[[str, list[str]], User | None]
    """Whose token it is for one of the audiences."""


Review = Callable[[Asked], Json]


def question(raw: bytes, content_type: str) -> Json:
    """The object that was sent."""
    if media_type(content_type) == PROTOBUF:
        return decode_protobuf(raw)
    return as_object(decode_document(content_type, raw))


def _decided(user: User, spec: Json, policy: Policy) -> Json:
    about, path = spec.get("resourceAttributes"), spec.get("nonResourceAttributes")
    if (about is None) == (path is None):
        raise bad_request("spec: exactly one of resourceAttributes and nonResourceAttributes must be specified")
    if about is not None:
        text = {key: value for key, value in about.items() if isinstance(value, str)}
        names = ("verb", "group", "resource", "subresource", "namespace", "name")
        asked = Attributes(*(text.get(name, "") for name in names))
    else:
        asked = Attributes((path or {}).get("verb", ""), path=(path or {}).get("path", "") or "/")
    found = authorize(user, asked, policy)
    if MASTERS in user.groups:
        return {"allowed": True, "reason": f"{MASTERS} may do everything"}
    return {"allowed": found.allowed, **({"reason": found.reason} if found.reason else {})}


def _own_access(asked: Asked) -> Json:
    return _decided(asked.user, asked.spec, asked.policy)


def _access(asked: Asked) -> Json:
    spec = asked.spec
    if not spec.get("user") and not spec.get("groups"):
        raise bad_request("spec: at least one of user and groups must be specified")
    about = spec.get("resourceAttributes") or {}
    if asked.namespace and about.get("namespace") != asked.namespace:
        raise bad_request(f"spec.resourceAttributes.namespace: must match metadata.namespace: {asked.namespace}")
    return _decided(User(spec.get("user") or "", tuple(spec.get("groups") or ())), spec, asked.policy)


def _rules(asked: Asked) -> Json:
    rules = rules_of(asked.user, asked.spec.get("namespace", ""), asked.policy)
    return {
        "incomplete": False,
        "resourceRules": [rule for rule in rules if not rule.get("nonResourceURLs")],
        "nonResourceRules": [rule for rule in rules if rule.get("nonResourceURLs")],
    }


def _oneself(asked: Asked) -> Json:
    return {"userInfo": asked.user.info}


def _token(asked: Asked) -> Json:
    audiences: list[str] = asked.spec.get("audiences") or [AUDIENCE]
    found = asked.known(asked.spec.get("token") or "", audiences)
    if found is None:
        return {"user": {}, "error": "the token is not known here, or no longer good"}
    groups = list(dict.fromkeys((*found.groups, AUTHENTICATED)))
    return {"authenticated": True, "user": {**found.info, "groups": groups}, "audiences": audiences}


_AUTHORIZATION, _AUTHENTICATION = "authorization.k8s.io", "authentication.k8s.io"
REVIEWS: dict[tuple[str, str], tuple[str, Review]] = {
    (_AUTHORIZATION, "selfsubjectaccessreviews"): ("SelfSubjectAccessReview", _own_access),
    (_AUTHORIZATION, "subjectaccessreviews"): ("SubjectAccessReview", _access),
    (_AUTHORIZATION, "localsubjectaccessreviews"): ("LocalSubjectAccessReview", _access),
    (_AUTHORIZATION, "selfsubjectrulesreviews"): ("SelfSubjectRulesReview", _rules),
    (_AUTHENTICATION, "selfsubjectreviews"): ("SelfSubjectReview", _oneself),
    (_AUTHENTICATION, "tokenreviews"): ("TokenReview", _token),
}
"""Group and plural of each review, with its kind and what answers it."""
NAMESPACED = frozenset({"localsubjectaccessreviews"})


def find(parts: list[str]) -> tuple[Review, str] | None:
    """What answers a POST to the path, and the path's namespace; None when the path is no review's."""
    namespace: Any = ""
    match parts:
        case ["apis", group, "v1", "namespaces", namespace, plural] if plural in NAMESPACED:
            pass
        case ["apis", group, "v1", plural] if plural not in NAMESPACED:
            pass
        case _:
            return None
    found = REVIEWS.get((group, plural))
    return None if found is None else (found[1], namespace)
