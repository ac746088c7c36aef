"""The shape of the support table: what becomes of each field of each kind on AWS's load balancers."""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import Struct

Support: TypeAlias = Literal["yes", "partly", "no"]


class Row(Struct, frozen=True):
    """What becomes of one field of one kind, or of one `case` of it where cases differ.

    `field` is as messages name it, with `[]` for any index: `spec.rules[].matches[].path`. `note` says what it becomes;
    where the support is partial or none why, in AWS's terms. `instead` is what to use instead; `document` is where AWS
    says so. `on` are the load balancers that it is about.
    """

    kind: str
    field: str
    support: Support
    note: str
    instead: str = ""
    document: str = ""
    on: tuple[Literal["ALB", "NLB"], ...] = ("ALB",)
    case: str = ""

    def message(self, field: str, found: object) -> str:
        """Why the field, named with its indexes, isn't served as it says: `field: found ...; why; what instead`."""
        parts = [f"{field}: found {found}", self.note, self.instead]
        return "; ".join(part for part in parts if part)


class Difference(Struct, frozen=True):
    """Where a load balancer answers otherwise than Envoy does for the same Gateway API objects."""

    what: str
    load_balancer: str
    envoy: str
    document: str = ""
