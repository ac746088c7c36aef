"""The documents name things that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def test_fidelity_names_tests_that_exist() -> None:
    text = (ROOT / "docs/fidelity.md").read_text()
    named = set(re.findall(r"`([a-z0-9_]+/(?:[a-z0-9_]+\.py)?)`", text))
    assert named
    assert [name for name in sorted(named) if not (ROOT / "tests" / name).exists()] == []


@pytest.mark.parametrize("name", ["architecture.md", "fidelity.md"])
def test_modules_that_are_named_exist(name: str) -> None:
    text = (ROOT / "docs" / name).read_text()
    rooms = [path.name for path in (ROOT / "src/gatewright").iterdir() if path.is_dir()]
    named = re.findall(rf"`((?:{'|'.join(rooms)})/[a-z_/]+\.py)`", text)
    inside = {path for path in named if not (ROOT / "src/gatewright" / path).exists()}
    assert {path for path in inside if not (ROOT / "tests" / path).exists()} == set()


def test_architecture_names_every_module_of_resolve() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    modules = {path.name for path in (ROOT / "src/gatewright/resolve").glob("*.py")} - {"__init__.py"}
    assert {name for name in modules if f"`resolve/{name}`" not in text} == set()


def test_golden_cases_and_tests_that_are_named_exist() -> None:
    rows = [row for row in (ROOT / "tests/golden/README.md").read_text().splitlines() if row.startswith("| ")][1:]
    assert rows
    missing = []
    for row in rows:
        _, semantics, cases, traffic, _ = row.split("|")
        named = re.findall(r"`([a-z0-9-]+)`", cases)
        assert named, semantics
        missing += [name for name in named if not (ROOT / f"tests/golden/resolve/{name}.in.yaml").exists()]
        for path, test in re.findall(r"`([a-z_0-9/]+\.py)::(test_[a-z_0-9]+)`", traffic):
            file = ROOT / "tests" / path
            if not file.exists() or f"def {test}(" not in file.read_text():
                missing.append(f"{path}::{test}")
    assert missing == []


def test_every_dependency_has_its_reason() -> None:
    text = (ROOT / "docs/dependencies.md").read_text()
    block = (ROOT / "pyproject.toml").read_text().partition("dependencies = [")[2].partition("]")[0]
    names = re.findall(r'"([a-z0-9-]+)[><=]', block)
    assert names
    assert [name for name in names if name not in text] == []
