"""While things change under a steady load, every answer is the old right one or the new right one.

The load is bounded (tests/e2e/steady_load.py) and real: connections that are kept, connections that are new, TLS. A
reset connection is a lost request, and nothing is tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.e2e.edge_process import Edge, app, gateway, route
from tests.e2e.steady_load import Asked, Grpc, Http1, Http2, Load

from gatewright.local.certificates import Authority
from gatewright.local.secrets import tls_secret
from gatewright.model.meta import Key

PORT, TLS_PORT = 8080, 8443


class Scene:
    """A namespace of the edge with a Gateway, and the load on it."""

    def __init__(self, edge: Edge, namespace: str, load: Load) -> None:
        self.edge, self.namespace, self.load = edge, namespace, load
        self.address = ""

    async def apply(self, *manifests: str) -> None:
        await asyncio.to_thread(self.edge.cluster.apply, "\n---\n".join(manifests), self.namespace)

    async def patch(self, kind: str, name: str, patch: Any) -> None:
        await asyncio.to_thread(self.edge.cluster.patch, kind, self.namespace, name, patch)

    async def delete(self, kind: str, name: str) -> None:
        await asyncio.to_thread(self.edge.cluster.delete, kind, self.namespace, name)

    async def programmed(self, name: str = "gw") -> str:
        self.address = await asyncio.to_thread(self.edge.address, self.namespace, name)
        return self.address

    async def ask(self, right: str, path: str = "/", host: str = "any.example.com", **how: Any) -> Asked:
        """Two clients that keep their connections, and one that makes a new one for each request."""
        where = (self.address, how.pop("port", PORT), path, host)
        clients = [Http1(*where, **how), Http1(*where, **how), Http1(*where, keep=False, **how)]
        return await self.load.ask(f"{host}{path}", right, *clients)


@pytest.fixture
async def scene(edge: Edge, namespace: str) -> AsyncIterator[Scene]:
    """A Gateway with the Services one and two, and a route `fixed` that stays as it is: it must not notice anything."""
    async with Load() as load:
        scene = Scene(edge, namespace, load)
        await scene.apply(gateway(), app("one", "1"), app("two", "2"), app("fixed", "fixed"))
        await scene.programmed()
        await scene.apply(route("fixed", "fixed", "/fixed"), route("moving", "one"))
        await scene.ask("fixed", "/fixed", "fixed.example.org")
        yield scene
        await load.steady()


def rules(*backends: str, extra: str = "", hostnames: str = "[]", name: str = "moving") -> str:
    """An HTTPRoute whose one rule leads to `backends`: `name` or `name=weight`."""
    refs = []
    for backend in backends:
        service, _, weight = backend.partition("=")
        refs.append(f"{{name: {service}, port: 8080, weight: {weight or 1}}}")
    return f"""
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {name}}}
spec:
  hostnames: {hostnames}
  parentRefs: [{{name: gw}}]
  rules: [{{backendRefs: [{", ".join(refs)}] {extra}}}]
