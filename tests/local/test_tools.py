"""Finding the programs that gatewright calls, and their versions."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gatewright.local.tools import ToolError, find, need, parse_version, version


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("terraform", '{"terraform_version": "1.11.4", "platform": "linux_amd64"}', (1, 11, 4)),
        ("kubectl", '{"clientVersion": {"gitVersion": "v1.32.4-dispatcher"}}', (1, 32, 4)),
        ("helm", "v4.3.1+gc0d08d0", (4, 3, 1)),
        ("kustomize", "v5.5.0", (5, 5, 0)),
        ("aws", "aws-cli/2.31.0 Python/3.13.7 Linux/6.8", (2, 31, 0)),
        ("az", '{"azure-cli": "2.77.0"}', (2, 77, 0)),
        ("terraform", "not JSON", None),
        ("helm", "nothing", None),
    ],
)
def test_versions_as_programs_tell_them(name: str, text: str, expected: tuple[int, int, int] | None) -> None:
    assert parse_version(name, text) == expected


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment of its own, and nothing on PATH."""
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    return tmp_path


def _program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


def test_path_comes_before_the_environment(environment: Path) -> None:
    assert find("helm") is None
    with pytest.raises(ToolError, match=r"helm: not found in PATH:.*; it is needed to render charts: install it"):
        need("helm", "to render charts")
    _program(environment / "tools/bin/helm", "echo v4.0.0")
    assert find("helm") == environment / "tools/bin/helm"
    assert version("helm") == (4, 0, 0)
    _program(environment / "path/helm", "echo v4.1.0")
    assert version("helm") == (4, 1, 0)


def test_terraform_asks_nobody_for_news(environment: Path) -> None:
    _program(environment / "path/terraform", 'echo "{\\"terraform_version\\": \\"1.11.$CHECKPOINT_DISABLE\\"}"')
    assert version("terraform") == (1, 11, 1)


def test_a_program_without_a_version_says_what_it_says(environment: Path) -> None:
    _program(environment / "path/kustomize", "echo broken >&2; exit 1")
    with pytest.raises(ToolError, match="asked for its version it says broken; install it anew"):
        version("kustomize")
