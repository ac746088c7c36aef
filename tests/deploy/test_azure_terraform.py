"""The platform on Azure, as Terraform would make it: with azurerm's own schema and a cloud that is invented."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import base64
import json
import re
from collections.abc import AsyncIterator
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.deploy import tools
from tests.deploy.stand_in_provider import reading
from tests.deploy.terraform import ROOT, UNCHANGED, Terraform

from gatewright.local.certificates import Authority
from gatewright.platform.outputs import Outputs

AZURE = ROOT / "deploy/azure/terraform"
CERTIFICATE = "MIIB"
ENTRY_ADDRESS = "203.0.113.7"
VAULT = "/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/other"


class Planned:
    """What Terraform has made, by its own account."""

    def __init__(self, state: Any) -> None:
        self._resources = list(_resources(state["values"]["root_module"]))

    def all(self, kind: str) -> list[dict[str, Any]]:
        """The values of all resources of a type."""
        return [each["values"] for each in self._resources if each["type"] == kind and each["mode"] == "managed"]

    def one(self, kind: str, **expected: Any) -> dict[str, Any]:
        """The values of the only resource of a type that has these."""
        [found] = [each for each in self.all(kind) if expected.items() <= each.items()]
        return found


def _resources(module: Any) -> list[Any]:
    inner = [each for child in module.get("child_modules", []) for each in _resources(child)]
    return [*module.get("resources", []), *inner]


def named(blocks: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """The block of this name."""
    [found] = [block for block in blocks if block["name"] == name]
    return found


@pytest.fixture(scope="module")
def authority() -> str:
    return Authority.create("the Gateway's").pem.decode()


@pytest.fixture
async def terraform(tmp_path: Path, authority: str) -> AsyncIterator[Terraform]:
    answers = {
        "azurerm_public_ip__ip_address": ENTRY_ADDRESS,
        "data__azurerm_client_config__subscription_id": "00000000-0000-0000-0000-000000000000",
        "azurerm_key_vault_certificate__certificate_data_base64": CERTIFICATE,
        "azurerm_dns_zone__name_servers": ["ns2.example.net", "ns1.example.net"],
    }
    with reading("azurerm", AZURE, **answers) as environment:
        configuration = Terraform(tools.terraform(), tmp_path / "terraform", AZURE, environment=environment)
        configuration.set(gateway_ca_certificate=authority)
        await configuration("init")
        yield configuration


async def test_the_platform_is_made_with_what_it_has_by_default(terraform: Terraform, authority: str) -> None:
    await terraform("apply", "-auto-approve")
    outputs = msgspec.convert(await terraform.outputs(), Outputs)
    made = Planned(json.loads(await terraform("show", "-json")))
    assert outputs.architecture == "chained"
    assert (outputs.name, outputs.cluster_name, outputs.resource_group) == ("platform",) * 3
    assert outputs.hostnames == ("platform.example.com", "*.platform.example.com")
    assert outputs.entry == ENTRY_ADDRESS
    assert outputs.cluster_endpoint.startswith("https://")
    assert outputs.cluster_certificate_authority
    assert outputs.hosted_zone_id == ""
    assert outputs.entry_certificate == CERTIFICATE, "verify takes it for the authority of what clients see"

    subnets = {each["name"]: IPv4Network(each["address_prefixes"][0]) for each in made.all("azurerm_subnet")}
    assert set(subnets) == {"platform-entry", "platform-nodes", "platform-gateway"}
    assert all(subnet.subnet_of(IPv4Network("10.20.0.0/16")) for subnet in subnets.values())
    assert not any(one.overlaps(other) for one in subnets.values() for other in subnets.values() if one is not other)
    address = IPv4Address(outputs.gateway_address)
    assert outputs.gateway_subnet == "platform-gateway"
    assert address in list(subnets["platform-gateway"])[4:-1]

    gateway = made.one("azurerm_application_gateway", name=outputs.application_gateway)
    [pool] = gateway["backend_address_pool"]
    assert pool["ip_addresses"] == [outputs.gateway_address]
    [root] = gateway["trusted_root_certificate"]
    assert base64.b64decode(root["data"]).decode() == authority
    [settings] = gateway["backend_http_settings"]
    assert (settings["protocol"], settings["port"], settings["trusted_root_certificate_names"]) == (
        "Https",
        443,
        [root["name"]],
    )
    # A request keeps its host, which routes are about.
    assert (settings["host_name"], settings["pick_host_name_from_backend_address"]) == (None, None)
    probe = named(gateway["probe"], settings["probe_name"])
    assert (probe["protocol"], probe["host"], probe["path"]) == ("Https", "platform.example.com", "/healthz/ready")
    clear, secure = named(gateway["http_listener"], "http"), named(gateway["http_listener"], "https")
    assert secure["host_names"] == ["*.platform.example.com", "platform.example.com"]
    [certificate] = gateway["ssl_certificate"]
    assert certificate["key_vault_secret_id"] == made.one("azurerm_key_vault_certificate")["versionless_secret_id"]
    assert secure["ssl_certificate_name"] == certificate["name"]
    [policy] = [each for each in made.one("azurerm_key_vault")["access_policy"] if each["secret_permissions"]]
    entry = made.one("azurerm_user_assigned_identity", name="platform-entry")
    assert (policy["object_id"], policy["secret_permissions"]) == (entry["principal_id"], ["Get"])
    assert entry["id"] in gateway["identity"][0]["identity_ids"]
    assert gateway["ssl_policy"][0]["policy_name"] == "AppGwSslPolicy20220101S"
    rules = {rule["http_listener_name"]: rule for rule in gateway["request_routing_rule"]}
    redirect = named(gateway["redirect_configuration"], rules[clear["name"]]["redirect_configuration_name"])
    assert (redirect["redirect_type"], redirect["target_listener_name"]) == ("Permanent", secure["name"])
    assert rules[secure["name"]]["backend_address_pool_name"] == pool["name"]
    ports = {port["name"]: port["port"] for port in gateway["frontend_port"]}
    assert [ports[each["frontend_port_name"]] for each in (clear, secure)] == [80, 443]

    # A platform's name may have one character, a workspace's has to have four.
    assert made.one("azurerm_log_analytics_workspace")["name"] == "platform-logs"
    firewall = made.one("azurerm_web_application_firewall_policy")
    assert gateway["firewall_policy_id"] == firewall["id"]
    assert firewall["policy_settings"][0]["mode"] == "Prevention"
    cluster = made.one("azurerm_kubernetes_cluster")
    [system] = cluster["default_node_pool"]
    user = made.one("azurerm_kubernetes_cluster_node_pool")
    # An upgrade takes the nodes along, which stay what they were where nothing is said.
    assert {system["orchestrator_version"], user["orchestrator_version"]} == {"1.35"}
    assert (system["only_critical_addons_enabled"], system["node_labels"]) == (True, {"role": "system"})
    assert (user["mode"], user["node_labels"], user["node_taints"]) == ("User", {"role": "user"}, [])
    assert cluster["network_profile"][0]["network_plugin_mode"] == "overlay"
    pods, services = (IPv4Network(cluster["network_profile"][0][each]) for each in ("pod_cidr", "service_cidr"))
    assert not any(each.overlaps(IPv4Network("10.0.0.0/8")) for each in (pods, services))
    # The load balancer gets its address in a subnet that isn't the nodes': the cluster has to be allowed to.
    identity = made.one("azurerm_user_assigned_identity", name="platform-cluster")
    allowed = {
        each["scope"]
        for each in made.all("azurerm_role_assignment")
        if (each["principal_id"], each["role_definition_name"]) == (identity["principal_id"], "Network Contributor")
    }
    assert allowed == {made.one("azurerm_subnet", name=f"platform-{each}")["id"] for each in ("nodes", "gateway")}

    await terraform("plan", "-detailed-exitcode", status=UNCHANGED)
    await terraform("apply", "-destroy", "-auto-approve")
    assert not (await terraform("state", "list")).strip()


async def test_an_own_certificate_address_zone_and_administrators(terraform: Terraform, authority: str) -> None:
    terraform.set(
        gateway_ca_certificate=authority,
        name="edge-of-the-platform",
        vnet_cidr="10.64.0.0/18",
        gateway_address="10.64.0.100",
        certificate_secret_id="https://other.vault.azure.net/secrets/clients",
        certificate_key_vault_id=VAULT,
        create_dns_zone=True,
        domain="edge.example.org",
        authorized_ip_ranges=["203.0.113.0/24"],
        cluster_admin_group_ids=["00000000-0000-0000-0000-000000000001"],
        waf_mode="Detection",
        tags={"team": "platform"},
    )
    await terraform("apply", "-auto-approve")
    outputs = msgspec.convert(await terraform.outputs(), Outputs)
    made = Planned(json.loads(await terraform("show", "-json")))
    assert outputs.gateway_address == "10.64.0.100"
    assert outputs.hosted_zone_id == made.one("azurerm_dns_zone", name="edge.example.org")["id"]
    assert (await terraform.outputs())["name_servers"] == ["ns1.example.net", "ns2.example.net"]
    address = made.one("azurerm_public_ip", name="edge-of-the-platform-entry")["id"]
    assert {(each["name"], each["target_resource_id"]) for each in made.all("azurerm_dns_a_record")} == {
        ("@", address),
        ("*", address),
    }
    assert not made.all("azurerm_key_vault")
    reader = made.one("azurerm_role_assignment", scope=VAULT)
    entry = made.one("azurerm_user_assigned_identity", name="edge-of-the-platform-entry")
    assert (reader["role_definition_name"], reader["principal_id"]) == ("Key Vault Secrets User", entry["principal_id"])
    cluster = made.one("azurerm_kubernetes_cluster")
    assert cluster["local_account_disabled"]
    # Nodes come to the API by the NAT gateway, and are to be let in as well.
    egress = made.one("azurerm_public_ip", name="edge-of-the-platform-nat")["ip_address"]
    ranges = cluster["api_server_access_profile"][0]["authorized_ip_ranges"]
    assert set(ranges) == {"203.0.113.0/24", f"{egress}/32"}
    assert made.one("azurerm_resource_group")["tags"] == {"platform": "edge-of-the-platform", "team": "platform"}


async def test_what_can_not_be_is_refused_before_anything_is_made(terraform: Terraform, authority: str) -> None:
    wrong: dict[str, Any] = {
        "name": "Platform",
        "location": "West Europe",
        "zones": ["1"],
        "domain": "*.example.com",
        "vnet_cidr": "192.168.0.0/16",
        "gateway_address": "10.20.1",
        "gateway_ca_certificate": "MIIB",
        "certificate_secret_id": "clients",
        "kubernetes_version": "1.35.2",
        "system_nodes": {"min": 1},
        "user_nodes": {"min": 3, "max": 2},
        "authorized_ip_ranges": ["203.0.113.7"],
        "cluster_admin_group_ids": ["administrators"],
        "ingress_cidrs": [],
        "entry_capacity": {"max": 1},
        "waf_mode": "Off",
        "waf_rate_limit": 0,
        "log_retention_days": 7,
    }
    declared = set(re.findall(r'^variable "(\w+)"', (AZURE / "variables.tf").read_text(), re.MULTILINE))
    assert declared - set(wrong) == {"tags", "create_dns_zone", "certificate_key_vault_id"}
    terraform.set(**wrong)
    with pytest.raises(Exception, match="Invalid value for variable") as refused:
        await terraform("plan")
    said = " ".join(str(refused.value).split())
    for name in wrong:
        assert re.search(rf"{name} (must|needs)", said), name

    terraform.set(gateway_ca_certificate=authority, certificate_key_vault_id=VAULT)
    with pytest.raises(Exception, match="must be given together"):
        await terraform("plan")
    for reserved in ("10.20.1.3", "10.20.1.255", "10.20.2.10"):
        terraform.set(gateway_ca_certificate=authority, gateway_address=reserved)
        with pytest.raises(Exception, match="must be in the gateway subnet"):
            await terraform("plan")


async def test_it_is_formatted(terraform: Terraform) -> None:
    await terraform("fmt", "-check", "-recursive", str(AZURE))
