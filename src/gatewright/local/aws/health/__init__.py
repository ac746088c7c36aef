"""Health checks of the emulated load balancers: real connections to the targets, and what the API says of them.

| question | module |
|---|---|
| which targets are checked, how, and what is said of those that aren't? | `plan` |
| what do passed and failed checks make of a target? | `thresholds` |
| does a target pass one check? | `probes`, over `http1` and `http2` |
| when is which target checked? | `checks` |
"""

from gatewright.local.aws.health.checks import HealthChecks

__all__ = ["HealthChecks"]
