"""Terraform's configuration, as it is put together in a workspace."""

from __future__ import annotations

import json
import os
import stat
import sys
from pathlib import Path

import pytest

from gatewright.platform.configuration import PLUGINS, environment, files, find_plugins, sources, variables
from gatewright.platform.errors import PlatformError, UsageError
from gatewright.platform.rehearsal import RehearsalEdge
from gatewright.platform.targets import Settings, Target
from gatewright.platform.tree import (
    Tree,
    assemble,
    check_variable_file,
    content_digest,
    find_tree,
    keep_variable_files,
)
from gatewright.platform.workspace import Workspace

LOCAL = Settings(target=Target.LOCAL, region="us-east-1", repository="https://git.local/x.git")
EDGE = RehearsalEdge(
    pid=1,
    boot="b",
    kubeconfig="/k",
    ca="/ca",
    aws={"AWS_ENDPOINT_URL": "http://127.0.0.1:5000", "AWS_ACCESS_KEY_ID": "test"},
    dns="127.0.0.1:53",
    vpc_cidr="127.9.0.0/16",
    public_subnet_cidrs=("127.9.64.0/20", "127.9.80.0/20"),
    private_subnet_cidrs=("127.9.0.0/18", "127.9.128.0/17"),
    zones=("us-east-1a", "us-east-1b"),
    repository="https://git.local/x.git",
)


def tree(folder: Path) -> Path:
    for name in ("gitops/argocd", "aws/terraform/modules/network", "local/terraform/common"):
        (folder / name).mkdir(parents=True)
    (folder / "aws/terraform/main.tf").write_text("# ours")
    (folder / "aws/terraform/terraform.tfvars").write_text("leaked = true")
    (folder / "aws/terraform/modules/network/main.tf").write_text("# network")
    (folder / "local/terraform/common/provider_override.tf").write_text("# override")
    return folder


def test_the_tree_is_the_given_one_or_that_of_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deploy = tree(tmp_path / "repository/deploy")
    assert find_tree(deploy) == find_tree(tmp_path / "repository") == Tree(deploy)
    assert Tree(deploy).repository == tmp_path / "repository"
    monkeypatch.chdir(tmp_path / "repository")
    assert find_tree(None).folder == deploy
    with pytest.raises(UsageError, match="expected the folders aws/terraform and gitops"):
        find_tree(tmp_path)


def test_this_checkout_has_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    found = find_tree(None)
    assert (found.terraform(Target.AWS) / "main.tf").exists()
    assert (found.terraform(Target.AZURE) / "main.tf").exists()


def test_a_configuration_is_put_together_anew_and_terraforms_own_files_stay(tmp_path: Path) -> None:
    deploy = tree(tmp_path / "deploy")
    folder = tmp_path / "terraform"
    folder.mkdir()
    for own in ("terraform.tfstate", ".terraform.lock.hcl", "terraform.tfstate.backup"):
        (folder / own).write_text("kept")
    (folder / ".terraform").mkdir()
    (folder / "gone.tf").write_text("left from an earlier version")
    (folder / "modules/old").mkdir(parents=True)
    found = sources(Tree(deploy), LOCAL, None)
    assemble(found, {"x.auto.tfvars.json": b"{}"}, folder)
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()) == [
        ".terraform.lock.hcl",
        "main.tf",
        "modules/network/main.tf",
        "provider_override.tf",
        "terraform.tfstate",
        "terraform.tfstate.backup",
        "x.auto.tfvars.json",
    ]
    assert stat.S_IMODE((folder / "x.auto.tfvars.json").stat().st_mode) == 0o600
    with pytest.raises(PlatformError, match="nowhere isn't there"):
        assemble([tmp_path / "nowhere"], {}, folder)


def test_a_digest_is_of_names_and_contents(tmp_path: Path) -> None:
    deploy = tree(tmp_path / "deploy")
    found = [deploy / "aws/terraform"]
    before = content_digest(found)
    (deploy / "aws/terraform/.terraform").mkdir()
    (deploy / "aws/terraform/.terraform/x").write_text("no matter")
    assert content_digest(found) == before
    (deploy / "aws/terraform/modules/network/main.tf").rename(deploy / "aws/terraform/modules/network/n.tf")
    assert content_digest(found) != before


def test_the_rehearsal_gets_the_edges_addresses_and_an_old_provider_its_override(tmp_path: Path) -> None:
    ours = variables(LOCAL, b"", EDGE)
    assert ours["vpc_cidr"] == "127.9.0.0/16"
    assert ours["private_subnet_cidrs"] == ["127.9.0.0/18", "127.9.128.0/17"]
    assert ours["rehearsal_endpoint"] == "http://127.0.0.1:5000"
    provider = tmp_path / "registry.terraform.io/hashicorp/aws/3.39.0" / system()
    provider.mkdir(parents=True)
    found = find_plugins({PLUGINS: str(tmp_path)}, tmp_path / "w")
    assert found is not None
    assert found.version == "3.39.0"
    assert [path.name for path in sources(Tree(tmp_path), LOCAL, found)] == ["terraform", "common", "provider-3"]
    newer = provider.parent.parent / "6.25.0" / system()
    newer.mkdir(parents=True)
    found = find_plugins({PLUGINS: str(tmp_path)}, tmp_path / "w")
    assert found is not None
    assert [path.name for path in sources(Tree(tmp_path), LOCAL, found)] == ["terraform", "common"]


