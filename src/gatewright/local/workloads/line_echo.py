"""The TCP and UDP servers of `echo-basic` (echo-basic/tcpserver and echo-basic/udpechoserver of the images)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from gatewright.local.workloads.gohttp import escaped_json
from gatewright.local.workloads.program import Behaviour, Exit, Port, Program, Session, port_number
from gatewright.local.workloads.tls import TlsState, server_context

WELCOME = b"Gateway API Test TCP Server\n"
LONGEST_LINE = 64 * 1024
"""A longer line ends the connection, as Go's `bufio.Scanner` ends its loop."""
LONGEST_DATAGRAM = 1024


class TcpEcho(Behaviour):
    """Welcomes a connection and answers the lines `TEST`, `IS_TLS` and `PING`."""

    def __init__(self, program: Program) -> None:
        env = program.env
        numbers: dict[str, str] = {}
        for variable, default in (("TCP_PORT", "3000"), ("TLS_PORT", "8443")):
            text = numbers[variable] = env.get(variable) or default
            if port_number(text) is None:
                why = f'non-integer value in {variable}: {text}. Error: strconv.Atoi: parsing "{text}": invalid syntax'
                self.exit = Exit(2, (f"panic: Failed to start tcp server: {why}",))
                return
        self._context = {**_context(program), "tcpport": numbers["TCP_PORT"], "tlsport": numbers["TLS_PORT"]}
        ports = [Port(int(numbers["TCP_PORT"]), "stream")]
        greeting = [_started("tcp", numbers["TCP_PORT"])]
        certificate, key = env.get("TLS_SERVER_CERT"), env.get("TLS_SERVER_PRIV_KEY")
        if certificate and key:
            try:
                tls = server_context(program.file(certificate), program.file(key))
            except (OSError, ValueError) as error:
                self.exit = Exit(2, (f"panic: Failed to start tcp server: {error}",))
                return
            ports.append(Port(int(numbers["TLS_PORT"]), "stream", tls))
            greeting.append(_started("tls", numbers["TLS_PORT"]))
        self.ports, self.greeting = tuple(ports), tuple(greeting)

    def session(self, port: Port, tls: TlsState | None) -> Session:
        """A connection's dialogue."""
        assertions: dict[str, Any] = {**self._context, "isTLS": tls is not None}
        if tls:
            assertions["tls"] = {"version": tls.version.replace("TLSv", "TLS "), "serverName": tls.server_name}
            if tls.protocol:
                assertions["tls"]["negotiatedProtocol"] = tls.protocol
            assertions["tls"]["cipherSuite"] = tls.cipher_suite
        return _Lines(escaped_json(assertions) + b"\n", tls is not None)


class _Lines(Session):
    greeting = WELCOME

    def __init__(self, assertions: bytes, is_tls: bool) -> None:
        self._answers = {b"TEST": assertions, b"IS_TLS": b"true\n" if is_tls else b"false\n", b"PING": b"PONG\n"}
        self._rest = b""

    def receive(self, data: bytes) -> bytes | None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LONGEST_LINE:
            return None
        return b"".join(self._answers.get(line.removesuffix(b"\r"), b"") for line in lines)


class UdpEcho(Behaviour):
    """Answers each datagram with what it held, and which pod took it."""

    def __init__(self, program: Program) -> None:
        text = program.env.get("UDP_PORT") or "8080"
        if port_number(text) is None:
            why = f"echo server error: resolving UDP address: lookup udp/{text}: unknown port"
            self.exit = Exit(1, (why,))
            return
        self._say = program.say
        self._context = _context(program)
        self.ports = (Port(int(text), "datagram"),)
        pairs = zip(("Namespace", "Ingress", "Service", "Pod"), self._context.values(), strict=True)
        shown = " ".join(f"{name}:{value}" for name, value in pairs)
        self.greeting = (f"UDP server listening on :{text} with context: {{{shown}}}",)

    def reply(self, data: bytes, peer: tuple[str, int], port: Port) -> bytes:
        """The datagram and the pod as JSON."""
        text = data[:LONGEST_DATAGRAM].decode("utf-8", "replace")
        self._say(f"Received UDP {text} from {peer[0]}:{peer[1]}")
        return escaped_json({"request": text, **self._context})


def _context(program: Program) -> dict[str, str]:
    env = program.env
    names = {"namespace": "NAMESPACE", "ingress": "INGRESS_NAME", "service": "SERVICE_NAME", "pod": "POD_NAME"}
    return {name: env.get(variable, "") for name, variable in names.items()}


def _started(protocol: str, port: str) -> str:
    now = datetime.now().strftime("%Y/%m/%d %H:%M:%S")
    return f"{now} INFO Starting server (tcp) protocol={protocol} port={port}"
