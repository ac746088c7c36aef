"""What DescribeTargetHealth says of a target where no check speaks for itself: state, reason code, description.

(ELBv2 API reference, "TargetHealth"; the API and the health checks say the same in the same words.)
"""

from __future__ import annotations

from typing import Final

from gatewright.local.aws.state import TargetHealth

REGISTERING: Final = TargetHealth("initial", "Elb.RegistrationInProgress", "Target registration is in progress")
CHECKING: Final = TargetHealth("initial", "Elb.InitialHealthChecking", "Initial health checks in progress")
HEALTHY: Final = TargetHealth("healthy")
DRAINING: Final = TargetHealth("draining", "Target.DeregistrationInProgress", "Target deregistration is in progress")
NOT_REGISTERED: Final = TargetHealth("unused", "Target.NotRegistered", "Target is not registered to the target group")
NOT_IN_USE: Final = TargetHealth(
    "unused", "Target.NotInUse", "Target group is not configured to receive traffic from the load balancer"
)
ZONE_NOT_ENABLED: Final = TargetHealth(
    "unused", "Target.NotInUse", "Target is in an Availability Zone that is not enabled for the load balancer"
)
NOT_RUNNING: Final = TargetHealth("unused", "Target.InvalidState", "Target is in the terminated or stopped state")
IP_UNUSABLE: Final = TargetHealth(
    "unused", "Target.IpUnusable", "The IP address cannot be used as a target, as it is in use by a load balancer"
)
DISABLED: Final = TargetHealth("unavailable", "Target.HealthCheckDisabled", "Health checks are disabled")
NOT_EMULATED: Final = TargetHealth("unavailable", "Elb.InternalError", "Health checks failed due to an internal error")
"""Of Lambda functions: there is nothing here that runs them."""
