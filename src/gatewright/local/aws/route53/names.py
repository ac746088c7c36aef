"""Names as Route 53 keeps them: lower case, a dot at the end, all but letters, digits, `-` and `_` as octal escapes.

Developer Guide, "DNS domain name format".
"""

from __future__ import annotations

import re

_ESCAPE = re.compile(r"\\([0-7]{3})")
_PLAIN = re.compile(r"[a-z0-9._-]")


def stored(name: str) -> str:
    """A name as Route 53 shows it."""
    raw = _ESCAPE.sub(lambda found: chr(int(found[1], 8)), name).lower().rstrip(".")
    return "".join(char if _PLAIN.fullmatch(char) else f"\\{ord(char):03o}" for char in raw) + "."


def plain(name: str) -> str:
    """A stored name without escapes and without the dot at its end."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 8)), name).lower().rstrip(".")


def position(name: str) -> tuple[str, ...]:
    """Sorts names as Route 53 lists them: by labels, the last one first."""
    return tuple(reversed(stored(name).rstrip(".").split(".")))
