"""The Gateway API's `echo-basic`: the request as JSON, which the conformance suite reads.

Facts are those of github.com/kubernetes-sigs/gateway-api-conformance-images, echo-basic.
"""

from __future__ import annotations

import json
import re
from collections import OrderedDict
from dataclasses import replace
from typing import Any

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
from gatewright.local.workloads.line_echo import TcpEcho, UdpEcho
from gatewright.local.workloads.program import Behaviour, Exit, Port, Program, port_number
from gatewright.local.workloads.tls import TlsState, server_context
from gatewright.local.workloads.websocket import accept

_STATUS = re.compile(r"/status/(\d\d\d)\Z")
_SUBTREES = ("/status", "/retry")
_REMEMBERED = 10_000  # retry simulations, oldest forgotten first
_NOT_CHOSEN = frozenset({"content-length", "transfer-encoding", "connection", "content-type", "x-content-type-options"})


def echo_basic(program: Program) -> Behaviour:
    """The one of the image's servers that its variables ask for."""
    if program.env.get("GRPC_ECHO_SERVER"):
        from gatewright.local.workloads.grpc_echo import GrpcEcho  # protobuf, which nothing else here needs

        return GrpcEcho(program)
    if program.env.get("TCP_ECHO_SERVER"):
        return TcpEcho(program)
    if program.env.get("UDP_ECHO_SERVER"):
        return UdpEcho(program)
    return EchoBasic(program)


class EchoBasic(Behaviour):
    """Echoes requests, with `/health`, `/status/CODE`, `/retry/…`, `/ws`, `?delay=1s` and `X-Echo-Set-Header`.

    The h2c port takes both forms of HTTP/2 without TLS, as the image did up to v1.5.1; later ones know only the one
    that begins with it.
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
        self._say = program.say
        h2c_port = env.get("H2C_PORT") or "3001"
        greeting = [
            f"Starting server, listening on port {self._http_port} (http)",
            f"Starting server, listening on port {h2c_port} (h2c)",
        ]
        numbers = [(self._http_port, Port(0)), (h2c_port, Port(0, "h2c"))]
        certificate, key = env.get("TLS_SERVER_CERT"), env.get("TLS_SERVER_PRIVKEY")
        if certificate and key:
            https_port = env.get("HTTPS_PORT") or "8443"
            greeting.append(f"Starting server, listening on port {https_port} (https)")
            client_ca = env.get("TLS_CLIENT_CACERTS")
            try:
                tls = server_context(
                    program.file(certificate),
                    program.file(key),
                    client_ca=program.file(client_ca) if client_ca else b"",
                    protocols=["h2", "http/1.1"],
                )
            except (OSError, ValueError) as error:
                self.exit = Exit(2, (*greeting, f"panic: Failed to start listening: {error}"))
                return
            numbers.append((https_port, Port(0, "http", tls)))
        self.greeting = tuple(greeting)
        for text, port in numbers:
            number = port_number(text)
            if number is None:
                why = f"panic: Failed to start listening: listen tcp: lookup tcp/{text}: unknown port"
                self.exit = Exit(2, (*greeting, why))
                return
            self.ports += (replace(port, number=number),)

    def answer(self, request: Request, port: Port) -> Answer:
        """The echo, or what the path asks for."""
        if port.protocol == "h2c":
            if request.version != "2.0" and request.header(b"upgrade") != b"h2c":
                return _text(400, "Expected h2c request")
            return self._echo(request)
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
            return accept(request, lambda peer: self._say(f"established websocket connection {peer}"))
        return self._echo(request)

    def log(self, request: Request, answer: Answer, seconds: float) -> str | None:
        """A line for each echo."""
        if answer.status != 200 or answer.head.find(b"X-Content-Type-Options") < 0:
            return None
        return f"Echoing back request made to {request.uri} to client ({request.peer})"

    def _echo(self, request: Request) -> Answer:
        try:
            delay = _delay(request, "delay")
        except ValueError as error:
            return _failure(error)
        assertions = {
            "path": request.uri,
            "host": request.host,
            "method": request.method.decode("utf-8", "replace"),
            "proto": f"HTTP/{request.version}",
            "headers": header_map(request),
            "httpPort": self._http_port,
            **self._context,
        }
        if request.tls:
            assertions["tls"] = _tls(request.tls)
        headers = [
            *_chosen_headers(request),
            ("Content-Type", "application/json"),
            ("X-Content-Type-Options", "nosniff"),
        ]
        return Answer(200, headers, indented_json(assertions), delay=delay)

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
        if request.version == "2.0":  # its streams can't be hijacked
            return _failure(ValueError("response writer does not support hijacking"))
        return Answer(500, [], delay=delay, abort="reset")


def _tls(state: TlsState) -> dict[str, Any]:
    fields: dict[str, Any] = {"version": state.version}
    if state.peer_certificates:
        fields["peerCertificates"] = state.peer_certificates
    fields["serverName"] = state.server_name
    if state.protocol:
        fields["negotiatedProtocol"] = state.protocol
    return {**fields, "cipherSuite": state.cipher_suite}


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
