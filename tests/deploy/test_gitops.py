"""The GitOps tree as Argo CD would see it: what each overlay comes to, in which order, and who is let do what."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import yaml
from tests.aws_gateways.gateway_world import World, picture
from tests.deploy import kustomizations, tools
from tests.deploy.kustomizations import GITOPS, OVERLAYS, REPOSITORY, ROOT, applications, children, described, wave

from gatewright.aws.dialects import ALB, ALB_CONTROLLER
from gatewright.cluster import Client
from gatewright.flow import Flow
from gatewright.local.apiserver import ApiServer, Store
from gatewright.local.argocd import install
from gatewright.local.argocd.definitions import definitions
from gatewright.local.certificates import Authority
from gatewright.local.isolation import Peer, Policies, Workload, refusal
from gatewright.model.codec import decode
from gatewright.model.istio import AuthorizationPolicy, PeerAuthentication
from gatewright.model.kinds import KINDS, Kind
from gatewright.model.meta import Object
from gatewright.model.networkpolicy import NetworkPolicy
from gatewright.resolve import Inputs, resolve
from gatewright.resolve.dialects import PROXY

MESH = {"istio-base", "istiod", "istio-cni", "ztunnel", "mesh"}
COMMON = {"gateway-api-crds", "namespaces", "gateway", "health-responder", "app1", "app2", "users-api"}
TEAMS = {"app1": "tenant-a", "app2": "tenant-b", "users-api": "api-services"}
BACKENDS = ("gateway-health", *TEAMS.values())
THERE_ALREADY = {"argocd", "default", "kube-system"}
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet")
ISTIO = "istio.io/gateway-controller"
ISTIO_VALUES = {  # of those in values.yaml; any other one, a chart leaves aside without a word
    "base": {"profile", "defaultRevision", "base", "experimental", "global"},
    "istiod": {
        *("profile", "affinity", "autoscaleEnabled", "autoscaleMax", "autoscaleMin", "deploymentAnnotations", "env"),
        *("global", "meshConfig", "nodeSelector", "pdb", "podAnnotations", "podLabels", "replicaCount", "resources"),
        *("rollingMaxSurge", "rollingMaxUnavailable", "tolerations", "topologySpreadConstraints", "traceSampling"),
    },
    "cni": {
        *("profile", "affinity", "ambient", "cniBinDir", "cniConfDir", "cniConfFileName", "cniNetnsDir", "env"),
        *("excludeNamespaces", "global", "podAnnotations", "podLabels", "resources", "tolerations", "updateStrategy"),
    },
    "ztunnel": {
        *("profile", "annotations", "env", "global", "labels", "logLevel", "meshConfig", "podAnnotations"),
        *("podLabels", "resources", "tolerations", "updateStrategy"),
    },
}
GATEWAY_ACCOUNT = "shared-gateway-istio"  # Istio's, for Gateway shared-gateway of class istio

CONFINED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}

every_overlay = pytest.mark.parametrize("overlay", OVERLAYS)


# --- the Applications ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("overlay", "names"),
    [
        ("aws-chained", COMMON | MESH | {"gatewright", "edge-binding"}),
        ("aws-direct", COMMON | {"gatewright", "network-policies"}),
        ("azure-chained", COMMON | MESH),
    ],
)
def test_an_overlay_has_what_its_architecture_needs(overlay: str, names: set[str]) -> None:
    assert children(overlay).keys() == names


@every_overlay
def test_every_application_keeps_itself_up_to_date_and_takes_what_it_made_with_it(overlay: str) -> None:
    for name, each in children(overlay).items():
        assert each["metadata"]["namespace"] == "argocd", name
        assert each["metadata"]["finalizers"] == ["resources-finalizer.argocd.argoproj.io"], name
        assert each["metadata"]["labels"]["gatewright.dev/layer"] in ("3", "4"), name
        policy = each["spec"]["syncPolicy"]
        assert policy["automated"] == {"prune": True, "selfHeal": True}, name
        assert "ServerSideApply=true" in policy["syncOptions"], name
        assert policy["retry"]["limit"] > 0, name


@every_overlay
def test_sources_are_ours_at_the_revision_asked_for_or_pinned(overlay: str) -> None:
    istio = set()
    for name, each in children(overlay).items():
        source = each["spec"]["source"]
        if source["repoURL"] == REPOSITORY:
            assert source["targetRevision"] == "v1.2.3", name
            assert (ROOT / source["path"]).is_dir(), name
            continue
        version = source["targetRevision"].removeprefix("v")
        assert all(part.isdecimal() for part in version.split(".")), f"{name} isn't pinned to a release"
        if "chart" in source:
            istio.add(version)
    assert len(istio) <= 1, "Istio's charts are of different versions"


@every_overlay
def test_nothing_needs_what_only_a_later_wave_makes(overlay: str) -> None:
    """Argo CD applies an Application when those of the waves before it are healthy."""
    made: dict[str, int] = {}  # namespaces, kinds, Gateways
    for name, objects in described(overlay).items():
        when = wave(children(overlay)[name])
        for each in objects:
            if each["kind"] == "CustomResourceDefinition":
                made[f"{each['spec']['group']} {each['spec']['names']['kind']}"] = when
            made[f"{each['kind']} {each['metadata']['name']}"] = when
    made["gateway.networking.k8s.io"] = wave(children(overlay)["gateway-api-crds"])
    if "istio-base" in children(overlay):
        made["security.istio.io"] = wave(children(overlay)["istio-base"])
        made["GatewayClass istio"] = wave(children(overlay)["istiod"])
    built_in = {kind.group for kind in KINDS} - {"gateway.networking.k8s.io", "gateway.k8s.aws", "gatewright.dev"}
    for name, objects in described(overlay).items():
        application = children(overlay)[name]
        when = wave(application)
        needed = {f"Namespace {application['spec']['destination']['namespace']}"}
        for each in objects:
            if namespace := each["metadata"].get("namespace"):
                needed.add(f"Namespace {namespace}")
            group = each["apiVersion"].rpartition("/")[0]
            if group in ("gateway.k8s.aws", "gatewright.dev"):
                needed.add(f"{group} {each['kind']}")
            elif group not in built_in:
                needed.add(group)
            if each["kind"] == "Gateway":
                needed.add(f"GatewayClass {each['spec']['gatewayClassName']}")
            if each["kind"] == "HTTPRoute":
                needed |= {f"Gateway {ref['name']}" for ref in each["spec"]["parentRefs"]}
        own = {f"{each['kind']} {each['metadata']['name']}" for each in objects}
        for need in needed - own - {f"Namespace {namespace}" for namespace in THERE_ALREADY}:
            assert made.get(need, 99) < when, f"{name} (wave {when}) needs {need}: wave {made.get(need, 'never')}"


@every_overlay
def test_rules_of_who_may_talk_to_whom_are_in_force_before_the_first_application(overlay: str) -> None:
    rules = wave(children(overlay)["mesh" if "mesh" in children(overlay) else "network-policies"])
    assert all(rules < wave(children(overlay)[name]) for name in (*TEAMS, "health-responder"))


def test_targets_are_registered_when_there_is_somebody_to_answer_their_health_checks() -> None:
    order = list(children("aws-chained"))
    assert order.index("gatewright") < order.index("gateway") < order.index("health-responder")
    assert order.index("health-responder") < order.index("edge-binding")


# --- who may do what -------------------------------------------------------------------------------------------------


@every_overlay
def test_a_team_stays_inside_its_project(overlay: str) -> None:
    for name, namespace in TEAMS.items():
        application = children(overlay)[name]
        project = applications(overlay)[f"AppProject {application['spec']['project']}"]["spec"]
        assert project["sourceRepos"] == [REPOSITORY]
        assert project["destinations"] == [{"server": "https://kubernetes.default.svc", "namespace": namespace}]
        allowed = {(each["group"], each["kind"]) for each in project["namespaceResourceWhitelist"]}
        for each in described(overlay)[name]:
            assert each["metadata"]["namespace"] == namespace, each
            assert (each["apiVersion"].rpartition("/")[0], each["kind"]) in allowed, each


@every_overlay
def test_a_team_cannot_do_what_is_the_platform_teams(overlay: str) -> None:
    projects = [each for each in applications(overlay).values() if each["kind"] == "AppProject"]
    assert len(projects) == len(TEAMS)
    for project in projects:
        assert project["spec"]["clusterResourceWhitelist"] == []
        allowed = {each["kind"] for each in project["spec"]["namespaceResourceWhitelist"]}
        theirs = {"Gateway", "GatewayClass", "EdgeBinding", "LoadBalancerConfiguration", "NetworkPolicy", "*"}
        theirs |= {"PeerAuthentication", "AuthorizationPolicy", "ResourceQuota", "LimitRange", "Role", "RoleBinding"}
        assert not allowed & theirs
        assert wave(project) < wave(children(overlay)["app1"])


@every_overlay
def test_namespaces_enforce_a_pod_security_standard_and_tenants_have_limits(overlay: str) -> None:
    objects = described(overlay)["namespaces"]
    namespaces = {
        each["metadata"]["name"]: each["metadata"]["labels"] for each in objects if each["kind"] == "Namespace"
    }
    for name in BACKENDS:
        assert namespaces[name]["pod-security.kubernetes.io/enforce"] == "restricted", name
        assert namespaces[name]["platform.example.com/gateway-access"] == "true", name
        assert ("istio.io/dataplane-mode" in namespaces[name]) == ("mesh" in children(overlay)), name
    assert "platform.example.com/gateway-access" not in namespaces["edge"]
    for name in TEAMS.values():
        kinds = {each["kind"] for each in objects if each["metadata"].get("namespace") == name}
        assert kinds == {"ResourceQuota", "LimitRange"}, name
    for quota in (each for each in objects if each["kind"] == "ResourceQuota"):
        assert quota["spec"]["hard"]["services.loadbalancers"] == quota["spec"]["hard"]["services.nodeports"] == "0"


# --- what runs -------------------------------------------------------------------------------------------------------


@every_overlay
def test_workloads_are_limited_probed_and_have_no_rights_they_do_not_need(overlay: str) -> None:
    found = 0
    for name, objects in described(overlay).items():
        for each in objects:
            if each["kind"] not in WORKLOADS:
                continue
            found += 1
            pod = each["spec"]["template"]["spec"]
            assert each["spec"]["replicas"] >= 2, name
            assert pod["securityContext"]["runAsNonRoot"] is True, name
            assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
            assert pod["topologySpreadConstraints"], name
            selector = each["spec"]["selector"]["matchLabels"].items()
            assert any(
                budget["spec"]["selector"]["matchLabels"].items() <= selector
                for budget in objects
                if budget["kind"] == "PodDisruptionBudget"
            ), f"{name}: nothing keeps its pods during maintenance"
            for container in pod["containers"]:
                assert container["resources"]["requests"].keys() >= {"cpu", "memory"}, name
                assert "memory" in container["resources"]["limits"], name
                assert container.keys() >= {"readinessProbe", "livenessProbe"}, name
                assert container["image"].rpartition(":")[2] not in ("", "latest", container["image"]), name
                assert container["securityContext"].items() >= CONFINED.items(), name
    assert found == len(BACKENDS) + ("gatewright" in children(overlay))


def test_what_is_the_platforms_own_runs_on_system_nodes_and_applications_do_not() -> None:
    for name, objects in described("aws-chained").items():
        for each in objects:
            if each["kind"] in WORKLOADS:
                pod = each["spec"]["template"]["spec"]
                tolerated = any(t.get("key") == "CriticalAddonsOnly" for t in pod.get("tolerations", ()))
                assert tolerated == (pod.get("nodeSelector", {}).get("role") == "system") == (name == "gatewright")
    istiod = children("aws-chained")["istiod"]["spec"]["source"]["helm"]["valuesObject"]
    assert istiod["nodeSelector"]["role"] == "system"
    assert istiod["tolerations"][0]["key"] == "CriticalAddonsOnly"


@pytest.mark.parametrize("overlay", ["aws-chained", "azure-chained"])
def test_istios_charts_know_the_values_that_they_are_given(overlay: str) -> None:
    charts = {
        source["chart"]: source
        for source in (each["spec"]["source"] for each in children(overlay).values())
        if "chart" in source
    }
    assert charts.keys() == ISTIO_VALUES.keys()
    for name, source in charts.items():
        # Of another minor version the names above are to be looked up anew.
        assert source["targetRevision"].startswith("1.31."), name
        values = source["helm"]["valuesObject"]
        assert values["profile"] == "ambient"
        assert values.keys() <= ISTIO_VALUES[name]


@pytest.mark.parametrize("overlay", ["aws-chained", "azure-chained"])
def test_istio_is_told_what_the_gateways_proxies_are_like(overlay: str) -> None:
    """By the ConfigMap of the Gateway's infrastructure.parametersRef, whose keys are those that Istio knows."""
    objects = {(each["kind"], each["metadata"]["name"]): each for each in described(overlay)["gateway"]}
    infrastructure = objects["Gateway", "shared-gateway"]["spec"]["infrastructure"]
    reference = infrastructure["parametersRef"]
    assert (reference["group"], reference["kind"]) == ("", "ConfigMap")
    data = {key: yaml.safe_load(text) for key, text in objects["ConfigMap", reference["name"]]["data"].items()}
    known = {"service", "deployment", "serviceAccount", "horizontalPodAutoscaler", "podDisruptionBudget"}
    assert data.keys() <= known
    pod = data["deployment"]["spec"]["template"]["spec"]
    assert pod["nodeSelector"]["role"] == "system"
    assert pod["tolerations"] == [{"key": "CriticalAddonsOnly", "operator": "Exists"}]
    assert [container["name"] for container in pod["containers"]] == ["istio-proxy"]
    prefix = f"service.beta.kubernetes.io/{overlay.split('-')[0]}-load-balancer"
    assert all(annotation.startswith(prefix) for annotation in infrastructure["annotations"])
    if overlay == "azure-chained":
        assert data["service"] == {"spec": {"externalTrafficPolicy": "Local"}}
        assert infrastructure["annotations"] == {
            f"{prefix}-internal": "true",
            f"{prefix}-internal-subnet": "gateway",
            f"{prefix}-ipv4": "10.20.4.250",
        }


