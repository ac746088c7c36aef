"""Policies of the cluster keep others from pods, on a whole edge."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import yaml

from gatewright.cluster import ClusterError
from gatewright.local.argocd.definitions import definitions
from gatewright.local.edge import Hosting, LocalEdge
from gatewright.local.guard import AUTHORIZATION_POLICY, PEER_AUTHENTICATION
from gatewright.local.manifests import load
from gatewright.local.news import News
from gatewright.local.workloads.nodes import NODE, own_node, own_status
from gatewright.model.core import Node, Pod
from gatewright.model.meta import Key

pytestmark = pytest.mark.e2e

KINDS = {kind.kind: kind for kind in (PEER_AUTHENTICATION, AUTHORIZATION_POLICY)}
EDGE = """\
apiVersion: v1
kind: Namespace
metadata: {name: edge}
---
apiVersion: v1
kind: Namespace
metadata: {name: app, labels: {istio.io/dataplane-mode: ambient}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, namespace: edge}
spec:
  gatewayClassName: istio
  listeners: [{name: http, port: 18080, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}]
---
apiVersion: v1
kind: Service
metadata: {name: app, namespace: app}
spec: {selector: {app: app}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: app, namespace: app}
spec:
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec:
      containers:
        - name: app
          image: hashicorp/http-echo:1.0
          args: ["-listen=:80", "-text=hi"]
          ports: [{containerPort: 80}]
          readinessProbe: {httpGet: {path: /, port: 80}, periodSeconds: 1}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: app, namespace: app}
spec:
  parentRefs: [{name: gw, namespace: edge}]
  rules: [{backendRefs: [{name: app, port: 80}]}]
"""
MESH = """\
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default, namespace: istio-system}
spec: {mtls: {mode: STRICT}}
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: from-gateway, namespace: app}
spec:
  rules: [{from: [{source: {principals: [cluster.local/ns/edge/sa/gw-istio]}}]}]
"""
NETWORK = """\
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: none, namespace: app}
spec: {podSelector: {}, policyTypes: [Ingress]}
"""


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[LocalEdge]:
    (tmp_path / "edge.yaml").write_text(EDGE)
    news: list[News] = []
    async with LocalEdge(news.append, hosting=Hosting(tmp_path / "run", lambda _: {})) as edge:
        await edge.client.create(own_node())
        await edge.client.patch(Node, Key("", NODE), {"status": own_status()}, subresource="status")
        for definition in definitions():
            await edge.client.apply(definition, field_manager="test")
        await edge.client.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "istio-system"}}, field_manager="test"
        )
        problems, _ = await edge.applier.update(load([tmp_path]))
        assert problems == []
        assert await edge.ready(60) == []
        yield edge


async def ask(url: str) -> str:
    """The answer, or what there was instead."""
    async with aiohttp.ClientSession() as session:
        try:
            async with session.get(url) as answer:
                return f"{answer.status} {(await answer.text()).strip()}"
        except aiohttp.ClientError as error:
            return "reset" if getattr(error, "errno", None) == errno.ECONNRESET else str(error)


async def test_only_those_whom_policies_let_in_get_to_a_pod(edge: LocalEdge) -> None:
    if edge.state().gateways[0].addresses == ("127.0.0.1",):
        pytest.skip("this system has one loopback address, by which nobody can be told from anybody")
    gateway = edge.state().gateway_url
    listed = await edge.client.list(Pod, "app")
    address = listed[0].status.pod_ip
    pod = f"http://{address}/"
    assert [await ask(gateway), await ask(pod)] == ["200 hi", "200 hi"]
    proxy = f"/api/v1/namespaces/app/pods/{listed[0].name}/proxy/"
    assert await edge.client.request("GET", proxy) == b"hi\n"

    await apply(edge, MESH)
    assert [await ask(gateway), await ask(pod)] == ["200 hi", "reset"]
    with pytest.raises(ClusterError, match="connection reset by peer"):
        await edge.client.request("GET", proxy)
    await apply(edge, MESH.replace("gw-istio", "another"))
    assert (await ask(gateway)).startswith("503 ")
    await apply(edge, MESH)
    assert await ask(gateway) == "200 hi"

    await apply(edge, NETWORK)
    assert (await ask(gateway)).startswith("503 ")
    # The node's own probes go on.
    assert await edge.ready(60) == []


async def apply(edge: LocalEdge, text: str) -> None:
    for content in yaml.safe_load_all(text):
        kind = KINDS.get(content["kind"])
        await edge.client.apply(content, field_manager="test", kind=kind)
    assert edge.guard
    await edge.guard.caught_up()
