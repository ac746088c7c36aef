"""Terraform's driver, on the real program with a configuration that needs no provider but the one it brings."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import re
import signal
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from watchfiles import awatch

from gatewright.local import tools
from gatewright.platform.errors import PlatformError
from gatewright.platform.terraform import Terraform, TerraformFailed
from gatewright.platform.terraformlog import Run

SLOW = """
variable "held" { default = false }
variable "size" { default = 1 }
resource "terraform_data" "first" { input = var.size }
resource "terraform_data" "slow" {
  input = terraform_data.first.id
  provisioner "local-exec" {
    command = "touch ../begun; for each in $(seq ${var.held ? 6000 : 0}); do [ -e ../free ] && break; sleep 0.05; done"
  }
}
output "size" { value = var.size }
output "hidden" {
  value     = "a-secret"
  sensitive = true
}
"""


def terraform(
    folder: Path,
    text: str = SLOW,
    doing: Callable[[str], None] = lambda _: None,
    **variables: Any,
) -> Terraform:
    program = tools.find("terraform")
    if program is None:
        pytest.skip("terraform isn't on the path")
    folder.mkdir(exist_ok=True)
    (folder / "main.tf").write_text(text)
    (folder / "x.auto.tfvars.json").write_text(json.dumps(variables))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    return Terraform(
        str(program),
        folder,
        environment={**environment, "TF_WORKSPACE": "other", "TF_DATA_DIR": "/nowhere"},
        doing=doing,
    )


async def test_a_plan_is_applied_found_unchanged_changed_and_destroyed(tmp_path: Path) -> None:
    told: list[str] = []

    def tell(text: str) -> None:
        told.append(text)
        if "working on terraform_data.slow" in text:
            (tmp_path / "free").touch()

    it = terraform(tmp_path / "t", doing=tell, held=True)
    assert not it.begun
    await it.init()
    first = await it.plan(targets=["terraform_data.first"])
    assert first.changes == [("create", "terraform_data.first")]
    plan = await it.plan()
    assert plan.changes == [("create", "terraform_data.first"), ("create", "terraform_data.slow")]
    assert plan.summary() == "2 to create"
    await it.apply(plan)
    assert it.begun
    assert any(line.startswith("1 of 2 done; working on terraform_data.slow") for line in told), told
    assert await it.outputs() == {"size": 1, "hidden": "a-secret"}
    assert await it.resources() == ["terraform_data.first", "terraform_data.slow"]
    assert (await it.plan()).changes == []

    for name in ("terraform.tfstate", "terraform.log"):
        assert stat.S_IMODE((tmp_path / "t" / name).stat().st_mode) == 0o600
    assert "a-secret" not in (tmp_path / "t" / "terraform.log").read_text()

    it = terraform(tmp_path / "t", size=2)
    plan = await it.plan()
    assert plan.summary() == "1 to update"
    await it.apply(plan)
    assert (await it.outputs())["size"] == 2

    plan = await it.plan(destroy=True)
    assert plan.summary() == "2 to delete"
    await it.apply(plan)
    assert await it.resources() == []
    assert not (tmp_path / "t" / "plan.tfplan").exists()


async def test_an_error_is_told_in_terraforms_words_with_the_address_and_the_rest_is_kept(tmp_path: Path) -> None:
    text = SLOW.replace("touch ../begun;", "echo no room >&2; exit 3;")
    it = terraform(tmp_path / "t", text)
    await it.init()
    plan = await it.plan()
    with pytest.raises(TerraformFailed, match=r"1 of 2 done: .*terraform_data\.slow.*local-exec") as caught:
        await it.apply(plan)
    assert "exit status 3" in str(caught.value)
    assert "main.tf:" in str(caught.value)
    assert await it.resources() == ["terraform_data.first", "terraform_data.slow"]


async def test_a_wrong_configuration_is_refused_with_its_line(tmp_path: Path) -> None:
    it = terraform(tmp_path / "t", SLOW + 'resource "terraform_data" "x" { inputs = 1 }\n')
    await it.init()
    with pytest.raises(TerraformFailed, match=r"main\.tf:\d+: Unsupported argument"):
        await it.plan()
    it = terraform(tmp_path / "t", 'variable "needed" {}')
    with pytest.raises(TerraformFailed, match="No value for required variable") as caught:
        await it.plan()
    assert "--var" in caught.value.remedy


async def test_a_provider_that_can_not_be_had_fails_at_init(tmp_path: Path) -> None:
    text = 'terraform { required_providers { none = { source = "no.example/no/none" } } }\nresource "none_x" "y" {}'
    (tmp_path / "providers").mkdir()
    program = terraform(tmp_path / "t", text)
    it = Terraform(program._program, tmp_path / "t", environment=os.environ, plugins=tmp_path / "providers")
    with pytest.raises(TerraformFailed, match=r"no\.example/no/none") as caught:
        await it.init()
    assert "GATEWRIGHT_TERRAFORM_PLUGINS" in caught.value.remedy


async def test_a_provider_stays_until_the_configuration_has_outgrown_it(tmp_path: Path) -> None:
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())

    def offer(version: str) -> None:
        folder = tmp_path / "providers/no.example/no/none" / version / f"{sys.platform}_{machine}"
        folder.mkdir(parents=True)
        (folder / f"terraform-provider-none_v{version}").write_text("a program")

    async def locked(constraint: str) -> str:
        wanted = f'none = {{ source = "no.example/no/none", version = "{constraint}" }}'
        program = terraform(tmp_path / "t", f"terraform {{\n  required_providers {{\n    {wanted}\n  }}\n}}\n")
        environment = {"PATH": os.environ["PATH"], "TF_CLI_CONFIG_FILE": os.devnull}
        it = Terraform(program._program, tmp_path / "t", environment=environment, plugins=tmp_path / "providers")
        await it.init()
        found = re.search(r'version +?= "(.*)"', (tmp_path / "t/.terraform.lock.hcl").read_text())
        return found[1] if found else ""

    offer("3.39.0")
    assert await locked("~> 3.39") == "3.39.0"
    offer("3.40.0")
    assert await locked("~> 3.39") == "3.39.0"
    offer("6.25.0")
    assert await locked("~> 6.25") == "6.25.0"
    with pytest.raises(TerraformFailed, match=r"no\.example/no/none"):
        await locked("~> 7.0")


async def begun(place: Path) -> None:
    async with asyncio.timeout(60):
        async for _ in awatch(
            place.parent, force_polling=True, poll_delay_ms=20, recursive=False, yield_on_timeout=True
        ):
            if place.exists():  # noqa: ASYNC240 - a look at a folder in memory
                return


async def test_a_state_that_could_not_be_written_is_put_into_its_place(tmp_path: Path) -> None:
    it = terraform(tmp_path / "t")
    await it.init()
    await it.apply(await it.plan())
    # As Terraform leaves it where a remote state can't be reached, or credentials have expired, at the end.
    (tmp_path / "t" / "terraform.tfstate").rename(tmp_path / "t" / "errored.tfstate")
    (tmp_path / "t" / "terraform.tfstate.backup").unlink(missing_ok=True)
    it = terraform(tmp_path / "t")
    await it.init()
    assert (await it.plan()).changes == []
    assert not (tmp_path / "t" / "errored.tfstate").exists()

    state = json.loads((tmp_path / "t" / "terraform.tfstate").read_text())
    (tmp_path / "t" / "errored.tfstate").write_text(json.dumps({**state, "lineage": "another"}))
    with pytest.raises(TerraformFailed, match="terraform state push") as caught:
        await it.init()
    assert "couldn't write its state" in caught.value.remedy
    assert (tmp_path / "t" / "errored.tfstate").exists()


async def test_an_interruption_lets_terraform_keep_its_state(tmp_path: Path) -> None:
    it = terraform(tmp_path / "t", held=True)
    await it.init()
    plan = await it.plan()
    work = asyncio.create_task(it.apply(plan))
    await begun(tmp_path / "begun")
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert "terraform_data.first" in await it.resources()

    it = terraform(tmp_path / "t")
    plan = await it.plan()  # the lock is free
    await it.apply(plan)
    assert (await it.plan()).changes == []


async def test_terraform_keeps_its_state_where_what_it_does_can_not_be_told(tmp_path: Path) -> None:
    def full(text: str) -> None:
        if (tmp_path / "begun").exists() and "done; working on" in text:
            raise OSError(28, "No space left on device", "standard output")

    it = terraform(tmp_path / "t", held=True, doing=full)
    await it.init()
    with pytest.raises(OSError, match="No space left"):
        await it.apply(await it.plan())
    assert "terraform_data.first" in await it.resources()
    it = terraform(tmp_path / "t")
    assert (await it.plan()).changes, "the lock is free"


async def test_a_broken_state_is_told_with_what_to_do(tmp_path: Path) -> None:
    it = terraform(tmp_path / "t")
    (tmp_path / "t/terraform.tfstate").write_text('{"version": 4, "resou')
    with pytest.raises(TerraformFailed, match="could not be parsed") as caught:
        await it.init()
    assert "put terraform.tfstate.backup in its place" in caught.value.remedy


KILLED = """
import asyncio, os, sys
from pathlib import Path
from gatewright.platform.terraform import Terraform
async def main():
    it = Terraform(sys.argv[1], Path(sys.argv[2]), environment=os.environ)
    await it.apply(await it.plan())