@pytest.mark.parametrize("overlay", ["aws-chained", "azure-chained"])
def test_what_others_write_into_istios_webhooks_is_no_difference(overlay: str) -> None:
    """istiod its certificate, and AKS's Admissions Enforcer into their selectors (Azure/AKS issue 1771)."""
    for name in ("istio-base", "istiod"):
        ignored = {
            each["kind"]: each["jqPathExpressions"] for each in children(overlay)[name]["spec"]["ignoreDifferences"]
        }
        assert set(ignored) == {"ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"}
        for paths in ignored.values():
            assert ".webhooks[]?.clientConfig.caBundle" in paths
            assert (".webhooks[]?.namespaceSelector" in paths) == (overlay == "azure-chained")


def test_a_proxy_stops_after_the_load_balancers_know() -> None:
    mesh = children("aws-chained")["istiod"]["spec"]["source"]["helm"]["valuesObject"]["meshConfig"]["defaultConfig"]
    (proxies,) = (each for each in described("aws-chained")["gateway"] if each["kind"] == "ConfigMap")
    deployment = yaml.safe_load(proxies["data"]["deployment"])["spec"]
    drain = int(mesh["terminationDrainDuration"].removesuffix("s"))
    assert drain < deployment["template"]["spec"]["terminationGracePeriodSeconds"]
    assert deployment["minReadySeconds"] > 0
    assert mesh["gatewayTopology"] == {"numTrustedProxies": 1}


