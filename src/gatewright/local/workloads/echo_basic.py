"""The Gateway API's `echo-basic`: the request as JSON, which the conformance suite reads.

Facts are those of github.com/kubernetes-sigs/gateway-api-conformance-images, echo-basic.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict

from gatewright.local.workloads.exchange import Answer, Request
from gatewright.local.workloads.gohttp import (
    TEXT,
    clean_path,
    header_map,
    indented_json,
    is_token,
    parse_duration,
    redirect,
    server_answer,
)
from gatewright.local.workloads.program import Behaviour, Port, Program

_STATUS = re.compile(r"/status/(\d\d\d)\Z")
_SUBTREES = ("/status", "/retry")
_REMEMBERED = 10_000  # retry simulations, oldest forgotten first
_NOT_CHOSEN = frozenset({"content-length", "transfer-encoding", "connection", "content-type", "x-content-type-options"})
_OTHER_SERVERS = {"GRPC_ECHO_SERVER": "gRPC", "TCP_ECHO_SERVER": "TCP", "UDP_ECHO_SERVER": "UDP"}


class EchoBasic(Behaviour):
    """Echoes requests; `/health`, `/status/CODE`, `/retry/…`, `?delay=1s`, `X-Echo-Set-Header` as the image has them.

    Its HTTPS port, HTTP/2, WebSocket, gRPC, TCP and UDP servers are not stood in for; the log says so where one is
    asked for.
    """

    def __init__(self, program: Program) -> None:
        env = program.env
        self._http_port = env.get("HTTP_PORT") or "3000"
        self._context = {
            "namespace": env.get("NAMESPACE", ""),
            "ingress": env.get("INGRESS_NAME", ""),
            "service": env.get("SERVICE_NAME", ""),
            "pod": env.get("POD_NAME", ""),
        }
        self._attempts: OrderedDict[str, int] = OrderedDict()
        other = next((name for variable, name in _OTHER_SERVERS.items() if env.get(variable)), None)
        if other:
            self.greeting = (f"gatewright: the {other} server of echo-basic is not stood in for; nothing listens",)
            return
        h2c_port = env.get("H2C_PORT") or "3001"
        greeting = [
            f"Starting server, listening on port {self._http_port} (http)",
            f"Starting server, listening on port {h2c_port} (h2c)",
        ]
        if env.get("TLS_SERVER_CERT") and env.get("TLS_SERVER_PRIVKEY"):
            https_port = env.get("HTTPS_PORT") or "8443"
            greeting.append(
                f"gatewright: the HTTPS server on port {https_port} is not stood in for; nothing listens there"
            )
        self.greeting = tuple(greeting)
        ports = [Port(int(self._http_port))] if self._http_port.isdecimal() else []
        if h2c_port.isdecimal():
            ports.append(Port(int(h2c_port), "h2c"))
        self.ports = tuple(ports)

    def answer(self, request: Request, port: Port) -> Answer:
        """The echo, or what the path asks for."""
        if port.protocol == "h2c":
            return _text(400, "Expected h2c request")
        answer = server_answer(request)
        if answer is not None:
            return answer
        path = request.path.replace("//", "/")
        clean = clean_path(path)
        if clean != path:
            return redirect(request, clean)
        if path in _SUBTREES:
            return redirect(request, path + "/")
        if path == "/health":
            return _text(200, "OK")
        if path.startswith("/status/"):
            match = _STATUS.match(request.uri)
            return _status(int(match[1]) if match else 400)
        if path.startswith("/retry/"):
            return self._retry(request)
        if path == "/ws":
            if (request.header(b"upgrade") or b"").lower() == b"websocket":
                return _text(501, "gatewright: the WebSocket server of echo-basic is not stood in for")
            return _status(400)
        return self._echo(request)

    def log(self, request: Request, answer: Answer, seconds: float) -> str | None:
        """A line for each echo."""
        if answer.head.find(b"X-Content-Type-Options") < 0 or answer.status != 200:
            return None
        return f"Echoing back request made to {request.uri} to client ({request.peer})"

    def _echo(self, request: Request) -> Answer:
        try:
            delay = _delay(request, "delay")
        except ValueError as error:
            return _failure(error)
        body = indented_json(
            {
                "path": request.uri,
                "host": request.host,
                "method": request.method.decode("utf-8", "replace"),
                "proto": f"HTTP/{request.version}",
                "headers": header_map(request),
                "httpPort": self._http_port,
                **self._context,
            }
        )
        headers = [
            *_chosen_headers(request),
            ("Content-Type", "application/json"),
            ("X-Content-Type-Options", "nosniff"),
        ]
        return Answer(200, headers, body, delay=delay)

    def _retry(self, request: Request) -> Answer:
        """Fails the first `succeedAfter` attempts of each `uuid`, by a reset or by `responseCode`."""
        query = request.query
        uuid = query.get("uuid", [""])[0]
        if not uuid:
            return _text(400, "uuid is required")
        try:
            succeed_after = int(query.get("succeedAfter", [""])[0])
        except ValueError:
            return _text(400, "succeedAfter is required")
        attempts = self._attempts.get(uuid, 0)
        if attempts >= succeed_after:
            return self._echo(request)
        self._attempts[uuid] = attempts + 1
        if len(self._attempts) > _REMEMBERED:
            self._attempts.popitem(last=False)
        try:
            delay = _delay(request, "delayRetry")
        except ValueError as error:
            return _failure(error)
        code = query.get("responseCode", [""])[0]
        if re.fullmatch(r"[+-]?\d+", code):
            answer = _status(int(code))
            answer.delay = delay
            return answer
        return Answer(500, [], delay=delay, abort="reset")


def _delay(request: Request, parameter: str) -> float:
    text = request.query.get(parameter, [""])[0] if parameter.encode() in request.target else ""
    return max(0.0, parse_duration(text)) if text else 0.0


def _text(status: int, text: str) -> Answer:
    return Answer(status, [("Content-Type", TEXT)], text.encode())


def _status(code: int) -> Answer:
    if not 100 <= code <= 999:
        return Answer(500, [], abort="close")  # Go panics on such a code, which drops the connection
    if code < 200 and code != 101:
        return Answer(200, [], interim=code)
    return Answer(code, [])


def _failure(error: Exception) -> Answer:
    body = json.dumps({"message": str(error)}, ensure_ascii=False, separators=(",", ":")).encode()
    return Answer(500, [("Content-Type", "application/json"), ("X-Content-Type-Options", "nosniff")], body)


def _chosen_headers(request: Request) -> list[tuple[str, str]]:
    """The response headers that `X-Echo-Set-Header: name:value, …` asks for, names in the case given."""
    chosen: dict[str, str] = {}
    for name, value in request.headers:
        if name.lower() != b"x-echo-set-header":
            continue
        for pair in value.decode("utf-8", "replace").split(","):
            key, _, text = pair.strip().partition(":")
            if not is_token(key) or key.lower() in _NOT_CHOSEN:
                continue
            chosen[key] = f"{chosen[key]},{text.strip()}" if key in chosen else text.strip()
    return list(chosen.items())
