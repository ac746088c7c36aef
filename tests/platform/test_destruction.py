"""Taking a platform down: what has load balancers first, everything waited for, nothing touched that isn't there."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.platform.cluster import QUICK, Cluster, Rounds, application, child, cluster, resource
from tests.platform.test_steps import Told

from gatewright.platform import orphans
from gatewright.platform.argocd import CASCADE
from gatewright.platform.destruction import Destruction
from gatewright.platform.errors import StepFailed
from gatewright.platform.objects import APPLICATIONS
from gatewright.platform.outputs import Outputs
from gatewright.platform.situation import OtherAccount, Situation
from gatewright.platform.steps import carry_out
from gatewright.platform.targets import Architecture, Settings, Target
from gatewright.platform.terraformlog import Run
from gatewright.platform.tree import Tree
from gatewright.platform.waiting import Patience
from gatewright.platform.workspace import State, Workspace

GATEWAY = "gateway.networking.k8s.io/v1"
TERRAFORM = [
    "assemble {'deletion_protection': False}",
    "terraform init",
    "terraform plan of all",
    "terraform plan of aws_lb.this",  # and not of what isn't there
    "terraform 1 to update",
    "terraform 1 to delete",
]
EVERY = ("secrets", "argocd", "applications", "binding", "verify", "terraform", "kubeconfig", "certificates")


class FakeTerraform:
    """Terraform, as far as a destruction uses it; writes down what it is told."""

    begun = True

    def __init__(self, calls: list[str]) -> None:
        self._calls = calls

    async def init(self) -> None:
        self._calls.append("terraform init")

    async def plan(self, *, destroy: bool = False, targets: Sequence[str] = ()) -> Run:
        if not destroy:
            self._calls.append(f"terraform plan of {', '.join(targets) or 'all'}")
            protected = [("update", "aws_lb.this")]
            return Run(planned=protected if targets else [("create", "aws_nat_gateway.this"), *protected])
        return Run(planned=[("delete", "aws_vpc.this")])

    async def apply(self, plan: Run) -> None:
        self._calls.append(f"terraform {plan.summary()}")


class FakeAws:
    """An account that has load balancers until its cluster's controllers have taken them down."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    async def __aenter__(self) -> FakeAws:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def call(self, service: str, operation: str, **parameters: Any) -> Any:
        if operation == "get_caller_identity":
            return {"Account": self._ground.credentials_of}
        if operation == "list_resource_record_sets":
            marker = (
                '"heritage=external-dns,external-dns/owner=platform,external-dns/resource=gateway/edge/shared-gateway"'
            )
            values = {f"a-{name}": marker for name in self._ground.records} | {"txt.example.com": '"v=spf1 -all"'}
            return {
                "ResourceRecordSets": [
                    {"Name": f"{name}.", "Type": "TXT", "TTL": 300, "ResourceRecords": [{"Value": value}]}
                    for name, value in values.items()
                ]
            }
        if operation == "describe_cluster":
            if not self._ground.has_cluster:
                from gatewright.aws.errors import NotFound

                raise NotFound("ResourceNotFoundException", "No cluster", "eks:describe_cluster")
            return {"cluster": {}}
        assert operation == "describe_tags"
        tags = [{"Key": "elbv2.k8s.aws/cluster", "Value": "platform"}]
        others = [{"Key": "kubernetes.io/cluster/platform", "Value": "shared"}]
        arns = parameters["ResourceArns"]
        return {"TagDescriptions": [{"ResourceArn": arn, "Tags": others if "front" in arn else tags} for arn in arns]}

    async def pages(self, service: str, operation: str, items: str, **_: Any) -> list[Any]:
        assert operation == "describe_load_balancers"
        names = ["front", *self._ground.left]
        return [{"LoadBalancerArn": f"arn:aws:elb:{name}", "LoadBalancerName": name} for name in names]


class Ground(Situation):
    """A platform on a cluster of the tests', with Terraform and AWS that write down what they are told."""

    calls: list[str]
    left: list[str]
    records: list[str]
    has_cluster: bool = True
    credentials_of: str = "111122223333"
    patience: Patience = QUICK

    def assemble(self, **ending: Any) -> None:
        self.calls.append(f"assemble {ending}")

    def terraform(self) -> Any:
        return FakeTerraform(self.calls)

    def aws(self) -> Any:
        return FakeAws(self)