# --- what comes of it ------------------------------------------------------------------------------------------------


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with (
        ApiServer(Store.memory()) as server,
        Client.with_token(server.url, server.token, server.ca_certificate) as client,
    ):
        yield client


@every_overlay
async def test_the_embedded_api_takes_every_manifest(overlay: str, client: Client) -> None:
    """With strict validation, in the order of waves: a kind or a namespace that isn't there yet would be refused."""
    defined = {each["spec"]["names"]["kind"]: _kind(each) for each in definitions()}

    async def apply(manifest: dict[str, Any]) -> None:
        await client.apply(manifest, field_manager="test", strict=True, kind=defined.get(manifest["kind"]))

    for each in (*definitions(), *_argocd_itself(), *applications(overlay).values()):
        await apply(each)
    for objects in described(overlay).values():
        for each in sorted(objects, key=_rank):
            await apply(each)


def _kind(definition: dict[str, Any]) -> Kind:
    names, group = definition["spec"]["names"], definition["spec"]["group"]
    version = definition["spec"]["versions"][0]["name"]
    return Kind(group, version, names["kind"], names["plural"], names["singular"])


def _argocd_itself() -> Iterator[dict[str, Any]]:
    for name in ("namespace", "argocd-cm", "projects"):
        yield from yaml.safe_load_all((GITOPS / "argocd" / f"{name}.yaml").read_text())
    yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}


