"""Terraform on the emulated AWS: what it makes carries traffic, it finds it as it made it, and leaves nothing."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.clients.aws_place import Place, run, running
from tests.deploy import tools

CONFIGURATION = Path(__file__).with_name("terraform")
PLUGINS = "GATEWRIGHT_TERRAFORM_PLUGINS"
SOURCE = "gatewright.test/hashicorp/aws"
PROVIDER = re.compile(r"terraform-provider-aws_v?(3\.\d+\.\d+)\w*(\.zip)?")
UNCHANGED, CHANGED = 0, 2
"""How `plan -detailed-exitcode` ends."""


def plugins(folder: Path) -> Path:
    """A folder for `-plugin-dir` with the AWS provider that is anywhere under the one that the environment names.

    Only where it names one, since this takes minutes, and the rehearsal of the platform has Terraform in it as well.
    """
    named = os.environ.get(PLUGINS)
    if not named:
        pytest.skip(f"{PLUGINS} names no folder with a provider hashicorp/aws 3.x, as .venv/tools/plugins")
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    system = f"{sys.platform}_{machine}"
    for path in sorted(Path(named).rglob("terraform-provider-aws_*"), reverse=True):
        found = PROVIDER.fullmatch(path.name)
        if found and path.is_file() and (not found[2] or system in path.name):
            version = found[1]
            place = folder / SOURCE
            link = place / f"terraform-provider-aws_{version}_{system}.zip" if found[2] else place / version / system
            link.parent.mkdir(parents=True)
            link.symlink_to(path.resolve() if found[2] else path.resolve().parent)
            return folder
    pytest.skip(f"{named} has no hashicorp/aws 3.x for {system}")


class Terraform:
    """`terraform` in a folder with the configuration, for a place."""

    def __init__(self, place: Place, folder: Path, plugins: Path) -> None:
        self._program, self._folder = tools.terraform(), folder
        self._plugins = plugins
        shutil.copytree(CONFIGURATION, folder, dirs_exist_ok=True)
        chain, key = place.authority.issue("*.example.com")
        address, port = place.pod
        variables = {
            "endpoint": place.aws.url,
            "certificate": chain.decode(),
            "key": key.decode(),
            "pods": {"one": {"address": address, "port": port}},
        }
        (folder / "terraform.tfvars.json").write_text(json.dumps(variables))
        configuration = folder / "terraform.rc"
        configuration.touch()
        self._environment = {
            **place.aws.environment,
            "TF_CLI_CONFIG_FILE": str(configuration),
            "TF_IN_AUTOMATION": "1",
            "TF_INPUT": "0",
            "CHECKPOINT_DISABLE": "1",
        }

    async def run(self, *arguments: str, status: int = 0) -> str:
        """What it prints."""
        return await run(
            self._program,
            *arguments,
            "-no-color",
            environment=self._environment,
            folder=self._folder,
            statuses=(status,),
        )

    async def init(self) -> None:
        await self.run("init", f"-plugin-dir={self._plugins}")

    def change(self, **variables: Any) -> None:
        """Set variables of the configuration from now on."""
        (self._folder / "changed.auto.tfvars.json").write_text(json.dumps(variables))

    async def apply(self) -> None:
        """Make AWS as the configuration says."""
        await self.run("apply", "-auto-approve")

    async def output(self, name: str) -> str:
        found: str = json.loads(await self.run("output", "-json", name))
        return found


async def holdings(place: Place) -> dict[str, set[str]]:
    """Names and ids of all that the account holds and Terraform could have made."""
    wanted = {
        ("acm", "list_certificates"): ("CertificateSummaryList", "CertificateArn"),
        ("ec2", "describe_addresses"): ("Addresses", "AllocationId"),
        ("ec2", "describe_network_interfaces"): ("NetworkInterfaces", "NetworkInterfaceId"),
        ("ec2", "describe_security_groups"): ("SecurityGroups", "GroupId"),
        ("elbv2", "describe_load_balancers"): ("LoadBalancers", "LoadBalancerArn"),
        ("elbv2", "describe_target_groups"): ("TargetGroups", "TargetGroupArn"),
        ("route53", "list_hosted_zones"): ("HostedZones", "Id"),
        ("s3", "list_buckets"): ("Buckets", "Name"),
        ("wafv2", "list_ip_sets"): ("IPSets", "ARN"),
        ("wafv2", "list_regex_pattern_sets"): ("RegexPatternSets", "ARN"),
        ("wafv2", "list_rule_groups"): ("RuleGroups", "ARN"),
        ("wafv2", "list_web_acls"): ("WebACLs", "ARN"),
    }
    found = {}
    for (service, operation), (members, name) in wanted.items():
        scope = {"Scope": "REGIONAL"} if service == "wafv2" else {}
        answer = await place.call(service, operation, **scope)
        found[members] = {each[name] for each in answer[members]}
    return found


@pytest.mark.slow
async def test_a_front_is_made_found_unchanged_changed_and_removed(tmp_path: Path) -> None:
    mirror = plugins(tmp_path / "plugins")
    async with running(tmp_path) as place:
        terraform = Terraform(place, tmp_path / "configuration", mirror)
        before = await holdings(place)
        await terraform.init()
        await terraform.apply()
        assert "No changes." in await terraform.run("plan", "-detailed-exitcode", status=UNCHANGED)

        for group in ("pods", "gateway"):
            await place.wait("target_in_service", TargetGroupArn=await terraform.output(group))
        hello = await place.get("front", 443, "/hello")
        assert (hello.status, hello.text.split(" by ")[0]) == (200, "/hello of shop.example.com")
        assert hello.text.endswith("for https")
        if place.network.is_loopback:
            assert hello.text.split(" by ")[1].split()[0] in await place.nodes("inner")
        plain = await place.get("front", 80, "/hello?a=b")
        assert (plain.status, plain.headers["Location"]) == (301, "https://shop.example.com:443/hello?a=b")
        assert (await place.get("front", 443, "/.git/config")).status == 403
        assert (await place.get("front", 443, "/old/page")).headers["Location"] == (
            "https://new.example.com:443/moved/old/page?from=shop.example.com"
        )
        assert (await place.get("front", 443, "/teapot"))[::2] == (418, "no coffee")
        assert (await place.get("front", 443, "/kettle")).status == 200

        terraform.change(health_path="/healthz/live", teapot_paths=["/kettle"])
        plan = await terraform.run("plan", "-detailed-exitcode", status=CHANGED)
        assert "Plan: 0 to add, 2 to change, 0 to destroy." in plan
        await terraform.apply()
        await terraform.run("plan", "-detailed-exitcode", status=UNCHANGED)
        found = await place.call("elbv2", "describe_target_groups", Names=["gateway"])
        assert found["TargetGroups"][0]["HealthCheckPath"] == "/healthz/live"
        assert (await place.get("front", 443, "/kettle"))[::2] == (418, "no coffee")
        assert (await place.get("front", 443, "/teapot")).status == 200

        await terraform.run("apply", "-destroy", "-auto-approve")
        assert await holdings(place) == before
