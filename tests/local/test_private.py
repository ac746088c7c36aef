"""Files that only their owner can read."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from gatewright.local.private import write_private


def test_it_is_private_whatever_was_there_before(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("old, and longer than the new one")
    path.chmod(0o644)
    for content in (b"new", b"newer"):
        write_private(path, content)
        assert path.read_bytes() == content
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux")
def test_a_full_disk_leaves_what_was_there_and_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "key"
    write_private(path, b"old")
    full = os.open("/dev/full", os.O_WRONLY)
    monkeypatch.setattr(os, "open", lambda *_: full)
    with pytest.raises(OSError, match=r"No space left on device: .*/key"):
        write_private(path, b"new")
    assert path.read_bytes() == b"old"


def test_it_is_on_the_disk_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state"
    write_private(path, b"old")
    synced: list[bytes] = []

    def sync(descriptor: int) -> None:
        assert os.fstat(descriptor).st_size == len(b"new")
        synced.append(path.read_bytes())

    monkeypatch.setattr(os, "fsync", sync)
    write_private(path, b"new")
    assert (synced, path.read_bytes()) == ([b"old"], b"new")
