"""Random statements, evaluated by a real Envoy, agree with a plain model of what WAFv2's documentation says of them."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

import pytest
from tests.aws.waf_world import acl, byte_match, regex_match, rule, serving, transformations

STATEMENTS, REQUESTS = 150, 60
LETTERS = "abAB_./%2041+-"


class Asked(NamedTuple):
    path: str
    query: str
    header: str | None


Model = Callable[[Asked], bool]
FIELDS: list[tuple[dict[str, Any], Callable[[Asked], list[str]]]] = [
    ({"UriPath": {}}, lambda asked: [asked.path]),
    ({"QueryString": {}}, lambda asked: [asked.query]),
    ({"SingleHeader": {"Name": "X-It"}}, lambda asked: [] if asked.header is None else [asked.header]),
    (
        {"AllQueryArguments": {}},
        lambda asked: [part.partition("=")[2] for part in asked.query.split("&") if part],
    ),
]
CHANGES: list[tuple[list[str], Callable[[str], str]]] = [
    ([], lambda text: text),
    (["LOWERCASE"], str.lower),
    (["URL_DECODE"], lambda text: unquote_plus(text, "latin-1")),
    (["URL_DECODE", "LOWERCASE"], lambda text: unquote_plus(text, "latin-1").lower()),
]
POSITIONS: dict[str, Callable[[str, str], bool]] = {
    "EXACTLY": lambda value, text: value == text,
    "STARTS_WITH": lambda value, text: value.startswith(text),
    "ENDS_WITH": lambda value, text: value.endswith(text),
    "CONTAINS": lambda value, text: text in value,
    "CONTAINS_WORD": lambda value, text: bool(re.search(rf"(?<![0-9A-Za-z_]){re.escape(text)}(?![0-9A-Za-z_])", value)),
}
EXPRESSIONS = ["^/a", "a+b", "[AB]{2}", "b$", "(?i)ab", "a.b|%41", "^$", "a?_"]
SIZES: dict[str, Callable[[int, int], bool]] = {
    "EQ": lambda a, b: a == b,
    "NE": lambda a, b: a != b,
    "LE": lambda a, b: a <= b,
    "LT": lambda a, b: a < b,
    "GE": lambda a, b: a >= b,
    "GT": lambda a, b: a > b,
}


class Author:
    """Writes statements, each with its model."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def text(self, most: int) -> str:
        return "".join(self.random.choices(LETTERS, k=self.random.randint(0, most)))

    def asked(self) -> Asked:
        query = "&".join(f"{self.text(2)}={self.text(4)}" for _ in range(self.random.randint(0, 3)))
        return Asked("/" + self.text(4), query, None if self.random.random() < 0.2 else "x" + self.text(5))

    def statement(self, depth: int = 3) -> tuple[dict[str, Any], Model]:
        kind = self.random.randrange(6 if depth else 3)
        if kind < 3:
            return self.leaf(kind)
        if kind == 3:
            inner, model = self.statement(depth - 1)
            return {"NotStatement": {"Statement": inner}}, lambda asked: not model(asked)
        several = [self.statement(depth - 1) for _ in range(self.random.randint(2, 3))]
        models = [model for _, model in several]
        name, combine = ("AndStatement", all) if kind == 4 else ("OrStatement", any)
        return {name: {"Statements": [each for each, _ in several]}}, lambda asked: combine(m(asked) for m in models)

    def leaf(self, kind: int) -> tuple[dict[str, Any], Model]:
        (field, read), (names, change) = self.random.choice(FIELDS), self.random.choice(CHANGES)

        def anyhow(test: Callable[[str], bool]) -> Model:
            return lambda asked: any(test(change(value)) for value in read(asked))

        if kind == 0:
            position, text = self.random.choice(list(POSITIONS)), self.text(2) or "a"
            test = POSITIONS[position]
            return byte_match(field, position, text.encode(), *names), anyhow(lambda value: test(value, text))
        if kind == 1:
            expression = re.compile(self.random.choice(EXPRESSIONS))
            return regex_match(field, expression.pattern, *names), anyhow(lambda value: bool(expression.search(value)))
        operator, size = self.random.choice(list(SIZES)), self.random.randint(0, 6)
        compare = SIZES[operator]
        content = {
            "FieldToMatch": field,
            "ComparisonOperator": operator,
            "Size": size,
            "TextTransformations": transformations(*names),
        }
        return {"SizeConstraintStatement": content}, anyhow(lambda value: compare(len(value), size))


@pytest.mark.parametrize("seed", [1, 2])
async def test_random_statements(seed: int) -> None:
    author = Author(seed)
    statements = [author.statement() for _ in range(STATEMENTS)]
    document = acl(*(rule(f"r{number}", each, "Count") for number, (each, _) in enumerate(statements)))
    matched = 0
    async with serving(document) as front:
        for _ in range(REQUESTS):
            asked = author.asked()
            headers = [] if asked.header is None else [("X-It", asked.header)]
            answer = await front.send(f"{asked.path}?{asked.query}" if asked.query else asked.path, "GET", headers)
            counted = (answer.outcome.get("counted") or "").split()
            expected = [f"r{number}" for number, (_, model) in enumerate(statements) if model(asked)]
            assert counted == expected, asked
            matched += len(counted)
    assert STATEMENTS * REQUESTS / 10 < matched < STATEMENTS * REQUESTS * 9 / 10  # else this shows little
