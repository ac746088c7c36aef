"""The echo that stands in for an image whose behaviour isn't known."""

from __future__ import annotations

import msgspec

from gatewright.local.workloads.exchange import Answer, Request
from gatewright.local.workloads.program import Behaviour, Port, Program


class StandIn(Behaviour):
    """Answers every request with JSON that names where it arrived, and says plainly that it stands in."""

    known = False

    def __init__(self, program: Program) -> None:
        self._program = program
        self._sentence = f"gatewright stands in for the image {program.image}, which does not run here"
        self.ports = tuple(Port(number) for number in program.ports)
        where = ", ".join(str(number) for number in program.ports) or "no port: the pod and its Services name none"
        self.greeting = (f"{self._sentence}; it echoes requests on {where}",)

    def answer(self, request: Request, port: Port) -> Answer:
        """The request as JSON, with the pod that took it."""
        path, _, query = request.uri.partition("?")
        body = {
            "standIn": True,
            "message": f"{self._sentence}.",
            "namespace": self._program.namespace,
            "pod": self._program.pod,
            "container": self._program.container,
            "services": list(self._program.services()),
            "port": port.number,
            "method": request.method.decode("utf-8", "replace"),
            "host": request.host,
            "path": path,
            "query": query,
            "headers": _headers(request),
        }
        text = msgspec.json.format(msgspec.json.encode(body), indent=2) + b"\n"
        return Answer(200, [("Content-Type", "application/json"), ("X-Gatewright-Stand-In", "true")], text)

    def log(self, request: Request, answer: Answer, seconds: float) -> str | None:
        """A plain access log line."""
        return f"{request.peer} {request.method.decode('utf-8', 'replace')} {request.uri} {answer.status} (stand-in)"


def _headers(request: Request) -> dict[str, str]:
    headers: dict[str, str] = {}
    for raw_name, raw_value in request.headers:
        name, value = raw_name.decode("utf-8", "replace").lower(), raw_value.decode("utf-8", "replace")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers
