"""lightkube, a Python client with server-side apply, on the embedded API as on a cluster.

The product has lightkube's transport below its own client; here lightkube itself is used, with its own typed models,
its generic resources and its watches.
"""

from __future__ import annotations

import threading
from typing import Any

import pytest
from lightkube import ApiError, Client, KubeConfig
from lightkube.codecs import load_all_yaml
from lightkube.generic_resource import GenericNamespacedResource, create_namespaced_resource
from lightkube.models.core_v1 import ServicePort, ServiceSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Namespace, Pod, Service
from lightkube.types import CascadeType, PatchType
from tests.e2e.edge_process import Edge, app, gateway, route

GATEWAY_API = ("gateway.networking.k8s.io", "v1")
Gateway = create_namespaced_resource(*GATEWAY_API, "Gateway", "gateways")
HTTPRoute = create_namespaced_resource(*GATEWAY_API, "HTTPRoute", "httproutes")


@pytest.fixture
def client(edge: Edge, namespace: str) -> Any:
    config = KubeConfig.from_file(str(edge.cluster.kubeconfig))
    return Client(config=config, namespace=namespace, field_manager="mine")


def shop(replicas: int = 1, **labels: str) -> Any:
    found: Any = next(iter(load_all_yaml(app("shop", "hello", replicas))))
    found.metadata.labels = labels
    return found


def refused(error: Any) -> tuple[int | None, str, str]:
    status = error.value.status
    return status.code, status.reason or "", status.message or ""


def test_apply_conflicts_and_force(client: Any) -> None:
    made = client.apply(shop(replicas=2, team="a"))
    assert made.metadata.generation == 1
    assert client.apply(shop(replicas=2, team="a")).metadata.generation == 1
    with pytest.raises(ApiError) as error:
        client.apply(shop(replicas=3, team="b"), field_manager="theirs")
    code, reason, message = refused(error)
    assert (code, reason) == (409, "Conflict")
    assert 'conflicts with "mine"' in message
    assert ".metadata.labels.team" in message
    assert ".spec.replicas" in message
    status: Any = error.value.status
    causes = status.details.causes
    assert {cause.field for cause in causes} == {".metadata.labels.team", ".spec.replicas"}
    assert {cause.reason for cause in causes} == {"FieldManagerConflict"}
    client.apply(shop(replicas=3, team="b"), field_manager="theirs", force=True)
    # What is taken over is no longer mine to remove: without the label, mine gives up nothing.
    client.apply(shop(replicas=3), field_manager="mine", force=True)
    assert client.get(Deployment, "shop").metadata.labels == {"team": "b"}
    # Its only owner no longer names it: the field goes.
    client.apply(shop(replicas=3), field_manager="theirs")
    assert not client.get(Deployment, "shop").metadata.labels


def test_dry_run_changes_nothing(edge: Edge, namespace: str, client: Any) -> None:
    config = KubeConfig.from_file(str(edge.cluster.kubeconfig))
    trying: Any = Client(config=config, namespace=namespace, field_manager="mine", dry_run=True)
    assert trying.apply(shop()).metadata.uid
    with pytest.raises(ApiError) as error:
        client.get(Deployment, "shop")
    assert refused(error)[:2] == (404, "NotFound")
    client.apply(shop())
    assert trying.apply(shop(replicas=5)).spec.replicas == 5
    client.delete(Deployment, "shop", dry_run=True)
    assert client.get(Deployment, "shop").spec.replicas == 1


def test_every_type_of_patch(client: Any) -> None:
    client.apply(shop())
    strategic = {"spec": {"template": {"spec": {"containers": [{"name": "side", "image": "b"}]}}}}
    client.patch(Deployment, "shop", strategic)
    names = [each.name for each in client.get(Deployment, "shop").spec.template.spec.containers]
    assert sorted(names) == ["app", "side"]
    client.patch(Deployment, "shop", {"metadata": {"labels": {"a": "b"}}}, patch_type=PatchType.MERGE)
    operations = [
        {"op": "test", "path": "/metadata/labels/a", "value": "b"},
        {"op": "replace", "path": "/metadata/labels/a", "value": "c"},
    ]
    patched = client.patch(Deployment, "shop", operations, patch_type=PatchType.JSON)
    assert patched.metadata.labels == {"a": "c"}
    with pytest.raises(ApiError) as error:
        client.patch(Deployment, "shop", operations, patch_type=PatchType.JSON)
    assert refused(error)[:2] == (422, "Invalid")


