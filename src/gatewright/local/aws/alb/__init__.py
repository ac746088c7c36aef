"""The data plane of Application Load Balancers: the ELBv2 API's state as Envoy's listeners and routes.

`conditions` and `actions` say what a rule is, `scripts` what Envoy is taught for it, `tables` what all requests of a
listener have in common, `listeners` how connections come in, `answers` what the load balancer says itself.
"""

from __future__ import annotations

from gatewright.local.aws.alb.translation import AlbResources, translate

__all__ = ["AlbResources", "translate"]