"""


async def test_rules_are_edited_and_weights_moved(scene: Scene) -> None:
    moving = await scene.ask("1")
    for new in ("2", "1"):
        async with scene.load.changing((moving, new)):
            await scene.apply(rules({"1": "one", "2": "two"}[new]))
    redirect = ", filters: [{type: RequestRedirect, requestRedirect: {hostname: elsewhere, statusCode: 302}}]"
    async with scene.load.changing((moving, "302")):
        await scene.apply(rules(extra=redirect))
    async with scene.load.changing((moving, "1")):
        await scene.apply(rules("one"))
    moving.right = {"1", "2"}
    for weights in (("one=1", "two=1"), ("one=9", "two=1"), ("one=1", "two=9")):
        await scene.apply(rules(*weights))
    async with scene.load.changing((moving, "2")):
        await scene.apply(rules("one=0", "two=1"))
    moving.right = {"2"}


async def test_what_cannot_be_served_meanwhile_costs_nobody_else_a_request(scene: Scene) -> None:
    moving = await scene.ask("1")
    bad = ", filters: [{type: RequestHeaderModifier, requestHeaderModifier: {remove: [host]}}]"
    for number in range(3):
        name = f"bad-{number}"
        await scene.apply(rules("one", extra=bad, hostnames="[bad.example.com]", name=name))
        async with scene.load.changing((moving, "2" if number % 2 == 0 else "1")):
            await scene.apply(rules("two" if number % 2 == 0 else "one"))
    for number in range(3):
        await scene.delete("HTTPRoute", f"bad-{number}")


async def test_backends_are_rolled_and_scaled(scene: Scene) -> None:
    one = await scene.ask("1")
    async with scene.load.changing((one, "new")):
        await scene.apply(app("one", "new", replicas=2))
    async with scene.load.changing((one, "newer")):
        await scene.apply(app("one", "newer", replicas=2))
    for replicas in (3, 1):
        await scene.patch("Deployment", "one", {"spec": {"replicas": replicas}})
        await asyncio.to_thread(pods_are, scene, "one", replicas)
    async with scene.load.changing((one, "2")):
        await scene.patch("Service", "one", {"spec": {"selector": {"app": "two"}}})


def pods_are(scene: Scene, name: str, count: int) -> None:
    from tests.e2e.edge_process import eventually

    def look() -> bool:
        path = f"/api/v1/namespaces/{scene.namespace}/pods?labelSelector=app%3D{name}"
        return len(scene.edge.cluster.request("GET", path)["items"]) == count

    eventually(look, f"{count} pods of {name}")


async def test_hostnames_move_between_routes(scene: Scene) -> None:
    """A route takes over a hostname that another one had: first both have it, and the older one wins."""
    host, other = "shop.example.com", "*.example.com"
    await scene.apply(rules("one", hostnames=f"[{host}]"))
    shop = await scene.ask("1", host=host)
    await scene.apply(rules("two", hostnames=f"[{host}]", name="heir"))
    async with scene.load.changing((shop, "2")):
        await scene.apply(rules("one", hostnames="[gone.example.com]"))
    await scene.apply(rules("one", hostnames=f'["{other}"]'))
    async with scene.load.changing((shop, "1")):
        await scene.delete("HTTPRoute", "heir")
    async with scene.load.changing((shop, "2")):
        await scene.apply(rules("two", hostnames=f"[{host}]", name="heir"))


def with_listeners(*listeners: str, labels: str = "{}") -> str:
    return f"""
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: gw, labels: {labels}}}
spec:
  gatewayClassName: gatewright
  listeners: [{", ".join(listeners)}]