def test_replace_needs_the_newest_version(client: Any) -> None:
    words = client.create(ConfigMap(metadata=ObjectMeta(name="words"), data={"a": "1"}))
    words.data = {"a": "2"}
    client.replace(words)
    words.data = {"a": "3"}
    with pytest.raises(ApiError) as error:
        client.replace(words)
    code, reason, message = refused(error)
    assert (code, reason) == (409, "Conflict")
    assert "the object has been modified; please apply your changes to the latest version and try again" in message
    with pytest.raises(ApiError) as error:
        client.create(ConfigMap(metadata=ObjectMeta(name="words")))
    assert refused(error)[:2] == (409, "AlreadyExists")


def test_the_status_is_a_resource_of_its_own(client: Any) -> None:
    for document in load_all_yaml(gateway("gw", "somebody-elses")):
        client.apply(document)
    now = "2026-01-01T00:00:00Z"
    accepted = {"type": "Accepted", "status": "True", "reason": "Accepted", "message": "", "lastTransitionTime": now}
    client.patch(Gateway.Status, "gw", {"status": {"conditions": [accepted]}}, patch_type=PatchType.MERGE)
    found = client.get(Gateway, "gw")
    assert [each["type"] for each in found.status["conditions"]] == ["Accepted"]
    assert found.metadata.generation == 1
    # The main resource leaves the status alone, the status the rest.
    client.patch(Gateway, "gw", {"status": {"conditions": []}}, patch_type=PatchType.MERGE)
    assert client.get(Gateway, "gw").status == found.status
    client.patch(Gateway.Status, "gw", {"spec": {"gatewayClassName": "x"}}, patch_type=PatchType.MERGE)
    assert client.get(Gateway, "gw").spec == found.spec


def test_a_watch_tells_of_everything_and_goes_on(client: Any) -> None:
    seen: list[tuple[str, str]] = []
    done = threading.Event()
    listed = client.list(ConfigMap)
    assert [each.metadata.name for each in listed] == []
    start = listed.resourceVersion

    def follow() -> None:
        for operation, obj in client.watch(ConfigMap, resource_version=start, labels={"app": "me"}, server_timeout=120):
            seen.append((operation, str(obj.data and obj.data.get("n"))))
            if operation == "DELETED":
                done.set()
                return

    watcher = threading.Thread(target=follow, daemon=True)
    watcher.start()
    client.create(ConfigMap(metadata=ObjectMeta(name="other"), data={"n": "0"}))
    client.create(ConfigMap(metadata=ObjectMeta(name="mine", labels={"app": "me"}), data={"n": "1"}))
    client.patch(ConfigMap, "mine", {"data": {"n": "2"}})
    client.delete(ConfigMap, "mine")
    assert done.wait(60)
    assert seen == [("ADDED", "1"), ("MODIFIED", "2"), ("DELETED", "2")]


def test_waiting_for_what_controllers_do(client: Client, namespace: str) -> None:
    for document in load_all_yaml("---".join((gateway(), app("shop", "hello", 2), route("shop", "shop")))):
        client.apply(document)
    client.wait(Deployment, "shop", for_conditions=["Available"])
    gw = client.wait(Gateway, "gw", for_conditions=["Programmed"])
    assert isinstance(gw, GenericNamespacedResource)
    pods: list[Any] = list(client.list(Pod, labels={"app": "shop"}))
    assert len(pods) == 2
    assert {owner.kind for pod in pods for owner in pod.metadata.ownerReferences} == {"ReplicaSet"}
    assert list(client.list(Pod, labels={"app": "shop"}, fields={"status.phase": "Pending"})) == []
    assert len(list(client.list(Pod, labels={"app": "shop"}, chunk_size=1))) == 2
    client.delete(Deployment, "shop", cascade=CascadeType.FOREGROUND)
    for obj in (Deployment, HTTPRoute):
        client.deletecollection(obj)
    namespaces: list[Any] = list(client.list(Namespace))
    assert {each.metadata.name for each in namespaces} >= {namespace, "default", "kube-system"}


def test_a_service_is_completed(client: Any) -> None:
    made = client.create(Service(metadata=ObjectMeta(name="shop"), spec=ServiceSpec(ports=[ServicePort(port=80)])))
    assert made.spec.clusterIP
    assert made.spec.type == "ClusterIP"
    assert made.spec.ports[0].targetPort == 80
    with pytest.raises(ApiError) as error:
        client.create(Service(metadata=ObjectMeta(name="Bad_Name"), spec=ServiceSpec(ports=[ServicePort(port=80)])))
    assert refused(error)[:2] == (422, "Invalid")
