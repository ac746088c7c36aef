"""Collections that stay equal to the cluster, whatever happens to the connection: against a scripted API."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from gatewright.cluster import Client, Conflict, Gone, Invalid, NotFound, Reflector, Unreachable
from gatewright.cluster.transport import Transport
from gatewright.flow import Flow, Source
from gatewright.model.core import ConfigMap
from gatewright.model.meta import Key


def config_map(name: str, version: int, **data: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "ns", "resourceVersion": str(version)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def status(code: int, reason: str, message: str = "", **details: Any) -> dict[str, Any]:
    return {
        "kind": "Status",
        "status": "Failure",
        "code": code,
        "reason": reason,
        "message": message,
        "details": details,
    }


class Script:
    """Answers lists from `objects`, and each watch with what is put into its queue; None cuts the connection.

    First it answers with `failures`, a status and a body each; None cuts the connection.
    """

    def __init__(self) -> None:
        self.objects: list[dict[str, Any]] = []
        self.version = 1
        self.watches: asyncio.Queue[tuple[str, asyncio.Queue[bytes | None]]] = asyncio.Queue()
        self.failures: list[tuple[int, Any] | None] = []
        self.lists = 0
        self._server = RawTestServer(self.answer, handler_cancellation=True)

    async def __aenter__(self) -> Script:
        await self._server.start_server()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._server.close()

    def client(self) -> Client:
        return Client(Transport(str(self._server.make_url("/"))))

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if self.failures:
            failure = self.failures.pop(0)
            if failure is None:
                assert request.transport
                request.transport.abort()
                return web.Response()
            code, content = failure
            return web.Response(status=code, text=content if isinstance(content, str) else json.dumps(content))
        if request.query.get("watch"):
            chunks: asyncio.Queue[bytes | None] = asyncio.Queue()
            response = web.StreamResponse()
            await response.prepare(request)
            self.watches.put_nowait((request.query["resourceVersion"], chunks))
            while (chunk := await chunks.get()) is not None:
                await response.write(chunk)
            return response
        self.lists += 1
        limit, start = int(request.query["limit"]), int(request.query.get("continue") or 0)
        page = self.objects[start : start + limit]
        more = str(start + limit) if start + limit < len(self.objects) else ""
        return web.json_response({"metadata": {"resourceVersion": str(self.version), "continue": more}, "items": page})


@pytest.fixture
async def script() -> AsyncIterator[Script]:
    async with Script() as script:
        yield script


@pytest.fixture
async def source(script: Script) -> AsyncIterator[Source[Key, ConfigMap]]:
    flow = Flow()
    source: Source[Key, ConfigMap] = flow.source("config maps")
    async with script.client() as client, Reflector(client, ConfigMap, source) as reflector:
        source.reflector = reflector  # type: ignore[attr-defined]
        yield source


def line(type_: str, obj: dict[str, Any]) -> bytes:
    return json.dumps({"type": type_, "object": obj}).encode() + b"\n"


async def holds(source: Source[Key, ConfigMap], check: Callable[[dict[str, str]], bool]) -> dict[str, str]:
    """Wait until what the collection holds, name to version, is as `check` wants."""
    changed = asyncio.Event()
    source.subscribe(lambda _: changed.set())
    async with asyncio.timeout(60):
        while True:
            held = {key.name: obj.metadata.resource_version for key, obj in source.items()}
            if check(held):
                return held
            changed.clear()
            await changed.wait()


async def test_lists_in_pages_then_watches(script: Script, source: Source[Key, ConfigMap]) -> None:
    _, chunks = await script.watches.get()
    script.objects = [config_map(f"m{n}", n + 1) for n in range(1200)]
    script.version, script.lists = 2000, 0
    chunks.put_nowait(line("ERROR", status(410, "Expired")))
    await holds(source, lambda held: len(held) == 1200)
    assert script.lists == 3
    version, chunks = await script.watches.get()
    assert version == "2000"
    whole = line("ADDED", config_map("new", 2001)) + line("DELETED", config_map("m0", 2002))
    for part in (whole[:7], whole[7:100], whole[100:]):  # chunks end anywhere
        chunks.put_nowait(part)
    await holds(source, lambda held: "new" in held and "m0" not in held)


async def test_a_cut_connection_goes_on_from_the_last_version(script: Script, source: Source[Key, ConfigMap]) -> None:
    _, chunks = await script.watches.get()
    chunks.put_nowait(line("ADDED", config_map("a", 5)) + line("BOOKMARK", config_map("", 9)))
    chunks.put_nowait(None)
    version, chunks = await script.watches.get()
    assert version == "9"
    assert script.lists == 1
    chunks.put_nowait(line("MODIFIED", config_map("a", 10)))
    await holds(source, lambda held: held == {"a": "10"})


async def test_a_kind_that_the_cluster_lacks_is_empty_until_it_appears(script: Script) -> None:
    flow = Flow()
    source: Source[Key, ConfigMap] = flow.source("config maps")
    script.failures = [(404, "404 page not found")] * 3
    async with script.client() as client, Reflector(client, ConfigMap, source) as reflector:
        await asyncio.wait_for(reflector.synced(), 60)
        await asyncio.wait_for(reflector.caught_up(), 60)
        script.objects = [config_map("a", 5)]
        assert await holds(source, lambda held: "a" in held) == {"a": "5"}


@pytest.mark.parametrize("patience", [0.0, 3600.0])
async def test_a_kind_that_goes_takes_its_objects_with_it_only_when_that_lasts(script: Script, patience: float) -> None:
    flow = Flow()
    source: Source[Key, ConfigMap] = flow.source("config maps")
    script.objects = [config_map("a", 5)]
    sizes = []
    async with script.client() as client, Reflector(client, ConfigMap, source, patience=patience):
        _, chunks = await script.watches.get()
        source.subscribe(lambda _: sizes.append(len(source)))
        script.failures = [(404, "404 page not found")] * 2
        chunks.put_nowait(None)
        await asyncio.wait_for(script.watches.get(), 60)
    assert len(source) == 1
    assert sizes == ([0, 1] if patience == 0 else [])


@pytest.mark.parametrize("at_once", [True, False])
async def test_an_expired_version_lists_again(script: Script, source: Source[Key, ConfigMap], at_once: bool) -> None:
    _, chunks = await script.watches.get()
    chunks.put_nowait(line("ADDED", config_map("lost", 5)))
    await holds(source, lambda held: "lost" in held)
    script.objects, script.version = [config_map("kept", 50)], 60
    if at_once:
        script.failures = [(410, status(410, "Expired", "too old"))]
    else:
        chunks.put_nowait(line("ERROR", status(410, "Expired", "too old resource version")))
    chunks.put_nowait(None)
    assert await holds(source, lambda held: "lost" not in held) == {"kept": "50"}
    assert (await script.watches.get())[0] == "60"


async def test_a_server_that_restarts_empty_is_believed(script: Script, source: Source[Key, ConfigMap]) -> None:
    script.objects = [config_map("a", 3)]
    _, chunks = await script.watches.get()
    script.failures = [None, (503, "starting")]
    script.objects, script.version = [], 1
    chunks.put_nowait(None)
    await holds(source, lambda held: held == {})


async def test_an_object_that_can_not_be_read_is_left_out(script: Script, source: Source[Key, ConfigMap]) -> None:
    _, chunks = await script.watches.get()
    wrong = {**config_map("wrong", 5), "data": 3}
    chunks.put_nowait(line("ADDED", wrong) + line("ADDED", config_map("right", 6)))
    await holds(source, lambda held: held == {"right": "6"})
    chunks.put_nowait(line("MODIFIED", {**config_map("right", 7), "data": [1]}))
    await holds(source, lambda held: held == {})


async def test_caught_up_waits_for_what_the_cluster_holds(script: Script, source: Source[Key, ConfigMap]) -> None:
    _, chunks = await script.watches.get()
    script.objects = [config_map("a", 7)]
    caught = asyncio.create_task(source.reflector.caught_up())  # type: ignore[attr-defined]
    await asyncio.sleep(0.02)
    assert not caught.done()
    chunks.put_nowait(line("ADDED", config_map("a", 7)))
    await asyncio.wait_for(caught, 60)
    assert source[Key("ns", "a")].metadata.resource_version == "7"


_CAUSE = {"field": "data", "message": "bad"}


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((404, status(404, "NotFound", 'configmaps "x" not found')), NotFound),
        ((409, status(409, "Conflict", "changed")), Conflict),
        ((410, status(410, "Gone", "old")), Gone),
        (
            (422, status(422, "Invalid", "no", causes=[{"field": "data", "message": "bad"}])),
            Invalid,
        ),
        ((502, "<html>bad gateway</html>"), None),
        (None, Unreachable),
    ],
)
async def test_refusals_have_types(script: Script, answer: Any, error: type[Exception] | None) -> None:
    from gatewright.cluster import ApiError, ClusterError

    script.failures = [answer] * 2  # a request that changes nothing is sent again when its connection is cut
    async with script.client() as client:
        with pytest.raises(error or ApiError) as caught:
            await client.get(ConfigMap, Key("ns", "x"))
    assert isinstance(caught.value, ClusterError)
    assert str(caught.value)
    if isinstance(caught.value, Invalid):
        assert [(cause.field, cause.message) for cause in caught.value.causes] == [("data", "bad")]
    if error is None:
        assert isinstance(caught.value, ApiError)
        assert caught.value.status == 502
        assert "bad gateway" in str(caught.value)


async def test_the_end_of_a_reflector_is_quiet() -> None:
    source: Source[Key, ConfigMap] = Flow().source("x")
    async with Script() as script, script.client() as client, Reflector(client, ConfigMap, source):
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(script.watches.get(), 5)
    assert len(asyncio.all_tasks()) == 1


def test_a_kubeconfig_that_is_none(tmp_path: Any) -> None:
    path = tmp_path / "config"
    for content in (None, "", "[", "a: b", "clusters: 3", "\x00"):
        if content is not None:
            path.write_text(content)
        with pytest.raises(Unreachable, match="kubeconfig"):
            Client.connect(path)


async def test_a_stream_whose_connection_is_closed_meanwhile_is_cut_and_no_defect() -> None:
    async def read(transport: Transport, script: Script) -> None:
        async with transport.stream("/api/v1/configmaps", {"watch": "true", "resourceVersion": "1"}) as chunks:
            _, events = await script.watches.get()
            events.put_nowait(b"{}\n")
            assert await anext(chunks) == b"{}\n"
            await transport.close()
            await anext(chunks)

    async with Script() as script, asyncio.timeout(60):
        with pytest.raises(Unreachable):
            await read(Transport(str(script._server.make_url("/"))), script)
