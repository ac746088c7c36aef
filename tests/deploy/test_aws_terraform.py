"""The platform's configuration for AWS: what it refuses, how it lays networks out, what stands in for an old provider.

It is applied to an empty emulated account, found unchanged, changed and removed in `tests/e2e/test_platform.py`; what
the pinned provider makes of it is in `test_provider_schemas.py`.
"""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import itertools
import json
import re
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from tests.clients.aws_place import Failed
from tests.deploy.stand_in_provider import reading
from tests.deploy.terraform import AWS, REHEARSAL, ROOT, Terraform
from tests.deploy.tools import terraform

NETWORKS = {
    "two zones": ("10.0.0.0/16", []),
    "six zones in a small network": ("10.1.16.0/20", [f"eu-central-1{letter}" for letter in "abcdef"]),
}


@pytest.mark.parametrize(("network", "zones"), NETWORKS.values(), ids=NETWORKS)
async def test_each_zone_gets_networks_that_do_not_overlap(tmp_path: Path, network: str, zones: list[str]) -> None:
    """A private and a public one, where nobody names their own."""
    names = [f"eu-central-1{letter}" for letter in "abc"]
    with reading("aws", AWS, data__aws_availability_zones__names=names) as environment:
        configuration = Terraform(terraform(), tmp_path, AWS, environment=environment)
        configuration.set(**RIGHT, region="eu-central-1", vpc_cidr=network, zones=zones)
        await configuration("init")
        await configuration("plan", "-out=computed")
        planned = json.loads(await configuration("show", "-json", "computed"))
    found = [
        IPv4Network(each["values"]["cidr_block"])
        for module in planned["planned_values"]["root_module"]["child_modules"]
        if module["address"] == "module.network"
        for each in module["resources"]
        if each["type"] == "aws_subnet"
    ]
    assert len(found) == 2 * (len(zones) or 2)
    assert all(each.subnet_of(IPv4Network(network)) for each in found)
    assert not any(one.overlaps(other) for one, other in itertools.combinations(found, 2))


async def test_what_terraform_has_is_formatted() -> None:
    for folder in (AWS, REHEARSAL):
        printed = await Terraform(terraform(), folder)("fmt", "-check", "-recursive")
        assert printed == ""


WRONG = {
    "name": ["Platform", "a-name-that-is-too-long", "1st", "ends-", "two--hyphens"],
    "region": ["frankfurt"],
    "architecture": ["istio"],
    "vpc_cidr": ["10.0.0.0/24", "10.0.0.1/16", "vpc"],
    "zones": ['["eu-central-1a"]', '["eu-central-1a","eu-central-1a"]'],
    "public_subnet_cidrs": ['["10.0.0.0/24"]'],
    "private_subnet_cidrs": ['["10.0.0.0/24"]'],
    "kubernetes_version": ["1.20", "1.35.1"],
    "cluster_public_access_cidrs": ['["anywhere"]'],
    "cluster_admins": ['["me"]'],
    "system_nodes": ['{"instance_types":["m7i.large"],"min":3,"max":2,"desired":3}'],
    "user_nodes": ['{"instance_types":[],"min":1,"max":2,"desired":1}'],
    "domain": ["localhost", "Platform.Example.com", "*.example.com"],
    "hosted_zone_id": ["/hostedzone/Z123"],
    "certificate_arn": ["a certificate", ""],
    "ingress_cidrs": ["[]"],
    "backend_protocol": ["https"],
    "ssl_policy": ["ELBSecurityPolicy-2016-08", "ELBSecurityPolicy-TLS13-1-0-2021-06"],
    "access_log_retention_days": ["0"],
    "web_acl_mode": ["Prevention"],
    "web_acl_rate_limit": ["1"],
}
RIGHT = {"certificate_arn": "arn:aws:acm:us-east-1:123456789012:certificate/1"}


async def test_wrong_values_are_refused_by_the_names_of_their_variables(tmp_path: Path) -> None:
    (tmp_path / "variables.tf").write_text((AWS / "variables.tf").read_text())
    configuration = Terraform(terraform(), tmp_path)
    configuration.set(**RIGHT)
    await configuration("plan")

    async def refused(name: str, value: str) -> None:
        with pytest.raises(Failed) as failure:
            await configuration("plan", "-lock=false", f"-var={name}={value}")
        assert "Invalid value for variable" in str(failure.value), (name, value)
        assert re.search(rf"on variables.tf line \d+:\s+\d+: variable \"{name}\"", str(failure.value)), (name, value)

    for name, values in WRONG.items():
        for value in values:
            await refused(name, value)


async def test_the_example_is_right(tmp_path: Path) -> None:
    (tmp_path / "variables.tf").write_text((AWS / "variables.tf").read_text())
    (tmp_path / "terraform.tfvars").write_text((AWS / "terraform.tfvars.example").read_text())
    await Terraform(terraform(), tmp_path)("plan")


def test_variables_and_outputs_are_described() -> None:
    for path in sorted(AWS.rglob("*.tf")):
        for kind, name, body in re.findall(r'^(variable|output) "(\w+)" \{\n(.*?)^\}', path.read_text(), re.M | re.S):
            assert re.search(r'^  description += ".{5,}"$', body, re.M), (path, name)
            assert kind == "output" or re.search(r"^  type +=", body, re.M), (path, name)


def test_every_variable_with_a_range_is_checked() -> None:
    """Those that take any value of their type are free text, or yes and no."""
    text = (AWS / "variables.tf").read_text()
    blocks = dict(re.findall(r'^variable "(\w+)" \{\n(.*?)^\}', text, re.M | re.S))
    unchecked = {name for name, body in blocks.items() if "validation {" not in body}
    assert unchecked == {"tags", "deletion_protection", "force_destroy", "single_nat_gateway", "create_hosted_zone"}
    assert WRONG.keys() == blocks.keys() - unchecked


@pytest.mark.parametrize("name", ["policy", "dns"])
def test_the_controller_gets_the_policies_of_the_project(name: str) -> None:
    ours = AWS / "modules/identity/policies" / f"{name}.json"
    assert json.loads(ours.read_text()) == json.loads((ROOT / f"config/iam/{name}.json").read_text())


def test_what_the_old_provider_needs_takes_the_place_of_something() -> None:
    """A file of the rehearsal that replaces none would add to the configuration instead of standing in for it."""
    declared = re.compile(r'^resource "(\w+)" "(\w+)"', re.M)
    for layer in ("common", "provider-3"):
        for path in (REHEARSAL / layer).rglob("*.tf"):
            if path.name.endswith("_override.tf") or path.name == "rehearsal.tf":
                continue
            replaced = AWS / path.relative_to(REHEARSAL / layer)
            assert replaced.is_file(), path
            assert set(declared.findall(path.read_text())) <= set(declared.findall(replaced.read_text())), path
