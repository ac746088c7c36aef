"""One request over HTTP/2, as a load balancer's health check of a HTTP2 or GRPC target group sends it."""

from __future__ import annotations

import asyncio

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions

from gatewright.local.aws.health.connection import USER_AGENT, Malformed

_EMPTY_MESSAGE = bytes(5)
"""A gRPC message without a byte: not compressed, of length 0."""


async def status(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, authority: str, path: str, scheme: str, *, grpc: bool
) -> int:
    """Ask with GET, or call a gRPC method. Returns the status of HTTP, or that of gRPC.

    Raises `Malformed` where there is no whole answer, and OSError.
    """
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=True, header_encoding="latin-1"))
    connection.initiate_connection()
    stream = connection.get_next_available_stream_id()
    headers = [
        (":method", "POST" if grpc else "GET"),
        (":scheme", scheme),
        (":authority", authority),
        (":path", path),
        ("user-agent", USER_AGENT),
    ]
    if grpc:
        headers += [("content-type", "application/grpc"), ("te", "trailers")]
    connection.send_headers(stream, headers, end_stream=not grpc)
    if grpc:
        connection.send_data(stream, _EMPTY_MESSAGE, end_stream=True)
    answer = _Answer(stream)
    while not answer.complete:
        writer.write(connection.data_to_send())
        data = await reader.read(65536)
        if not data:
            raise Malformed("the connection was closed before the end of the answer")
        try:
            events = connection.receive_data(data)
        except h2.exceptions.ProtocolError as error:
            raise Malformed(str(error)) from error
        for event in events:
            if isinstance(event, h2.events.DataReceived):
                connection.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id)
            answer.hear(event)
    connection.close_connection()
    writer.write(connection.data_to_send())
    if not grpc:
        return answer.status
    if answer.grpc_status is None:
        raise Malformed(f"no grpc-status in an answer with HTTP status {answer.status}")
    return answer.grpc_status


class _Answer:
    """What came so far."""

    def __init__(self, stream: int) -> None:
        self.status = 0
        self.grpc_status: int | None = None
        self.complete = False
        self._stream = stream

    def hear(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
            for name, value in event.headers or ():
                self._header(str(name), str(value))
        elif isinstance(event, h2.events.StreamEnded) and event.stream_id == self._stream:
            self.complete = True
        elif isinstance(event, h2.events.StreamReset) and not self.complete:
            raise Malformed(f"the stream was reset ({event.error_code})")
        elif isinstance(event, h2.events.ConnectionTerminated) and not (self.complete or self._awaits(event)):
            raise Malformed(f"the connection was ended ({event.error_code})")

    def _awaits(self, end: h2.events.ConnectionTerminated) -> bool:
        """Whether the target ends the connection, but will answer what was asked before."""
        return end.error_code == h2.errors.ErrorCodes.NO_ERROR and (end.last_stream_id or 0) >= self._stream

    def _header(self, name: str, value: str) -> None:
        try:
            if name == ":status":
                self.status = int(value)
            elif name == "grpc-status":
                self.grpc_status = int(value)
        except ValueError as error:
            raise Malformed(f"{name}: {value!r} is no number") from error