def _rank(manifest: dict[str, Any]) -> int:
    """Argo CD's order within a wave, as far as it matters here."""
    return {"CustomResourceDefinition": 0, "Namespace": 1, "ConfigMap": 2}.get(manifest["kind"], 3)


@pytest.mark.parametrize(
    ("overlay", "controller", "dialect"),
    [
        ("aws-chained", ISTIO, PROXY),
        ("aws-direct", ALB_CONTROLLER, ALB),
        ("azure-chained", ISTIO, PROXY),
    ],
)
def test_every_route_gets_to_its_backend(overlay: str, controller: str, dialect: Any) -> None:
    inputs = Inputs(Flow())
    resolution = resolve(inputs, {controller}, dialect)
    types = {type_.__name__: type_ for type_ in inputs.by_type}
    objects = [each for found in described(overlay).values() for each in found if each["kind"] in types]
    if controller == ISTIO:
        objects += [_istios_class(), _certificate()]
    with inputs.flow.batch():
        for each in objects:
            obj = _object(types[each["kind"]], each)
            inputs.by_type[type(obj)].set(obj.key, obj)
    routes = list(resolution.http_routes.items())
    assert {key.name for key, _ in routes} >= {*TEAMS, "health-responder"}
    for key, route in routes:
        for parent in route.parents:
            conditions = {each.type: (each.status, each.message) for each in parent.conditions}
            assert conditions["Accepted"][0] == conditions["ResolvedRefs"][0] == "True", (key, conditions)
    (gateway,) = resolution.gateway_statuses.values()
    for listener in gateway.listeners:
        assert listener.attached_routes == (1 if (overlay, listener.name) == ("aws-direct", "http") else len(BACKENDS))
        assert all(c.status == "True" for c in listener.conditions if c.type in ("Accepted", "ResolvedRefs"))


