"""Ports of every kind behind Services: TLS from Secrets, gRPC, UDP, their probes and restarts."""

import asyncio
import base64
import json
import socket
import ssl
from typing import Any

import grpc
from tests.workloads.certificates import Pair, self_signed
from tests.workloads.live_edge import ECHO_BASIC, Edge, deployment, service

from gatewright.local.workloads import Workloads
from gatewright.model import apps, core
from gatewright.model.meta import Key


async def test_a_grpc_backend_rolls_out_without_a_failed_call(edge: Edge) -> None:
    env = [{"name": "GRPC_ECHO_SERVER", "value": "1"}]
    async with Workloads(edge.client, addresses=edge.addresses):
        await edge.client.create(service("grpc", 3000))
        await edge.client.create(deployment("grpc", 2, image=ECHO_BASIC, container={"env": env}))
        await edge.until(lambda: len(edge.endpoints("grpc")) == 2)
        before = set(edge.endpoints("grpc"))
        channels: dict[tuple[str, int], grpc.aio.Channel] = {}
        outcomes: set[grpc.StatusCode] = set()
        over = False

        async def calls() -> None:
            while not over:
                for endpoint in edge.endpoints("grpc"):
                    if endpoint not in channels:
                        channels[endpoint] = grpc.aio.insecure_channel(f"{endpoint[0]}:{endpoint[1]}")
                    echo = channels[endpoint].unary_unary("/gateway_api_conformance.echo_basic.grpcecho.GrpcEcho/Echo")
                    call = echo(b"", timeout=60)
                    outcomes.add(await call.code())

        calling = asyncio.create_task(calls())
        template = {"metadata": {"annotations": {"again": "1"}}}
        await edge.client.patch(apps.Deployment, Key("default", "grpc"), {"spec": {"template": template}})
        await edge.until(lambda: len(edge.endpoints("grpc")) == 2 and not before & set(edge.endpoints("grpc")))
        await edge.until(lambda: len(edge.pods.keys()) == 2)
        over = True
        await calling
        for channel in channels.values():
            await channel.close()
        assert outcomes == {grpc.StatusCode.OK}


async def test_a_container_whose_liveness_probe_fails_is_restarted_and_then_held_back(edge: Edge) -> None:
    async with Workloads(edge.client, addresses=edge.addresses):
        probe = {"httpGet": {"path": "/", "port": 5678}, "periodSeconds": 1, "failureThreshold": 1}
        await edge.client.create(service("sick", 5678))
        await edge.client.create(deployment("sick", 1, "-status-code=500", container={"livenessProbe": probe}))

        def held_back() -> bool:
            statuses = [status for pod in edge.pods.values() for status in pod.status.container_statuses]
            return any(s.state.waiting and s.state.waiting.reason == "CrashLoopBackOff" for s in statuses)

        await edge.until(held_back)
        (status,) = (status for pod in edge.pods.values() for status in pod.status.container_statuses)
        assert status.restart_count == 2
        await edge.until(lambda: not edge.endpoints("sick"))


def secret(name: str, pair: Pair) -> dict[str, Any]:
    data = {"tls.crt": pair.certificate, "tls.key": pair.key}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "kubernetes.io/tls",
        "metadata": {"name": name, "namespace": "default"},
        "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
    }


def tls_deployment(**env: str) -> dict[str, Any]:
    """The suite's `tls-backend`, with a probe over HTTPS."""
    volume = {
        "name": "secret-volume",
        "secret": {
            "secretName": "tls-checks-certificate",
            "items": [{"key": "tls.crt", "path": "crt"}, {"key": "tls.key", "path": "key"}],
        },
    }
    files = {"TLS_SERVER_CERT": "/etc/secret-volume/crt", "TLS_SERVER_PRIVKEY": "/etc/secret-volume/key", **env}
    container = {
        "volumeMounts": [{"name": "secret-volume", "mountPath": "/etc/secret-volume"}],
        "env": [{"name": name, "value": value} for name, value in files.items()],
        "readinessProbe": {"httpGet": {"port": 8443, "path": "/health", "scheme": "HTTPS"}, "periodSeconds": 1},
    }
    return deployment("tls", 1, image=ECHO_BASIC, container=container, volumes=[volume])


