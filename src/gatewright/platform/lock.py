"""One command at a time in a workspace."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator

from gatewright.platform.errors import PlatformError
from gatewright.platform.workspace import Workspace


@contextlib.contextmanager
def locked(workspace: Workspace) -> Iterator[None]:
    """Hold the workspace; the lock ends with the process, however that ends. Raises PlatformError."""
    try:
        workspace.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file = (workspace.folder / "lock").open("a+")
    except OSError as error:
        raise PlatformError(
            f"{workspace.folder} can't be written: {error}", "name another folder with --dir"
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "unknown"
            raise PlatformError(
                f"{workspace.folder}: another gatewright, process {holder}, works in this folder",
                "wait until it has ended, or end it; what it was doing goes on when the command is run again",
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
