"""`gatewright deploy`, `destroy` and `status`: usage, exit statuses, and errors that people understand."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import sys
from pathlib import Path

import msgspec
import pytest
import yaml
from typer.testing import CliRunner

from gatewright.cli import app
from gatewright.platform.destruction import Destruction
from gatewright.platform.lock import locked
from gatewright.platform.steps import Step
from gatewright.platform.targets import Settings, Target
from gatewright.platform.workspace import State, Workspace

_LONGEST = 300.0
CONFIGURATION = """
variable "name" {}
variable "region" {}
variable "architecture" {}
variable "domain" {}
variable "create_hosted_zone" { default = false }
variable "seconds" { default = 0 }
resource "terraform_data" "network" { input = var.name }
resource "terraform_data" "cluster" {
  input = terraform_data.network.id
  provisioner "local-exec" { command = "touch begun; sleep ${var.seconds}" }
}
output "name" { value = var.name }
output "region" { value = var.region }
output "architecture" { value = var.architecture }
output "cluster_name" { value = var.name }
"""


def tree(folder: Path) -> Path:
    """A platform's files whose Terraform needs no provider."""
    (folder / "gitops/overlays/aws-chained").mkdir(parents=True)
    (folder / "aws/terraform").mkdir(parents=True)
    (folder / "aws/terraform/main.tf").write_text(CONFIGURATION)
    return folder


class Ended:
    """How a command ended, and all that it said."""

    def __init__(self, status: int, text: str) -> None:
        self.status, self.text = status, text


def gatewright(*arguments: str, **environment: str) -> Ended:
    """Run a command here; it has no terminal."""
    result = CliRunner().invoke(app, arguments, env=environment)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ended(result.exit_code, result.output)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, and no account of anybody's."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith(("AWS_", "TF_", "GATEWRIGHT_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def test_where_there_is_no_platform_there_is_nothing_to_do(tmp_path: Path) -> None:
    for arguments in (("status",), ("destroy",), ("destroy", "--yes", "--dir", "x")):
        ended = gatewright(*arguments)
        assert ended.status == 0
        assert "There is no platform in" in ended.text
    assert (gatewright("status", "-o", "json")).text == "null\n"
    assert list(tmp_path.iterdir()) == []


def test_a_platform_that_is_not_deployed_that_far_is_told_with_what_to_do(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "a b")
    workspace.write(State(settings=Settings(target=Target.LOCAL, region="us-east-1", repository="x")))
    ended = gatewright("verify", "--dir", "a b")
    assert ended.status == 1
    assert "Terraform's outputs aren't known; `gatewright deploy --target local --dir 'a b'`" in ended.text
    shown = gatewright("status", "--dir", "a b")
    assert "the local edge doesn't run: `gatewright deploy --target local --dir 'a b'` starts it" in shown.text


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        (("--target", "moon"), "is not one of"),
        (("--target", "aws"), "--region: expected a region"),
        (("--target", "aws", "--region", "eu-west-1"), "--repository: expected the URL"),
        (("--target", "local", "--name", "UPPER"), "--name: found 'UPPER'"),
        (("--target", "local", "--var", "x"), "--var: found 'x', expected KEY=VALUE"),
        (("--target", "local", "--var-file", "none.tfvars"), "none.tfvars: it can't be read"),
        (("--target", "local", "--tree", "nowhere"), "found no platform's files in nowhere"),
        (
            (
                "--target",
                "aws",
                "--region",
                "eu-west-1",
                "--repository",
                "https://git.example.com/x.git",
                "--image",
                "x/y:1",
            ),
            "there is no terminal to ask at",
        ),
    ],
)
def test_wrong_usage_is_told_and_leaves_nothing(tmp_path: Path, arguments: tuple[str, ...], found: str) -> None:
    ended = gatewright("deploy", *arguments)
    assert ended.status == 2, ended.text
    assert found in " ".join(ended.text.split())
    assert list(tmp_path.iterdir()) == []


