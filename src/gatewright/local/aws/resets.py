"""Resetting connections of a child process, as load balancers do with those of a target that is no more to be used.

Envoy has no way to end some of its connections. But a parent may have a copy of a file descriptor of its child
(pidfd_getfd(2), Linux 5.6), and a TCP connection that is dissolved (connect(2) with AF_UNSPEC) is reset, whoever holds
it: Envoy finds it reset, and resets its other side in turn.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import socket
import struct
import sys
from collections.abc import Callable
from pathlib import Path

from gatewright.local.aws.state import Bound

_PIDFD_GETFD = 438  # the same number on all architectures
_DISSOLVE = struct.pack("=H14x", socket.AF_UNSPEC)

Choice = Callable[[Bound, Bound], bool]
"""Whether a connection is meant, by its local and its remote end."""


class ResetError(Exception):
    """This system doesn't let us reset connections of a child."""


def reset_connections(pid: int, is_meant: Choice) -> int:
    """Reset those TCP connections (IPv4) of the child `pid` that are meant; returns how many.

    Raises `ResetError` where the system lacks that, or forbids it.
    """
    if not sys.platform.startswith("linux"):
        raise ResetError("only Linux can reset a connection of another process")
    names = {f"socket:[{inode}]" for inode in _inodes(Path(f"/proc/{pid}/net/tcp").read_text(), is_meant)}
    if not names:
        return 0
    found = []
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # it has just been closed
            if entry.readlink().name in names:
                found.append(int(entry.name))
    process = os.pidfd_open(pid)
    try:
        return sum(_dissolve(process, descriptor, is_meant) for descriptor in found)
    finally:
        os.close(process)


def _inodes(table: str, is_meant: Choice) -> list[int]:
    """Inodes of the connections in /proc/net/tcp that are meant."""
    rows = [line.split() for line in table.splitlines()[1:]]
    ends = [(int(row[9]), _end(row[1]), _end(row[2])) for row in rows]
    return [inode for inode, local, remote in ends if remote.port and is_meant(local, remote)]


def _end(text: str) -> Bound:
    """An end as /proc/net/tcp has it: the address is a number in the machine's own order of bytes."""
    address, _, port = text.partition(":")
    return Bound(socket.inet_ntoa(int(address, 16).to_bytes(4, sys.byteorder)), int(port, 16))


def _dissolve(process: int, descriptor: int, is_meant: Choice) -> bool:
    """Reset a connection; False if it isn't there any more."""
    libc = ctypes.CDLL(None, use_errno=True)
    copy = libc.syscall(_PIDFD_GETFD, process, descriptor, 0)
    if copy < 0:
        error = ctypes.get_errno()
        if error == errno.EBADF:  # closed meanwhile
            return False
        raise ResetError(f"pidfd_getfd: {os.strerror(error)}")
    with socket.socket(fileno=copy) as connection, contextlib.suppress(OSError):
        # The number may have become another's.
        if is_meant(Bound(*connection.getsockname()), Bound(*connection.getpeername())):
            return bool(libc.connect(copy, _DISSOLVE, len(_DISSOLVE)) == 0)
    return False
