"""WAFv2's web ACLs as filters of the Envoy that carries an ALB's traffic.

`translate(document)` gives the filters; `journal` keeps what came of the requests.
"""

from gatewright.local.aws.waf.documents import CompleteWebAcl, Unsupported
from gatewright.local.aws.waf.filters import OUTCOME, WafFilters, translate, unsupported

__all__ = ["OUTCOME", "CompleteWebAcl", "Unsupported", "WafFilters", "translate", "unsupported"]
