"""Both configurations use only what the pinned providers know, by the providers' own schemas; so says Terraform.

The rehearsal applies `deploy/aws/terraform` to the emulated AWS with an old provider, which knows less; this is what
the current one makes of it.
"""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.deploy import tools
from tests.deploy.schemas import read
from tests.deploy.stand_in_provider import reading
from tests.deploy.terraform import AWS, REHEARSAL, ROOT, UNCHANGED, Terraform

from gatewright.platform.outputs import Outputs

AZURE = ROOT / "deploy/azure/terraform"
PROVIDER = """
terraform {
  required_providers {
    azurerm = { source = "hashicorp/azurerm" }
  }
}

provider "azurerm" {
  features {}
}
"""
RIGHT = """
resource "azurerm_public_ip" "right" {
  name                = "right"
  resource_group_name = "group"
  location            = "westeurope"
  allocation_method   = "Static"
}

resource "azurerm_virtual_network" "right" {
  name                = "right"
  resource_group_name = "group"
  location            = "westeurope"
  address_space       = ["10.0.0.0/8"]

  encryption {
    enforcement = "AllowUnencrypted"
  }
}

output "address" {
  value = azurerm_public_ip.right.ip_address
}
"""
WRONG = {
    "a type that there isn't": (
        'resource "azurerm_public_ipp" "a" {}',
        'does not support resource type "azurerm_public_ipp"',
    ),
    "data that there isn't": (
        'data "azurerm_everything" "a" {}',
        'does not support data source "azurerm_everything"',
    ),
    "an argument that there isn't": (
        RIGHT.replace("allocation_method ", "allocation_metho"),
        'An argument named "allocation_metho" is not expected here',
    ),
    "an argument that is missing": (
        RIGHT.replace('  allocation_method   = "Static"\n', ""),
        'The argument "allocation_method" is required',
    ),
    "an argument that is only computed": (
        RIGHT.replace('"Static"', '"Static"\n  ip_address = "192.0.2.1"'),
        "its value will be decided automatically",
    ),
    "a block as an argument": (
        re.sub(r"encryption \{(.*?)\}", r"encryption = {\1}", RIGHT, flags=re.DOTALL),
        'An argument named "encryption" is not expected here. Did you mean to define a block',
    ),
    "an argument as a block": (
        RIGHT.replace('address_space       = ["10.0.0.0/8"]', "address_space {}"),
        'Blocks of type "address_space" are not expected here. Did you mean to define argument',
    ),
    "a block that there isn't": (
        RIGHT.replace("encryption {", "decryption {"),
        'Blocks of type "decryption" are not expected here',
    ),
    "a block twice": (
        RIGHT.replace("  encryption {", '  encryption {\n    enforcement = "DropUnencrypted"\n  }\n\n  encryption {'),
        "No more than 1",
    ),
    "an argument of a block that is missing": (
        RIGHT.replace('enforcement = "AllowUnencrypted"', ""),
        'The argument "enforcement" is required',
    ),
    "a value of another type": (
        RIGHT.replace('["10.0.0.0/8"]', '"10.0.0.0/8"'),
        'Inappropriate value for attribute "address_space"',
    ),
    "a reference to nothing": (
        RIGHT.replace("right.ip_address", "right.ip_adress"),
        'This object has no argument, nested block, or exported attribute named "ip_adress"',
    ),
    "an option of the provider that there isn't": (
        RIGHT.replace('"right"\n  resource', '"right"\n  provider = azurerm.other\n  resource')
        + 'provider "azurerm" {\n  alias = "other"\n  features {}\n  subscription = "a"\n}',
        'An argument named "subscription" is not expected here',
    ),
}


