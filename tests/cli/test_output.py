"""Commands whose output nobody takes: a pipe that is closed, a disk that is full, a terminal that is gone."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

COMMAND = [sys.executable, "-m", "gatewright", "certs", "shop.example.com"]
TWICE = """
import sys
from gatewright.cli.output import outlive_readers
outlive_readers()
print("first", flush=True)
sys.stdin.readline()
print("second", flush=True)
print("third", file=sys.stderr, flush=True)
sys.exit(7)
"""


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_reader_who_leaves_ends_nothing(unbuffered: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", TWICE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )
    assert process.stdin
    assert process.stdout
    assert process.stderr
    assert process.stdout.readline() == b"first\n"
    process.stdout.close()
    process.stdin.write(b"\n")
    process.stdin.close()
    assert process.stderr.read() == b"third\n"
    process.stderr.close()
    assert process.wait(30) == 7


def test_a_command_whose_pipe_is_closed_ends_as_it_would() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as closed:
        ended = subprocess.run(COMMAND, stdout=closed, stderr=subprocess.PIPE, check=False)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_a_terminal_that_is_closed() -> None:
    """The system answers each write with EIO; to a file that would be a fault of the disk."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", TWICE], stdin=subprocess.PIPE, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    assert os.read(ours, 100) == b"first\r\n"
    os.close(ours)
    process.communicate(b"\n", 30)
    assert process.returncode == 7


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="there is no /dev/full")
def test_a_full_disk_is_told_and_a_failure() -> None:
    with open("/dev/full", "wb") as full:
        ended = subprocess.run(COMMAND, stdout=full, stderr=subprocess.PIPE, check=False, text=True)
    assert ended.returncode == 1
    assert ended.stderr == "error: [Errno 28] No space left on device: 'standard output'\n"


def test_a_command_without_standard_output() -> None:
    ended = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" >&-', "sh", *COMMAND], stderr=subprocess.PIPE, check=False, text=True
    )
    assert (ended.returncode, ended.stderr) == (0, "")
