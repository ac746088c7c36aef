"""EKS's errors, with what they name beside their text."""

from __future__ import annotations

from typing import Any


class EksError(Exception):
    """A call is refused. `details` (`clusterName`, `nodegroupName`, `addonName`) are told beside the text."""

    status = 400

    def __init__(self, message: str, **details: str) -> None:
        super().__init__(message)
        self.details = details

    @property
    def code(self) -> str:
        """AWS's name of it."""
        return f"{type(self).__name__}Exception"

    @property
    def document(self) -> dict[str, Any]:
        """The answer's body."""
        return {**self.details, "message": str(self)}


class InvalidParameter(EksError):
    """A parameter has a value that can't be."""


class InvalidRequest(EksError):
    """The call doesn't fit what there is."""


class BadRequest(EksError):
    """An ARN that is none."""


class ResourceNotFound(EksError):
    """What is named isn't there."""

    status = 404


class NotFound(EksError):
    """What is to be tagged isn't there."""

    status = 404


class ResourceInUse(EksError):
    """What is to be made is there, or what is to be deleted is needed."""

    status = 409
