"""The echo that stands in for an image whose behaviour isn't known."""

from __future__ import annotations

from typing import Any

import msgspec

from gatewright.local.workloads.exchange import Answer, Conversation, Request
from gatewright.local.workloads.grpc_wire import Method, Services, is_grpc, open_call
from gatewright.local.workloads.program import Behaviour, Port, Program, Socket
from gatewright.local.workloads.tls import self_signed_context

_SERVING = b"\x08\x01"  # HealthCheckResponse{status: SERVING}
_HEALTH: Services = {"grpc.health.v1.Health": {"Check": Method(lambda message, request: _SERVING)}}


def stand_in_port(socket: Socket) -> Port:
    """How a stand-in listens on a port that is named to it."""
    return Port(socket.number, "datagram" if socket.transport == "UDP" else "h2c")


class StandIn(Behaviour):
    """Answers every request with JSON that names where it arrived, and says plainly that it stands in.

    Its TCP ports take HTTP/1.1 and HTTP/2 without TLS, and gRPC health checks; its UDP ports answer datagrams alike.
    A port that the manifest probes with HTTPS has TLS, by a certificate of its own making.
    """

    known = False

    def __init__(self, program: Program) -> None:
        self._program = program
        self._sentence = f"gatewright stands in for the image {program.image}, which does not run here"
        tcp = [Socket("TCP", number) for number in program.ports]
        udp = [Socket("UDP", number) for number in program.udp_ports]
        tls = self_signed_context(program.pod or "pod", ["h2", "http/1.1"]) if program.tls_ports else None
        self.ports = tuple(
            Port(socket.number, "http", tls)
            if socket.transport == "TCP" and socket.number in program.tls_ports
            else stand_in_port(socket)
            for socket in (*tcp, *udp)
        )
        names = [*(str(number) for number in program.ports), *(f"{number}/udp" for number in program.udp_ports)]
        where = ", ".join(names) or "no port: the pod and its Services name none"
        self.greeting = (f"{self._sentence}; it echoes requests on {where}",)

    def answer(self, request: Request, port: Port) -> Answer:
        """The request as JSON, with the pod that took it."""
        path, _, query = request.uri.partition("?")
        body = {
            **self._identity(port),
            "method": request.method.decode("utf-8", "replace"),
            "host": request.host,
            "path": path,
            "query": query,
            "headers": _headers(request),
        }
        text = msgspec.json.format(msgspec.json.encode(body), indent=2) + b"\n"
        return Answer(200, [("Content-Type", "application/json"), ("X-Gatewright-Stand-In", "true")], text)

    def reply(self, data: bytes, peer: tuple[str, int], port: Port) -> bytes:
        """The datagram as JSON, with the pod that took it."""
        return msgspec.json.encode({**self._identity(port), "datagram": data.decode("utf-8", "replace")})

    def converse(self, request: Request, port: Port) -> Conversation | Answer | None:
        """A gRPC call is the health check, which is well, or one of a service that nothing stands in for."""
        return open_call(_HEALTH, request) if is_grpc(request) else None

    def log(self, request: Request, answer: Answer, seconds: float) -> str | None:
        """A plain access log line."""
        return f"{request.peer} {request.method.decode('utf-8', 'replace')} {request.uri} {answer.status} (stand-in)"

    def _identity(self, port: Port) -> dict[str, Any]:
        return {
            "standIn": True,
            "message": f"{self._sentence}.",
            "namespace": self._program.namespace,
            "pod": self._program.pod,
            "container": self._program.container,
            "services": list(self._program.services()),
            "port": port.number,
        }


def _headers(request: Request) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in request.headers:
        name, value = raw_name.decode("utf-8", "replace").lower(), raw_value.decode("utf-8", "replace")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers
