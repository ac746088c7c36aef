"""Wildcards of rule conditions as regular expressions, against what the user guide says of them."""

from __future__ import annotations

import re2
from hypothesis import given
from hypothesis import strategies as st

from gatewright.local.aws.alb.conditions import is_regex, wildcards

TEXT = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12)
PATTERN = st.lists(st.sampled_from([*"ab/.$+()[]{}|^\\&-", "*", "?"]), max_size=10).map("".join)


def matches(pattern: str, text: str) -> bool:
    """`*` is any number of characters, `?` one, anything else itself."""
    if not pattern:
        return not text
    if pattern[0] == "*":
        return any(matches(pattern[1:], text[at:]) for at in range(len(text) + 1))
    return bool(text) and pattern[0] in ("?", text[0]) and matches(pattern[1:], text[1:])


@st.composite
def pairs(draw: st.DrawFn) -> tuple[str, str]:
    """A pattern, and a text that it often matches."""
    pattern = draw(PATTERN)
    parts = [draw(TEXT) if c == "*" else draw(st.sampled_from("xy*?")) if c == "?" else c for c in pattern]
    return pattern, draw(st.one_of(st.just("".join(parts)), TEXT, PATTERN))


@given(pairs())
def test_wildcards_mean_what_they_say(pair: tuple[str, str]) -> None:
    pattern, text = pair
    assert bool(re2.fullmatch(f"(?s){wildcards(pattern)}", text)) == matches(pattern, text)


@given(TEXT)
def test_an_escaped_text_matches_itself_alone(text: str) -> None:
    escaped = "".join(f"\\{character}" if character in "*?\\" else character for character in text)
    assert re2.fullmatch(wildcards(escaped, escapes=True), text)
    assert not re2.fullmatch(wildcards(escaped, escapes=True), f"{text}x")


@given(PATTERN)
def test_a_value_is_always_a_regular_expression(pattern: str) -> None:
    assert is_regex(wildcards(pattern))
    assert is_regex(wildcards(pattern, escapes=True))