"""


HTTP = "{name: http, port: 8080, protocol: HTTP}"


def https(name: str, host: str, secret: str) -> str:
    tls = f"{{certificateRefs: [{{name: {secret}}}]}}"
    return f"{{name: {name}, port: {TLS_PORT}, protocol: HTTPS, hostname: '{host}', tls: {tls}}}"


async def test_listeners_come_and_go_and_the_gateway_is_edited(scene: Scene) -> None:
    moving = await scene.ask("1")
    for listeners in (
        (HTTP, "{name: more, port: 8081, protocol: HTTP}"),
        (HTTP, "{name: named, port: 8080, protocol: HTTP, hostname: other.example.com}"),
        (HTTP, "{name: named, port: 8080, protocol: HTTP, hostname: third.example.com}"),
        ("{name: renamed, port: 8080, protocol: HTTP}",),
        ("{name: renamed, port: 8080, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}",),
    ):
        await scene.apply(with_listeners(*listeners, labels="{edit: x}"))
        await asyncio.to_thread(settled, scene)
    async with scene.load.changing((moving, "2")):
        await scene.apply(with_listeners(HTTP), rules("two"))


def settled(scene: Scene) -> None:
    from tests.e2e.edge_process import eventually

    def look() -> bool:
        gateway = scene.edge.cluster.get("Gateway", scene.namespace, "gw")
        found = [*gateway["status"]["conditions"]]
        for listener in gateway["status"]["listeners"]:
            found += [each for each in listener["conditions"] if each["type"] == "Programmed"]
        generation = gateway["metadata"]["generation"]
        return all(each["observedGeneration"] == generation and each["status"] == "True" for each in found)

    eventually(look, "the Gateway is programmed as it is now")


async def test_certificates_are_rotated_and_https_listeners_added(scene: Scene, tmp_path: Path) -> None:
    authority = Authority.create("somebody else")
    ca = tmp_path / "ca.crt"
    ca.write_bytes(authority.pem)

    async def rotate(secret: str) -> None:
        pair = authority.issue(["a.example.com", "b.example.com"])
        made = tls_secret(Key(scene.namespace, secret), pair, authority.pem)
        await scene.apply(msgspec.json.encode(made).decode())

    await rotate("cert")
    await scene.apply(with_listeners(HTTP, https("a", "a.example.com", "cert")))
    await asyncio.to_thread(settled, scene)
    asked = await scene.ask("1", host="a.example.com", port=TLS_PORT, ca=ca)
    fresh = asked.clients[-1]
    assert isinstance(fresh, Http1)
    for _ in range(3):
        known = len(fresh.serials)
        await rotate("cert")
        await asked.until(lambda known=known: len(fresh.serials) > known)  # type: ignore[misc]
    await rotate("more")
    for listeners in (
        (HTTP, https("a", "a.example.com", "cert"), https("b", "b.example.com", "more")),
        (https("b", "b.example.com", "cert"), https("a", "a.example.com", "more"), HTTP),
        (HTTP, https("a", "a.example.com", "cert")),
    ):
        await scene.apply(with_listeners(*listeners))
        await asyncio.to_thread(settled, scene)
    async with scene.load.changing((asked, "2")):
        await scene.apply(rules("two"))


def grpc_app(name: str, replicas: int = 1, **labels: str) -> str:
    """The Gateway API's gRPC echo server, its Service `grpc-NAME` on port 8080."""
    return (
        app(f"grpc-{name}", "", replicas)
        .replace("hashicorp/http-echo:1.0", "registry.example.com/gateway-api/echo-basic:1")
        .replace('args: ["-listen=:8080", "-text="]', "env: [" + ", ".join(_environment(**labels)) + "]")
        .replace("ports: [{port: 8080}]", "ports: [{port: 8080, targetPort: 3000, appProtocol: kubernetes.io/h2c}]")
    )


def _environment(**more: str) -> list[str]:
    names = {"POD_NAME": "metadata.name", "NAMESPACE": "metadata.namespace"}
    fields = [f"{{name: {name}, valueFrom: {{fieldRef: {{fieldPath: {path}}}}}}}" for name, path in names.items()]
    return [
        *fields,
        *(f"{{name: {name}, value: '{value}'}}" for name, value in {"GRPC_ECHO_SERVER": "1", **more}.items()),
    ]


def grpc_route(backend: str) -> str:
    return f"""
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {{name: calls}}
spec:
  parentRefs: [{{name: gw, sectionName: grpc}}]
  rules: [{{backendRefs: [{{name: grpc-{backend}, port: 8080}}]}}]
"""


async def test_grpc_calls_are_moved_and_their_backends_rolled(scene: Scene) -> None:
    # On a listener of their own: a hostname has either HTTPRoutes or GRPCRoutes.
    calls_only = "allowedRoutes: {kinds: [{kind: GRPCRoute}]}"
    listener = f"{{name: grpc, port: 9000, protocol: HTTP, {calls_only}}}"
    await scene.apply(with_listeners(HTTP, listener), grpc_app("one"), grpc_app("two"), grpc_route("one"))
    clients = [Grpc(scene.address, 9000, "grpc.example.org") for _ in range(2)]
    calls = await scene.load.ask("grpc", "one", *clients)
    async with scene.load.changing((calls, "two")):
        await scene.apply(grpc_route("two"))
    async with scene.load.changing((calls, "one")):
        await scene.apply(grpc_route("one"))
    await scene.apply(grpc_app("one", 2, EDIT="1"))
    await asyncio.to_thread(pods_are, scene, "grpc-one", 2)
    await scene.apply(grpc_app("one", 1, EDIT="2"))
    await asyncio.to_thread(pods_are, scene, "grpc-one", 1)
    await scene.apply(with_listeners(HTTP, listener, "{name: more, port: 8081, protocol: HTTP}"))
    await asyncio.to_thread(settled, scene)


