"""Workloads as clients of the embedded Kubernetes API: objects go in, endpoints answer."""

import asyncio
import json
import socket

import pytest
from tests.workloads.live_edge import KUBECTL, Edge, deployment, get, service

from gatewright.cluster import NotFound
from gatewright.local.workloads import Backend, PodAddresses, Workloads
from gatewright.model import apps, core
from gatewright.model.meta import Key


async def test_a_deployment_answers_behind_its_service(edge: Edge) -> None:
    async with Workloads(edge.client, addresses=edge.addresses):
        await edge.client.create(service("app1", "http"))
        ports = {"ports": [{"containerPort": 8080, "name": "http"}]}
        await edge.client.create(deployment("app1", 2, "-text=Hello", "-listen=:8080", container=ports))
        endpoints = await edge.until(lambda: len(edge.endpoints("app1")) == 2 and edge.endpoints("app1"))
        assert [await get(endpoint) for endpoint in endpoints] == [(200, b"Hello\n")] * 2
        await edge.until(lambda: edge.deployments[Key("default", "app1")].status.available_replicas == 2)
        found = edge.deployments[Key("default", "app1")]
        assert {c.type: c.status for c in found.status.conditions} == {"Available": "True", "Progressing": "True"}
        node = await edge.client.get(core.Node, Key("", "gatewright"))
        assert any(c.type == "Ready" and c.status == "True" for c in node.status.conditions)


async def test_scaling_to_nothing_ends_the_pods_after_the_requests_in_flight(edge: Edge) -> None:
    async with Workloads(edge.client, addresses=edge.addresses):
        await edge.client.create(service("echo", 3000))
        image = "registry.k8s.io/gateway-api/echo-basic:v1"
        await edge.client.create(deployment("echo", 1, image=image, terminationGracePeriodSeconds=60))
        (endpoint,) = await edge.until(lambda: edge.endpoints("echo"))
        reader, writer = await asyncio.open_connection(*endpoint)
        writer.write(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60) == b"HTTP/1.1 100 Continue\r\n\r\n"
        await edge.client.patch(apps.Deployment, Key("default", "echo"), {"spec": {"replicas": 0}})
        await edge.until(lambda: not edge.endpoints("echo"))
        (terminating,) = [e for s in edge.slices.values() for e in s.endpoints]
        assert terminating.conditions.terminating
        writer.write(b"ok")
        assert (await asyncio.wait_for(reader.read(), 60)).startswith(b"HTTP/1.1 200 OK\r\n")
        writer.close()
        await edge.until(lambda: not edge.pods.keys())
        with pytest.raises(ConnectionRefusedError):
            await get(endpoint)


async def test_a_new_template_rolls_out_without_a_gap(edge: Edge) -> None:
    async with Workloads(edge.client, addresses=edge.addresses):
        await edge.client.create(service("app", 5678))
        await edge.client.create(deployment("app", 3, "-text=one"))
        key = Key("default", "app")
        await edge.until(lambda: len(edge.endpoints("app")) == 3)
        answers = set()
        args = {
            "spec": {
                "template": {
                    "spec": {"containers": [{"name": "echo", "image": "hashicorp/http-echo", "args": ["-text=two"]}]}
                }
            }
        }
        await edge.client.patch(apps.Deployment, key, args)

        def rolled() -> bool:
            status = edge.deployments[key].status
            assert len(edge.endpoints("app")) >= 2, "25% of 3 may be unavailable, rounded down: none; one may be stale"
            return status.updated_replicas == status.replicas == status.available_replicas == 3 and (
                status.observed_generation == edge.deployments[key].metadata.generation
            )

        await edge.until(rolled)

        def settled() -> bool:
            pods = {pod.status.pod_ip for pod in edge.pods.values()}
            return len(pods) == 3 and {endpoint[0] for endpoint in edge.endpoints("app")} == pods

        await edge.until(settled)
        answers = {(await get(endpoint))[1] for endpoint in edge.endpoints("app")}
        assert answers == {b"two\n"}
        assert edge.deployments[key].metadata.annotations["deployment.kubernetes.io/revision"] == "2"
        sets = await edge.client.list(apps.ReplicaSet, "default")
        assert sorted(found.spec.replicas for found in sets) == [0, 3]


async def test_an_unknown_image_listens_where_its_services_say_also_later(edge: Edge) -> None:
    async with Workloads(edge.client, addresses=edge.addresses):
        await edge.client.create(deployment("web", 1, image="nginx:1.27"))
        await edge.until(lambda: any(pod.status.phase == "Running" for pod in edge.pods.values()))
        await edge.client.create(service("web", 8099))
        (endpoint,) = await edge.until(lambda: edge.endpoints("web"))
        status, body = await get(endpoint, "/x")
        echo = json.loads(body)
        assert (status, echo["standIn"], echo["services"], echo["path"]) == (200, True, ["web"], "/x")


