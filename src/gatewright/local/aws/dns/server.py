"""DNS over UDP and TCP on a loopback address (RFC 1035; RFC 6891 for longer answers; RFC 7766)."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from ipaddress import IPv4Network

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import structlog

from gatewright.local.aws.dns.names import Names, Rrset
from gatewright.local.ports import substitutes

_log = structlog.get_logger(__name__)

_PORT = 53
_ANY_PORT = 0
_PLAIN_UDP = 512
_MOST_UDP = 4096
_MOST_TCP = 65535
_IDLE = 10.0
"""Seconds that a TCP connection may say nothing."""
_FROM_THE_END = 3
_TRIED = 20


class DnsServer:
    """Answers questions about `names` while it runs (`async with`), at `address`: host and port.

    In a `network` of loopback addresses it has one near the end, with port 53 where the system lets us have it;
    otherwise it is at 127.0.0.1, on a port that the system chooses.
    """

    def __init__(self, names: Names, network: IPv4Network) -> None:
        self.address: tuple[str, int]
        self._names = names
        self._network = network
        self._transport: asyncio.DatagramTransport | None = None
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> DnsServer:
        udp, tcp = self._sockets()
        self.address = udp.getsockname()[:2]
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(self), sock=udp)
        self._server = await asyncio.start_server(self._serve, sock=tcp)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._transport:
            self._transport.close()
        if self._server:
            self._server.close()
        for task in self._connections:
            task.cancel()

    def _sockets(self) -> tuple[socket.socket, socket.socket]:
        host, ports = "127.0.0.1", [_ANY_PORT] * _TRIED
        if self._network.is_loopback and self._network.num_addresses > _FROM_THE_END:
            host = str(self._network[-_FROM_THE_END])
            ports = [port for port, _ in zip(substitutes(_PORT), range(_TRIED), strict=False)] + ports
        for port in ports:
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            try:
                udp.bind((host, port))
                tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                tcp.bind((host, udp.getsockname()[1]))
                tcp.listen()
            except OSError:
                udp.close()
                tcp.close()
                continue
            udp.setblocking(False)
            tcp.setblocking(False)
            return udp, tcp
        raise OSError(f"no port of {host} is free for DNS over both UDP and TCP")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        with contextlib.closing(writer), contextlib.suppress(OSError, EOFError, TimeoutError, asyncio.CancelledError):
            while True:
                async with asyncio.timeout(_IDLE):
                    (size,) = struct.unpack("!H", await reader.readexactly(2))
                    question = await reader.readexactly(size)
                answer = self.respond(question, _MOST_TCP)
                if answer is None:
                    return
                writer.write(struct.pack("!H", len(answer)) + answer)
                await writer.drain()

    def respond(self, question: bytes, most: int | None = None) -> bytes | None:
        """The answer to a message, None for one that is none; cut at `most` bytes, or at what the asker can take."""
        try:
            query = dns.message.from_wire(question)
            response = dns.message.make_response(query, recursion_available=True, our_payload=_MOST_UDP)
        except (dns.exception.DNSException, ValueError, struct.error):
            return None
        self._fill(query, response)
        if most is None:
            most = min(max(query.payload, _PLAIN_UDP), _MOST_UDP) if query.edns >= 0 else _PLAIN_UDP
        try:
            return response.to_wire(max_size=most)
        except dns.exception.TooBig:
            response.flags |= dns.flags.TC
        except dns.exception.DNSException:
            _log.exception("an answer can't be sent", question=str(query.question))
            response.set_rcode(dns.rcode.SERVFAIL)
        response.answer, response.authority = [], []
        return response.to_wire(max_size=most)

    def _fill(self, query: dns.message.Message, response: dns.message.Message) -> None:
        if query.opcode() != dns.opcode.QUERY:
            response.set_rcode(dns.rcode.NOTIMP)
            return
        if len(query.question) != 1:
            response.set_rcode(dns.rcode.FORMERR)
            return
        asked = query.question[0]
        if asked.rdclass != dns.rdataclass.IN:
            response.set_rcode(dns.rcode.REFUSED)
            return
        name = asked.name.to_text(omit_final_dot=True).lower()
        found = self._names.answer(name, dns.rdatatype.to_text(asked.rdtype))
        response.set_rcode(dns.rcode.from_text(found.code))
        response.answer = [rrset for each in found.answer if (rrset := _rrset(each)) is not None]
        if found.soa and (soa := _rrset(found.soa)) is not None:
            response.authority = [soa]


def _rrset(found: Rrset) -> dns.rrset.RRset | None:
    try:
        # Route 53 takes names in values for complete ones, with and without a dot at their end.
        name = dns.name.from_text(_escaped(found.name))
        return dns.rrset.from_text_list(
            name, found.ttl, "IN", found.type, found.values, origin=dns.name.root, relativize=False
        )
    except (dns.exception.DNSException, ValueError) as error:
        _log.warning("a record can't be answered", name=found.name, type=found.type, error=str(error))
        return None


def _escaped(name: str) -> str:
    return name.replace("\\", "\\\\")


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, server: DnsServer) -> None:
        self._server = server
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.DatagramTransport) or hasattr(transport, "sendto")
        self._transport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self._server.respond(data)
        if answer is not None and self._transport:
            self._transport.sendto(answer, addr)
