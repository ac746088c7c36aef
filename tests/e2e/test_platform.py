"""The rehearsal: from nothing to a verified platform of either architecture, changed, broken, put right, and destroyed.

Both stand at the same time, since what takes time is mostly waiting. Every test leaves them whole for the next; the
last one takes them down.
"""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import json
import re
import signal
import ssl
import stat
import urllib.error
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import pytest
import yaml
from tests.deploy import aws_account, tools
from tests.deploy.aws_account import Account
from tests.deploy.terraform import UNCHANGED
from tests.e2e.edge_process import Cluster, eventually, fetch
from tests.e2e.rehearsed import Rehearsed, ended

from gatewright.local.aws.process import AwsProcess
from gatewright.local.block import Block
from gatewright.platform.outputs import Outputs

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("platform")]

STEPS = ["Prerequisites", "Local edge", "Certificates", "Terraform", "Kubeconfig", "Secrets", "Argo CD", "Applications"]
STEPS += ["Binding", "Verification"]
DONE_ANEW = {"Prerequisites", "Certificates", "Verification"}
"""What a second run of `deploy` looks at again; all else stands."""
ALL = {"cluster", "aws", "dns", "endpoint", "redirect", "certificate", "tls-version", "acm", "load-balancer"}
ALL |= {"target-health", "web-acl", "access-logs", "status", "deletion", "application", "argocd", "controller", "node"}
ALL |= {"placement", "isolation"}
CHAINED = {"backend-certificate", "mesh", "mutual-tls", "authorization"}
DIRECT = {"network-policy"}
NAME = "platform.example.com"
PATHS = {"/app1": "App 1", "/app2": "App 2", "/api/users": "Ada"}
AZURE_ALONE = {"resource_group", "application_gateway", "gateway_address", "gateway_subnet", "entry_certificate"}
ROLE = "kubernetes.io/role/internal-elb"
STANDING = re.compile(
    r"CustomResourceDefinition .*|GatewayClass (gatewright|istio)|Namespace (default|kube-.*)"
    r"|ServiceAccount (default|kube-.*)/default|ClusterRole(Binding)? (cluster-admin|system:.*)"
)
"""What is in a cluster of the local edge from the start."""


class Platforms(NamedTuple):
    """One of each architecture."""

    chained: Rehearsed
    direct: Rehearsed


@pytest.fixture(scope="module")
def platforms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platforms]:
    """Both, deployed; the one of the direct architecture by a command that was killed, and run again."""
    for needed in (tools.terraform, tools.aws_provider, tools.helm, tools.kubectl):
        needed()  # skips
    folder = tmp_path_factory.mktemp("platforms")
    both = Platforms(Rehearsed(folder / "chained"), Rehearsed(folder / "direct"))
    try:
        chained = both.chained.start("deploy")
        killed = both.direct.start("deploy", "--architecture", "direct", "--var", "single_nat_gateway=true")
        eventually(lambda: both.direct.applying() and both.direct.made() > 10, "Terraform is at work", 120)
        assert killed.interrupt(signal.SIGKILL) == 128 + signal.SIGKILL
        both.direct.run("deploy")
        both.chained.ended(chained)
        yield both
    finally:
        for platform in both:
            platform.close()


def test_both_stand_and_are_verified(platforms: Platforms) -> None:
    for platform, own in zip(platforms, (CHAINED, DIRECT), strict=True):
        said = platform.runs[-1].out
        assert re.findall(r"^✓ (.*?) \(", said, re.M) == STEPS
        assert f"export KUBECONFIG={platform.folder / 'kubeconfig'}\n" in said
        report = platform.report()
        assert report.ok
        assert {check.id for check in report.checks} == ALL | own
        skipped = {check.id: check.found for check in report.checks if check.outcome == "skipped"}
        assert skipped.keys() == {"web-acl"}
        assert "the emulated WAF doesn't have AWS's managed rule groups" in skipped["web-acl"]
        assert json.loads((platform.folder / "report.json").read_bytes())["checks"]


def test_a_deployment_that_was_killed_went_on_where_it_was(platforms: Platforms) -> None:
    """Terraform wasn't killed with it, so that nothing it made is unknown; the second run waits for it."""
    [killed, again, *_] = platforms.direct.runs
    assert "✓ Terraform" not in killed.out
    assert re.search(r"^✓ Terraform \(", again.out, re.M)
    assert "✓ Local edge (stands)" in again.out