async def test_http_2_and_tls_and_tcp_streams(scene: Scene, tmp_path: Path) -> None:
    authority = Authority.create("somebody else")
    ca = tmp_path / "ca.crt"
    ca.write_bytes(authority.pem)
    pair = authority.issue(["a.example.com", "t.example.com"])
    secret = tls_secret(Key(scene.namespace, "cert"), pair, authority.pem)
    tcp = "{name: tcp, port: 9090, protocol: TCP}"
    tls = "{name: tls, port: 9443, protocol: TLS, tls: {mode: Terminate, certificateRefs: [{name: cert}]}}"
    secure = https("a", "a.example.com", "cert")
    await scene.apply(msgspec.json.encode(secret).decode(), with_listeners(HTTP, secure, tcp, tls))
    await scene.apply(stream("TCPRoute", "tcp", "one"), stream("TLSRoute", "tls", "one", "hostnames: [t.example.com],"))
    await asyncio.to_thread(settled, scene)
    fast = await scene.load.ask(
        "h2", "1", *(Http2(scene.address, TLS_PORT, "/", "a.example.com", ca=ca) for _ in range(2))
    )
    plain = await scene.load.ask("tcp", "1", *(Http1(scene.address, 9090, keep=False) for _ in range(2)))
    sealed = await scene.load.ask(
        "tls", "1", *(Http1(scene.address, 9443, "/", "t.example.com", keep=False, ca=ca) for _ in range(2))
    )
    for new, backend in (("2", "two"), ("1", "one")):
        async with scene.load.changing((fast, new), (plain, new), (sealed, new)):
            await scene.apply(
                rules(backend),
                stream("TCPRoute", "tcp", backend),
                stream("TLSRoute", "tls", backend, "hostnames: [t.example.com],"),
            )
    async with scene.load.changing((fast, "new"), (plain, "new"), (sealed, "new")):
        await scene.apply(app("one", "new", replicas=2))
    async with scene.load.changing():
        await scene.apply(with_listeners(tls, HTTP, secure, tcp, https("b", "b.example.com", "cert")))
        await asyncio.to_thread(settled, scene)


def stream(kind: str, section: str, backend: str, more: str = "") -> str:
    """A route of connections, on the listener of the same name."""
    parents = f"parentRefs: [{{name: gw, sectionName: {section}}}]"
    rules = f"rules: [{{backendRefs: [{{name: {backend}, port: 8080}}]}}]"
    api = "apiVersion: gateway.networking.k8s.io/v1"
    return f"{{{api}, kind: {kind}, metadata: {{name: {section}}}, spec: {{{more} {parents}, {rules}}}}}\n"


async def test_everything_at_once(scene: Scene, tmp_path: Path) -> None:
    """Many edits without a pause between them, as a deployment pipeline makes them."""
    asked = [await scene.ask("1", host=f"h{number}.example.com") for number in range(3)]
    for one in asked:
        one.right = {"1", "2", "new"}
    for turn in range(6):
        name, backend = f"own-{turn % 3}", ("two", "one")[turn % 2]
        await scene.apply(rules(backend, hostnames=f"[h{turn % 3}.example.com]", name=name))
        if turn == 2:
            await scene.apply(app("one", "new", replicas=2))
        if turn == 3:
            await scene.apply(with_listeners(HTTP, "{name: more, port: 8081, protocol: HTTP}"))
    async with scene.load.changing(*((one, "2") for one in asked)):
        await scene.apply(
            *(rules("two", hostnames=f"[h{number}.example.com]", name=f"own-{number}") for number in range(3))
        )
    for one in asked:
        one.right = {"2"}
