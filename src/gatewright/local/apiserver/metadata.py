"""What the API itself writes into an object's metadata."""

from __future__ import annotations

import datetime
import functools
import secrets
import time
import uuid

from gatewright.local.apiserver.store import Json
from gatewright.model.meta import timestamp

_SUFFIX_LETTERS = "bcdfghjklmnpqrstvwxz2456789"
GENERATED_BASE = 58
"""How much of `generateName` is kept, so that a name fits in 63 characters."""


def now() -> str:
    """The time as the API writes it: UTC, whole seconds."""
    return _written(int(time.time()))


@functools.lru_cache(maxsize=4)
def _written(second: int) -> str:
    return timestamp(datetime.datetime.fromtimestamp(second, datetime.UTC))


def later(seconds: int) -> str:
    """The time so many seconds from now."""
    moment = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    return timestamp(moment)


def new_uid() -> str:
    """A new object's uid."""
    return str(uuid.uuid4())


def generated_name(base: str) -> str:
    """A name that begins with `generateName` and ends in five random letters."""
    return base[:GENERATED_BASE] + "".join(secrets.choice(_SUFFIX_LETTERS) for _ in range(5))


def new_metadata(metadata: Json) -> Json:
    """The metadata with uid and creation time."""
    return {**metadata, "uid": new_uid(), "creationTimestamp": now()}