def test_status(platforms: Platforms) -> None:
    for platform, architecture, count in zip(platforms, ("chained", "direct"), (14, 9), strict=True):
        found = json.loads(platform.run("status", "-o", "json"))
        assert (found["settings"]["architecture"], found["problems"]) == (architecture, [])
        assert {step["state"] for step in found["steps"]} == {"done"}
        assert found["edge"] == platform.edge["pid"]
        assert len(found["applications"]) == count
        assert {(each["sync"], each["health"]) for each in found["applications"]} == {("Synced", "Healthy")}
        [balancer] = found["balancers"]
        assert balancer.startswith("k8s-edge-")
        assert f"{architecture}, in {platform.folder}\n" in platform.run("status")


async def test_clients_get_through(platforms: Platforms) -> None:
    """By the names in the zone, with the certificate that ACM issued for them."""
    for platform in platforms:
        for path, text in PATHS.items():
            answer = await platform.get(f"https://{NAME}{path}")
            assert (answer.status, text in answer.body) == (200, True), (path, answer)
            moved = await platform.get(f"http://{NAME}{path}?a=b")
            assert (moved.status, moved.headers["location"]) == (301, f"https://{NAME}:443{path}?a=b")
        assert (await platform.get(f"https://any.{NAME}/app1")).status in (200, 404)
        assert (await platform.get(f"https://{NAME}/nothing")).status == 404
        with pytest.raises(ssl.SSLCertVerificationError):
            fetch(f"https://{platform.addresses(NAME)[0]}/app1", sni=NAME)


async def test_what_terraform_made(platforms: Platforms) -> None:
    zones: list[str] = platforms.chained.edge["zones"]
    for platform, policies in zip(platforms, ({"policy"}, {"policy", "dns"}), strict=True):
        account, outputs = platform.account, platform.outputs
        found = await platform.terraform.outputs()
        assert found.keys() - {"name_servers"} == set(Outputs.__struct_fields__) - AZURE_ALONE
        await aws_account.check_cluster(account, outputs, platform.cluster.server)
        await aws_account.check_identity(account, outputs, policies=policies)
        await aws_account.check_certificate(account, outputs)
        await aws_account.check_bucket(account, outputs)
        await aws_account.check_firewall(account, outputs)
    await check_chained(platforms.chained, zones)
    await check_direct(platforms.direct)


async def check_chained(platform: Rehearsed, zones: list[str]) -> None:
    account, outputs = platform.account, platform.outputs
    assert outputs.architecture == "chained"
    await aws_account.check_network(account, outputs, zones)
    await aws_account.check_balancer(account, outputs)
    nodes = await aws_account.rules(account, await aws_account.nodes_group(account))
    assert {port for port, *_ in nodes} == {80, 443, 15021}


async def check_direct(platform: Rehearsed) -> None:
    account, outputs = platform.account, platform.outputs
    assert outputs.architecture == "direct"
    absent = (outputs.entry, outputs.alb_arn, outputs.target_group_arn, outputs.target_group_name)
    assert (*absent, outputs.target_group_port) == ("", "", "", "", 0)
    assert len((await account.holdings())["NatGateways"]) == 1
    nodes = await aws_account.rules(account, await aws_account.nodes_group(account))
    assert {(port, source) for port, _, source in nodes} == {(0, outputs.security_group_id)}
    [balancer] = (await account("elbv2", "describe_load_balancers"))["LoadBalancers"]
    assert balancer["SecurityGroups"] == [outputs.security_group_id]
    associated = await account("wafv2", "get_web_acl_for_resource", ResourceArn=balancer["LoadBalancerArn"])
    assert associated["WebACL"]["ARN"] == outputs.web_acl_arn


async def test_terraform_finds_nothing_to_change(platforms: Platforms) -> None:
    """What controllers do to load balancers, security groups and records isn't taken for a change."""
    for platform in platforms:
        await platform.terraform("plan", "-detailed-exitcode", status=UNCHANGED)


