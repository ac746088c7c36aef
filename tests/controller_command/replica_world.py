"""A cluster's API and an emulated AWS, for controllers that are processes of their own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from gatewright.aws import Aws
from gatewright.cluster import Client
from gatewright.local.apiserver import ApiServer, Store
from gatewright.local.aws.emulation import EmulatedAws
from gatewright.local.aws.endpoint import environment, surroundings
from gatewright.local.block import Block

GATEWRIGHT = Path(sys.executable).with_name("gatewright")
SECONDS = 60.0


class Replica:
    """A `gatewright controller`, started; its log is read while it runs."""

    def __init__(self, arguments: list[str], variables: dict[str, str]) -> None:
        self.log: list[dict[str, Any]] = []
        self.lines: list[str] = []
        self._news = threading.Condition()
        self.process = subprocess.Popen(
            [str(GATEWRIGHT), "controller", *arguments], env=variables, stderr=subprocess.PIPE, text=True
        )
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()

    def _read(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            with self._news:
                self.lines.append(line)
                with contextlib.suppress(ValueError):
                    self.log.append(json.loads(line))
                self._news.notify_all()

    def _said(self, event: str, **fields: Any) -> dict[str, Any] | None:
        with self._news:
            found = (each for each in self.log if each.get("event") == event)
            return next((each for each in found if all(each.get(k) == v for k, v in fields.items())), None)

    async def says(self, event: str, **fields: Any) -> dict[str, Any]:
        """The first line of the log with this event and these fields; waits for it."""

        def wait() -> dict[str, Any]:
            with self._news:
                self._news.wait_for(
                    lambda: self._said(event, **fields) or not self._reading.is_alive(), timeout=SECONDS
                )
                found = self._said(event, **fields)
            assert found, f"it never said {event!r}:\n" + "".join(self.lines)
            return found

        return await asyncio.to_thread(wait)

    async def ended(self, seconds: float = SECONDS) -> int:
        """The exit status; waits for the end."""
        status = await asyncio.to_thread(self.process.wait, seconds)
        await asyncio.to_thread(self._reading.join, SECONDS)
        return status

    async def get(self, page: str) -> tuple[int, str]:
        """Status and body of one of its pages."""
        serving = await self.says("serving")
        if page not in serving["pages"]:
            serving = next(each for each in self.log if each.get("event") == "serving" and page in each["pages"])
        url = f"http://127.0.0.1:{serving['port']}{page}"

        def fetch() -> tuple[int, str]:
            try:
                with urllib.request.urlopen(url, timeout=60) as answer:
                    return answer.status, answer.read().decode()
            except urllib.error.HTTPError as error:
                return error.code, error.read().decode()

        return await asyncio.to_thread(fetch)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
        self.process.wait()
        print("".join(self.lines))  # pytest shows it where a test fails


class World:
    def __init__(self, client: Client, server: ApiServer, cloud: EmulatedAws, aws: Aws, folder: Path) -> None:
        self.client, self.server, self.cloud, self.aws = client, server, cloud, aws
        self.kubeconfig = folder / "kubeconfig"
        server.write_kubeconfig(self.kubeconfig)
        self.replicas: list[Replica] = []

    def start(self, *arguments: str, aws_url: str = "", **variables: str) -> Replica:
        """Begin a replica, with its pages on free ports."""
        given = ["--kubeconfig", str(self.kubeconfig), "--cluster-name", "prod"]
        pages = ["--health-address", "127.0.0.1:0", "--metrics-address", "127.0.0.1:0"]
        environ = {**surroundings(os.environ, environment(aws_url or self.cloud.url)), **variables}
        replica = Replica([*given, *pages, *arguments], environ)
        self.replicas.append(replica)
        return replica

    async def apply(self, *objects: dict[str, Any]) -> None:
        for obj in objects:
            await self.client.apply(obj, field_manager="test")

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command of gatewright that ends by itself."""
        environ = {**surroundings(os.environ, environment(self.cloud.url)), "COLUMNS": "300", **variables}
        return subprocess.run([str(GATEWRIGHT), *arguments], env=environ, capture_output=True, text=True, timeout=180)


@asynccontextmanager
async def replica_world(block: Block, folder: Path) -> AsyncIterator[World]:
    """A world; its replicas end with it."""
    network = "10.0.0.0/16" if block.shared else block.network
    async with (
        EmulatedAws(network, pace=50.0, cluster="prod", traffic=False) as cloud,
        ApiServer(Store.memory()) as server,
        Client.with_token(server.url, server.token, server.ca_certificate) as client,
        Aws(region="us-east-1", endpoint_url=cloud.url, credentials=("test", "test")) as aws,
    ):
        world = World(client, server, cloud, aws, folder)
        try:
            yield world
        finally:
            for replica in world.replicas:
                replica.kill()
