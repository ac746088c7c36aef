"""How WAFv2 refuses: the exceptions of its API with AWS's words."""

from __future__ import annotations

import json

from moto.wafv2.exceptions import WAFv2ClientError

_COULD_NOT = "AWS WAF couldn’t perform the operation because "  # noqa: RUF001 - AWS's own apostrophe


class Refusal(WAFv2ClientError):
    """A request that isn't done; `code` is the exception's name in the API."""

    def __init__(self, code: str, message: str, **members: str) -> None:
        super().__init__(code, message)
        self.description = json.dumps({"__type": code, "message": message, "Message": message, **members})


def invalid(reason: str, field: str, parameter: str) -> Refusal:
    """WAFInvalidParameterException: `field` is one of the API's ParameterExceptionField, `parameter` what was found."""
    message = f"Error reason: {reason}, field: {field}, parameter: {parameter}"
    return Refusal("WAFInvalidParameterException", message, Field=field, Parameter=parameter, Reason=reason)


def nonexistent() -> Refusal:
    """WAFNonexistentItemException."""
    return Refusal("WAFNonexistentItemException", f"{_COULD_NOT}your resource doesn’t exist.")  # noqa: RUF001


def duplicate() -> Refusal:
    """WAFDuplicateItemException."""
    message = f"{_COULD_NOT}some resource in your request is a duplicate of an existing one."
    return Refusal("WAFDuplicateItemException", message)


def associated() -> Refusal:
    """WAFAssociatedItemException."""
    message = f"{_COULD_NOT}your resource is being used by another resource or it’s associated with another resource."  # noqa: RUF001
    return Refusal("WAFAssociatedItemException", message)


def too_many() -> Refusal:
    """WAFLimitsExceededException."""
    return Refusal("WAFLimitsExceededException", f"{_COULD_NOT}you exceeded your resource limit.")