def test_controllers_have_the_rights_that_they_need(platforms: Platforms) -> None:
    """They run with what the chart gives them; one of the two leads."""
    for platform in platforms:
        logs = platform.controllers()
        assert len(logs) == 2
        assert sum('"event": "running"' in log for log in logs.values()) == 1
        for log in logs.values():
            assert '"event": "serving"' in log
            assert not re.search(r"forbidden|\b403\b|AccessDenied|Traceback", log)


def test_a_controllers_token_is_good_for_what_the_chart_permits(platforms: Platforms) -> None:
    for platform in platforms:
        [token, *_] = (platform.folder / "edge" / "run" / "programs").glob("*/token")
        controller = Cluster(platform.folder / "kubeconfig", token.read_text())
        assert controller.request("GET", "/apis/gateway.networking.k8s.io/v1/gateways?limit=1")["items"]
        app = json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "own"}}).encode()
        for method, path, body in (
            ("GET", "/api/v1/namespaces/edge/secrets/gateway-tls", None),
            ("GET", "/api/v1/namespaces/tenant-a/pods/any/proxy/", None),
            ("POST", "/api/v1/namespaces/tenant-a/configmaps", app),
            ("DELETE", "/api/v1/namespaces/tenant-a", None),
            ("POST", "/api/v1/namespaces/argocd/serviceaccounts/default/token", b"{}"),
        ):
            with pytest.raises(urllib.error.HTTPError) as refused:
                controller.request(method, path, body)
            assert refused.value.code == 403, path


def test_the_same_command_again_changes_nothing(platforms: Platforms) -> None:
    runs = [platform.start("deploy") for platform in platforms]
    for platform, run in zip(platforms, runs, strict=True):
        said = platform.ended(run)
        assert set(re.findall(r"^✓ (.*?) \(stands\)$", said, re.M)) == set(STEPS) - DONE_ANEW


async def test_a_change_of_a_variable_gets_as_far_as_the_gateway(platforms: Platforms) -> None:
    """Another target group on another port: Terraform makes it, the root Application says so, the binding follows."""
    platform, before = platforms.chained, platforms.chained.outputs
    said = platform.run("deploy", "--var", "backend_protocol=HTTP", "--var", "web_acl_rate_limit=500")
    assert "✓ Kubeconfig (stands)" in said
    await platform.terraform("plan", "-detailed-exitcode", status=UNCHANGED)
    outputs, account = platform.outputs, platform.account
    assert (outputs.target_group_port, outputs.alb_arn) == (80, before.alb_arn)
    assert outputs.target_group_arn != before.target_group_arn
    assert await aws_account.forwards_to(account, outputs) == outputs.target_group_arn
    groups = (await account("elbv2", "describe_target_groups"))["TargetGroups"]
    assert before.target_group_arn not in {group["TargetGroupArn"] for group in groups}
    assert (await platform.get(f"https://{NAME}/app1")).status == 200


async def test_a_later_kubernetes_takes_its_nodes_along(platforms: Platforms) -> None:
    """What ran on the old ones is back before the platform counts as verified."""
    platform = platforms.direct
    platform.run("deploy", "--var", "kubernetes_version=1.36")
    nodes = platform.cluster.request("GET", "/api/v1/nodes")["items"]
    versions = {node["metadata"]["name"]: node["status"]["nodeInfo"]["kubeletVersion"] for node in nodes}
    assert len(versions) == 4
    assert all(version.startswith("v1.36.") for version in versions.values()), versions
    await platform.terraform("plan", "-detailed-exitcode", status=UNCHANGED)


def test_pods_on_the_wrong_nodes(platforms: Platforms) -> None:
    platform, cluster = platforms.chained, platforms.chained.cluster
    nodes = cluster.request("GET", "/api/v1/nodes?labelSelector=role%3Dsystem")["items"]
    for node in nodes:
        cluster.patch("Node", "", node["metadata"]["name"], {"spec": {"taints": None}})
    platform.renew("tenant-a")
    found = platform.failures("node", "placement")
    nodes_found = {subject: check for subject, check in found.items() if check.id == "node"}
    assert nodes_found.keys() == {f"Node {node['metadata']['name']}" for node in nodes}
    assert all(
        "the taint CriticalAddonsOnly=true:NoSchedule in Terraform" in each.advice for each in nodes_found.values()
    )
    pods = [check for subject, check in found.items() if subject.startswith("Pod tenant-a/app1-")]
    assert pods
    assert all(check.expected == "on a user node" for check in pods)
    assert "lacks the taint CriticalAddonsOnly" in pods[0].advice
    for node in nodes:
        cluster.patch("Node", "", node["metadata"]["name"], {"spec": {"taints": node["spec"]["taints"]}})
    platform.renew("tenant-a")
    assert platform.report("node", "placement").ok


