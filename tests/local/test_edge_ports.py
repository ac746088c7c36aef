"""Listeners of every protocol, ListenerSets, addresses and the Services of Gateways, on a running edge."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from gatewright.local.edge import LocalEdge
from gatewright.local.manifests import load
from gatewright.local.news import News, standing_problems
from gatewright.model.gateway import Gateway
from gatewright.model.meta import Key

pytestmark = pytest.mark.e2e

GATEWAY = Key("default", "gw")
EDGE = """\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  gatewayClassName: gatewright
  allowedListeners: {namespaces: {from: Same}}
  infrastructure: {labels: {team: edge}, annotations: {example.com/owner: us}}
  listeners:
    - {name: tcp, port: 19000, protocol: TCP}
    - {name: udp, port: 19000, protocol: UDP}
    - {name: tls, port: 18443, protocol: TLS, hostname: tls.example.com, tls: {certificateRefs: [{name: made}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: ListenerSet
metadata: {name: more}
spec:
  parentRef: {name: gw}
  listeners:
    - {name: http, port: 18080, protocol: HTTP}
    - {name: tls, port: 18443, protocol: HTTPS, hostname: web.example.com, tls: {certificateRefs: [{name: of-set}]}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: TCPRoute
metadata: {name: tcp}
spec: {parentRefs: [{name: gw, sectionName: tcp}], rules: [{backendRefs: [{name: lines, port: 80}]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: UDPRoute
metadata: {name: udp}
spec: {parentRefs: [{name: gw, sectionName: udp}], rules: [{backendRefs: [{name: datagrams, port: 53}]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: TLSRoute
metadata: {name: tls}
spec:
  hostnames: [tls.example.com]
  parentRefs: [{name: gw, sectionName: tls}]
  rules: [{backendRefs: [{name: lines, port: 80}]}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web}
spec:
  hostnames: [web.example.com]
  parentRefs: [{kind: ListenerSet, name: more}]
  rules: [{filters: [{type: RequestRedirect, requestRedirect: {path: {type: ReplaceFullPath, replaceFullPath: /x}}}]}]
---
apiVersion: v1
kind: Service
metadata: {name: lines}
spec: {ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: lines, labels: {kubernetes.io/service-name: lines}}
addressType: IPv4
endpoints: [{addresses: [127.0.0.1]}]
ports: [{port: LINES}]
---
apiVersion: v1
kind: Service
metadata: {name: datagrams}
spec: {ports: [{port: 53, protocol: UDP}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: datagrams, labels: {kubernetes.io/service-name: datagrams}}
addressType: IPv4
endpoints: [{addresses: [127.0.0.1]}]
ports: [{port: DATAGRAMS, protocol: UDP}]
"""


class _Answering(asyncio.DatagramProtocol):
    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._transport.sendto(b"got " + data, addr)


class _Asking(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.answer.set_result(data)


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[LocalEdge]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                writer.write(b"got " + line)
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(_Answering, local_addr=("127.0.0.1", 0))
    text = EDGE.replace("LINES", str(server.sockets[0].getsockname()[1]))
    text = text.replace("DATAGRAMS", str(transport.get_extra_info("sockname")[1]))
    (tmp_path / "edge.yaml").write_text(text)
    news: list[News] = []
    async with LocalEdge(news.append) as edge:
        problems, _ = await edge.applier.update(load([tmp_path]))
        assert problems == []
        assert await edge.ready(60) == []
        yield edge
    server.close()
    transport.close()


async def until(check: Callable[[], Any]) -> Any:
    async with asyncio.timeout(60):
        while not (found := check()):  # noqa: ASYNC110 - checks are of many kinds
            await asyncio.sleep(0.01)
    return found


async def line(host: str, port: int, **how: Any) -> str:
    reader, writer = await asyncio.open_connection(host, port, **how)
    writer.write(b"hello\n")
    found = await asyncio.wait_for(reader.readline(), 60)
    writer.close()
    return found.decode().strip()


async def test_every_protocol_is_served_and_shown(edge: LocalEdge) -> None:
    assert standing_problems(edge.inputs, edge.resolution) == []
    (gateway,) = edge.state().gateways
    host = gateway.address
    shown = [(found.listener_set, found.name, found.url, found.attached_routes) for found in gateway.listeners]
    assert shown == [
        ("", "tcp", f"tcp://{host}:19000", 1),
        ("", "udp", f"udp://{host}:19000", 1),
        ("", "tls", f"tls://{host}:18443", 1),
        ("default/more", "http", f"http://{host}:18080", 1),
        ("default/more", "tls", f"https://{host}:18443", 1),
    ]
    assert await line(host, 19000) == "got hello"
    loop = asyncio.get_running_loop()
    transport, client = await loop.create_datagram_endpoint(_Asking, remote_addr=(host, 19000))
    transport.sendto(b"hello")
    assert await asyncio.wait_for(client.answer, 60) == b"got hello"
    transport.close()
    edge.write_ca()
    context = ssl.create_default_context(cafile=str(edge.ca))
    assert await line(host, 18443, ssl=context, server_hostname="tls.example.com") == "got hello"
    reader, writer = await asyncio.open_connection(host, 18443, ssl=context, server_hostname="web.example.com")
    writer.write(b"GET / HTTP/1.1\r\nhost: web.example.com\r\nconnection: close\r\n\r\n")
    assert (await asyncio.wait_for(reader.readline(), 60)).startswith(b"HTTP/1.1 302")
    writer.close()

    commands = {trial.command: trial.leads_to for trial in edge.trials()}
    assert f"nc {host} 19000" in commands
    assert f"nc -u {host} 19000" in commands
    tls = f"openssl s_client -connect {host}:18443 -servername tls.example.com -CAfile {edge.ca}"
    assert tls in commands
    assert f"curl --resolve web.example.com:18080:{host} http://web.example.com:18080/" in commands


async def test_class_gatewright_has_a_service_where_the_infrastructure_is_marked(edge: LocalEdge) -> None:
    target = Key("default", "gw-gatewright")
    service = await until(lambda: edge.inputs.services.get(target))
    assert (
        service.metadata.labels.items()
        >= {
            "team": "edge",
            "gateway.networking.k8s.io/gateway-name": "gw",
        }.items()
    )
    assert service.metadata.annotations == {"example.com/owner": "us"}
    ports = [(port.port, port.protocol) for port in service.spec.ports]
    assert ports == [(18080, "TCP"), (18443, "TCP"), (19000, "TCP"), (19000, "UDP")]
    marks = {"spec": {"infrastructure": {"labels": {"team": None, "unit": "x"}, "annotations": None}}}
    await edge.client.patch(Gateway, GATEWAY, marks)
    await until(lambda: edge.inputs.services[target].metadata.labels.get("unit") == "x")
    changed = edge.inputs.services[target].metadata
    assert ("team" in changed.labels, changed.annotations) == (False, {})


async def test_addresses_are_all_served_or_named(edge: LocalEdge) -> None:
    before = edge.state().gateways[0].address
    wanted = [{"value": "127.33.0.1"}, {"value": "192.0.2.1"}, {"value": "127.33.0.2"}]
    await edge.client.patch(Gateway, GATEWAY, {"spec": {"addresses": wanted}})
    await until(lambda: edge.state().gateways[0].addresses == ("127.33.0.1", "127.33.0.2"))

    def programmed() -> tuple[str, str, str]:
        conditions = edge.resolution.gateway_statuses[GATEWAY].conditions
        return next((c.status, c.reason, c.message) for c in conditions if c.type == "Programmed")

    assert await edge.ready(60) == []
    status, reason, message = programmed()
    assert (status, reason) == ("False", "AddressNotUsable")
    assert "192.0.2.1" in message
    await edge.client.patch(Gateway, GATEWAY, {"spec": {"addresses": [wanted[0], wanted[2]]}})
    await until(lambda: programmed()[0] == "True")
    addresses = [address.value for address in edge.resolution.gateway_statuses[GATEWAY].addresses]
    assert addresses == ["127.33.0.1", "127.33.0.2"]
    assert await edge.ready(60) == []
    for host in addresses:
        assert await line(host, 19000) == "got hello"
    await edge.client.patch(Gateway, GATEWAY, {"spec": {"addresses": [{"type": "IPAddress"}]}})
    await until(lambda: edge.state().gateways[0].addresses not in ((), ("127.33.0.1", "127.33.0.2")))
    assert await edge.ready(60) == []
    assert edge.state().gateways[0].addresses == (before,)


async def test_a_gateway_of_class_istio_without_a_load_balancer_has_the_name_of_its_service(edge: LocalEdge) -> None:
    gateway = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {
            "name": "inner",
            "namespace": "default",
            "annotations": {"networking.istio.io/service-type": "ClusterIP"},
        },
        "spec": {"gatewayClassName": "istio", "listeners": [{"name": "http", "port": 18080, "protocol": "HTTP"}]},
    }
    await edge.client.create(gateway)
    key = Key("default", "inner")

    def addresses() -> list[tuple[str, str]]:
        status = edge.resolution.gateway_statuses.get(key)
        return [(address.type, address.value) for address in status.addresses] if status else []

    await until(addresses)
    assert await edge.ready(60) == []
    assert addresses() == [("Hostname", "inner-istio.default.svc.cluster.local")]
    conditions = edge.resolution.gateway_statuses[key].conditions
    assert [c.status for c in conditions if c.type == "Programmed"] == ["True"]
    await edge.client.delete(Gateway, key)
    await until(lambda: Key("default", "inner-istio") not in edge.inputs.services)
