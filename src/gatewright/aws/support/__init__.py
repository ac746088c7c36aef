"""The support table: what becomes of each field on AWS's load balancers, and what to use instead.

The translators take the texts of their refusals from it, so that the two can't disagree; `docs/alb-support.md` is
printed from it by `python -m gatewright.aws.support`.
"""

from gatewright.aws.support.row import Difference, Row, Support

__all__ = ["Difference", "Row", "Support"]
