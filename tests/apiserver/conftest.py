"""A running embedded API for the tests of this room: one for them all, each test in a namespace of its own."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gatewright.local.apiserver import ApiServer, Store


class InProcess:
    """Calls an `Api`, without a socket."""

    def __init__(self, **options: Any) -> None:
        from gatewright.local.apiserver.app import Api

        self.store = Store.memory()
        self.api = Api(self.store, "secret", **options)
        self.api.start("https://127.0.0.1:1")
        self.headers: dict[str, str] = {}

    async def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        content_type: str = "application/json",
        accept: str = "application/json",
        token: str = "secret",
        headers: dict[str, str] | None = None,
    ) -> tuple[int, Any]:
        """The status and the decoded body of the answer. `body` goes as JSON unless it is bytes."""
        from gatewright.local.apiserver.exchange import Answer, Request

        raw = body if isinstance(body, bytes) else b"" if body is None else msgspec.json.encode(body)
        sent = {"authorization": f"Bearer {token}", "accept": accept, "user-agent": "tests/1", **(headers or {})}
        if raw:
            sent["content-type"] = content_type
        answer = self.api.answer(Request(method, path, sent, raw))
        if not isinstance(answer, Answer):
            answer = await answer
        self.headers = {"content-type": answer.media_type, **dict(answer.headers)}
        streamed = not isinstance(answer.body, bytes)
        content = answer.body if isinstance(answer.body, bytes) else b"".join([chunk async for chunk in answer.body])
        is_json = "json" in answer.media_type and not (streamed and "watch=" in path)
        return answer.code, msgspec.json.decode(content) if is_json else content

    async def watch(self, path: str, **options: Any) -> list[Any]:
        """The events of a watch that ends by itself (`timeoutSeconds=1`, or a closed store)."""
        code, content = await self("GET", path, **options)
        assert code == 200, content
        return [msgspec.json.decode(line) for line in content.splitlines()]


@pytest.fixture
async def api() -> Any:
    """A fresh API, called in this process."""
    called = InProcess()
    yield called
    called.store.close()
    await called.api.stop()


@pytest.fixture
async def graceful() -> Any:
    """A fresh API whose pods wait for their nodes when they are deleted."""
    called = InProcess(graceful_pods=True)
    yield called
    called.store.close()
    await called.api.stop()


@pytest.fixture(scope="session")
def kubeconfig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The kubeconfig of a server that runs on a thread of its own for the whole session."""
    path = tmp_path_factory.mktemp("api") / "kubeconfig"
    ready, finish = threading.Event(), threading.Event()

    async def serve() -> None:
        async with ApiServer(Store.memory()) as server:
            server.write_kubeconfig(path)
            ready.set()
            await asyncio.to_thread(finish.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()), daemon=True)
    thread.start()
    assert ready.wait(20)
    yield path
    finish.set()
    thread.join(10)
    assert not thread.is_alive()


class Kubectl:
    """The real kubectl against the session's server, in a namespace."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self.namespace = namespace
        self.environment = {
            "KUBECONFIG": str(kubeconfig),
            "HOME": str(kubeconfig.parent),
            "PATH": os.environ["PATH"],
            "KUBE_EDITOR": "sed -i s/before/after/",
        }

    def run(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run kubectl and return how it ended."""
        command = ["kubectl", "--namespace", self.namespace, *arguments]
        return subprocess.run(
            command, input=stdin, env=self.environment, capture_output=True, text=True, timeout=90, check=False
        )

    def __call__(self, *arguments: str, stdin: str = "") -> str:
        """What kubectl printed; fails when it failed."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def fails(self, *arguments: str, stdin: str = "") -> str:
        """What kubectl said as it failed."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode != 0, done.stdout
        return done.stderr


@pytest.fixture
def kubectl(kubeconfig: Path) -> Kubectl:
    """kubectl in a new namespace."""
    if shutil.which("kubectl") is None:
        pytest.skip("kubectl is not installed")
    namespace = f"t-{uuid.uuid4().hex[:8]}"
    called = Kubectl(kubeconfig, namespace)
    called("create", "namespace", namespace)
    return called
