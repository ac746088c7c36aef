"""What runs in a cluster, and in `up` just the same: watches, resolution and status writing."""

from gatewright.controller.gateways import gateway_controller
from gatewright.controller.statuses import StatusWriter

__all__ = ["StatusWriter", "gateway_controller"]