def test_in_the_direct_architecture_one_alb_comes_of_it_as_terraform_prepared_it() -> None:
    outputs = kustomizations.OUTPUTS["aws-direct"]
    world = World()
    objects = [each for found in described("aws-direct").values() for each in found if each["kind"] in world.types]
    world.load(yaml.safe_dump_all(objects))
    assert not world.errors()
    ((owner, found),) = picture(world).items()
    assert (owner, found.keys()) == ("edge/shared-gateway", {"stack"}), "nothing is blocked, nothing left out"
    stack = found["stack"]
    balancer = stack["load_balancer"]
    assert balancer["scheme"] == "internet-facing"
    assert [each["subnet"] for each in balancer["subnets"]] == list(outputs.public_subnet_ids)
    assert balancer["security_groups"] == [outputs.security_group_id]
    assert balancer["web_acl"] == outputs.web_acl_arn
    assert balancer["attributes"]["access_logs.s3.bucket"] == outputs.access_log_bucket
    http, https = stack["listeners"]
    assert [rule["actions"][0]["type"] for rule in http["rules"]] == ["redirect"]
    assert https["certificates"] == [outputs.certificate_arn]
    assert "TLS13" in https["ssl_policy"]
    names = {name for rule in https["rules"] for name in rule["conditions"][0]["values"]}
    assert names == set(outputs.hostnames)
    assert len(stack["target_groups"]) == len(BACKENDS)
    for group in stack["target_groups"]:
        assert (group["target_type"], group["health_check"]["path"]) == ("ip", "/health")


