"""Tags of what is made (pure)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

from gatewright.aws.stack import rule_documents
from gatewright.aws.stack.desired import Action
from gatewright.aws.stack.holdings import CLIENT_SECRET_TAG


def tag_changes(wanted: Mapping[str, str], found: Mapping[str, str]) -> tuple[dict[str, str], tuple[str, ...]]:
    """What to add, and what to remove. AWS's own tags (`aws:...`) are nobody's to remove."""
    add = {key: value for key, value in wanted.items() if found.get(key) != value}
    return add, tuple(sorted(key for key in found.keys() - wanted.keys() if not key.startswith("aws:")))


def secret_tag(actions: Iterable[Action]) -> dict[str, str]:
    """Tells one client secret from another. It is too short to find out a secret by, even one that can be guessed."""
    secret = rule_documents.client_secret(actions)
    if secret is None:
        return {}
    told = f"{secret.secret}/{secret.client_id}/{secret.digest}"
    return {CLIENT_SECRET_TAG: hashlib.sha256(told.encode()).hexdigest()[:8]}
