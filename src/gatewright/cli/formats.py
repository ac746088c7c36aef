"""Formats of what commands answer (`-o`)."""

from __future__ import annotations

from enum import StrEnum
from typing import Any


class Format(StrEnum):
    """Text is for people, the others are for programs: the same content, as `kubectl -o` has it."""

    TEXT = "text"
    JSON = "json"
    YAML = "yaml"


def rendered(content: Any, form: str) -> str:
    """Any content that msgspec knows, as indented "json" or as "yaml"."""
    # Imported here so that --help and completion stay quick.
    import msgspec
    import yaml

    plain = msgspec.to_builtins(content)
    if form == Format.JSON:
        return msgspec.json.format(msgspec.json.encode(plain), indent=2).decode()
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True).rstrip("\n")