def _object(type_: type[Object], manifest: dict[str, Any]) -> Object:
    return decode(type_, {**manifest, "metadata": {"generation": 1, "resourceVersion": "1"} | manifest["metadata"]})


def _istios_class() -> dict[str, Any]:
    """What istiod makes."""
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "GatewayClass",
        "metadata": {"name": "istio"},
        "spec": {"controllerName": ISTIO},
    }


def _certificate() -> dict[str, Any]:
    """What `gatewright deploy` makes."""
    made = Authority.create().issue(["shop.example.org"])
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": "gateway-tls", "namespace": "edge"},
        "stringData": {"tls.crt": made.chain.decode(), "tls.key": made.private_key.decode()},
    }


# --- who reaches the applications ------------------------------------------------------------------------------------


@pytest.mark.parametrize("overlay", ["aws-chained", "azure-chained"])
@pytest.mark.parametrize("namespace", BACKENDS)
def test_in_the_mesh_only_the_gateway_reaches_an_application(overlay: str, namespace: str) -> None:
    policies, pod = _policies(overlay), _workload(overlay, namespace)
    assert refusal(Peer("10.0.0.1", (_workload(overlay, "edge", GATEWAY_ACCOUNT),)), pod, 8080, policies) == ""
    others = [
        Peer("10.0.0.2"),  # from outside the mesh
        Peer("10.0.0.3", (_workload(overlay, namespace, "default"),)),  # a neighbour
        Peer("10.0.0.4", (_workload(overlay, "edge", "default"),)),
        *(Peer("10.0.0.5", (_workload(overlay, other),)) for other in BACKENDS),
    ]
    assert all(refusal(peer, pod, 8080, policies) for peer in others)


def test_a_namespace_without_a_policy_of_its_own_is_reached_by_nobody() -> None:
    gateway = _workload("aws-chained", "edge", GATEWAY_ACCOUNT)
    stranger = Workload("new", "default", {}, {"istio.io/dataplane-mode": "ambient"})
    assert refusal(Peer("10.0.0.1", (gateway,)), stranger, 8080, _policies("aws-chained"))


@pytest.mark.parametrize("namespace", BACKENDS)
def test_without_a_mesh_only_the_load_balancers_subnets_reach_an_application(namespace: str) -> None:
    policies, pod = _policies("aws-direct"), _workload("aws-direct", namespace)
    assert refusal(Peer("10.0.64.10"), pod, 8080, policies) == ""
    assert refusal(Peer("10.0.95.250"), pod, 8080, policies) == ""
    neighbours = (_workload("aws-direct", namespace), _workload("aws-direct", "edge", GATEWAY_ACCOUNT))
    assert all(refusal(Peer("10.0.0.1", (each,)), pod, 8080, policies) for each in neighbours)


def test_without_the_root_applications_patches_nobody_reaches_an_application() -> None:
    """Whoever syncs the tree by hand closes a door, rather than opening one."""
    unpatched = kustomizations.build(GITOPS / "platform" / "network-policies", [])
    policies = Policies(network=[decode(NetworkPolicy, each) for each in unpatched])
    for namespace in BACKENDS:
        assert refusal(Peer("10.0.64.10"), _workload("aws-direct", namespace), 8080, policies)


