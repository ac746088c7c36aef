"""Lists in pages: `maxResults` at a time, and a token for what comes next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gatewright.local.aws.eks.backend import Document
from gatewright.local.aws.eks.errors import InvalidParameter

_MOST = 100


def page(name: str, items: Sequence[Any], request: Document) -> Document:
    """The part of `items` that a List* call asks for, under their name."""
    token = request.get("nextToken") or "0"
    if not token.isdecimal() or int(token) > len(items):
        raise InvalidParameter(f"Invalid nextToken: {token}")
    first, size = int(token), int(request.get("maxResults") or _MOST)
    answer: Document = {name: list(items[first : first + size])}
    if first + size < len(items):
        answer["nextToken"] = str(first + size)
    return answer
