"""The documents name things that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


FIDELITY = ["fidelity.md", "fidelity-aws.md"]


@pytest.mark.parametrize("name", FIDELITY)
def test_fidelity_names_tests_that_exist(name: str) -> None:
    missing, file = [], ""
    text = (ROOT / "docs" / name).read_text()
    for path, function in re.findall(r"`([a-z0-9_]+/(?:[a-z0-9_]+\.py)?)?(?:::(test_\w+))?`", text):
        file = path or file  # `::test_x` is one of the file before it
        if file and not is_there(file, function):
            missing.append(f"{file}::{function}")
    assert file
    assert missing == []


def is_there(path: str, function: str) -> bool:
    """Whether there is such a folder of tests, or file, and in it such a test."""
    file = ROOT / "tests" / path
    if not file.exists():  # modules are named as well; they have a test of their own
        return not function and (ROOT / "src/gatewright" / path).exists()
    return not function or re.search(rf"^(async )?def {function}\(", file.read_text(), re.MULTILINE) is not None


@pytest.mark.parametrize("name", FIDELITY)
def test_every_row_of_fidelity_says_what_holds_it(name: str) -> None:
    text = (ROOT / "docs" / name).read_text()
    named = r"`[a-z0-9_]+/[\w./:-]*`(?: \([^|]*?\))?"
    held = re.compile(rf"gap|{named}(?:, (?:{named}|`::test_\w+`))*")
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)
    rows = [row for table in tables for row in table.splitlines()[2:]]
    assert rows
    assert [row for row in rows if not held.fullmatch(row.rstrip(" |").rpartition("| ")[2])] == []


def test_fidelity_names_golden_cases_that_exist() -> None:
    named = set(re.findall(r"`nlb/([a-z-]{2,})`", (ROOT / "docs/fidelity-aws.md").read_text()))
    assert named
    assert [name for name in sorted(named) if not (ROOT / f"tests/golden/nlb/{name}.in.yaml").exists()] == []


@pytest.mark.parametrize("name", ["architecture.md", *FIDELITY])
def test_modules_that_are_named_exist(name: str) -> None:
    text = (ROOT / "docs" / name).read_text()
    rooms = [path.name for path in (ROOT / "src/gatewright").iterdir() if path.is_dir()]
    named = re.findall(rf"`((?:{'|'.join(rooms)})/[a-z0-9_/]+\.py)`", text)
    inside = {path for path in named if not (ROOT / "src/gatewright" / path).exists()}
    assert {path for path in inside if not (ROOT / "tests" / path).exists()} == set()


@pytest.mark.parametrize("room", ["resolve", "edge", "explain", "aws"])
def test_architecture_names_every_module_of(room: str) -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    modules = {path.name for path in (ROOT / "src/gatewright" / room).glob("*.py")} - {"__init__.py"}
    assert {name for name in modules if f"`{room}/{name}`" not in text} == set()


def test_architecture_names_modules_of_every_part_of_the_emulated_aws() -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    parts = {path.name for path in (ROOT / "src/gatewright/local/aws").iterdir() if (path / "__init__.py").exists()}
    assert parts
    assert {name for name in parts if f"`local/aws/{name}/" not in text} == set()


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
