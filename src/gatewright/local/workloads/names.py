"""Names that follow from content, and the moments that statuses carry."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import msgspec

from gatewright.model import meta
from gatewright.model.meta import Object

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # Kubernetes' own: no vowels, so that no word comes out


def short_hash(*parts: Any, length: int = 10) -> str:
    """A name's suffix that follows from `parts` (JSON values), the same on every machine."""
    digest = hashlib.sha256(msgspec.json.encode(parts, order="deterministic")).digest()
    number = int.from_bytes(digest[:16], "big")
    letters = []
    for _ in range(length):
        number, letter = divmod(number, len(_ALPHABET))
        letters.append(_ALPHABET[letter])
    return "".join(letters)


def timestamp() -> str:
    """Now, as Kubernetes writes it: RFC 3339 in UTC, to the second."""
    return meta.timestamp(datetime.now(UTC))


def seconds_since(moment: str) -> float:
    """How long ago an RFC 3339 moment was; 0 for one that is empty."""
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds() if moment else 0.0


def controller_of(obj: Object) -> str:
    """The uid of the object's controller; empty when it has none."""
    return next((owner.uid for owner in obj.metadata.owner_references if owner.controller), "")


def controller_reference(owner: Object) -> dict[str, Any]:
    """The `ownerReferences` entry by which `owner` controls another object."""
    return {
        "apiVersion": owner.api_version,
        "kind": owner.kind,
        "name": owner.name,
        "uid": owner.metadata.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
