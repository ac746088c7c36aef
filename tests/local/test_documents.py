"""YAML as Kubernetes reads it, with lines."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.local.documents import MAX_DEPTH, Document, Flaw, documents


def read(text: str) -> Any:
    """The value of a text's only document."""
    (found,) = documents(text)
    assert isinstance(found, Document), found
    return found.value


def flaws(text: str) -> list[str]:
    return [f"{found.line}: {found.message}" for found in documents(text) if isinstance(found, Flaw)]


def test_every_field_and_item_has_its_line() -> None:
    (found,) = documents("# comment\na:\n  b:\n    - c: 1\n    - d:\n        e: 2\n")
    assert isinstance(found, Document)
    assert found.value == {"a": {"b": [{"c": 1}, {"d": {"e": 2}}]}}
    assert found.lines[()] == 2
    assert found.lines["a", "b"] == 3
    assert found.lines["a", "b", 1] == 5
    assert found.lines["a", "b", 1, "d", "e"] == 6


def test_documents_are_read_one_by_one() -> None:
    found = list(documents("a: 1\n---\n---\n# nothing\n---\nb: 2\n"))
    assert [item.value for item in found if isinstance(item, Document)] == [{"a": 1}, {"b": 2}]
    assert [item.lines[()] for item in found if isinstance(item, Document)] == [1, 6]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2001-12-14", "2001-12-14"),
        ("2001-12-14t21:59:43.10-05:00", "2001-12-14t21:59:43.10-05:00"),
        ("12:30:45", "12:30:45"),
        ("=", "="),
        ("yes", True),
        ("off", False),
        ("0o17", "0o17"),
        ("017", 15),
        ("0x1F", 31),
        ("1e3", "1e3"),
        ("1.5", 1.5),
        ("~", None),
        ("'80'", "80"),
        ("!!str 80", "80"),
        ("! 80", "80"),
        ("!!int '80'", 80),
        ("10Mi", "10Mi"),
        ("|\n  two\n  lines\n", "two\nlines\n"),
    ],
)
def test_scalars_are_json_values(text: str, value: object) -> None:
    found = read(f"a: {text}")["a"]
    assert found == value
    assert type(found) is type(value)


def test_anchors_aliases_and_merges() -> None:
    text = "base: &base {a: 1, b: 2}\nlist: &l [x]\nmade: {<<: *base, b: 3}\n"
    text += "both: {<<: [*base, {c: 4, a: 9}]}\nagain: *l\n"
    assert read(text) == {
        "base": {"a": 1, "b": 2},
        "list": ["x"],
        "made": {"a": 1, "b": 3},
        "both": {"a": 1, "b": 2, "c": 4},
        "again": ["x"],
    }
    assert read("'<<': 1") == {"<<": 1}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", ["3: field a is given twice; the first is on line 1"]),
        ("a: {b: 1, b: 2}\nc: [{d: 1, d: 2}]\n", ["field b is given twice", "field d is given twice"]),
        ("a: &x [*x]\n", ["1: *x is a part of itself"]),
        ("a: *nowhere\n", ["1: *nowhere has no anchor"]),
        ("a: .nan\n", ["1: found .nan, expected a number that JSON has"]),
        ("a: !!binary aGVsbG8=\n", ["1: found a value of type tag:yaml.org,2002:binary, expected one that JSON has"]),
        ("a: !Ref thing\n", ["1: found a value of type !Ref, expected one that JSON has"]),
        ("a: !!set {b: }\n", ["1: found a value of type tag:yaml.org,2002:set, expected one that JSON has"]),
        ("? [a, b]\n: 1\n", ["1: expected a string as a field's name"]),
        ("a: {<<: 3}\n", ["1: found a merge (<<) of something else than objects"]),
        ("a: !!int many\n", ["1: found 'many', expected a value of type tag:yaml.org,2002:int"]),
        ("a: 1\n  b: 2\n", ["2: not valid YAML: mapping values are not allowed in this context"]),
        ("a: [1\n---\nb: 2\n", ["not valid YAML"]),
        ("ok\nbad \x07 bell\n", ["2: not valid YAML: control characters are not allowed"]),
    ],
)
def test_flaws_are_told_with_their_line(text: str, expected: list[str]) -> None:
    found = flaws(text)
    assert len(found) == len(expected)
    for told, wanted in zip(found, expected, strict=True):
        assert wanted in told


def test_a_flaw_in_one_document_costs_the_others_nothing() -> None:
    found = list(documents("a: 1\na: 2\n---\nb: 3\n"))
    assert isinstance(found[0], Flaw)
    assert isinstance(found[1], Document)
    assert found[1].value == {"b": 3}


@pytest.mark.parametrize("text", ["[" * 50_000, "- " * 50_000, "{a: " * 50_000])
def test_endless_nesting_ends(text: str) -> None:
    (message,) = flaws(text)
    assert message == f"1: nested more than {MAX_DEPTH} levels deep"


def test_aliases_can_not_blow_up() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    (message,) = flaws("\n".join(lines))
    assert "more than 500000 values in one document" in message


@given(st.text())
def test_no_text_makes_it_raise(text: str) -> None:
    list(documents(text))


_YAMLISH = st.text(alphabet="ab:-[]{}&*!<>|'\"#,? \n\t.~%@`01", max_size=60)


@given(_YAMLISH)
@settings(max_examples=300)
def test_no_punctuation_makes_it_raise(text: str) -> None:
    list(documents(text))


# YAML has no escapes for the rest of Unicode as JSON writes it, in surrogates.
_CHARACTERS = st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"])
_TEXT = st.text(_CHARACTERS)
_KEYS = st.text(_CHARACTERS, max_size=50)  # YAML reads no more than 1024 characters as a key
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_KEYS, inner, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(_KEYS, _JSON, min_size=1, max_size=4))
def test_json_is_read_as_json(value: dict[str, Any]) -> None:
    assert read(json.dumps(value)) == value
