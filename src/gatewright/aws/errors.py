"""What can go wrong between us and AWS's API, in classes that tell what to do about it."""

from __future__ import annotations

from typing import ClassVar


class AwsError(Exception):
    """A call that didn't succeed. `code` is AWS's own, or the name of what kept the call from being made.

    `operation` is `service:operation`, as `elbv2:describe_target_health`. Its text names the operation, the code and
    AWS's message, and what to do where that is known.
    """

    retryable: ClassVar[bool] = False
    """Whether the same call may succeed later, without anybody changing anything."""
    remedy: ClassVar[str] = ""

    def __init__(self, code: str, message: str, operation: str) -> None:
        super().__init__(f"{operation}: {code}: {message}" + (f"; {self.remedy}" if self.remedy else ""))
        self.code = code
        self.message = message
        self.operation = operation


class NotConfigured(AwsError):
    """No credentials or no region were found, so nothing was sent."""

    remedy = "set AWS_REGION and credentials (environment, profile or role), as for any AWS client"


class NotFound(AwsError):
    """The named thing doesn't exist."""


class AccessDenied(AwsError):
    """The credentials are not accepted, or don't permit the operation."""

    remedy = "allow the operation in the IAM policy of the credentials in use"


class AlreadyExists(AwsError):
    """Another thing has the name, port or priority already."""


class InUse(AwsError):
    """It can't be done for now: something else uses the thing, which AWS soon lets go of, or it isn't ready yet."""

    retryable = True


class LimitExceeded(AwsError):
    """A quota of the account is used up."""

    remedy = "remove what is not needed, or ask for a higher quota"


class Invalid(AwsError):
    """AWS refuses the request as it is; it will do so until the request is another one."""


class Throttled(AwsError):
    """Too many calls for now."""

    retryable = True


class Unavailable(AwsError):
    """AWS failed or didn't answer. Whether the call had an effect is not known."""

    retryable = True


_THROTTLED = frozenset(
    {
        "BandwidthLimitExceeded",
        "EC2ThrottledException",
        "LimitExceededException",
        "PriorRequestNotComplete",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
_DENIED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "AuthFailure",
        "Blocked",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "MissingAuthenticationToken",
        "NotAuthorized",
        "OptInRequired",
        "SignatureDoesNotMatch",
        "UnauthorizedOperation",
        "UnrecognizedClientException",
    }
)
_UNAVAILABLE = frozenset(
    {
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "ServiceUnavailableException",
        "Unavailable",
        "WAFInternalErrorException",
        "WAFUnavailableEntityException",  # of a load balancer that was just made
    }
)
_IN_USE = frozenset(
    {
        "DependencyViolation",
        "PriorityInUse",
        "ResourceInUse",
        "ResourceInUseException",
        "TrustStoreInUse",
        "TrustStoreNotReady",
    }
)


def classify(code: str, status: int) -> type[AwsError]:
    """The class for an error code and HTTP status (EC2 API reference, "Error codes"; ELBv2's "Common errors")."""
    if code in _THROTTLED or status == 429:
        return Throttled
    if code in _DENIED or status in (401, 403):
        return AccessDenied
    if code in _UNAVAILABLE or status >= 500:
        return Unavailable
    if code in _IN_USE or code.endswith((".InUse", "InUseException")):
        return InUse
    if status == 404 or code.removesuffix("Exception").endswith("NotFound") or code.startswith("NoSuch"):
        return NotFound
    if code.startswith("Duplicate") or code.endswith((".Duplicate", "AlreadyExists", "AlreadyExistsException")):
        return AlreadyExists
    if code.startswith("TooMany") or code.endswith(("LimitExceeded", "QuotaExceeded", "AssociationLimit")):
        return LimitExceeded
    return Invalid
