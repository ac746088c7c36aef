"""What tenants write, checked before Envoy sees it; and Envoy's refusals for people."""

from __future__ import annotations

import pytest

from gatewright.envoy.syntax import UntranslatableError, field_value, path, readable, token


@pytest.mark.parametrize(
    ("refusal", "shown"),
    [
        ("missing ): /a(b", "missing ): /a(b"),
        ("goo.gle/debugonly    \nname: 'x'\nroutes {\n  match {\n (truncated)", "Envoy refuses it and doesn't say why"),
        ("Invalid duration: out-of-range: goo.gle/debugproto  \nseconds: 9\n", "Invalid duration: out-of-range"),
        (
            "Proto constraint validation failed (RouteValidationError.X[0]: embedded message failed validation | "
            "caused by HeaderValueValidationError.Value: value length must be at most 16384 bytes): goo.gle/debugstr",
            "Value: value length must be at most 16384 bytes",
        ),
        (
            "goo.gle/debugonly  \nname: 'probe'\n}\n: Proto constraint validation failed (AValidationError.Routes: "
            "embedded message failed validation | caused by XValidationError.Regex: value length must be at least 1)",
            "Regex: value length must be at least 1",
        ),
        ("bad \x00\n\x1b[31m", "bad \\x00\\n\\x1b[31m"),
        ("x" * 5000, "x" * 1000 + "…"),
    ],
)
def test_refusals_are_readable(refusal: str, shown: str) -> None:
    assert readable(refusal).startswith(shown)
    assert readable(refusal).isprintable()


@pytest.mark.parametrize("text", ["", "a b", "a:b", "ä", "a\n", "a\x00"])
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(UntranslatableError, match=r"a name: found .*, expected a token"):
        token(text, "a name")


def test_values_have_no_line_breaks() -> None:
    assert field_value("a\tb ä", "x") == "a\tb ä"
    with pytest.raises(UntranslatableError, match=r"header x: found control characters in 'a\\nb'"):
        field_value("a\nb", "header x")


def test_paths_have_no_blanks() -> None:
    assert path("/ä%20", "x") == "/ä%20"
    with pytest.raises(UntranslatableError, match="percent-encode"):
        path("/a b", "x")
