"""Forms of names, labels and annotations, and what the API says about those that break them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from gatewright.local.apiserver.resources import Resource
from gatewright.local.apiserver.store import Json
from gatewright.model.causes import Cause, invalid, required

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_LABEL_1035 = r"[a-z]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_QUALIFIED = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE = rf"({_QUALIFIED})?"
ANNOTATIONS_LIMIT = 256 * 1024

_SUBDOMAIN_TEXT = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and "
    f"end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)
_LABEL_TEXT = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with "
    f"an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL}')"
)
_LABEL_1035_TEXT = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is "
    f"'{_LABEL_1035}')"
)
_QUALIFIED_TEXT = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    f"character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_QUALIFIED}')"
)
_VALUE_TEXT = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and "
    "end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
    f"'{_VALUE}')"
)

Complaints = Callable[[str], list[str]]


def _form(pattern: str, text: str, length: int) -> Complaints:
    compiled = re.compile(pattern)

    def complaints(value: str) -> list[str]:
        found = [] if compiled.fullmatch(value) else [text]
        return found if len(value) <= length else [*found, f"must be no more than {length} bytes"]

    return complaints


subdomain = _form(_SUBDOMAIN, _SUBDOMAIN_TEXT, 253)
label = _form(_LABEL, _LABEL_TEXT, 63)
label_1035 = _form(_LABEL_1035, _LABEL_1035_TEXT, 63)
label_value = _form(_VALUE, _VALUE_TEXT, 63)
_qualified_name = _form(_QUALIFIED, _QUALIFIED_TEXT, 63)


def path_segment(value: str) -> list[str]:
    """Complaints about a name that must only be fit for a path: RBAC's."""
    if value in (".", ".."):
        return [f"may not be '{value}'"]
    return [f"may not contain '{letter}'" for letter in "/%" if letter in value]


def qualified_name(value: str) -> list[str]:
    """Complaints about a label's or annotation's key."""
    prefix, slash, name = value.rpartition("/")
    found = []
    if slash and not prefix:
        found.append("prefix part must be non-empty")
    elif prefix:
        found += [f"prefix part {text}" for text in subdomain(prefix)]
    if not name:
        return [*found, "name part must be non-empty", _QUALIFIED_TEXT]
    return found + _qualified_name(name)


_NAME_FORMS: dict[str, Complaints] = {
    "namespaces": label,
    "services": label_1035,
    "roles.rbac.authorization.k8s.io": path_segment,
    "rolebindings.rbac.authorization.k8s.io": path_segment,
    "clusterroles.rbac.authorization.k8s.io": path_segment,
    "clusterrolebindings.rbac.authorization.k8s.io": path_segment,
}


def check_metadata(resource: Resource, metadata: Json) -> list[Cause]:
    """What is wrong with an object's metadata."""
    found: list[Cause] = []
    name = metadata.get("name")
    if not name:
        found.append(required("metadata.name", "name or generateName is required"))
    else:
        form = _NAME_FORMS.get(resource.qualified, subdomain)
        found += [invalid("metadata.name", name, text) for text in form(name)]
    found += check_labels(metadata.get("labels"), "metadata.labels")
    annotations: dict[str, str] = metadata.get("annotations") or {}
    for key in annotations:
        found += [invalid("metadata.annotations", key, text) for text in qualified_name(key.lower())]
    size = sum(len(key) + len(value) for key, value in annotations.items())
    if size > ANNOTATIONS_LIMIT:
        found.append(
            Cause(
                "FieldValueTooLong",
                f"Too long: may not be more than {ANNOTATIONS_LIMIT} bytes",
                "metadata.annotations",
            )
        )
    for finalizer in metadata.get("finalizers") or []:
        found += [invalid("metadata.finalizers", finalizer, text) for text in qualified_name(finalizer)]
    for index, owner in enumerate(metadata.get("ownerReferences") or []):
        for key in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(key):
                found.append(invalid(f"metadata.ownerReferences[{index}].{key}", "", f"{key} must not be empty"))
    return found


def check_labels(labels: Any, field: str) -> list[Cause]:
    """What is wrong with a map of labels."""
    found: list[Cause] = []
    for key, value in (labels or {}).items():
        found += [invalid(field, key, text) for text in qualified_name(key)]
        found += [invalid(field, value, text) for text in label_value(value)]
    return found
