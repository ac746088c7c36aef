"""Elastic Load Balancing (ELBv2) as its API behaves: moto's backend, extended; see `responses.OPERATIONS`.

`install(state)` has moto use it from then on. What the API holds is in `backends.backend("elbv2")`, for a reader that
holds `backends.LOCK`; `models` says what the objects have:

- `load_balancers[arn].attrs`, `.subnets`, `.listeners[arn]`; its nodes are `network.interfaces(arn)`
- `listener.attributes`, `.certificates` (the default one first), `.ssl_policy`, `.alpn_policy`,
  `.mutual_authentication`, `.default_rule.actions`, `.rules` by ARN and in order of priority, the default one last
- `rule.priority` (a number or `default`), `.conditions`, `.actions`, `.transforms`, in the API's own form and complete:
  a condition's values and regular expressions are in its `...Config` (`Values`, `RegexValues`), and the groups of every
  forward action in its `ForwardConfig`, with weights
- `target_groups[arn].attributes`, `.health_check` (the API's document), `.targets` and `.draining` by id and port;
  a draining target is gone after `Draining.until`

Attributes are complete: their defaults are filled in. Whoever modifies one replaces what it modifies, so what a reader
took stays as it was.
"""

from __future__ import annotations

from typing import Any

from gatewright.local.aws import startup  # noqa: F401 - imports moto quickly

# isort: split

import moto.core.errors
import moto.elb.urls
import moto.elbv2.responses
from moto.elbv2.models import elbv2_backends

from gatewright.local.aws.elbv2.backend import Backend
from gatewright.local.aws.elbv2.responses import Responses
from gatewright.local.aws.state import CloudState


def install(state: CloudState, *, pace: float = 1.0, carries_traffic: bool = False) -> None:
    """Have moto's ELBv2 be ours from now on; what was made before is forgotten.

    Health comes from `state.health`. With `carries_traffic`, a load balancer is provisioning until `state.served` has
    each of its listeners. The deregistration delay runs `pace` times faster.
    """
    attributes: dict[str, Any] = {"cloud": state, "pace": pace, "carries_traffic": carries_traffic}
    elbv2_backends.clear()
    for code in ("InvalidAction", "MalformedInput", "UnsupportedCertificate"):  # AWS's model doesn't have them
        if code not in moto.core.errors.COMMON_ERROR_CODES:
            moto.core.errors.COMMON_ERROR_CODES.append(code)
    elbv2_backends.backend = type("Backend", (Backend,), attributes)
    for module in (moto.elb.urls, moto.elbv2.responses):
        setattr(module, "ELBV2Response", Responses)  # noqa: B010 - mypy takes it for a type of moto's