def _policies(overlay: str) -> Policies:
    objects = [each for found in described(overlay).values() for each in found]

    def of(type_: type[Any]) -> list[Any]:
        return [decode(type_, each) for each in objects if each["kind"] == type_.__name__]

    return Policies(of(NetworkPolicy), of(PeerAuthentication), of(AuthorizationPolicy))


def _workload(overlay: str, namespace: str, account: str = "") -> Workload:
    """A pod of the namespace; by default, of its application."""
    labels = next(
        each["metadata"]["labels"]
        for each in described(overlay)["namespaces"]
        if each["kind"] == "Namespace" and each["metadata"]["name"] == namespace
    )
    names = {"gateway-health": "health-responder", **{team: name for name, team in TEAMS.items()}}
    return Workload(namespace, account or names[namespace], {}, labels)


# --- Argo CD itself --------------------------------------------------------------------------------------------------


def test_argo_cd_is_pinned_runs_on_system_nodes_and_waits_for_applications() -> None:
    """Built with a stand-in of upstream's installation, which has the objects that are patched."""
    resources = yaml.safe_load((GITOPS / "argocd" / "kustomization.yaml").read_text())["resources"]
    (upstream,) = (each for each in resources if "://" in each)
    version = upstream.removeprefix("https://raw.githubusercontent.com/argoproj/argo-cd/v").partition("/")[0]
    assert all(part.isdecimal() for part in version.split("."))
    assert upstream.endswith("/manifests/install.yaml")
    tools.kubectl()
    objects = {(each["kind"], each["metadata"]["name"]): each for each in install.manifests(GITOPS / "argocd")}
    workloads = [each for (kind, _), each in objects.items() if kind in WORKLOADS]
    assert {("Deployment", "argocd-server"), ("StatefulSet", "argocd-application-controller")} <= objects.keys()
    for each in workloads:
        pod = each["spec"]["template"]["spec"]
        assert pod["nodeSelector"] == {"kubernetes.io/os": "linux", "role": "system"}
        assert pod["tolerations"] == [{"key": "CriticalAddonsOnly", "operator": "Exists"}]
        assert pod["containers"]
        assert each["spec"].get("replicas", 1) == (0 if each["metadata"]["name"] == "argocd-dex-server" else 1)
    data = objects["ConfigMap", "argocd-cm"]["data"]
    assert "resource.customizations.health.argoproj.io_Application" in data
    assert "resource.customizations.health.gatewright.dev_EdgeBinding" in data
    assert objects["AppProject", "default"]["spec"]["destinations"] == []
    parameters = objects["ConfigMap", "argocd-cmd-params-cm"]["data"]
    # Without it a route is out of sync by its default values, for ever (argoproj/argo-cd issue 22151).
    assert parameters["controller.diff.server.side"] == "true"
    # Without it nobody could say of which object an Application waits (Argo CD, "v2.14 to 3.0").
    assert parameters["controller.resource.health.persist"] == "true"


# --- the files -------------------------------------------------------------------------------------------------------


def test_every_file_is_part_of_something() -> None:
    """No manifest lies about that no kustomization reads."""
    read = set()
    for path in GITOPS.rglob("kustomization.yaml"):
        content = yaml.safe_load(path.read_text())
        entries = [*content.get("resources", ()), *content.get("components", ())]
        entries += [patch["path"] for patch in content.get("patches", ()) if "path" in patch]
        read |= {(path.parent / each).resolve() for each in entries if "://" not in each}
    read |= {ROOT / each["spec"]["source"].get("path", "") for name in OVERLAYS for each in children(name).values()}
    read |= {GITOPS / "overlays" / name for name in OVERLAYS} | {GITOPS / "argocd"}
    for path in GITOPS.rglob("*.yaml"):
        assert (path.parent if path.name == "kustomization.yaml" else path) in read, path


def test_nothing_of_an_environment_is_committed() -> None:
    for path in GITOPS.rglob("*.yaml"):
        text = path.read_text()
        assert not any(each in text for each in ("arn:aws", "vpc-", "subnet-0", "amazonaws.com", "sg-")), path
