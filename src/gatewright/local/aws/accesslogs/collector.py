"""Takes Envoy's records from a socket: messages of Fluentd's forward protocol, in MessagePack."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog

from gatewright.local.aws.accesslogs.records import KEY

_log = structlog.get_logger(__name__)

_CHUNK = 1 << 18


class IncompleteError(Exception):
    """The rest of a value isn't there yet."""


class Collector:
    """Listens at `path` while the context lasts; `taken` is called with the tag and the text of each record."""

    def __init__(self, path: Path, taken: Callable[[str, str], None]) -> None:
        self.path = path
        self._taken = taken
        self._server: asyncio.Server | None = None
        self._readers: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Collector:
        self._server = await asyncio.start_unix_server(self._read, str(self.path))
        return self

    async def __aexit__(self, *_: object) -> None:
        """End when what Envoy has sent is taken; it has to have ended, or closes its connections soon."""
        if self._server:
            self._server.close()
        if self._readers:
            _done, late = await asyncio.wait(self._readers, timeout=1)
            for reader in late:
                reader.cancel()
        self.path.unlink(missing_ok=True)

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task:
            self._readers.add(task)
        rest = b""
        try:
            while data := await reader.read(_CHUNK):
                rest = self._take(rest + data)
        except (ValueError, KeyError, TypeError, struct.error) as problem:
            _log.warning("what Envoy sends isn't understood; its records are lost", problem=repr(problem))
        finally:
            writer.close()
            if task:
                self._readers.discard(task)

    def _take(self, data: bytes) -> bytes:
        """Take all messages that are complete; returns the rest."""
        position = 0
        while position < len(data):
            try:
                (tag, entries, *_), following = decoded(data, position)
            except IncompleteError:
                break
            position = following
            for _time, record in entries:
                self._taken(tag, record[KEY])
        return data[position:]


_SIZES = {0xC4: 1, 0xC5: 2, 0xC6: 4, 0xD9: 1, 0xDA: 2, 0xDB: 4, 0xDC: 2, 0xDD: 4, 0xDE: 2, 0xDF: 4}
_NUMBERS = {
    0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q",
    0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q",
}  # fmt: skip
_EXTENSIONS = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}
_CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}


def decoded(data: bytes, at: int) -> tuple[Any, int]:
    """The MessagePack value at a position, and the position after it.

    Raises `IncompleteError` where the data ends before the value, ValueError for what is none. msgspec has no way to
    tell where a value in a stream ends.
    """
    code = _number(data, at, 1)
    at += 1
    if code < 0x80:
        return code, at
    if code < 0x90:
        return _mapping(data, at, code & 0x0F)
    if code < 0xA0:
        return _array(data, at, code & 0x0F)
    if code < 0xC0:
        return _text(data, at, code & 0x1F)
    if code >= 0xE0:
        return code - 0x100, at
    if code in _CONSTANTS:
        return _CONSTANTS[code], at
    if code in _NUMBERS:
        form = struct.Struct(_NUMBERS[code])
        return form.unpack(_bytes(data, at, form.size))[0], at + form.size
    if code in _EXTENSIONS:  # a point in time, of which nothing is needed
        size = 1 + _EXTENSIONS[code]
        return _bytes(data, at, size), at + size
    if code in _SIZES:
        width = _SIZES[code]
        size = _number(data, at, width)
        at += width
        if code >= 0xDE:
            return _mapping(data, at, size)
        if code >= 0xDC:
            return _array(data, at, size)
        return _text(data, at, size)
    raise ValueError(f"MessagePack has no {code:#x}")


def _bytes(data: bytes, at: int, size: int) -> bytes:
    if at + size > len(data):
        raise IncompleteError
    return data[at : at + size]


def _number(data: bytes, at: int, width: int) -> int:
    return int.from_bytes(_bytes(data, at, width), "big")


def _text(data: bytes, at: int, size: int) -> tuple[str, int]:
    return _bytes(data, at, size).decode("utf-8", "surrogateescape"), at + size


def _array(data: bytes, at: int, size: int) -> tuple[list[Any], int]:
    found = []
    for _ in range(size):
        value, at = decoded(data, at)
        found.append(value)
    return found, at


def _mapping(data: bytes, at: int, size: int) -> tuple[dict[Any, Any], int]:
    found = {}
    for _ in range(size):
        key, at = decoded(data, at)
        found[key], at = decoded(data, at)
    return found, at