def test_argo_cd_that_is_not_reachable(platforms: Platforms) -> None:
    platform, cluster = platforms.chained, platforms.chained.cluster
    cluster.patch("Deployment", "argocd", "argocd-server", {"spec": {"replicas": 0}})
    eventually(lambda: not cluster.get("Deployment", "argocd", "argocd-server")["status"].get("availableReplicas"))
    found = platform.failures("argocd")
    deployment = found["Deployment argocd/argocd-server"]
    assert deployment.found == "it is scaled to 0 replicas"
    assert "`kubectl scale -n argocd deployment/argocd-server --replicas=1`" in deployment.advice
    assert "kubectl port-forward svc/argocd-server -n argocd 8080:443" in found["Service argocd/argocd-server"].advice
    cluster.patch("Deployment", "argocd", "argocd-server", {"spec": {"replicas": 1}})
    eventually(lambda: cluster.get("Deployment", "argocd", "argocd-server")["status"].get("availableReplicas"))
    assert platform.report("argocd").ok


def test_without_the_health_checks_route(platforms: Platforms) -> None:
    """Argo CD would bring it back, if nobody had told it not to; `deploy` does both."""
    platform, cluster = platforms.chained, platforms.chained.cluster
    for application in ("platform", "health-responder"):
        cluster.patch("Application", "argocd", application, {"spec": {"syncPolicy": {"automated": None}}})
    cluster.delete("HTTPRoute", "gateway-health", "health-responder")
    eventually(lambda: platform.binding("Healthy")[0] == "False", "a target is unhealthy")
    eventually(lambda: len(platform.failures("target-health")) == 2, "both targets are unhealthy")
    found = platform.failures("target-health", "status", "application")
    targets = [check for check in found.values() if check.id == "target-health"]
    assert len(targets) == 2
    assert "Target.ResponseCodeMismatch: Health checks failed with these codes: [404]" in targets[0].found
    assert "apply the HTTPRoute of the health responder" in targets[0].advice
    assert "HealthCheckRoutable=False RouteMissing" in found["EdgeBinding edge/shared-gateway"].found
    assert "OutOfSync, Missing" in found["Application argocd/health-responder"].found
    said = platform.run("deploy")
    assert "✓ Terraform (stands)" in said
    assert "✓ Applications (stands)" not in said
    root = cluster.get("Application", "argocd", "platform")
    assert root["spec"]["syncPolicy"]["automated"]["selfHeal"]


async def test_a_gateway_that_can_not_be_bound(platforms: Platforms) -> None:
    """The target group isn't for it; then somebody deletes its NLB, and there are no subnets for another one."""
    platform, account = platforms.chained, platforms.chained.account
    outputs = platform.outputs

    async def permit(namespaces: str) -> None:
        tags = [{"Key": "gatewright.dev/namespaces", "Value": namespaces}]
        await account("elbv2", "add_tags", ResourceArns=[outputs.target_group_arn], Tags=tags)

    await permit("nobody")
    platform.restart_controllers()
    eventually(lambda: platform.binding("Bound") == ("False", "NotPermitted"), "it isn't bound", 60)
    found = platform.failures("status", "target-health")
    binding = found["EdgeBinding edge/shared-gateway"]
    assert "may be used from the namespaces nobody only" in binding.found
    assert "The target group's tag gatewright.dev/namespaces doesn't name namespace edge" in binding.advice
    targets = found[f"target group {outputs.target_group_name}"]
    assert "`kubectl describe edgebindings -A` says why" in targets.advice

    await permit("edge")
    balancers = (await account("elbv2", "describe_load_balancers"))["LoadBalancers"]
    [arn] = [each["LoadBalancerArn"] for each in balancers if each["Type"] == "network"]
    subnets = list(outputs.private_subnet_ids)
    await account("ec2", "delete_tags", Resources=subnets, Tags=[{"Key": ROLE}])
    await account("elbv2", "delete_load_balancer", LoadBalancerArn=arn)
    platform.restart_controllers()
    eventually(lambda: platform.binding("Bound") == ("False", "AddressNotFound"), "it isn't bound", 60)
    eventually(lambda: "FailedBuildModel" in platform.events("edge"), "the controller says why", 60)
    found = platform.failures("load-balancer", "status")
    missing = found["Gateway edge/shared-gateway, Service edge/shared-gateway-istio"]
    assert "AWS has no such load balancer" in missing.found
    assert "no subnet by tags" in missing.found
    assert f"{ROLE}=1 for an internal load balancer" in missing.advice
    assert "Bound=False AddressNotFound" in found["EdgeBinding edge/shared-gateway"].found

    await account("ec2", "create_tags", Resources=subnets, Tags=[{"Key": ROLE, "Value": "1"}])
    platform.restart_controllers()
    eventually(lambda: platform.binding("Healthy")[0] == "True", "the targets are healthy", 180)
    assert platform.report("status", "target-health", "load-balancer", "endpoint").ok