def ground(
    folder: Path, *, target: Target = Target.AWS, architecture: Architecture = Architecture.CHAINED, zone: str = ""
) -> Ground:
    workspace = Workspace(folder / "w")
    settings = Settings(
        target=target, architecture=architecture, region="eu-west-1", repository="https://git.example.com/x.git"
    )
    outputs = Outputs(
        name="platform",
        region="eu-west-1",
        architecture=architecture,
        cluster_name="platform",
        account_id="111122223333",
        hosted_zone_id=zone,
    )
    workspace.write(State(settings=settings, done=dict.fromkeys(EVERY, "x"), outputs=outputs))
    found = Ground(workspace, Tree(folder), Told(), lambda _: True)
    found.calls, found.left, found.records = [], [], []
    return found


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Cluster]:
    async with cluster(tmp_path) as found:
        yield found


async def destroy(ground: Ground) -> list[str]:
    destruction = Destruction(ground)
    told = Told()
    ground.progress = told
    destruction._progress = told
    await carry_out(destruction.steps(), destruction, told)
    return told.lines


def gateway(name: str = "shared-gateway", **metadata: Any) -> dict[str, Any]:
    return {
        "apiVersion": GATEWAY,
        "kind": "Gateway",
        "metadata": {"name": name, "namespace": "edge", **metadata},
        "spec": {"gatewayClassName": "istio", "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]},
    }


class Controllers:
    """Argo CD and a load balancer controller: take their finalizers away once what they made is gone, in some steps."""

    def __init__(self, place: Cluster, ground: Ground) -> None:
        self._place, self._ground = place, ground

    async def step(self) -> None:
        for found in await self._deleted(APPLICATIONS, "applications", "argocd"):
            name = found["metadata"]["name"]
            if (found["status"].get("operationState") or {}).get("phase") == "Running":
                continue  # as upstream's: a deletion is looked at after the operation
            self._ground.calls.append(f"application {name} deleted")
            if name == "gateway":
                await self._place.client.request("DELETE", f"/apis/{GATEWAY}/namespaces/edge/gateways/shared-gateway")
                self._ground.left.clear()
            for each in found["status"]["resources"]:
                if each["kind"] == "Application":
                    await self._delete(each["name"])
            await self._free(APPLICATIONS, "applications", found)

    async def _delete(self, name: str) -> None:
        from gatewright.cluster import NotFound

        try:
            await self._place.client.request("DELETE", f"/apis/{APPLICATIONS}/namespaces/argocd/applications/{name}")
        except NotFound:
            return

    async def _deleted(self, api: str, plural: str, namespace: str) -> list[dict[str, Any]]:
        from gatewright.platform import objects

        found = await objects.items(self._place.client, api, plural, namespace)
        return [each for each in found if each["metadata"].get("deletionTimestamp")]

    async def _free(self, api: str, plural: str, found: dict[str, Any]) -> None:
        metadata = found["metadata"]
        await self._place.patch(
            api, plural, metadata["namespace"], metadata["name"], {"metadata": {"finalizers": None}}
        )


async def stand(place: Cluster, ground: Ground, *, controlled: bool = True) -> None:
    """A platform, as Argo CD would have made it; its controllers work unless it isn't `controlled`."""
    if controlled:
        ground.patience = Rounds(meanwhile=Controllers(place, ground).step)
    ground.workspace.kubeconfig.write_bytes(place.kubeconfig.read_bytes())
    ground.left = ["k8s-edge-gateway"]
    root = application("platform", resources=(child("gateway"), child("app1")), finalizers=(CASCADE,))
    root["spec"]["syncPolicy"] = {"automated": {"prune": True, "selfHeal": True}}
    part = resource("Gateway", "shared-gateway", group="gateway.networking.k8s.io", namespace="edge")
    await place.put(
        root,
        application("gateway", resources=(part,), finalizers=(CASCADE,)),
        application("app1", resources=(resource("Deployment", "app1", group="apps", namespace="edge"),)),
        gateway(),
    )


async def test_load_balancers_go_before_the_applications_and_terraform_last(tmp_path: Path, place: Cluster) -> None:
    it = ground(tmp_path)
    await stand(place, it)
    told = await destroy(it)
    assert (
        it.calls
        == [
            "application gateway deleted",
            "application platform deleted",
            "application app1 deleted",  # without a finalizer of its own, it was given the one that cascades
            *TERRAFORM[:-1],
            "terraform 1 to delete",
        ]
    )
    assert next(line for line in told if line.startswith("end")) == "end none is left"
    assert await place.get("v1", "namespaces", "", "argocd") is None
    assert it.workspace.read() is None
    assert it.workspace.folder.name not in os.listdir(tmp_path)


async def test_what_hangs_is_named_with_its_finalizer_and_a_second_run_goes_on(tmp_path: Path, place: Cluster) -> None:
    it = ground(tmp_path)
    await stand(place, it)
    await place.client.request("DELETE", f"/apis/{GATEWAY}/namespaces/edge/gateways/shared-gateway")
    await place.put(gateway(finalizers=["example.com/hold"]))
    with pytest.raises(StepFailed, match="waiting until Gateway edge/shared-gateway is gone") as caught:
        await destroy(it)
    assert "its finalizers: example.com/hold" in str(caught.value)
    assert "run `gatewright destroy` again" in caught.value.remedy
    assert not any("terraform" in call for call in it.calls)
    found = await place.get(APPLICATIONS, "applications", "argocd", "platform")
    assert found is not None, "the rest still stands"
    assert "automated" not in found["spec"].get("syncPolicy", {})

    await place.patch(GATEWAY, "gateways", "edge", "shared-gateway", {"metadata": {"finalizers": None}})
    await destroy(it)
    assert it.calls[-1] == "terraform 1 to delete"


async def test_gateways_and_services_that_no_application_made_go_too(tmp_path: Path, place: Cluster) -> None:
    it = ground(tmp_path)
    it.workspace.kubeconfig.write_bytes(place.kubeconfig.read_bytes())
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "s", "namespace": "edge"},
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
    }
    inner = {**service, "metadata": {"name": "inner", "namespace": "edge"}, "spec": {"ports": [{"port": 80}]}}
    await place.put(gateway("by-hand"), service, inner)
    await destroy(it)
    assert await orphans.fronts(place.client) == []
    assert await place.get("v1", "services", "edge", "inner") is not None