async def test_a_probe_that_fails_keeps_a_pod_out_of_the_endpoints(edge: Edge) -> None:
    async with Workloads(edge.client, addresses=edge.addresses):
        probe = {"httpGet": {"path": "/", "port": 5678}, "periodSeconds": 1, "failureThreshold": 1}
        await edge.client.create(service("bad", 5678))
        await edge.client.create(service("good", 5678))
        await edge.client.create(deployment("bad", 1, "-status-code=500", container={"readinessProbe": probe}))
        await edge.client.create(deployment("good", 1, "-status-code=302", container={"readinessProbe": probe}))

        def running() -> dict[str, bool]:
            return {
                pod.metadata.labels["app"]: any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions)
                for pod in edge.pods.values()
                if pod.status.phase == "Running"
            }

        await edge.until(lambda: edge.endpoints("good") and len(running()) == 2)
        assert running() == {"bad": False, "good": True}
        assert edge.endpoints("bad") == []


async def test_a_pod_waits_for_its_config_map(edge: Edge) -> None:
    async with Workloads(edge.client, addresses=edge.addresses):
        variable = {"name": "ECHO_TEXT", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "text"}}}
        await edge.client.create(service("app", 5678))
        await edge.client.create(deployment("app", 1, container={"env": [variable]}))

        def reason() -> str:
            states = [s.state for pod in edge.pods.values() for s in pod.status.container_statuses]
            return states[0].waiting.reason if states and states[0].waiting else ""

        await edge.until(lambda: reason() == "CreateContainerConfigError")
        metadata = {"name": "cm", "namespace": "default"}
        await edge.client.create(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"text": "hi"}}
        )
        (endpoint,) = await edge.until(lambda: edge.endpoints("app"))
        assert await get(endpoint) == (200, b"hi\n")


async def test_a_backend_of_the_users_own_takes_the_services_traffic(edge: Edge) -> None:
    with socket.create_server(("127.0.0.1", 0)) as own:
        port = own.getsockname()[1]
        backend = Backend("default", "app", 80, "localhost", port)
        async with Workloads(edge.client, addresses=edge.addresses, backends=[backend]):
            await edge.client.create(service("app", 5678))
            await edge.client.create(deployment("app", 1))
            await edge.until(lambda: edge.endpoints("app") == [("127.0.0.1", port)])


async def test_pods_share_one_address_where_there_is_only_one(edge: Edge) -> None:
    async with Workloads(edge.client, addresses=PodAddresses(own=False)):
        await edge.client.create(service("app", 5678))
        await edge.client.create(deployment("app", 2, "-text=x"))
        endpoints = await edge.until(lambda: len(edge.endpoints("app")) == 2 and edge.endpoints("app"))
        assert {address for address, _ in endpoints} == {"127.0.0.1"}
        assert len({port for _, port in endpoints}) == 2
        assert [await get(endpoint) for endpoint in endpoints] == [(200, b"x\n")] * 2


async def test_pods_come_back_to_life_after_a_restart(edge: Edge) -> None:
    await edge.client.create(service("app", 5678))
    await edge.client.create(deployment("app", 2, "-text=x"))
    async with Workloads(edge.client, addresses=edge.addresses):
        before = await edge.until(lambda: len(edge.endpoints("app")) == 2 and edge.endpoints("app"))
        names = set(edge.pods.keys())
    with pytest.raises(ConnectionRefusedError):
        await get(before[0])
    async with Workloads(edge.client, addresses=edge.addresses) as workloads:
        await workloads.idle()
        assert set(edge.pods.keys()) == names
        assert [await get(endpoint) for endpoint in edge.endpoints("app")] == [(200, b"x\n")] * 2


async def test_a_deleted_pod_is_replaced_and_a_forced_one_goes_at_once(edge: Edge) -> None:
    async with Workloads(edge.client, addresses=edge.addresses):
        await edge.client.create(service("app", 5678))
        await edge.client.create(deployment("app", 1))
        await edge.until(lambda: edge.endpoints("app"))
        (first,) = edge.pods.keys()
        await edge.client.delete(core.Pod, first)
        await edge.until(lambda: first not in edge.pods and edge.endpoints("app"))
        (second,) = edge.pods.keys()
        await edge.client.delete(core.Pod, second, grace_period=0)
        with pytest.raises(NotFound):
            await edge.client.get(core.Pod, second)
        await edge.until(lambda: second not in edge.pods and len(edge.endpoints("app")) == 1)


@pytest.mark.skipif(KUBECTL is None, reason="kubectl is not installed")
async def test_kubectl_rollout_scale_undo_and_logs(edge: Edge) -> None:
    async with Workloads(edge.client, addresses=edge.addresses) as workloads:
        edge.server.logs.register(workloads.logs)
        await edge.client.create(deployment("app", 2, "-text=x"))
        assert "successfully rolled out" in await edge.kubectl("rollout", "status", "deploy/app", "--timeout=60s")
        assert "server is listening on :5678" in await edge.kubectl("logs", "deploy/app")
        await edge.kubectl("scale", "deploy/app", "--replicas=3")
        await edge.kubectl("rollout", "restart", "deploy/app")
        assert "successfully rolled out" in await edge.kubectl("rollout", "status", "deploy/app", "--timeout=60s")
        await edge.kubectl("rollout", "undo", "deploy/app")
        assert "successfully rolled out" in await edge.kubectl("rollout", "status", "deploy/app", "--timeout=60s")
        history = await edge.kubectl("rollout", "history", "deploy/app")
        assert [line.split()[0] for line in history.splitlines()[2:] if line] == ["2", "3"]
