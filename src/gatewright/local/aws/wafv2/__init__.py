"""WAFv2 as its API behaves: moto's backend, extended by what load balancers and users need.

`install(journal)` has moto use it from then on. `documents()` and `associations()` read what the data plane needs.
"""

from __future__ import annotations

from gatewright.local.aws import backends

# isort: split

import moto.wafv2.responses
import msgspec
from moto.wafv2.models import wafv2_backends

from gatewright.local.aws.waf import CompleteWebAcl
from gatewright.local.aws.waf.journal import Journal
from gatewright.local.aws.wafv2.backend import Backend, references
from gatewright.local.aws.wafv2.responses import Responses

__all__ = ["associations", "documents", "install"]


def install(journal: Journal | None = None) -> None:
    """Have moto's WAFv2 be ours from now on; what was made before is forgotten. Samples come from `journal`."""
    wafv2_backends.clear()
    wafv2_backends.backend = Backend
    made = type("Responses", (Responses,), {"journal": journal or Journal()})
    setattr(moto.wafv2.responses, "WAFV2Response", made)  # noqa: B010 - mypy takes it for a type of moto's


def documents() -> dict[str, CompleteWebAcl]:
    """By ARN: every regional web ACL with all that its rules refer to. Call it holding `backends.LOCK`."""
    found = {}
    waf = backends.backend("wafv2")
    for acl in waf.wacls.values():
        named = references([rule.statement for rule in acl.rules])
        groups = {arn: waf.rule_groups[arn] for arn in named if arn in waf.rule_groups}
        named |= references([rule.statement for group in groups.values() for rule in group.rules])
        found[acl.arn] = CompleteWebAcl(
            acl.arn,
            msgspec.json.encode(acl.to_dict()),
            {arn: tuple(waf.ip_sets[arn].addresses) for arn in sorted(named) if arn in waf.ip_sets},
            {
                arn: tuple(each["RegexString"] for each in waf.regex_pattern_sets[arn].regular_expressions)
                for arn in sorted(named)
                if arn in waf.regex_pattern_sets
            },
            {arn: msgspec.json.encode(group.to_dict()) for arn, group in sorted(groups.items())},
        )
    return found


def associations() -> dict[str, str]:
    """By ARN of an ALB: that of its web ACL. Call it holding `backends.LOCK`."""
    found: dict[str, str] = backends.backend("wafv2").live_associations()
    return found
