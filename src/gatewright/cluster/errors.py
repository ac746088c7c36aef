"""What can go wrong between a client and a Kubernetes API."""

from __future__ import annotations

import msgspec


class ClusterError(Exception):
    """Base of everything that the client raises."""


class Unreachable(ClusterError):
    """No answer: the connection failed, or the configuration names no usable server."""


class StatusCause(msgspec.Struct, frozen=True):
    """One reason for a refusal: the field it is about and what is wrong with it."""

    reason: str = ""
    message: str = ""
    field: str = ""


class _Details(msgspec.Struct, frozen=True):
    causes: tuple[StatusCause, ...] | None = ()


class _Status(msgspec.Struct, frozen=True):
    reason: str = ""
    message: str = ""
    code: int = 0
    details: _Details | None = None


class ApiError(ClusterError):
    """A refusal by the API server (meta/v1 Status). `causes` names the fields, where the server does."""

    def __init__(self, status: int, reason: str, message: str, causes: tuple[StatusCause, ...] = ()) -> None:
        super().__init__(message or reason or f"HTTP {status}")
        self.status = status
        self.reason = reason
        self.message = message
        self.causes = causes

    @staticmethod
    def parse(code: int, body: bytes) -> ApiError:
        """The error that an HTTP status code and a `Status` body stand for."""
        try:
            status = msgspec.json.decode(body, type=_Status)
        except msgspec.DecodeError:
            status = _Status(message=body[:500].decode(errors="replace"))
        code = status.code or code
        kind = _BY_REASON.get(status.reason) or _BY_CODE.get(code, ApiError)
        return kind(code, status.reason, status.message, (status.details and status.details.causes) or ())


class NotFound(ApiError):
    """404: the object, or the kind, does not exist."""


class AlreadyExists(ApiError):
    """409: an object of that name exists."""


class Conflict(ApiError):
    """409: the object has changed since it was read, or another manager owns the field."""


class Gone(ApiError):
    """410: the resourceVersion is too old to watch from; list again."""


class Invalid(ApiError):
    """422: the object breaks the schema or a rule."""


_BY_REASON = {
    "NotFound": NotFound,
    "AlreadyExists": AlreadyExists,
    "Conflict": Conflict,
    "Gone": Gone,
    "Expired": Gone,
    "Invalid": Invalid,
}
_BY_CODE = {404: NotFound, 409: Conflict, 410: Gone, 422: Invalid}
