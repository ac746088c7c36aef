"""Standard output and standard error whose reader may leave: `| head`, a terminal that is closed."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, TextIO


class OutputError(OSError):
    """What a command prints can't be written, as where a disk is full."""


class _Heedless(io.FileIO):
    """A file descriptor that takes what nobody reads any more, and lets it go."""

    def __init__(self, descriptor: int, name: str) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._called = name
        self._left = {errno.EPIPE, errno.EIO} if os.isatty(descriptor) else {errno.EPIPE}
        self._lost = False
        self.when_left: Callable[[], None] | None = None

    def write(self, content: Any, /) -> int:
        """Write, or pretend to. Raises OutputError for the first failure of another kind."""
        if not self._lost:
            try:
                return super().write(content)
            except OSError as error:
                self._lost = True
                if error.errno not in self._left:
                    raise OutputError(error.errno, error.strerror, self._called) from error
                if self.when_left:
                    self.when_left()
        return memoryview(content).nbytes


def outlive_readers() -> None:
    """From now on a command goes on when nobody reads what it prints, and its exit status says how it ended.

    So no work is left half done for want of a reader, and there is no traceback.
    """
    sys.stdout = _heedless(sys.stdout, "standard output")
    sys.stderr = _heedless(sys.stderr, "standard error")


def end_with_reader() -> None:
    """From now on the process is asked to end (SIGTERM) when nobody reads its standard output any more.

    For a command that goes on until it is told to stop, which would go on unseen.
    """
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    if isinstance(raw, _Heedless):
        raw.when_left = lambda: signal.raise_signal(signal.SIGTERM)


def _heedless(stream: TextIO, name: str) -> TextIO:
    if not isinstance(stream, io.TextIOWrapper):  # there is none, or somebody has put another one there
        return stream
    stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(_Heedless(stream.fileno(), name)),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering or stream.write_through,
    )
