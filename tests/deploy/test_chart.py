"""The controller's chart: what it renders, what it refuses, and that it says the same as config/ does."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from tests.controller_command.roles import granted, objects
from tests.deploy.chart import CLUSTER, FOLDER, NAMESPACE, by_kind, rendered, template
from tests.deploy.tools import helm

from gatewright import __version__
from gatewright.cli.controller import Feature
from gatewright.cluster import Client
from gatewright.local.apiserver import ApiServer, Store

ROOT = Path(__file__).parents[2]
ALL = {"features": [str(each) for each in Feature]}

VARIANTS: dict[str, dict[str, Any]] = {
    "the least": {},
    "everything": {
        **ALL,
        "region": "eu-central-1",
        "vpcId": "vpc-0123456789abcdef0",
        "defaultTags": {"team": "platform", "cost center": 'a=b: $(HOME) "c"', "9": "9"},
        "defaultTargetType": "instance",
        "trustStoreBucket": "trust.example",
        "resyncSeconds": 30.5,
        "dns": {"domainFilters": ["example.com", "example.org"], "policy": "sync", "txtOwnerId": "prod"},
        "log": {"format": "console", "level": "debug"},
        "replicas": 3,
        "image": {"repository": "registry.example.com:5000/a/gatewright", "digest": f"sha256:{'0' * 64}"},
        "imagePullSecrets": [{"name": "registry"}],
        "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::123456789012:role/a"}},
        "networkPolicy": {"metricsFrom": [{"namespaceSelector": {}}]},
        "podDisruptionBudget": {"maxUnavailable": "50%"},
        "affinity": {"nodeAffinity": {}},
        "env": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
        "podAnnotations": {"a": "b"},
        "podLabels": {"c": "d"},
    },
    "one replica, without what is optional": {
        "replicas": 1,
        "metrics": {"service": {"enabled": False}},
        "networkPolicy": {"enabled": False},
        "priorityClassName": "",
        "tolerations": [],
        "nodeSelector": {},
        "serviceAccount": {"create": False, "name": "theirs"},
        "rbac": {"create": False},
    },
}


def container(values: dict[str, Any]) -> dict[str, Any]:
    (found,) = by_kind(rendered(CLUSTER | values))["Deployment"]["spec"]["template"]["spec"]["containers"]
    return dict(found)


def test_it_has_the_projects_version() -> None:
    chart = yaml.safe_load((FOLDER / "Chart.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert chart["version"] == chart["appVersion"] == project["version"] == __version__


def test_its_crds_are_those_of_config() -> None:
    def files(folder: Path) -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in folder.iterdir()}

    assert files(FOLDER / "crds") == files(ROOT / "config/crd")


@pytest.mark.parametrize("variant", VARIANTS)
def test_lint(variant: str, tmp_path: Path) -> None:
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump(CLUSTER | VARIANTS[variant]))
    done = subprocess.run([helm(), "lint", "--strict", str(FOLDER), "-f", str(values)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("variant", VARIANTS)
async def test_a_cluster_takes_all_of_it(variant: str) -> None:
    made = rendered(CLUSTER | VARIANTS[variant])
    crds = [yaml.safe_load(file.read_text()) for file in (FOLDER / "crds").iterdir()]
    async with (
        ApiServer(Store.memory()) as server,
        Client.with_token(server.url, server.token, server.ca_certificate) as client,
    ):
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        await client.apply(namespace, field_manager="t")
        for each in [*crds, *made]:
            await client.request("PATCH", _path(each), {"fieldManager": "t", "fieldValidation": "Strict"},
                                 msgspec.json.encode(each), "application/apply-patch+yaml")  # fmt: skip


_PLURALS = {"NetworkPolicy": "networkpolicies"}


def _path(obj: dict[str, Any]) -> str:
    metadata = obj["metadata"]
    api = "api/v1" if obj["apiVersion"] == "v1" else f"apis/{obj['apiVersion']}"
    within = f"namespaces/{metadata['namespace']}/" if "namespace" in metadata else ""
    return f"/{api}/{within}{_PLURALS.get(obj['kind'], obj['kind'].lower() + 's')}/{metadata['name']}"


def test_what_the_pods_are_told() -> None:
    assert container({})["args"] == [
        "controller",
        "--cluster-name=prod",
        "--features=gateways,ingresses,services,edge-bindings",
        "--default-target-type=ip",
        "--resync=300",
        "--dns-policy=upsert-only",
        "--lease-name=gatewright",
        "--health-address=$(POD_IP):8081",
        "--metrics-address=$(POD_IP):8080",
        "--log-format=json",
        "--log-level=info",
    ]
    assert container(VARIANTS["everything"])["args"] == [
        "controller",
        "--cluster-name=prod",
        f"--features={','.join(Feature)}",
        "--region=eu-central-1",
        "--vpc-id=vpc-0123456789abcdef0",
        "--default-tag=9=9",
        '--default-tag=cost center=a=b: $$(HOME) "c"',
        "--default-tag=team=platform",
        "--default-target-type=instance",
        "--trust-store-bucket=trust.example",
        "--resync=30.5",
        "--domain-filter=example.com",
        "--domain-filter=example.org",
        "--dns-policy=sync",
        "--txt-owner-id=prod",
        "--lease-name=gatewright",
        "--health-address=$(POD_IP):8081",
        "--metrics-address=$(POD_IP):8080",
        "--log-format=console",
        "--log-level=debug",
    ]


def test_the_pods_may_do_little() -> None:
    found = by_kind(rendered(CLUSTER))
    pod = found["Deployment"]["spec"]["template"]["spec"]
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": 65532,
        "runAsGroup": 65532,
        "fsGroup": 65532,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    (only,) = pod["containers"]
    assert only["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"cpu", "memory"} <= set(only["resources"]["requests"]) & set(only["resources"]["limits"])
    assert found["NetworkPolicy"]["spec"]["policyTypes"] == ["Ingress", "Egress"]
    assert "volumes" not in pod


def test_the_pods_are_where_the_cluster_keeps_its_own() -> None:
    found = by_kind(rendered(CLUSTER))
    spec = found["Deployment"]["spec"]
    pod = spec["template"]["spec"]
    assert spec["replicas"] == 2
    assert pod["priorityClassName"] == "system-cluster-critical"
    assert pod["tolerations"] == [{"key": "CriticalAddonsOnly", "operator": "Exists"}]
    assert [each["topologyKey"] for each in pod["topologySpreadConstraints"]] == [
        "topology.kubernetes.io/zone",
        "kubernetes.io/hostname",
    ]
    assert found["PodDisruptionBudget"]["spec"]["maxUnavailable"] == 1


def test_everything_selects_its_pods() -> None:
    found = by_kind(rendered(CLUSTER | {"metrics": {"serviceMonitor": {"enabled": True, "labels": {"a": "b"}}}}))
    labels = found["Deployment"]["spec"]["template"]["metadata"]["labels"]
    pod = found["Deployment"]["spec"]["template"]["spec"]
    for selector in (
        found["Deployment"]["spec"]["selector"]["matchLabels"],
        found["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        found["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
        found["Service"]["spec"]["selector"],
        *(each["labelSelector"]["matchLabels"] for each in pod["topologySpreadConstraints"]),
    ):
        assert selector.items() <= labels.items()
    monitor = found["ServiceMonitor"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= found["Service"]["metadata"]["labels"].items()
    assert monitor["metadata"]["labels"]["a"] == "b"
    ports = {each["name"]: each["containerPort"] for each in pod["containers"][0]["ports"]}
    assert ports == {"health": 8081, "metrics": 8080}
    assert found["Service"]["spec"]["ports"][0]["targetPort"] in ports


def test_its_roles_with_all_features_are_those_of_config() -> None:
    ours = by_kind([each for each in objects() if each["kind"].endswith("Role")])
    chart = by_kind(rendered(CLUSTER | ALL))
    for kind in ("ClusterRole", "Role"):
        assert sorted(granted(chart[kind])) == sorted(granted(ours[kind]))
        assert chart[kind]["metadata"]["name"] == ours[kind]["metadata"]["name"]
        assert chart[f"{kind}Binding"]["roleRef"] == {
            "apiGroup": "rbac.authorization.k8s.io",
            "kind": kind,
            "name": chart[kind]["metadata"]["name"],
        }
        (subject,) = chart[f"{kind}Binding"]["subjects"]
        account = chart["ServiceAccount"]["metadata"]
        assert subject == {"kind": "ServiceAccount", "name": account["name"], "namespace": account["namespace"]}


@pytest.mark.parametrize("feature", Feature)
def test_a_features_rules_are_among_those_of_all(feature: Feature) -> None:
    everything = set(granted(by_kind(rendered(CLUSTER | ALL))["ClusterRole"]))
    alone = set(granted(by_kind(rendered(CLUSTER | {"features": [feature]}))["ClusterRole"]))
    assert alone < everything


@pytest.mark.parametrize("features", [["services", "edge-bindings"], ["dns", "certificates"]])
def test_who_imports_no_certificates_reads_no_secrets(features: list[str]) -> None:
    """The reference platform's controller behind Terraform's load balancer is such a one."""
    rules = by_kind(rendered(CLUSTER | {"features": features}))["ClusterRole"]["rules"]
    assert not [each for each in rules if "secrets" in each["resources"]]


def test_who_tells_all_in_its_bindings_statuses_writes_no_events() -> None:
    rules = by_kind(rendered(CLUSTER | {"features": ["edge-bindings"]}))["ClusterRole"]["rules"]
    assert not [each for each in rules if "events" in each["resources"]]


def test_another_release_has_other_names() -> None:
    names = {each["metadata"]["name"] for each in rendered(CLUSTER, release="blue")}
    assert names == {
        "blue-gatewright",
        "blue-gatewright-controller",
        "blue-gatewright-leader",
        "blue-gatewright-metrics",
    }
    (lease,) = by_kind(rendered(CLUSTER, release="blue"))["Role"]["rules"][1]["resourceNames"]
    assert lease == "blue-gatewright"


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({}, "missing property 'clusterName'"),
        ({"clusterName": ""}, "at '/clusterName': minLength"),
        ({"clusterName": "a b"}, "at '/clusterName'"),
        (CLUSTER | {"features": ["gateway"]}, "at '/features/0': value must be one of 'gateways'"),
        (CLUSTER | {"features": []}, "at '/features': minItems"),
        (CLUSTER | {"feature": ["dns"]}, "additional properties 'feature' not allowed"),
        (CLUSTER | {"replicas": "two"}, "at '/replicas': got string, want integer"),
        (CLUSTER | {"region": "Frankfurt"}, "at '/region'"),
        (CLUSTER | {"vpcId": "10.0.0.0/16"}, "at '/vpcId'"),
        (CLUSTER | {"image": {"digest": "latest"}}, "at '/image/digest'"),
        (CLUSTER | {"dns": {"policy": "delete"}}, "at '/dns/policy': value must be one of 'upsert-only', 'sync'"),
        (CLUSTER | {"defaultTags": {"Aws:a": "b"}}, 'defaultTags: found the key "Aws:a"'),
        (
            CLUSTER | {"metrics": {"service": {"enabled": False}, "serviceMonitor": {"enabled": True}}},
            "metrics.serviceMonitor.enabled: it watches a Service",
        ),
    ],
)
def test_values_that_are_refused(values: dict[str, Any], told: str) -> None:
    done = template(values)
    assert done.returncode != 0
    assert told in done.stderr


def test_every_value_is_described() -> None:
    schema = msgspec.json.decode((FOLDER / "values.schema.json").read_bytes())
    values = yaml.safe_load((FOLDER / "values.yaml").read_text())

    def check(described: dict[str, Any], known: dict[str, Any], path: str) -> None:
        assert described["additionalProperties"] is False, path
        for name, each in described["properties"].items():
            assert each["description"].endswith("."), f"{path}{name}"
            assert name in known or f"{path}{name}" in ("clusterName", "global"), f"{path}{name} has no default"
            if "properties" in each:
                check(each, known[name], f"{path}{name}.")
        assert set(known) <= set(described["properties"])

    check(schema, values, "")


def _dockerfile() -> list[tuple[str, str]]:
    text = re.sub(r"\\\n", " ", (ROOT / "deploy/Dockerfile").read_text())
    lines = [line.split(None, 1) for line in text.splitlines() if line and not line.startswith("#")]
    return [(word, rest) for word, rest in lines]


def test_the_image_is_built_of_what_is_there() -> None:
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert ignored[0] == "*"
    copied = [
        source
        for word, rest in _dockerfile()
        if word == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    ]
    for source in copied:
        assert (ROOT / source).exists()
        assert f"!{source}" in ignored


def test_the_image_is_of_one_version_and_runs_as_nobody() -> None:
    lines = _dockerfile()
    bases = {rest.split()[0] for word, rest in lines if word == "FROM"}
    assert len(bases) == 1
    assert all(re.fullmatch(r"python:3\.1[1-9]\.\d+-slim-[a-z]+", base) for base in bases)
    assert ("ARG", f"VERSION={__version__}") in lines
    user = next(rest for word, rest in lines if word == "USER")
    pod = by_kind(rendered(CLUSTER))["Deployment"]["spec"]["template"]["spec"]["securityContext"]
    assert user == f"{pod['runAsUser']}:{pod['runAsGroup']}"
    assert ("ENTRYPOINT", '["gatewright"]') in lines
