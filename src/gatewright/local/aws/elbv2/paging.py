"""Pages of Describe* operations: `PageSize` and an opaque `Marker`."""

from __future__ import annotations

import base64
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from gatewright.local.aws.elbv2.errors import invalid
from gatewright.local.aws.elbv2.models import Document

T = TypeVar("T")
_LARGEST = 400


def page(
    items: Sequence[T], request: Document, name: str, show: Callable[[T], Any], key: Callable[[T], str]
) -> Document:
    """The page of `items` that a request asks for, under `name`. `key` tells the items apart, in their order.

    A marker is the key of the last item that was shown; it must still be there.
    """
    start = 0
    marker = request.get("Marker")
    if marker:
        try:
            last = base64.urlsafe_b64decode(marker).decode()
            start = [key(item) for item in items].index(last) + 1
        except ValueError:
            raise invalid(f"The marker '{marker}' is not valid") from None
    size = request.get("PageSize", _LARGEST)
    shown = items[start : start + size]
    answer: Document = {name: [show(item) for item in shown]}
    if start + size < len(items):
        answer["NextMarker"] = base64.urlsafe_b64encode(key(shown[-1]).encode()).decode()
    return answer


def check_count(items: Sequence[Any], what: str, most: int = 20) -> None:
    """Raise a refusal if a request names more than `most` of something."""
    if len(items) > most:
        raise invalid(f"You cannot describe more than '{most}' {what} at a time")