asyncio.run(main())
"""


async def test_terraform_goes_on_when_we_are_killed_and_the_next_run_waits_for_it(tmp_path: Path) -> None:
    it = terraform(tmp_path / "t", held=True)
    await it.init()
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", KILLED, it._program, str(tmp_path / "t"), env=it._environment
    )
    await begun(tmp_path / "begun")
    process.send_signal(signal.SIGKILL)
    await process.wait()

    def free(_: str) -> None:
        (tmp_path / "free").touch()

    it = terraform(tmp_path / "t", size=2, doing=free)
    assert (await it.plan()).changes == [("update", "terraform_data.first")]
    assert b"\0" not in (tmp_path / "t" / "terraform.log").read_bytes()  # two that write into one file


async def test_a_program_that_can_not_be_run_is_told(tmp_path: Path) -> None:
    it = Terraform(str(tmp_path / "none"), tmp_path, environment={})
    with pytest.raises(PlatformError, match="can't be run"):
        await it.init()


def message(type_: str, **fields: Any) -> str:
    return json.dumps({"@level": "info", "@message": "", "type": type_, **fields})


def hook(address: str) -> dict[str, Any]:
    return {"resource": {"addr": address}, "action": "create"}


def test_progress_names_what_takes_long() -> None:
    run = Run()
    run.read(message("apply_start", hook=hook("aws_eks_cluster.this")), 0)
    run.read(message("apply_start", hook=hook("aws_vpc.this")), 100)
    run.read(message("apply_complete", hook=hook("aws_vpc.this")), 101)
    for each in ("a", "b", "c"):
        run.read(message("apply_start", hook=hook(f"x.{each}")), 200)
    expected = "1 of 9 done; working on aws_eks_cluster.this for 205 s, x.a, x.b and 1 more"
    assert run.line(9, 205) == expected


def test_a_certificate_that_waits_for_a_delegation_says_so() -> None:
    run = Run()
    validation = "module.certificate.aws_acm_certificate_validation.this[0]"
    zone = hook("module.certificate.aws_route53_zone.this[0]")
    run.read(message("apply_start", hook=zone), 0)
    run.read(message("apply_complete", hook={**zone, "id_key": "id", "id_value": "Z0123"}), 40)
    run.read(message("apply_start", hook=hook(validation)), 50)
    assert "delegates" not in run.line(9, 100)
    assert run.line(9, 200).endswith(
        "; the certificate waits until the zone above delegates to the name servers of Z0123 "
        "(`aws route53 get-hosted-zone --id Z0123`)"
    )


def test_what_is_no_message_is_kept_for_the_error() -> None:
    run = Run()
    for line in ("", "Error: Backend initialization required", "[1]", message("version")):
        run.read(line, 0)
    assert run.failure() == "Error: Backend initialization required\n[1]"


def test_a_message_that_a_full_disk_has_cut_is_told_to_nobody() -> None:
    run = Run()
    run.read(message("version"), 0)
    run.read('{"@level":"info","@message":"aws_vpc.this: Destr', 0)
    assert run.failure() == "it ended without saying why, as where a disk is full"
    run.read("│ Warning: Unable to open CLI configuration file", 0)
    assert run.failure().startswith("it ended without saying why, as where a disk is full\n│ Warning: Unable"), (
        "a warning isn't the reason"
    )


def test_what_went_well_before_an_error_is_not_told() -> None:
    run = Run()
    for line in ("- network in modules/network", "Error: Failed to query available provider packages", "no such host"):
        run.read(line, 0)
    assert run.failure() == "Error: Failed to query available provider packages\nno such host"


def test_the_same_error_is_told_once_and_warnings_are_none() -> None:
    run = Run()
    diagnostic = {
        "severity": "error",
        "summary": "creating VPC: VpcLimitExceeded",
        "detail": "The maximum number of VPCs has been reached.",
        "address": "module.network.aws_vpc.this",
        "range": {"filename": "network/main.tf", "start": {"line": 3}},
    }
    for found in (diagnostic, diagnostic, {"severity": "warning", "summary": "deprecated"}):
        run.read(message("diagnostic", diagnostic=found), 0)
    assert run.failure() == (
        "module.network.aws_vpc.this, network/main.tf:3: creating VPC: VpcLimitExceeded\n"
        "The maximum number of VPCs has been reached."
    )
