"""An emulated AWS for programs that know it by its environment variables alone, and a server behind it."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, NamedTuple

from aiohttp import ClientSession, TCPConnector, web
from tests.envoy.test_backend_tls import Authority, server_side

from gatewright.local.aws.endpoint import Clients
from gatewright.local.aws.process import AwsProcess
from gatewright.local.block import Block

PACE = 50.0
_LONGEST = 240.0
"""Seconds that a program may take. Terraform's provider waits for half a minute before it looks at a load balancer."""
CLUSTER_API = "https://127.0.0.1:6443"


class Answer(NamedTuple):
    """Of a load balancer."""

    status: int
    headers: Mapping[str, str]
    text: str


class Place:
    """A running emulated AWS, a TLS server in its VPC that says by whom it was asked, and an authority."""

    def __init__(self, aws: AwsProcess, network: IPv4Network, authority: Authority, pod: tuple[str, int]) -> None:
        self.aws, self.network, self.authority, self.pod = aws, network, authority, pod
        self._clients = Clients(aws.url)

    async def call(self, service: str, operation: str, **parameters: Any) -> Any:
        """One call by boto3, to see by another client what the first one has made."""
        return await asyncio.to_thread(getattr(self._clients.client(service), operation), **parameters)

    async def wait(self, waiter: str, **parameters: Any) -> None:
        """Use one of boto3's waiters for load balancers, looking every second."""
        found = self._clients.client("elbv2").get_waiter(waiter)
        await asyncio.to_thread(found.wait, WaiterConfig={"Delay": 1, "MaxAttempts": 60}, **parameters)

    async def balancer(self, name: str, *subnets: str) -> Any:
        """A new ALB in subnets of these names."""
        ids = [self.aws.seeded["subnets"][subnet] for subnet in subnets]
        return (await self.call("elbv2", "create_load_balancer", Name=name, Subnets=ids))["LoadBalancers"][0]

    async def nodes(self, name: str) -> list[str]:
        """The addresses of a load balancer, by its name."""
        found = await self.call("ec2", "describe_network_interfaces")
        return [
            each["PrivateIpAddress"]
            for each in found["NetworkInterfaces"]
            if each["Description"].split("/")[1:2] == [name]
        ]

    async def get(self, name: str, port: int, path: str = "/", host: str = "shop.example.com") -> Answer:
        """What a load balancer answers on a port, over TLS on 443."""
        [node, *_] = await self.nodes(name)
        address, real = (await self.aws.sockets())[node, port]
        secure = ssl.create_default_context(cadata=self.authority.chain.decode()) if port == 443 else False
        url = f"{'https' if secure else 'http'}://{address}:{real}{path}"
        async with (
            ClientSession(connector=TCPConnector(ssl=secure)) as session,
            session.get(url, headers={"Host": host}, server_hostname=host, allow_redirects=False) as response,
        ):
            return Answer(response.status, response.headers, await response.text())


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Place]:
    """A place of its own; `folder` is for its server's certificate."""
    block, authority = Block(), Authority()
    network = IPv4Network("10.0.0.0/16") if block.shared else block.network
    runner = web.AppRunner(_echo())
    try:
        await runner.setup()
        secure = server_side(folder, authority.issue("pod"))
        secure.set_alpn_protocols(["http/1.1"])
        await web.TCPSite(runner, str(block.pods[0 if block.shared else 9]), 0, ssl_context=secure).start()
        async with AwsProcess(network, pace=PACE, endpoint=CLUSTER_API) as aws:
            yield Place(aws, network, authority, runner.addresses[0])
    finally:
        await runner.cleanup()
        block.close()


def _echo() -> web.Application:
    async def answer(request: web.Request) -> web.Response:
        scheme = request.headers.get("X-Forwarded-Proto", "none")
        return web.Response(text=f"{request.path} of {request.host} by {request.remote} for {scheme}")

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    return app


class Failed(Exception):
    """A program ended with another status than was expected; what it said."""


async def run(
    program: str,
    *arguments: str,
    environment: Mapping[str, str],
    folder: Path,
    statuses: tuple[int, ...] = (0,),
    longest: float = _LONGEST,
) -> str:
    """What a program prints, as it ends with one of `statuses`; knows no AWS but that of `environment`."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("AWS_", "TF_"))}
    process = await asyncio.create_subprocess_exec(
        program,
        *arguments,
        cwd=folder,
        env={**kept, "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull, **environment},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(longest):
            printed, said = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    if process.returncode not in statuses:
        told = f"{program} {' '.join(arguments)}: status {process.returncode}, expected one of {statuses}"
        raise Failed(f"{told}\n{printed.decode()}{said.decode()}")
    return (printed or said).decode()
