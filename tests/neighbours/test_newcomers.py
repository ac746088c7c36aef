"""What somebody gets who calls the commands wrongly: what was found, what to do, and a status that says so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["plan"], 1, "Missing option '--cluster-name'"),
        (["plan", "--cluster-name", "x", "--nonsense"], 1, "No such option: --nonsense"),
        (["plan", "--cluster-name", "x", "-o", "nonsense"], 1, "'nonsense' is not one of 'text', 'json'"),
        (["plan", "--help"], 0, "--offline"),
        (["plan", "--cluster-name", "x"], 1, "name a kubeconfig (--kubeconfig, KUBECONFIG)"),
        (["controller"], 2, "Missing option '--cluster-name'"),
    ],
)
def test_a_wrong_call_is_no_plan(arguments: list[str], status: int, words: str, tmp_path: Path) -> None:
    """2 would say that there is something to change."""
    command = [sys.executable, "-c", "from gatewright.cli import main; main()", *arguments]
    environment = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "COLUMNS": "200"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60, check=False)
    assert done.returncode == status, done.stderr
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stderr
