"""Questions that clients put to the API about themselves. There is one user, who may do everything."""

from __future__ import annotations

from collections.abc import Callable

from gatewright.local.apiserver.protobuf import PROTOBUF, decode_protobuf
from gatewright.local.apiserver.request import as_object, decode_document, media_type
from gatewright.local.apiserver.store import Json

USER = "kubernetes-admin"
GROUPS = ["system:masters", "system:authenticated"]

Review = Callable[[bytes, str], Json]


def _question(raw: bytes, content_type: str) -> Json:
    if media_type(content_type) == PROTOBUF:
        return decode_protobuf(raw)
    return as_object(decode_document(content_type, raw))


def _access(raw: bytes, content_type: str) -> Json:
    question = _question(raw, content_type)
    return {**question, "status": {"allowed": True, "reason": "the embedded API has one user, who may do everything"}}


def _rules(raw: bytes, content_type: str) -> Json:
    question = _question(raw, content_type)
    rules = [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]
    paths = [{"verbs": ["*"], "nonResourceURLs": ["*"]}]
    return {**question, "status": {"incomplete": False, "resourceRules": rules, "nonResourceRules": paths}}


def _self(raw: bytes, content_type: str) -> Json:
    question = _question(raw, content_type)
    return {**question, "status": {"userInfo": {"username": USER, "groups": GROUPS}}}


REVIEWS: dict[tuple[str, str], tuple[str, Review]] = {
    ("authorization.k8s.io", "selfsubjectaccessreviews"): ("SelfSubjectAccessReview", _access),
    ("authorization.k8s.io", "subjectaccessreviews"): ("SubjectAccessReview", _access),
    ("authorization.k8s.io", "selfsubjectrulesreviews"): ("SelfSubjectRulesReview", _rules),
    ("authentication.k8s.io", "selfsubjectreviews"): ("SelfSubjectReview", _self),
}
"""Group and plural of each review, with its kind and what answers it. All are `v1`."""


def find(parts: list[str]) -> Review | None:
    """What answers a POST to the path; None when the path is no review's."""
    if len(parts) != 4 or parts[0] != "apis" or parts[2] != "v1":
        return None
    found = REVIEWS.get((parts[1], parts[3]))
    return None if found is None else found[1]