def program(folder: Path, name: str, text: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def test_all_that_is_missing_is_told_before_anything_is_made(tmp_path: Path) -> None:
    ended = gatewright(
        *("deploy", "--target", "aws", "--yes", "--region", "eu-west-1", "--dir", "w", "--image", "x/y:1"),
        *("--repository", "https://git.example.com/x.git", "--tree", str(tree(tmp_path / "deploy"))),
        PATH=str(tmp_path / "bin"),
    )
    assert ended.status == 1
    assert "things are missing:" in ended.text
    for expected in ("aws isn't there", "git isn't there", "AWS takes no credentials", "nothing says how"):
        assert expected in ended.text
    assert "go on: `gatewright deploy --target aws --dir w`" in ended.text


async def prepared(folder: Path, **variables: object) -> list[str]:
    """Arguments of a deployment that gets as far as Terraform: prerequisites are kept as they were found."""
    workspace = Workspace(folder / "w")
    settings = Settings(
        target=Target.AWS,
        region="eu-west-1",
        repository="https://git.example.com/x.git",
        image="x/y:1",
        variables=dict(variables),
    )
    workspace.write(State(settings=settings))
    return ["--target", "aws", "--dir", "w", "--tree", str(tree(folder / "deploy"))]


STAND_IN = """
import asyncio, sys
from gatewright.platform import prerequisites
async def nothing(checks):
    pass
prerequisites.check = nothing
from gatewright.cli import main
main()
"""


async def past_prerequisites(folder: Path, *arguments: str) -> asyncio.subprocess.Process:
    """A command that takes all prerequisites for granted."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "TF_"))}
    (folder / "command.py").write_text(STAND_IN)
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *(str(folder / "command.py"), *arguments),
        cwd=folder,
        env=kept,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def said(process: asyncio.subprocess.Process) -> Ended:
    async with asyncio.timeout(_LONGEST):
        output, _ = await process.communicate()
    assert b"Traceback" not in output, output.decode()
    return Ended(process.returncode or 0, output.decode())


async def test_ctrl_c_keeps_what_was_made_and_the_next_run_goes_on(tmp_path: Path) -> None:
    if not any((Path(part) / "terraform").exists() for part in os.environ["PATH"].split(os.pathsep)):
        pytest.skip("terraform isn't on the path")
    arguments = await prepared(tmp_path, seconds=300)
    planned = await said(await past_prerequisites(tmp_path, "deploy", *arguments, "--plan-only"))
    assert "2 to create\n  create terraform_data.network\n  create terraform_data.cluster\n" in planned.text
    assert planned.status == 0
    assert not (tmp_path / "w/terraform/plan.tfplan").exists()
    assert "terraform open" in (await asyncio.to_thread(gatewright, "status", "--dir", "w")).text

    process = await past_prerequisites(tmp_path, "deploy", *arguments, "--yes")
    async with asyncio.timeout(_LONGEST):
        while not (tmp_path / "w/terraform/begun").exists():  # noqa: ASYNC110 - made by another program
            await asyncio.sleep(0.02)
    busy = await asyncio.to_thread(gatewright, "destroy", "--yes", "--dir", "w", "--tree", "deploy")
    assert busy.status == 1
    assert f"another gatewright, process {process.pid}, works in this folder" in busy.text
    process.send_signal(signal.SIGINT)
    ended = await said(process)
    assert ended.status == 130
    assert "Terraform's plan: 2 to create." in ended.text
    assert "go on: `gatewright deploy --target aws --dir w`" in ended.text
    shown = await asyncio.to_thread(gatewright, "status", "--dir", "w")
    assert "terraform begun" in shown.text

    process = await past_prerequisites(tmp_path, "deploy", *arguments, "--yes", "--var", "seconds=0")
    ended = await said(process)
    assert "✓ Certificates" in ended.text
    assert "✓ Terraform" in ended.text
    assert ended.status == 1, "there is no cluster behind this configuration"
    assert "✗ Kubeconfig" in ended.text
    state = json.loads((tmp_path / "w/state.json").read_text())
    assert state["outputs"]["cluster_name"] == "platform"
    assert stat.S_IMODE((tmp_path / "w/state.json").stat().st_mode) == 0o600
    for name in ("terraform/gatewright.auto.tfvars.json", "terraform/terraform.tfstate", "certificates/ca.key"):
        assert stat.S_IMODE((tmp_path / "w" / name).stat().st_mode) == 0o600, name

    planned = await said(await past_prerequisites(tmp_path, "deploy", *arguments, "--plan-only"))
    assert "nothing to change" in planned.text
    assert "Kubeconfig" not in planned.text, "a plan is the end, also where it is empty"
    assert planned.status == 0


async def test_what_nobody_reads_any_more_is_done_all_the_same(tmp_path: Path) -> None:
    if not any((Path(part) / "terraform").exists() for part in os.environ["PATH"].split(os.pathsep)):
        pytest.skip("terraform isn't on the path")
    arguments = await prepared(tmp_path, seconds=0)
    process = await past_prerequisites(tmp_path, "deploy", *arguments, "--yes")
    assert process.stdout
    async with asyncio.timeout(_LONGEST):
        await process.stdout.readline()
        process.stdout._transport.close()  # type: ignore[attr-defined] # as `| head -1` does
        assert await process.wait() == 1, "there is no cluster behind this configuration"
    state = json.loads((tmp_path / "w/state.json").read_text())
    assert state["outputs"]["cluster_name"] == "platform"
    assert state["done"]["kubeconfig"] == ""
    assert not (tmp_path / "w/fault.log").exists()


def test_a_state_of_something_else_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "w").mkdir()
    (tmp_path / "w/state.json").write_text("[]")
    for arguments in (("deploy", "--target", "local"), ("destroy", "--yes"), ("status",)):
        ended = gatewright(*arguments, "--dir", "w")
        assert ended.status == 1
        assert "found no state of a deployment" in ended.text
        assert "--dir" in ended.text


def test_destroy_asks_and_several_platforms_have_to_be_told_apart(tmp_path: Path) -> None:
    for target in (Target.AWS, Target.LOCAL):
        workspace = Workspace(tmp_path / ".gatewright" / target)
        workspace.write(State(settings=Settings(target=target, region="us-east-1", repository="x")))
    ended = gatewright("destroy", "--yes")
    assert ended.status == 2
    assert "has platforms on aws and local" in ended.text
    ended = gatewright("destroy", "--target", "local")
    assert ended.status == 2
    assert "there is no terminal to ask at" in ended.text
    ended = gatewright("destroy", "--target", "local", "--yes")
    assert ended.status == 0
    assert "Nothing is left of the platform platform on local" in ended.text
    ended = gatewright("status", "-o", "json")
    overview = msgspec.json.decode(ended.text)
    assert overview["settings"]["target"] == "aws"
    assert {step["state"] for step in overview["steps"]} == {"open"}
    assert yaml.safe_load(gatewright("status", "-o", "yaml").text) == overview


def test_a_workspace_is_one_commands_at_a_time(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "w")
    with locked(workspace), pytest.raises(Exception, match=f"process {os.getpid()}"), locked(workspace):
        pass
    with locked(workspace):
        pass


def test_a_workspace_is_nothing_for_a_repository(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "w")
    workspace.write(State(settings=Settings(target=Target.LOCAL)))
    assert (tmp_path / "w/.gitignore").read_text() == "*\n"
    assert stat.S_IMODE((tmp_path / "w").stat().st_mode) == 0o700


def test_a_folder_of_something_else_is_not_overwritten(tmp_path: Path) -> None:
    theirs = tmp_path / "deploy/aws/terraform/main.tf"
    tree(tmp_path / "deploy")
    for folder in ("deploy/aws", "."):
        ended = gatewright("deploy", "--target", "local", "--dir", folder)
        assert ended.status == 1
        assert "expected an empty folder or one with a platform's state.json" in ended.text
        assert theirs.read_text() == CONFIGURATION
        assert sorted(path.name for path in (tmp_path / folder).iterdir()) in (["deploy"], ["terraform"])


def test_a_folder_with_a_platform_on_another_target_is_not_the_one_that_is_meant(tmp_path: Path) -> None:
    Workspace(tmp_path / "w").write(State(settings=Settings(target=Target.LOCAL, region="us-east-1")))
    for command in (("status",), ("verify",), ("destroy", "--yes")):
        ended = gatewright(*command, "--dir", "w", "--target", "aws")
        assert ended.status == 2
        assert "has a platform on local, not on aws" in ended.text


def test_a_fault_of_ours_is_told_without_a_traceback_which_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(_: Destruction) -> list[Step]:
        raise AssertionError("something that can't be")

    Workspace(tmp_path / "w").write(State(settings=Settings(target=Target.LOCAL, region="us-east-1")))
    monkeypatch.setattr(Destruction, "_argocd", faulty)
    ended = gatewright("destroy", "--yes", "--dir", "w", "--tree", str(tree(tmp_path / "deploy")))
    assert ended.status == 1
    assert "a fault of gatewright's own: AssertionError: something that can't be" in ended.text
    assert "Traceback" not in ended.text
    assert "go on: `gatewright destroy --target local --dir w`" in ended.text
    kept = tmp_path / "w/fault.log"
    assert "AssertionError: something that can't be" in kept.read_text()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
