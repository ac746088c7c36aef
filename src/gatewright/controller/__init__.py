"""What runs in a cluster, and in `up` just the same: watches, resolution and status writing."""

from gatewright.controller.gateways import GatewayController
from gatewright.controller.statuses import StatusWriter

__all__ = ["GatewayController", "StatusWriter"]
