"""The documents name things that are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from typer.core import TyperGroup
from typer.main import get_command

from gatewright.cli import app
from gatewright.cli.controller import Feature
from gatewright.platform.verify import IDS

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
    rooms = "alb|alb_rules|ingress|nlb"
    named = set(re.findall(rf"`((?:{rooms})/[a-z-]{{2,}})`", (ROOT / "docs/fidelity-aws.md").read_text()))
    assert {name.partition("/")[0] for name in named} == set(rooms.split("|"))
    assert [name for name in sorted(named) if not (ROOT / f"tests/golden/{name}.in.yaml").exists()] == []


@pytest.mark.parametrize("name", ["architecture.md", *FIDELITY])
def test_modules_that_are_named_exist(name: str) -> None:
    text = (ROOT / "docs" / name).read_text()
    rooms = [path.name for path in (ROOT / "src/gatewright").iterdir() if path.is_dir()]
    named = re.findall(rf"`((?:{'|'.join(rooms)})/[a-z0-9_/]+\.py)`", text)
    inside = {path for path in named if not (ROOT / "src/gatewright" / path).exists()}
    assert {path for path in inside if not (ROOT / "tests" / path).exists()} == set()


@pytest.mark.parametrize(
    "room",
    ["resolve", "edge", "explain", "aws", "platform", "platform/verify", "platform/verify/advice", "local/argocd"],
)
def test_architecture_names_every_module_of(room: str) -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    modules = {path.name for path in (ROOT / "src/gatewright" / room).glob("*.py")} - {"__init__.py"}
    assert {name for name in modules if f"`{room}/{name}`" not in text} == set()


@pytest.mark.parametrize("room", ["aws", "edge", "local/aws", "platform", "platform/verify"])
def test_architecture_names_modules_of_every_part_of(room: str) -> None:
    text = (ROOT / "docs/architecture.md").read_text()
    parts = {path.name for path in (ROOT / "src/gatewright" / room).iterdir() if (path / "__init__.py").exists()}
    assert parts
    assert {name for name in parts if f"`{room}/{name}/" not in text} == set()


DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", path.read_text())
    inside = [target.partition("#")[0] for target in targets if not re.match(r"https?:|#", target)]
    assert [target for target in inside if not (path.parent / target).exists()] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_folders_that_are_named_exist(path: Path) -> None:
    named = re.findall(r"(?<![\w/.])((?:config|examples|deploy)/(?!test_)[\w./-]*\w)", path.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []


# --- commands --------------------------------------------------------------------------------------------------------


def options_of(command: str) -> set[str]:
    """The options that a command has."""
    found = get_command(app)
    assert isinstance(found, TyperGroup)
    return {name for each in found.commands[command].params for name in (*each.opts, *each.secondary_opts)}


def calls(text: str) -> list[tuple[str, str]]:
    """The calls of `gatewright` in a document's blocks of shell commands, as subcommand and the rest of the line."""
    blocks = re.findall(r"^```(?:sh|console)?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = [line.partition("#")[0] for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [found for line in lines for found in re.findall(r"\bgatewright (\w+)(?![\w/])([^|;&')]*)", line)]


@pytest.mark.parametrize("path", [ROOT / "README.md", ROOT / "docs/controller.md"], ids=lambda path: path.name)
def test_commands_have_the_options_that_they_are_called_with(path: Path) -> None:
    found = calls(path.read_text())
    assert found
    for command, rest in found:
        given = set(re.findall(r"(?<!\S)(--?[a-z][a-z-]*)", rest))
        assert given <= options_of(command), f"gatewright {command}{rest}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_checks_that_are_named_are_made(path: Path) -> None:
    named = re.findall(r"gatewright verify --only ([a-z,-]+)", path.read_text())
    assert {id_ for each in named for id_ in each.split(",")} <= set(IDS)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_make_has_the_targets_that_are_named(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`|\$ )make ([a-z-]+)", path.read_text(), re.MULTILINE)) <= targets


def test_the_page_of_the_controller_names_its_features_and_metrics() -> None:
    text = (ROOT / "docs/controller.md").read_text()
    assert set(re.findall(r"^\| `([a-z-]+)` \|", text, re.MULTILINE)) == {feature.value for feature in Feature}
    source = (ROOT / "src/gatewright/controller/metrics.py").read_text()
    made = set(re.findall(r'"(gatewright_[a-z_]+)"', source))
    told = set(re.findall(r"^\| `(gatewright_[a-z_]+)` \|", text, re.MULTILINE))
    assert {name.removesuffix("_total") for name in told} == made  # which the client library adds to counters


# --- other pages -----------------------------------------------------------------------------------------------------


def golden_rows(header: str) -> list[str]:
    """The rows of one table of the golden cases' page."""
    table = (ROOT / "tests/golden/README.md").read_text().partition(f"| {header} |")[2].partition("\n\n")[0]
    return table.splitlines()[2:]


def test_every_folder_of_golden_cases_is_described() -> None:
    named = {}
    for row in golden_rows("folder"):
        _, folder, _, _, test, _ = row.split("|")
        named[folder.strip(" `")] = test.strip(" `")
    assert set(named) == {path.name for path in (ROOT / "tests/golden").iterdir() if path.is_dir()}
    assert [test for test in named.values() if not (ROOT / "tests" / test).exists()] == []


def test_golden_cases_and_tests_that_are_named_exist() -> None:
    rows = golden_rows("semantics")
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
    tools = [path.read_text() for path in (ROOT / "tests/deploy/requirements").glob("*.in")]
    names += [name for each in tools for name in re.findall(r"^([a-z0-9-]+)==", each, re.MULTILINE)]
    assert [name for name in names if name not in text] == []


def test_layers_has_every_application_in_its_wave() -> None:
    wave = "argocd.argoproj.io/sync-wave"
    paths = (ROOT / "deploy/gitops/apps").rglob("*.yaml")
    made = [document for path in paths for document in yaml.safe_load_all(path.read_text())]
    waves = {
        (each["metadata"]["name"], annotations[wave])
        for each in made
        if each["kind"] == "Application" and wave in (annotations := each["metadata"].get("annotations", {}))
    }
    table = (ROOT / "docs/layers.md").read_text().partition("| wave |")[2].partition("\n\n")[0]
    told = {
        (name, number)
        for number, names in re.findall(r"^\| (-?\d+) \| ([^|:]*)", table, re.MULTILINE)
        for name in re.findall(r"[a-z0-9-]{3,}", names)
    }
    assert waves
    assert waves <= told