async def test_a_pod_waits_for_the_secret_of_its_volume_and_serves_tls_with_it(edge: Edge) -> None:
    pair = self_signed("abc.example.com")
    async with Workloads(edge.client, addresses=edge.addresses):
        await edge.client.create(service("tls", 8443, 443))
        await edge.client.create(tls_deployment())
        await edge.until(lambda: [p for p in edge.pods.values() if p.status.container_statuses])
        (waiting,) = [s.state.waiting for p in edge.pods.values() for s in p.status.container_statuses]
        assert waiting is not None
        assert waiting.reason == "ContainerCreating"
        events = await edge.events()
        assert events == {
            (
                "FailedMount",
                'MountVolume.SetUp failed for volume "secret-volume" : secret "tls-checks-certificate" not found',
            )
        }
        assert edge.endpoints("tls") == []
        await edge.client.create(secret("tls-checks-certificate", pair))
        (endpoint,) = await edge.until(lambda: edge.endpoints("tls"))
        context = ssl.create_default_context(cadata=pair.certificate.decode())
        reader, writer = await asyncio.open_connection(*endpoint, ssl=context, server_hostname="abc.example.com")
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert b'"serverName": "abc.example.com"' in await asyncio.wait_for(reader.read(), 60)
        writer.close()


async def test_a_program_that_a_bad_certificate_ended_recovers_with_a_good_one(edge: Edge) -> None:
    good = self_signed("abc.example.com")
    async with Workloads(edge.client, addresses=edge.addresses):
        await edge.client.create(service("tls", 8443, 443))
        await edge.client.create(secret("tls-checks-certificate", Pair(b"nonsense", good.key)))
        await edge.client.create(tls_deployment())

        def reason() -> str:
            states = [s.state.waiting for p in edge.pods.values() for s in p.status.container_statuses]
            return states[0].reason if states and states[0] else ""

        await edge.until(lambda: reason() == "CrashLoopBackOff")
        data = secret("tls-checks-certificate", good)["data"]
        await edge.client.patch(core.Secret, Key("default", "tls-checks-certificate"), {"data": data})
        await edge.until(lambda: edge.endpoints("tls"))
        assert [s.restart_count for p in edge.pods.values() for s in p.status.container_statuses] == [1]


async def test_ports_of_every_kind_are_probed_and_become_endpoints(edge: Edge) -> None:
    async with Workloads(edge.client, addresses=edge.addresses):
        udp = service("udp", 8080, 53)
        udp["spec"]["ports"][0]["protocol"] = "UDP"
        await edge.client.create(udp)
        env = [{"name": "UDP_ECHO_SERVER", "value": "1"}]
        await edge.client.create(deployment("udp", 1, image=ECHO_BASIC, container={"env": env}))
        (endpoint,) = await edge.until(lambda: edge.endpoints("udp"))
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.setblocking(False)
            client.connect(endpoint)
            await asyncio.get_running_loop().sock_sendall(client, b"probe")
            answer = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(client, 4096), 60)
            assert json.loads(answer)["request"] == "probe"
        also = service("web-udp", 90, selector="web")
        also["spec"]["ports"][0]["protocol"] = "UDP"
        await edge.client.create(also)
        probe = {"grpc": {"port": 80}, "periodSeconds": 1, "failureThreshold": 1}
        await edge.client.create(service("web", 80))
        await edge.client.create(deployment("web", 1, image="nginx", container={"readinessProbe": probe}))
        await edge.until(lambda: edge.endpoints("web") and edge.endpoints("web-udp"))
        probe = {"httpGet": {"port": "https", "scheme": "HTTPS"}, "periodSeconds": 1}
        container = {"readinessProbe": probe, "ports": [{"containerPort": 8443, "name": "https"}]}
        await edge.client.create(service("secure", "https"))
        await edge.client.create(deployment("secure", 1, image="nginx", container=container))
        await edge.until(lambda: edge.endpoints("secure"))
        # The image has no health service, so that such a probe fails as it does in a cluster.
        probe = {"grpc": {"port": 3000}, "periodSeconds": 1, "failureThreshold": 1}
        container = {"readinessProbe": probe, "env": [{"name": "GRPC_ECHO_SERVER", "value": "1"}]}
        await edge.client.create(service("grpc", 3000))
        await edge.client.create(deployment("grpc", 1, image=ECHO_BASIC, container=container))
        await edge.until(lambda: [s for s in edge.slices.values() if s.service_name == "grpc" and s.endpoints])
        assert edge.endpoints("grpc") == []
