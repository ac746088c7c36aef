"""The rules of EdgeBinding."""

from __future__ import annotations

from typing import Final

from gatewright.model.edgebinding import EXACTLY_ONE
from gatewright.model.rules.engine import Rule, Rules

EDGE_BINDING: Final[Rules] = {
    "spec.aws.targetGroup": (
        Rule(
            EXACTLY_ONE,
            lambda group: sum(bool(group.get(name)) for name in ("arn", "name", "tags")) == 1,
            "[has(self.arn), has(self.name), has(self.tags) && size(self.tags) > 0].filter(x, x).size() == 1",
        ),
    )
}
