"""The support table of the configuration kinds: every field of the schemas is in it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from gatewright.aws.configuration.support import ROWS
from gatewright.model.awsgateway import ListenerRuleConfiguration, LoadBalancerConfiguration, TargetGroupConfiguration
from gatewright.model.meta import Object
from gatewright.model.schema import openapi_schema

KINDS = (LoadBalancerConfiguration, TargetGroupConfiguration, ListenerRuleConfiguration)

WHOLE = (".nodeSelector", "Attributes", ".targetGroupProps", ".tags", "ExtraParams", "Selector")
"""Fields that one row speaks of with all that is below."""


def leaves(schema: dict[str, Any], path: str) -> Iterator[str]:
    if path.endswith(WHOLE):
        yield path
    elif "properties" in schema:
        for name, part in schema["properties"].items():
            yield from leaves(part, f"{path}.{name}")
    elif schema.get("items", {}).get("type") == "object":
        yield from leaves(schema["items"], f"{path}[]")
    else:
        yield path


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_field_has_a_row_for_every_load_balancer_that_it_is_about(kind: type[Object]) -> None:
    fields = set(leaves(openapi_schema(kind)["properties"]["spec"], "spec"))
    rows = [row for row in ROWS if row.kind == kind.__name__]
    said = {row.field: {on for other in rows if other.field == row.field for on in other.on} for row in rows}
    assert fields <= set(said)
    known = {*fields, "spec", "spec.targetReference"}
    assert {row.field for row in rows} <= known, "rows of fields that there are not"
    everywhere = {"ALB"} if kind is ListenerRuleConfiguration else {"ALB", "NLB"}
    of_mutual = "spec.listenerConfigurations[].mutualAuthentication."
    assert {field for field in fields if said[field] < everywhere and not field.startswith(of_mutual)} == set()


def test_what_is_refused_says_why_and_what_to_use_instead() -> None:
    assert [row.field for row in ROWS if row.support != "yes" and not (row.note and row.instead)] == []
    assert len({(row.kind, row.field, row.on, row.case) for row in ROWS}) == len(ROWS), "two rows for one thing"
