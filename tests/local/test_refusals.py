"""The API's words, put for people who edit files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from gatewright.cluster import ApiError, Client
from gatewright.cluster.errors import StatusCause
from gatewright.local.apiserver import ApiServer, Store
from gatewright.local.apply import Applier
from gatewright.local.manifests import Manifest, load
from gatewright.local.refusals import refusals, unknown_kind
from gatewright.model.gateway import HTTPRoute
from gatewright.model.meta import Key

PORT = "spec.rules[0].backendRefs[0].port"
ROUTE = """\
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: route, namespace: default}
spec:
  hostname: [a]
  rules:
    - backendRefs:
        - name: svc
          port: "80"
"""


def manifest(tmp_path: Path, text: str) -> Manifest:
    path = tmp_path / "m.yaml"
    path.write_text(text)
    (found,) = load([path]).objects
    return found


def said(found: Manifest, message: str, *causes: StatusCause) -> list[str]:
    error = ApiError(422, "Invalid", message, causes)
    return [str(problem).removeprefix(found.file) for problem in refusals(found, error)]


@pytest.mark.parametrize(
    ("message", "cause", "expected"),
    [
        (
            'strict decoding error: unknown field "spec.hostname"',
            None,
            ":5: HTTPRoute default/route: spec.hostname: unknown field; did you mean hostnames?",
        ),
        (
            'strict decoding error: unknown field "spec.rules[0].zzz"',
            None,
            ":7: HTTPRoute default/route: spec.rules[0].zzz: unknown field; HTTPRoute spec.rules[0] has ",
        ),
        (
            "invalid",
            StatusCause(
                field=PORT,
                message=f'Invalid value: "string": {PORT} in body must be of type integer: "string"',
            ),
            ':9: HTTPRoute default/route: spec.rules[0].backendRefs[0].port: found "80", expected a whole number',
        ),
        (
            "invalid",
            StatusCause(field="spec.rules[0]", message='Invalid value: "object": filters must not be repeated'),
            ":7: HTTPRoute default/route: spec.rules[0]: filters must not be repeated",
        ),
        (
            f"json: cannot unmarshal string into Go struct field HTTPRouteSpec.{PORT} of type int32",
            None,
            ':9: HTTPRoute default/route: spec.rules[0].backendRefs[0].port: found "80", expected a number',
        ),
        (
            'namespaces "default" not found',
            None,
            ":3: HTTPRoute default/route: metadata.namespace: there is no namespace default; add a Namespace",
        ),
        ("something else", None, ":1: HTTPRoute default/route: something else"),
    ],
)
def test_a_refusal_names_line_field_and_remedy(
    tmp_path: Path, message: str, cause: StatusCause | None, expected: str
) -> None:
    (text,) = said(manifest(tmp_path, ROUTE), message, *([cause] if cause else []))
    assert text.startswith(expected)


def test_what_a_secret_holds_is_not_repeated(tmp_path: Path) -> None:
    found = manifest(tmp_path, 'apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {a: ["hunter2"]}\n')
    cause = StatusCause(field="stringData.a", message='Invalid value: "array": must be of type string: "array"')
    assert said(found, "invalid", cause) == [":4: Secret s: stringData.a: found another type, expected a string"]


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("apiVersion: gateway.networking.k8s.io/v1\nkind: Httproute", "did you mean HTTPRoute?"),
        ("apiVersion: v1\nkind: Deployment", "found v1, expected apps/v1 for kind Deployment"),
        ("apiVersion: example.com/v1\nkind: Zebra", "is its CustomResourceDefinition missing?"),
    ],
)
def test_an_unknown_kind_gets_a_remedy(tmp_path: Path, head: str, expected: str) -> None:
    assert expected in unknown_kind(manifest(tmp_path, f"{head}\nmetadata: {{name: x}}\n"))


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    server = ApiServer(Store.memory())
    async with server, AsyncExitStack() as stack:
        client = Client.with_token(server.url, server.token, server.ca_certificate)
        yield await stack.enter_async_context(client)


async def test_applying_keeps_the_api_in_step_with_the_files(tmp_path: Path, client: Client) -> None:
    path = tmp_path / "m.yaml"
    good = ROUTE.replace("hostname", "hostnames").replace('"80"', "80")
    other = good.replace("name: route", "name: other")
    applier = Applier(client)

    async def update(text: str) -> tuple[list[str], list[str]]:
        path.write_text(text)
        problems, done = await applier.update(load([path]))
        return [problem.message for problem in problems], done

    both = ["HTTPRoute default/other created", "HTTPRoute default/route created"]
    assert await update(f"{good}---\n{other}") == ([], both)
    assert await update(f"# comment\n{good}---\n{other}") == ([], [])
    assert applier.where("HTTPRoute", Key("default", "route"), "spec.rules[0]") == f"{path}:8"
    edited = good.replace("[a]", "[b]")
    assert await update(f"{edited}---\n{other}") == ([], ["HTTPRoute default/route configured"])
    assert (await client.get(HTTPRoute, Key("default", "route"))).spec.hostnames == ("b",)
    # A file with a mistake deletes nothing.
    assert await update(edited + "---\n[") == ([], [])
    assert len(await client.list(HTTPRoute)) == 2
    assert await update(edited) == ([], ["HTTPRoute default/other deleted"])
    assert [route.name for route in await client.list(HTTPRoute)] == ["route"]
    # Gone behind our back is gone.
    await client.delete(HTTPRoute, Key("default", "route"))
    assert (await update(other))[1] == ["HTTPRoute default/other created", "HTTPRoute default/route deleted"]


async def test_a_kind_that_a_definition_adds_is_applied_with_it(tmp_path: Path, client: Client) -> None:
    definition = """\
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: things.example.com}
spec:
  group: example.com
  names: {kind: Thing, plural: things}
  scope: Namespaced
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            apiVersion: {type: string}
            kind: {type: string}
            metadata: {type: object}
            size: {type: integer}
---
apiVersion: example.com/v1
kind: Thing
metadata: {name: one}
size: 3
"""
    (tmp_path / "m.yaml").write_text(definition)
    problems, done = await Applier(client).update(load([tmp_path]))
    assert problems == []
    assert done == ["CustomResourceDefinition things.example.com created", "Thing one created"]