def test_a_schema_is_read_from_the_bindings() -> None:
    schema = read(
        tools.bindings("azurerm"),
        "azurerm",
        ["azurerm_kubernetes_cluster", "azurerm_application_gateway", "azurerm_nothing"],
        ["azurerm_client_config"],
    )
    assert set(schema.resources) == {"azurerm_kubernetes_cluster", "azurerm_application_gateway"}
    cluster = schema.resources["azurerm_kubernetes_cluster"]
    assert cluster.attributes["location"] == ("string", True, False, False)
    assert cluster.attributes["fqdn"] == ("string", False, False, True)
    kind, [_, fields] = cluster.attributes["kube_config"].type
    assert (kind, fields["cluster_ca_certificate"]) == ("list", "string")
    pool = cluster.blocks["default_node_pool"]
    assert (pool.nesting, pool.required, pool.once) == ("list", True, True)
    assert pool.block.attributes["zones"].type == ["set", "string"]
    assert pool.block.attributes["node_labels"].type == ["map", "string"]
    assert cluster.blocks["timeouts"].nesting == "single"
    listener = schema.resources["azurerm_application_gateway"].blocks["http_listener"]
    assert (listener.nesting, listener.required, listener.once) == ("set", True, False)
    assert schema.data["azurerm_client_config"].attributes["tenant_id"].computed
    assert "features" in schema.provider.blocks
    assert "subscription_id" in schema.provider.attributes


async def test_what_a_provider_does_not_know_is_found(tmp_path: Path) -> None:
    texts = {"right": RIGHT} | {name: text for name, (text, _) in WRONG.items()}
    for name, text in texts.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "main.tf").write_text(PROVIDER + text)
    with reading("azurerm", tmp_path) as environment:
        said = {}
        for name in texts:
            terraform = Terraform(tools.terraform(), tmp_path / name, environment=environment)
            await terraform("init")
            # A status is a fact here, too: 1 is "not valid".
            said[name] = json.loads(await terraform("validate", "-json", status=int(name != "right")))
    assert said.pop("right")["valid"]
    for name, (_, expected) in WRONG.items():
        found = " ".join(f"{each['summary']} {each['detail']}" for each in said[name]["diagnostics"])
        assert expected in " ".join(found.split()), (name, found)


@pytest.mark.parametrize("architecture", ["chained", "direct"])
async def test_the_configuration_for_aws_is_what_the_current_provider_knows(tmp_path: Path, architecture: str) -> None:
    answers: dict[str, Any] = {
        "data__aws_availability_zones__names": ["eu-central-1a", "eu-central-1b", "eu-central-1c"],
        "data__aws_caller_identity__account_id": "123456789012",
        "data__aws_partition__partition": "aws",
        "aws_acm_certificate__domain_validation_options": [
            {
                "domain_name": "platform.example.com",
                "resource_record_name": "_check.platform.example.com.",
                "resource_record_type": "CNAME",
                "resource_record_value": "_checked.acm-validations.aws.",
            }
        ],
    }
    with reading("aws", AWS, **answers) as environment:
        terraform = Terraform(tools.terraform(), tmp_path, AWS, environment=environment)
        terraform.set(
            architecture=architecture, region="eu-central-1", create_hosted_zone=True, single_nat_gateway=False
        )
        await terraform("init")
        await terraform("validate")
        await terraform("apply", "-auto-approve")
        outputs = msgspec.convert(await terraform.outputs(), Outputs)
        assert (outputs.region, outputs.architecture) == ("eu-central-1", architecture)
        assert outputs.controller_role_arn
        assert bool(outputs.alb_arn) == bool(outputs.target_group_arn) == (architecture == "chained")
        await terraform("plan", "-detailed-exitcode", status=UNCHANGED)
        await terraform("apply", "-destroy", "-auto-approve")


async def test_a_rehearsal_points_the_current_provider_at_the_emulated_aws(tmp_path: Path) -> None:
    """By endpoints and a proxy under the names that this version has for them."""
    answers = {
        "data__aws_availability_zones__names": ["us-east-1a", "us-east-1b"],
        "data__aws_caller_identity__account_id": "123456789012",
        "data__aws_partition__partition": "aws",
    }
    with reading("aws", AWS, **answers) as environment:
        terraform = Terraform(tools.terraform(), tmp_path, AWS, REHEARSAL / "common", environment=environment)
        terraform.set(create_hosted_zone=True, rehearsal_endpoint="http://127.0.0.1:5000")
        await terraform("init")
        await terraform("validate")
        await terraform("plan")
        terraform.set(create_hosted_zone=True, rehearsal_endpoint="http://192.0.2.1:5000")
        with pytest.raises(Exception, match="has to be an address of this machine"):
            await terraform("plan")


