"""What listens on a program's port: the server for what is spoken there."""

from __future__ import annotations

from collections.abc import Callable

from gatewright.local.workloads.exchange import Answer, Request
from gatewright.local.workloads.program import Behaviour, Port
from gatewright.local.workloads.server import Server
from gatewright.local.workloads.sessions import DatagramListener, SessionListener

Opened = Server | SessionListener | DatagramListener


def serve(behaviour: Callable[[], Behaviour], port: Port, write: Callable[[str], None]) -> Opened:
    """A server, not started yet, that asks `behaviour()` what to answer on `port`; `write` takes its access log."""

    def answered(request: Request, answer: Answer, seconds: float) -> None:
        line = behaviour().log(request, answer, seconds)
        if line:
            write(line)

    if port.protocol == "datagram":
        return DatagramListener(lambda data, peer: behaviour().reply(data, peer, port))
    if port.protocol == "stream":
        return SessionListener(lambda tls: behaviour().session(port, tls), port.tls)
    return Server(
        lambda request: behaviour().answer(request, port),
        answered,
        converse=lambda request: behaviour().converse(request, port),
        protocol=port.protocol,
        tls=port.tls,
    )
