"""Programs with their ports open, for tests that speak to them."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from tests.workloads.certificates import self_signed

from gatewright.local.workloads.images import behaviour
from gatewright.local.workloads.program import Port, Program
from gatewright.local.workloads.serving import Opened, serve

ECHO = "registry.k8s.io/gateway-api/echo-basic:v1.5.1"
POD = {"NAMESPACE": "ns", "POD_NAME": "pod-1", "SERVICE_NAME": "svc", "INGRESS_NAME": "ing"}


SERVER = self_signed("abc.example.com")
CLIENT = self_signed("client.example.com")
FILES = {
    "/tls/crt": SERVER.certificate,
    "/tls/key": SERVER.key,
    "/tls/ca": CLIENT.certificate,
    "/bad": b"nonsense",
}


class Pod:
    """One program with its ports open, and what it wrote."""

    def __init__(self, image: str = ECHO, args: tuple[str, ...] = (), **env: str) -> None:
        self.log: list[str] = []
        files = dict(FILES)
        if "COREFILE" in env:
            files["/root/Corefile"] = env.pop("COREFILE").encode()
        self.behaviour = behaviour(
            Program(image, args=args, env={**POD, **env}, ports=(80,), read=files.get, say=self.log.append)
        )
        self.opened: dict[Port, Opened] = {}

    def port(self, number: int) -> int:
        """The port that really listens for a port of the pod."""
        return next(opened.port for port, opened in self.opened.items() if port.number == number)

    async def drain(self) -> None:
        await asyncio.gather(*(opened.drain(5) for opened in self.opened.values()))


@asynccontextmanager
async def running(image: str = ECHO, args: tuple[str, ...] = (), **env: str) -> AsyncIterator[Pod]:
    pod = Pod(image, args, **env)
    for port in pod.behaviour.ports:
        opened = pod.opened[port] = serve(lambda: pod.behaviour, port, pod.log.append)
        await opened.start("127.0.0.1", 0)
    try:
        yield pod
    finally:
        for opened in pod.opened.values():
            opened.close()


def client_tls(*protocols: str, certificate: Path | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=SERVER.certificate.decode())
    if protocols:
        context.set_alpn_protocols(list(protocols))
    if certificate:
        context.load_cert_chain(certificate)
    return context


async def http1(port: int, path: str, context: ssl.SSLContext | None = None, *lines: str) -> tuple[int, bytes]:
    name = "abc.example.com" if context else None
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
    head = "".join(f"{line}\r\n" for line in lines)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n{head}\r\n".encode())
    answer = await asyncio.wait_for(reader.read(), 60)
    writer.close()
    return int(answer[9:12]), answer.partition(b"\r\n\r\n")[2]


def https(**env: str) -> AbstractAsyncContextManager[Pod]:
    return running(ECHO, (), TLS_SERVER_CERT="/tls/crt", TLS_SERVER_PRIVKEY="/tls/key", **env)
