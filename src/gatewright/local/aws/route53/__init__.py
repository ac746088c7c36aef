"""Route 53 as controllers of DNS records meet it: moto's zones, their records checked, ordered and paged as AWS's.

`backend` holds the zones, `changes` checks a change batch, `responses` answers what moto's doesn't.
"""

from __future__ import annotations

from gatewright.local.aws import startup  # noqa: F401 - imports moto quickly

# isort: split

import moto.route53.responses
from moto.route53.models import route53_backends

from gatewright.local.aws.route53.backend import Route53
from gatewright.local.aws.route53.responses import Responses


def install() -> None:
    """Have moto's Route 53 be ours from now on; what was made before is forgotten."""
    route53_backends.clear()
    route53_backends.backend = Route53
    setattr(moto.route53.responses, "Route53", Responses)  # noqa: B010 - mypy takes it for a type of moto's
