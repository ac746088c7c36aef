"""Files that only their owner can read: keys, tokens, states."""

from __future__ import annotations

import os
from pathlib import Path


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, from its first byte on.

    Whoever reads it meanwhile has the old content or the new; whoever is stopped in the middle, be it by the end of
    the machine, leaves the old one.
    Raises OSError, which names the file.
    """
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:  # that of a full disk names none
        raise OSError(error.errno, error.strerror, str(path)) from error
    new.replace(path)