async def test_a_load_balancer_that_stays_in_aws_stops_it_and_is_named(tmp_path: Path, place: Cluster) -> None:
    it = ground(tmp_path)
    it.workspace.kubeconfig.write_bytes(place.kubeconfig.read_bytes())
    it.left = ["k8s-edge-gateway"]
    with pytest.raises(StepFailed, match="AWS still has k8s-edge-gateway") as caught:
        await destroy(it)
    assert "aws elbv2 delete-load-balancer --load-balancer-arn arn:aws:elb:k8s-edge-gateway" in str(caught.value)
    assert it.calls == []


async def test_a_sync_that_still_waits_for_something_does_not_hold_the_deletion(tmp_path: Path, place: Cluster) -> None:
    it = ground(tmp_path)
    await stand(place, it)
    for name in ("platform", "gateway"):
        running = {"status": {"operationState": {"phase": "Running", "message": "waiting for healthy state of ..."}}}
        await place.patch(APPLICATIONS, "applications", "argocd", name, running)
    await destroy(it)
    assert it.calls[-1] == "terraform 1 to delete"


async def test_a_sync_of_the_root_is_ended_before_it_makes_anew_what_is_deleted(tmp_path: Path, place: Cluster) -> None:
    it = ground(tmp_path)
    await stand(place, it, controlled=False)
    await place.patch(
        APPLICATIONS, "applications", "argocd", "platform", {"status": {"operationState": {"phase": "Running"}}}
    )
    with pytest.raises(StepFailed, match="waiting until Application argocd/gateway"):
        await destroy(it)  # nobody takes the finalizers away
    root = await place.get(APPLICATIONS, "applications", "argocd", "platform")
    assert root is not None
    assert root["status"]["operationState"]["phase"] == "Terminating"


