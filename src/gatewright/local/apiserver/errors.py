"""Failures as the Kubernetes API words them: a `Status` object with a reason, a code and causes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from gatewright.model.causes import Cause

if TYPE_CHECKING:
    from gatewright.local.apiserver.resources import Resource


class StatusError(Exception):
    """A request that the API refuses.

    `code` is the HTTP status, `reason` the machine-readable word that clients test for (`NotFound`, `Conflict`, …) and
    `details` what the `Status` object carries beside them.
    """

    def __init__(self, code: int, reason: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason
        self.message = message
        self.details = details

    def status(self) -> dict[str, Any]:
        """The `Status` object that a client receives."""
        body: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "reason": self.reason,
            "code": self.code,
        }
        if self.details is not None:
            body["details"] = self.details
        return body


def _details(resource: Resource, name: str) -> dict[str, Any]:
    details: dict[str, Any] = {"name": name} if name else {}
    if resource.group:
        details["group"] = resource.group
    details["kind"] = resource.plural
    return details


def bad_request(message: str) -> StatusError:
    """400: the request can't be understood."""
    return StatusError(400, "BadRequest", message)


def unauthorized() -> StatusError:
    """401: no token, or not the right one."""
    return StatusError(401, "Unauthorized", "Unauthorized")


def forbidden(resource: Resource, name: str, why: str, causes: Sequence[Cause] = ()) -> StatusError:
    """403: understood, and not allowed in this state."""
    details = _details(resource, name)
    if causes:
        details["causes"] = [msgspec.to_builtins(cause) for cause in causes]
    return StatusError(403, "Forbidden", f'{resource.qualified} "{name}" is forbidden: {why}', details)


def not_found(resource: Resource, name: str) -> StatusError:
    """404: no such object."""
    return StatusError(404, "NotFound", f'{resource.qualified} "{name}" not found', _details(resource, name))


def no_such_path() -> StatusError:
    """404: nothing is served at this path."""
    return StatusError(404, "NotFound", "the server could not find the requested resource", {})


def method_not_allowed() -> StatusError:
    """405: the path exists, the verb does not."""
    return StatusError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource", {})


def not_acceptable(accepted: Iterable[str]) -> StatusError:
    """406: none of the media types that the client accepts is spoken here."""
    types = ", ".join(accepted)
    return StatusError(406, "NotAcceptable", f"only the following media types are accepted: {types}")


def already_exists(resource: Resource, name: str) -> StatusError:
    """409 on create: the name is taken."""
    return StatusError(409, "AlreadyExists", f'{resource.qualified} "{name}" already exists', _details(resource, name))


def conflict(resource: Resource, name: str, why: str) -> StatusError:
    """409 on a write: the object is not what the client believes it to be."""
    message = f'Operation cannot be fulfilled on {resource.qualified} "{name}": {why}'
    return StatusError(409, "Conflict", message, _details(resource, name))


STALE = "the object has been modified; please apply your changes to the latest version and try again"


def expired(message: str) -> StatusError:
    """410: the requested history is no longer kept; the client must list again."""
    return StatusError(410, "Expired", message)


def too_large_revision(requested: int, current: int) -> StatusError:
    """504: a resourceVersion from the future (for example from before a restart without a data folder)."""
    message = f"Too large resource version: {requested}, current: {current}"
    causes = [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]
    return StatusError(504, "Timeout", f"Timeout: {message}", {"causes": causes, "retryAfterSeconds": 1})


def body_too_large(limit: int) -> StatusError:
    """413: the request body is larger than the server reads."""
    return StatusError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {limit}")


def unsupported_media_type(found: str, accepted: Iterable[str]) -> StatusError:
    """415: a body in a format that is not read here."""
    types = ", ".join(accepted)
    return StatusError(
        415,
        "UnsupportedMediaType",
        f"the body of the request was in an unknown format - accepted media types include: {types} (found: {found})",
        {},
    )


def invalid(resource: Resource, name: str, causes: Sequence[Cause]) -> StatusError:
    """422: the object breaks its schema or a rule; every cause at once, as a real API server lists them."""
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    parts = [f"{cause.field}: {cause.message}" if cause.field else cause.message for cause in causes]
    what = parts[0] if len(parts) == 1 else "[" + ", ".join(parts) + "]"
    details: dict[str, Any] = {"name": name} if name else {}
    if resource.group:
        details["group"] = resource.group
    details["kind"] = resource.kind
    details["causes"] = [msgspec.to_builtins(cause) for cause in causes]
    return StatusError(422, "Invalid", f'{kind} "{name}" is invalid: {what}', details)