def test_providers_beside_this_environment_are_taken_unless_terraform_is_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    assert find_plugins({}, tmp_path / "w") is None
    place = tmp_path / "tools/plugins"
    (place / "registry.terraform.io/hashicorp/aws/3.39.0" / system()).mkdir(parents=True)
    found = find_plugins({}, tmp_path / "w")
    assert found is not None
    assert (found.folder, found.version) == (place, "3.39.0")
    assert find_plugins({PLUGINS: ""}, tmp_path / "w") is None


def test_a_provider_that_lies_in_no_layout_gets_one(tmp_path: Path) -> None:
    program = tmp_path / "anywhere/terraform-provider-aws_v3.39.0_x5"
    program.parent.mkdir()
    program.write_text("a program")
    for _ in range(2):
        found = find_plugins({PLUGINS: str(tmp_path)}, tmp_path / "w")
        assert found is not None
        assert found.version == "3.39.0"
        place = found.folder / "registry.terraform.io/hashicorp/aws/3.39.0" / system() / program.name
        assert place.read_text() == "a program"
    with pytest.raises(PlatformError, match=r"PLUGINS: found no provider in .*/none, expected registry.terraform.io/"):
        find_plugins({PLUGINS: str(tmp_path / "none")}, tmp_path / "w")


def test_a_folder_with_providers_of_azure_is_one_wherever_terraform_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mirror/registry.terraform.io/hashicorp/azurerm").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert find_plugins({PLUGINS: "mirror"}, tmp_path / "w") == (tmp_path / "mirror", "")


def system() -> str:
    import platform
    import sys

    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return f"{sys.platform}_{machine}"


def test_azure_gets_the_gateways_authority() -> None:
    azure = Settings(target=Target.AZURE, region="westeurope", domain="x.example.com")
    assert variables(azure, b"PEM", None) == {
        "name": "platform",
        "location": "westeurope",
        "domain": "x.example.com",
        "gateway_ca_certificate": "PEM",
    }


def test_what_is_given_sorts_after_ours_and_single_variables_last(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path / "w")
    for name, text in (("b.tfvars", 'zones = ["x"]'), ("a.tfvars.json", '{"tags": {}}')):
        (tmp_path / name).write_text(text)
        check_variable_file(tmp_path / name)
    keep_variable_files([tmp_path / "b.tfvars", tmp_path / "a.tfvars.json"], workspace.variables)
    settings = Settings(target=Target.AWS, variables={"zones": ["y"]}, backend={"bucket": "b"})
    found = files(settings, {"name": "platform"}, workspace)
    tfvars = [name for name in sorted(found) if ".auto." in name]
    assert tfvars == [
        "gatewright.auto.tfvars.json",
        "given-01-b.auto.tfvars",
        "given-02-a.auto.tfvars.json",
        "variables.auto.tfvars.json",
    ]
    assert json.loads(found["variables.auto.tfvars.json"]) == {"zones": ["y"]}
    assert b'backend "s3" {}' in found["backend_override.tf"]
    keep_variable_files([tmp_path / "b.tfvars"], workspace.variables)
    assert [path.name for path in workspace.variables.iterdir()] == ["given-01-b.auto.tfvars"]


def test_what_can_not_be_kept_leaves_what_was_given_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, given = tmp_path / "variables", tmp_path / "a.tfvars"
    given.write_text("before = 1")
    keep_variable_files([given], folder)

    def full(path: Path, content: bytes) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("gatewright.platform.tree.write_private", full)
    with pytest.raises(OSError, match="No space"):
        keep_variable_files([given], folder)
    assert [path.read_text() for path in folder.iterdir()] == ["before = 1"]


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("x.txt", "", "expected a name that ends in .tfvars"),
        ("x.tfvars", '  region   = "x"', "it sets region"),
        ("x.tfvars.json", '{"location": "x"}', "it sets location"),
        ("x.tfvars.json", "[]", "found no JSON object"),
    ],
)
def test_files_of_variables_that_can_not_be_meant_are_refused(tmp_path: Path, name: str, text: str, found: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=found):
        check_variable_file(tmp_path / name)
    with pytest.raises(UsageError, match="can't be read"):
        check_variable_file(tmp_path / "none.tfvars")


def test_the_rehearsal_knows_no_account_of_the_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "x")
    monkeypatch.setenv("TF_VAR_name", "production")
    monkeypatch.setenv("TF_CLI_ARGS", "-var=x=y")
    found = environment(LOCAL, EDGE)
    assert not {"AWS_PROFILE", "AWS_SESSION_TOKEN", "TF_VAR_name", "TF_CLI_ARGS"} & set(found)
    assert found["AWS_ENDPOINT_URL"] == "http://127.0.0.1:5000"
    azure = Settings(target=Target.AZURE, region="westeurope")
    assert environment(azure, None, "of-the-platform")["ARM_SUBSCRIPTION_ID"] == "of-the-platform"
    real = environment(Settings(target=Target.AWS, region="eu-west-1"), None)
    assert (real["AWS_PROFILE"], real["AWS_REGION"]) == ("production", "eu-west-1")
    assert os.environ["AWS_PROFILE"] == "production"