async def test_records_that_the_controller_has_written_go_before_it(tmp_path: Path, place: Cluster) -> None:
    it = ground(tmp_path, architecture=Architecture.DIRECT, zone="Z1")
    await stand(place, it)
    it.records = ["platform.example.com"]
    with pytest.raises(StepFailed, match=r"AWS still has TXT a-platform\.example\.com") as caught:
        await destroy(it)
    assert "zone Z1: TXT a-platform.example.com" in str(caught.value)
    assert it.calls == ["application gateway deleted"], "its controller is still there"
    it.records.clear()
    await destroy(it)
    assert it.calls[-1] == "terraform 1 to delete"


async def test_credentials_of_another_account_are_refused_before_anything_is_lost(
    tmp_path: Path, place: Cluster
) -> None:
    it = ground(tmp_path)
    await stand(place, it)
    it.credentials_of = "999988887777"
    with pytest.raises(StepFailed, match=r"is in account 111122223333, the credentials are of 999988887777") as caught:
        await destroy(it)
    assert "AWS_PROFILE" in caught.value.remedy
    assert it.calls == []
    assert await place.get(GATEWAY, "gateways", "edge", "shared-gateway") is not None
    assert it.workspace.read() is not None


async def test_the_account_is_known_from_the_first_credentials_with_which_terraform_begins(tmp_path: Path) -> None:
    it = ground(tmp_path)
    it.workspace.write(State(settings=it.settings))
    it = Ground(it.workspace, it.given_tree, Told(), lambda _: True)
    await it.know_account()
    assert it.account == "111122223333"
    it.credentials_of = "999988887777"
    await it.know_account()  # somebody has chosen another profile, before anything was made
    assert it.account == "999988887777"
    it.record("terraform", "")
    it.credentials_of = "111122223333"
    with pytest.raises(OtherAccount):
        await it.know_account()
    kept = it.workspace.read()
    assert kept is not None
    assert kept.account == "999988887777"


async def test_a_cluster_that_does_not_answer_stops_it_only_where_something_would_be_left(tmp_path: Path) -> None:
    it = ground(tmp_path)
    it.workspace.kubeconfig.write_text(unreachable())
    it.left = ["k8s-edge-gateway"]
    with pytest.raises(StepFailed, match=r"the cluster doesn't answer .* and AWS still has k8s-edge-gateway"):
        await destroy(it)
    it.left = []
    await destroy(it)
    assert it.calls[-1] == "terraform 1 to delete"


def unreachable() -> str:
    cluster = {"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}
    context = {"name": "c", "context": {"cluster": "c", "user": "c"}}
    found = {"clusters": [cluster], "contexts": [context], "users": [{"name": "c", "user": {}}], "current-context": "c"}
    return msgspec.json.encode({"apiVersion": "v1", "kind": "Config", **found}).decode()


async def test_a_half_made_platform_goes_too(tmp_path: Path) -> None:
    it = ground(tmp_path)
    it.forget(*EVERY)
    it.record("terraform", "")
    told = await destroy(it)
    assert it.calls == TERRAFORM
    assert (
        "end there is no kubeconfig, so nothing was put into a cluster; the cloud has nothing that its controllers made"
        in told
    )


async def test_a_platform_whose_terraform_never_began_needs_none(tmp_path: Path) -> None:
    it = ground(tmp_path)
    it.forget(*EVERY)
    it.left = ["k8s-of-another-cluster-of-this-name"]
    assert "end it made nothing" in await destroy(it)
    assert it.calls == []


async def test_the_rehearsal_is_gone_with_its_edge(tmp_path: Path) -> None:
    it = ground(tmp_path, target=Target.LOCAL)
    told = await destroy(it)
    assert it.calls == []
    assert "end all that it made is gone with the local edge" in told
    assert it.workspace.read() is None


def test_a_load_balancer_is_the_clusters_by_its_tags() -> None:
    def tags(**found: str) -> list[dict[str, str]]:
        return [{"Key": name.replace("_", "/"), "Value": value} for name, value in found.items()]

    assert orphans.of_cluster([{"Key": "elbv2.k8s.aws/cluster", "Value": "platform"}], "platform")
    assert not orphans.of_cluster([{"Key": "elbv2.k8s.aws/cluster", "Value": "other"}], "platform")
    assert orphans.of_cluster(tags(**{"kubernetes.io_cluster_platform": "owned"}), "platform")
    assert not orphans.of_cluster(tags(**{"kubernetes.io_cluster_platform": "shared"}), "platform")
