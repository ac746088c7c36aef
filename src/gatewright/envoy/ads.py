"""A delta ADS server for one Envoy, on a UNIX domain socket."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

# Read when grpc is imported: our children exec at once, and gRPC's hooks would only warn about them.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

import grpc
import grpc.aio
import structlog
from envoy.service.discovery.v3 import discovery_pb2

from gatewright.envoy.delivery import Delivery, Observer
from gatewright.envoy.resources import Ref, Resource
from gatewright.flow import Change, Collection

_log = structlog.get_logger(__name__)

_SERVICE = "envoy.service.discovery.v3.AggregatedDiscoveryService"
_UNLIMITED = -1


class AdsServer:
    """Serves collections of resources, by type URL, to the one Envoy that connects to `socket`.

    Use as an async context manager, on the loop that also edits the collections. A second connection replaces the
    first: an Envoy that was restarted may come back before the end of its predecessor's stream is noticed.
    """

    def __init__(
        self, socket: Path, collections: Mapping[str, Collection[str, Resource]], observer: Observer | None = None
    ) -> None:
        self.socket = socket
        self.delivery = Delivery(collections, observer or Observer())
        self._server: grpc.aio.Server | None = None
        self._outbox: asyncio.Queue[discovery_pb2.DeltaDiscoveryResponse | None] | None = None
        self._flush_is_due = False
        self._waiters: list[asyncio.Future[None]] = []
        for url, collection in collections.items():
            collection.subscribe(partial(self._edited, url))

    async def __aenter__(self) -> AdsServer:
        method = grpc.stream_stream_rpc_method_handler(
            self._stream,
            discovery_pb2.DeltaDiscoveryRequest.FromString,
            discovery_pb2.DeltaDiscoveryResponse.SerializeToString,
        )
        server = grpc.aio.server(
            options=[("grpc.max_receive_message_length", _UNLIMITED), ("grpc.max_send_message_length", _UNLIMITED)]
        )
        server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(_SERVICE, {"DeltaAggregatedResources": method})]
        )
        server.add_insecure_port(f"unix:{self.socket}")
        await server.start()
        self._server = server
        return self

    async def __aexit__(self, *_: object) -> None:
        server, self._server = self._server, None
        if self._outbox:
            self._outbox.put_nowait(None)
        if server:
            await server.stop(grace=None)
        self.socket.unlink(missing_ok=True)

    async def settled(self) -> None:
        """Wait until Envoy has everything that the collections hold, except what it refused."""
        while not self.delivery.settled():
            await self.stirred()

    async def stirred(self) -> None:
        """Wait until something happens between Envoy and this server."""
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        await waiter

    def retry(self, ref: Ref) -> None:
        """Send a refused resource again, although it is the same."""
        self.delivery.retry(ref)
        self._flush_soon()

    def _flush_soon(self) -> None:
        """Send what can be sent, soon."""
        if self._outbox is not None and not self._flush_is_due:
            self._flush_is_due = True
            asyncio.get_running_loop().call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_is_due = False
        if self._outbox is not None:
            for response in self.delivery.responses():
                self._outbox.put_nowait(response)
            self.stir()

    def _edited(self, type_url: str, changes: list[Change[str, Resource]]) -> None:
        self.delivery.edited(type_url, [change.key for change in changes])
        self._flush_soon()

    def stir(self) -> None:
        """Let those who wait look again."""
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def _stream(
        self, requests: AsyncIterator[discovery_pb2.DeltaDiscoveryRequest], _context: Any
    ) -> AsyncIterator[discovery_pb2.DeltaDiscoveryResponse]:
        outbox: asyncio.Queue[discovery_pb2.DeltaDiscoveryResponse | None] = asyncio.Queue()
        if self._outbox is not None:
            self._outbox.put_nowait(None)
        self._outbox = outbox
        self.delivery.connect()
        receiver = asyncio.create_task(self._receive(requests, outbox))
        try:
            while (response := await outbox.get()) is not None:
                yield response
        finally:
            receiver.cancel()
            if self._outbox is outbox:
                self._outbox = None
                self.delivery.disconnect()
                self.stir()

    async def _receive(
        self,
        requests: AsyncIterator[discovery_pb2.DeltaDiscoveryRequest],
        outbox: asyncio.Queue[discovery_pb2.DeltaDiscoveryResponse | None],
    ) -> None:
        try:
            async for request in requests:
                if self._outbox is not outbox:
                    return
                self.delivery.request(request)
                self._flush()
        except Exception:
            _log.exception("reading Envoy's requests failed")
            raise
        finally:
            outbox.put_nowait(None)
