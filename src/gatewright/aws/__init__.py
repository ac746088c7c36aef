"""The AWS API: calls, errors in plain words, and what load balancers look like there."""

from gatewright.aws.client import Aws, Call
from gatewright.aws.errors import (
    AccessDenied,
    AlreadyExists,
    AwsError,
    InUse,
    Invalid,
    LimitExceeded,
    NotConfigured,
    NotFound,
    Throttled,
    Unavailable,
)

__all__ = [
    "AccessDenied",
    "AlreadyExists",
    "Aws",
    "AwsError",
    "Call",
    "InUse",
    "Invalid",
    "LimitExceeded",
    "NotConfigured",
    "NotFound",
    "Throttled",
    "Unavailable",
]
