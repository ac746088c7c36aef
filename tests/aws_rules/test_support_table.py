"""The support table: it has every field, gives reasons and alternatives, and is the page in docs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from gatewright.aws.support import Row, routes
from gatewright.aws.support.page import page
from gatewright.aws.support.table import KINDS, ROWS, rows_of
from gatewright.model import awsgateway, gateway
from gatewright.model.meta import Object
from gatewright.model.schema import Schema, openapi_schema

PAGE = Path(__file__).parents[2] / "docs" / "alb-support.md"
TYPES: tuple[type[Object], ...] = (
    gateway.GatewayClass,
    gateway.Gateway,
    gateway.ListenerSet,
    gateway.HTTPRoute,
    gateway.GRPCRoute,
    gateway.TLSRoute,
    gateway.TCPRoute,
    gateway.UDPRoute,
    gateway.BackendTLSPolicy,
    awsgateway.LoadBalancerConfiguration,
    awsgateway.TargetGroupConfiguration,
    awsgateway.ListenerRuleConfiguration,
)


def fields(schema: Schema, at: str = "") -> Iterator[str]:
    """The leaves of a schema, as rows name them."""
    if schema.get("type") == "array":
        yield from fields(schema["items"], f"{at}[]")
    elif "properties" in schema:
        for name, inner in schema["properties"].items():
            yield from fields(inner, f"{at}.{name}" if at else name)
    else:
        yield at.removesuffix("[]")


def covers(row: Row, field: str) -> bool:
    """Whether a row is about a field: its own, or one around it."""
    return field == row.field or field.startswith((f"{row.field}.", f"{row.field}[]"))


@pytest.mark.parametrize("type_", TYPES, ids=lambda type_: type_.__name__)
def test_every_field_of_a_kind_has_a_row(type_: type[Object]) -> None:
    rows = [row for row in rows_of(type_.__name__) if row.field != "spec"]
    wanted = [field for field in fields(openapi_schema(type_)) if field.startswith("spec.")]
    assert wanted
    assert [field for field in wanted if not any(covers(row, field) for row in rows)] == []


@pytest.mark.parametrize("type_", TYPES, ids=lambda type_: type_.__name__)
def test_every_row_is_about_a_field_that_there_is(type_: type[Object]) -> None:
    known = list(fields(openapi_schema(type_)))
    rows = rows_of(type_.__name__)
    assert [row.field for row in rows if not any(covers(row, field) for field in known)] == []


def test_what_is_not_supported_says_what_to_use_instead() -> None:
    silent = [row for row in ROWS if row.support == "no" and not (row.note and row.instead)]
    assert [row for row in silent if not row.note.startswith("none is known")] == []


def test_no_field_has_two_rows_for_one_case() -> None:
    named = [(row.kind, row.field, row.case, on) for row in ROWS for on in row.on]
    assert sorted({each for each in named if named.count(each) > 1}) == []


def test_every_kind_has_its_place_on_the_page() -> None:
    assert {row.kind for row in ROWS} == set(KINDS)


def test_every_refusal_of_the_translator_is_in_the_table() -> None:
    constants = {name: value for name, value in vars(routes).items() if isinstance(value, Row)}
    assert [name for name, row in constants.items() if row not in ROWS] == []


def test_every_reference_on_the_page_leads_somewhere() -> None:
    text = page()
    used = set(re.findall(r"\(\[AWS\]\[([^\]]+)\]\)", text))
    assert used == set(re.findall(r"^\[([^\]]+)\]: https://", text, re.MULTILINE))


def test_the_page_in_docs_is_this_table() -> None:
    assert PAGE.read_text() == page(), "run: python -m gatewright.aws.support > docs/alb-support.md"