def test_secrets_are_where_they_belong_and_nowhere_else(platforms: Platforms) -> None:
    for platform in platforms:
        folder = platform.folder
        keys = [folder / "certificates" / name for name in ("ca.key", "tls.key")]
        kubeconfigs = [folder / "kubeconfig", folder / "edge" / "run" / "kubeconfig"]
        tokens = sorted((folder / "edge" / "run" / "programs").glob("*/token"))
        assert len(tokens) == 2
        for path in (*keys, *kubeconfigs, *tokens):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
        secrets = [path.read_text().splitlines()[1].strip() for path in keys]
        secrets += [yaml.safe_load(path.read_text())["users"][0]["user"]["token"] for path in kubeconfigs]
        secrets += [path.read_text() for path in tokens]
        assert all(len(secret) >= 16 for secret in secrets)
        places = {*keys, *kubeconfigs, *tokens}
        told = {str(path): path.read_bytes() for path in platform.files() if path not in places}
        told["its commands"] = platform.said().encode()
        told |= {name: log.encode() for name, log in platform.controllers().items()}
        told |= {f"process {pid}": command.encode() for pid, command in platform.processes().items()}
        for name, content in told.items():
            assert not [secret for secret in secrets if secret.encode() in content], name
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


async def test_destroy_leaves_nothing(platforms: Platforms) -> None:
    """Neither in the account nor in the cluster, which are looked at before they go as well; no process, no file."""
    nothing = await empty_account()
    frozen: dict[Rehearsed, int] = {}
    runs = {platform: platform.start("destroy", "--yes") for platform in platforms}

    def freeze() -> bool:
        """Hold each command while Terraform goes on by itself, so that its edge isn't stopped right after."""
        for platform in runs.keys() - frozen.keys():
            if terraform := platform.applying():
                runs[platform].process.send_signal(signal.SIGSTOP)
                frozen[platform] = terraform
        return len(frozen) == len(runs)

    eventually(freeze, "Terraform destroys", 180)
    for platform, run in runs.items():
        eventually(partial(ended, frozen[platform]), "Terraform has ended", 180)
        assert await platform.account.holdings() == nothing
        assert platform.made() == 0
        eventually(partial(clean, platform), "the cluster is empty", 60)
        edge = platform.edge["pid"]
        run.process.send_signal(signal.SIGCONT)
        said = platform.ended(run)
        assert f"Nothing is left of the platform platform on local ({platform.folder})." in said
        assert not platform.folder.exists()
        eventually(partial(ended, edge), "the edge has ended")  # it gives its folder back just before
        eventually(partial(quiet, platform), "nothing runs that was told of it")
        assert f"There is no platform in {platform.folder}" in platform.run("destroy", "--yes")
        assert "there is no platform in" in platform.start("verify").says("there is no platform")


def clean(platform: Rehearsed) -> bool:
    assert {name for name in platform.objects() if not STANDING.fullmatch(name)} == set()
    return True


def quiet(platform: Rehearsed) -> bool:
    assert platform.processes() == {}
    return True


async def empty_account() -> dict[str, set[str]]:
    """What an account has in which nobody has made anything."""
    block = Block()
    try:
        async with AwsProcess(block.network, seed=False) as aws:
            return await Account(aws.url).holdings()
    finally:
        block.close()
