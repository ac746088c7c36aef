"""The running server: TLS, token, kubeconfig, logs, restarts, and a stop that leaves nothing."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import stat
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

from gatewright.local.apiserver import ApiServer, LogRequest, Store, StoreError

MAPS = "/api/v1/namespaces/default/configmaps"


async def connect(server: ApiServer) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    context = ssl.create_default_context(cadata=server.ca_certificate.decode())
    return await asyncio.open_connection("127.0.0.1", server.port, ssl=context)


async def send(writer: asyncio.StreamWriter, server: ApiServer, method: str, path: str, body: Any = None) -> None:
    raw = b"" if body is None else msgspec.json.encode(body)
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {server.token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(raw)}\r\n\r\n"
    )
    writer.write(head.encode() + raw)
    await writer.drain()


async def call(server: ApiServer, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
    reader, writer = await connect(server)
    await send(writer, server, method, path, body)
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    code = int(head.split()[1])
    if "transfer-encoding: chunked" in head:
        content = b""
        while size := int(await reader.readline(), 16):
            content += await reader.readexactly(size)
            await reader.readline()
    else:
        content = await reader.readexactly(int(head.split("content-length: ")[1].split()[0]))
    writer.close()
    with contextlib.suppress(ssl.SSLError, ConnectionError):
        await writer.wait_closed()
    return code, content


async def test_the_kubeconfig_is_private_and_leads_here(tmp_path: Path) -> None:
    async with ApiServer(Store.memory()) as server:
        path = tmp_path / "kubeconfig"
        path.write_text("old")
        server.write_kubeconfig(path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        config = yaml.safe_load(path.read_text())
        assert config["clusters"][0]["cluster"]["server"] == server.url
        assert config["users"][0]["user"]["token"] == server.token
        assert (await call(server, "GET", "/api/v1/namespaces/default"))[0] == 200


async def test_a_stop_ends_watches_and_frees_the_port() -> None:
    server = ApiServer(Store.memory())
    await server.start()
    reader, writer = await connect(server)
    await send(writer, server, "GET", f"{MAPS}?watch=true")
    assert b"200" in await reader.readuntil(b"\r\n\r\n")
    await call(server, "POST", MAPS, {"metadata": {"name": "a"}})
    await reader.readline()
    assert b'"ADDED"' in await reader.readline()
    async with asyncio.timeout(60):
        await server.stop()
        assert (await reader.read()).endswith(b"0\r\n\r\n")
    writer.close()
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind(("127.0.0.1", server.port))


async def test_a_port_in_use_is_an_error_at_the_start() -> None:
    async with ApiServer(Store.memory()) as server:
        with pytest.raises(OSError, match="in use"):
            await ApiServer(Store.memory(), port=server.port).start()


def test_it_listens_on_loopback_only() -> None:
    with pytest.raises(ValueError, match="expected a loopback address"):
        ApiServer(Store.memory(), host="0.0.0.0")


async def test_the_state_survives_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "state.sqlite"
    definition = {
        "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Cluster",
            "names": {"plural": "things", "kind": "Thing"},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
            ],
        },
    }
    async with ApiServer(Store.sqlite(file)) as server:
        _, made = await call(server, "POST", MAPS, {"metadata": {"name": "a"}, "data": {"x": "1"}})
        await call(server, "POST", MAPS, {"metadata": {"name": "b"}})
        await call(server, "DELETE", f"{MAPS}/b")
        await call(server, "POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition)
        revision = server.store.revision
    async with ApiServer(Store.sqlite(file)) as server:
        assert server.store.revision == revision
        code, found = await call(server, "GET", f"{MAPS}/a")
        assert (code, msgspec.json.decode(found)) == (200, msgspec.json.decode(made))
        assert (await call(server, "GET", f"{MAPS}/b"))[0] == 404
        assert (await call(server, "GET", "/apis/example.com/v1/things"))[0] == 200
        old = msgspec.json.decode(made)["metadata"]["resourceVersion"]
        assert (await call(server, "GET", f"{MAPS}?watch=true&resourceVersion={old}"))[0] == 410


async def test_a_state_file_is_private_and_one_servers(tmp_path: Path) -> None:
    file = tmp_path / "state.sqlite"
    async with ApiServer(Store.sqlite(file)):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        with pytest.raises(StoreError, match="database is locked"):
            Store.sqlite(file)
    Store.sqlite(file).close()
    other = tmp_path / "other"
    other.write_text("not a database, but long enough to be looked at as one" * 20)
    with pytest.raises(StoreError, match="file is not a database"):
        Store.sqlite(other)


async def test_logs_come_from_what_is_registered() -> None:
    requests: list[LogRequest] = []
    followed = asyncio.Event()

    async def source(request: LogRequest) -> AsyncIterator[bytes]:
        requests.append(request)
        yield b"one\n"
        yield b"two\n"
        if request.follow:
            followed.set()
            await asyncio.Event().wait()

    async with ApiServer(Store.memory()) as server:
        server.logs.register(source)
        pods = "/api/v1/namespaces/default/pods"
        two = [{"name": name, "image": "x:1"} for name in ("a", "b")]
        await call(server, "POST", pods, {"metadata": {"name": "p"}, "spec": {"containers": two}})
        assert await call(server, "GET", f"{pods}/p/log?container=b&tailLines=5") == (200, b"one\ntwo\n")
        assert await call(server, "GET", f"{pods}/p/log?container=b&limitBytes=5") == (200, b"one\nt")
        assert (requests[0].container, requests[0].tail) == ("b", 5)
        code, message = await call(server, "GET", f"{pods}/p/log")
        assert (code, b"choose one of: [a b]" in message) == (400, True)
        assert (await call(server, "GET", f"{pods}/p/log?container=c"))[0] == 400
        assert (await call(server, "GET", f"{pods}/q/log"))[0] == 404
        hour_ago = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        for since, expected in (("sinceSeconds=90", 90.0), (f"sinceTime={hour_ago}", 3600.0), ("tailLines=1", None)):
            assert (await call(server, "GET", f"{pods}/p/log?container=a&{since}"))[0] == 200
            assert requests[-1].since == (pytest.approx(expected, abs=60) if expected else None)
        for bad in ("sinceTime=yesterday", "sinceTime=2026-01-01", f"sinceTime={hour_ago}&sinceSeconds=9"):
            assert (await call(server, "GET", f"{pods}/p/log?container=a&{bad}"))[0] == 400
        following = asyncio.ensure_future(call(server, "GET", f"{pods}/p/log?container=a&follow=true"))
        await asyncio.wait_for(followed.wait(), 60)
    # The stop ends a log that is being followed.
    assert await asyncio.wait_for(following, 60) == (200, b"one\ntwo\n")


async def test_every_document_of_the_api_is_served() -> None:
    async with ApiServer(Store.memory()) as server:
        _, index = await call(server, "GET", "/openapi/v3")
        paths = msgspec.json.decode(index)["paths"]
        assert {"api/v1", "apis/apps/v1", "apis/gateway.networking.k8s.io/v1"} <= paths.keys()
        for path in paths.values():
            code, document = await call(server, "GET", path["serverRelativeURL"])
            assert code == 200
            described = msgspec.json.decode(document)
            assert described["components"]["schemas"]
            for reference in _references(described):
                assert reference.rpartition("/")[2] in described["components"]["schemas"]


def _references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*map(_references, value.values()))
    return set().union(*map(_references, value)) if isinstance(value, list) else set()
