"""Hears of edits to folders whose set changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Final

import structlog
from watchfiles import awatch

from gatewright.cluster import end

_log = structlog.get_logger(__name__)

_GATHER: Final = 0.1  # seconds in which several changes of the set become one


class FolderWatch:
    """Calls `edited` after each burst of edits in the folders that were named last (`async with`)."""

    def __init__(self, edited: Callable[[], None]) -> None:
        self._edited = edited
        self._folders: frozenset[Path] = frozenset()
        self._renewed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def follow(self, folders: frozenset[Path]) -> None:
        """Watch these from now on. What isn't there is watched through the nearest folder that is."""
        found = frozenset(_existing(folder) for folder in folders)
        # Those within others would be told of twice.
        found = frozenset(f for f in found if not any(f != other and f.is_relative_to(other) for other in found))
        if found != self._folders:
            self._folders = found
            self._renewed.set()

    async def __aenter__(self) -> FolderWatch:
        self._task = asyncio.create_task(self._run(), name="watch folders")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task:
            await end(self._task)

    async def _run(self) -> None:
        while True:
            await self._renewed.wait()
            await asyncio.sleep(_GATHER)
            self._renewed.clear()
            folders = [folder for folder in self._folders if folder.exists()]
            if not folders:
                continue
            try:
                await self._watch(folders)
            except (OSError, RuntimeError) as error:
                _log.warning("folders can't be watched; edits are seen at the next change", error=str(error))

    async def _watch(self, folders: list[Path]) -> None:
        """Until the set changes. The first wait ends soon: what was edited before the watch ran is looked for then."""
        first = True
        async for changed in awatch(
            *folders, stop_event=self._renewed, debounce=100, step=20, rust_timeout=300, yield_on_timeout=True
        ):
            if changed or first:
                first = False
                self._edited()


def _existing(path: Path) -> Path:
    while not path.exists() and path != path.parent:
        path = path.parent
    return path
