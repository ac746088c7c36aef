"""What must hold of text that a tenant writes, before Envoy sees it.

Envoy checks most of what it is told, and its refusal is traced to the rule. Some it takes, and then fails every request
or even itself; that is refused here.
"""

from __future__ import annotations

import re

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_NOT_IN_PATHS = re.compile(r"[\x00-\x20\x7f]")
_SHOWN, _LONGEST = 80, 1000
_REASON = re.compile(r"caused by \w+ValidationError\.([^|\n]*?)\s*(?:\||\): |\)$|$)")
_DUMP = re.compile(r"goo\.gle/debug.*", re.DOTALL)
_SPEECHLESS = "Envoy refuses it and doesn't say why; perhaps a value is too long"


class UntranslatableError(Exception):
    """A rule asks for something that Envoy has no configuration for; the message says what."""


def token(text: str, what: str) -> str:
    """A header's or cookie's name (RFC 9110 section 5.6.2)."""
    if not _TOKEN.fullmatch(text):
        raise UntranslatableError(f"{what}: found {_shown(text)}, expected a token as in RFC 9110 section 5.6.2")
    return text


def field_value(text: str, what: str) -> str:
    """A header's value (RFC 9110 section 5.5): no line breaks or other control characters but tabs."""
    if _CONTROL.search(text):
        raise UntranslatableError(f"{what}: found control characters in {_shown(text)}; remove them")
    return text


def path(text: str, what: str) -> str:
    """A path that can stand in a request line."""
    if _NOT_IN_PATHS.search(text):
        raise UntranslatableError(f"{what}: found blanks or control characters in {_shown(text)}; percent-encode them")
    return text


def readable(refusal: str) -> str:
    """Envoy's words about what it refuses, without the dump of the message that it puts between them."""
    reasons = _REASON.findall(refusal)
    words = reasons[-1] if reasons else _DUMP.sub("", refusal).strip(": \n")
    text = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in words or _SPEECHLESS)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _shown(text: str) -> str:
    return ascii(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
