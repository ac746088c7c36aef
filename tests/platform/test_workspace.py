"""The folder of a platform: whose it is, and what is known of it."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from gatewright.platform.situation import leave_nothing
from gatewright.platform.targets import Settings, Target
from gatewright.platform.workspace import State, Workspace, WorkspaceError


def state() -> State:
    return State(settings=Settings(target=Target.LOCAL, region="us-east-1"))


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "terraform").mkdir()
    (tmp_path / ".gitignore").write_text("*.pyc\n")
    with pytest.raises(WorkspaceError, match=r"found \.gitignore, terraform, expected an empty folder"):
        Workspace(tmp_path).check_free()


@pytest.mark.parametrize("left", [(), ("lock",), ("lock", "state.json.new")], ids=", ".join)
def test_what_a_deployment_left_that_was_ended_at_once_is_no_obstacle(left: tuple[str, ...], tmp_path: Path) -> None:
    for name in left:
        (tmp_path / name).touch()
    workspace = Workspace(tmp_path)
    workspace.check_free()
    workspace.write(state())
    workspace.check_free()
    (tmp_path / "state.json").unlink()
    workspace.check_free()  # there is our .gitignore still


def test_a_folder_that_is_not_there_is_free(tmp_path: Path) -> None:
    Workspace(tmp_path / "new").check_free()


def test_the_state_of_another_version_is_not_read(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    workspace.write(msgspec.structs.replace(state(), version=2))
    with pytest.raises(WorkspaceError, match=r"state\.json: found version 2, expected 1; use the gatewright that"):
        workspace.read()
    (tmp_path / "state.json").write_text('{"version": 2, "settings": "another shape"}')
    with pytest.raises(WorkspaceError, match="found version 2"):
        workspace.read()


def test_commands_are_as_people_type_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Workspace.default(Target.AWS).command("deploy", Target.AWS) == "gatewright deploy --target aws"
    there = "gatewright destroy --target local --dir "
    assert Workspace(Path("a b")).command("destroy", Target.LOCAL) == there + "'a b'"
    assert Workspace(tmp_path.parent / "x").command("destroy", Target.LOCAL) == f"{there}{tmp_path.parent}/x"


def test_the_default_folder_goes_with_its_last_platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    both = [Workspace.default(Target.LOCAL), Workspace.default(Target.AWS)]
    for each in both:
        each.write(state())
    leave_nothing(both[0])
    assert both[1].read() is not None
    leave_nothing(both[1])
    assert list(tmp_path.iterdir()) == []