async def test_what_only_a_real_account_would_refuse_or_let_through(tmp_path: Path) -> None:
    answers = {
        "data__aws_availability_zones__names": ["us-east-1a", "us-east-1b"],
        "data__aws_caller_identity__account_id": "123456789012",
        "data__aws_partition__partition": "aws",
    }
    with reading("aws", AWS, **answers) as environment:
        terraform = Terraform(tools.terraform(), tmp_path, AWS, environment=environment)
        terraform.set(
            name="platform-of-20-chars",
            backend_protocol="HTTP",
            cluster_public_access_cidrs=[],
            certificate_arn="arn:aws:acm:us-east-1:123456789012:certificate/c",
        )
        await terraform("init")
        await terraform("apply", "-auto-approve")
        made = list(_resources(json.loads(await terraform("show", "-json"))["values"]["root_module"]))
        for name in ("sg-platform", "internal-platform"):
            terraform.set(name=name, certificate_arn="arn:aws:acm:us-east-1:123456789012:certificate/c")
            with pytest.raises(Exception, match="name can't begin with"):
                await terraform("plan")

    def one(kind: str, address: str) -> dict[str, Any]:
        (found,) = (each["values"] for each in made if each["type"] == kind and each["address"].startswith(address))
        return found  # type: ignore[no-any-return]

    # Names of target groups and load balancers have 32 characters, those of buckets 63.
    assert len(one("aws_lb_target_group", "module.alb")["name"]) <= 32
    assert len(one("aws_s3_bucket", "module.logs")["bucket"]) + len("ap-southeast-1") - len("us-east-1") <= 63
    # By this header `verify` knows the ALB's own answers. Unmentioned, the provider turns it off.
    listeners = [each["values"] for each in made if each["type"] == "aws_lb_listener"]
    assert [each["routing_http_response_server_enabled"] for each in listeners] == [True, True]
    # In some zones EKS has no control planes.
    (zones,) = (each["values"] for each in made if each["type"] == "aws_availability_zones")
    assert set(zones["exclude_zone_ids"]) == {"use1-az3", "usw1-az2", "cac1-az3"}
    # Network policies admit what comes from public subnets: the control plane must have no interface there.
    network = one("aws_eks_cluster", "module.cluster")["vpc_config"][0]
    private = {each["values"]["id"] for each in made if each["address"].startswith("module.network.aws_subnet.private")}
    assert set(network["subnet_ids"]) == private
    assert not network["endpoint_public_access"]
    # An upgrade takes nodes and add-ons along, which stay what they were where nothing is said.
    version = one("aws_eks_cluster", "module.cluster")["version"]
    assert {each["values"]["version"] for each in made if each["type"] == "aws_eks_node_group"} == {version}
    addons = {each["values"]["addon_name"]: each["values"] for each in made if each["type"] == "aws_eks_addon"}
    offers = {each["values"]["addon_name"]: each["values"] for each in made if each["type"] == "aws_eks_addon_version"}
    assert addons.keys() == offers.keys()
    for name, offer in offers.items():
        assert (offer["kubernetes_version"], addons[name]["addon_version"]) == (version, offer["version"])
    # Only pods of the controller get the role, whoever associates it with others.
    [statement] = json.loads(one("aws_iam_role", "module.identity")["assume_role_policy"])["Statement"]
    association = one("aws_eks_pod_identity_association", "module.identity")
    assert statement["Condition"]["StringEquals"] == {
        "aws:RequestTag/eks-cluster-name": "platform-of-20-chars",
        "aws:RequestTag/kubernetes-namespace": association["namespace"],
        "aws:RequestTag/kubernetes-service-account": association["service_account"],
    }


def _resources(module: dict[str, Any]) -> list[dict[str, Any]]:
    """The resources and data of a module and of those in it, as `terraform show` has them."""
    inner = [each for child in module.get("child_modules", ()) for each in _resources(child)]
    return [*module.get("resources", ()), *inner]


@pytest.mark.parametrize(
    ("tree", "provider", "version"),
    [(AWS, "aws", "~> 6.25"), (AZURE, "azurerm", "~> 4.55")],
    ids=["aws", "azure"],
)
def test_the_oldest_provider_that_is_allowed_is_the_one_of_the_schema(tree: Path, provider: str, version: str) -> None:
    pinned = re.search(
        rf'source\s*=\s*"hashicorp/{provider}"\s*version\s*=\s*"([^"]+)"', (tree / "versions.tf").read_text()
    )
    assert pinned is not None
    assert pinned[1] == version
