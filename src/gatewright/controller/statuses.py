"""The one writer of statuses: puts what resolution says into the cluster, and nothing else.

It touches only the entries of its own controllers (other controllers' route parents and foreign condition types stay as
they are), writes only what differs, and coalesces bursts: an object's status is written at most once each interval.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from collections.abc import Collection as AbstractCollection
from datetime import UTC, datetime
from typing import Any, NamedTuple

import structlog

from gatewright.cluster import Client, Reconciler
from gatewright.controller.patches import (
    Lay,
    Overlay,
    class_status,
    gateway_status,
    listener_set_status,
    patch,
    policy_status,
    route_status,
)
from gatewright.flow import Change
from gatewright.flow import Collection as FlowCollection
from gatewright.model.gateway import (
    BackendTLSPolicy,
    Gateway,
    GatewayClass,
    GRPCRoute,
    HTTPRoute,
    ListenerSet,
    TCPRoute,
    TLSRoute,
    UDPRoute,
)
from gatewright.model.meta import Key, Object, timestamp
from gatewright.resolve import Inputs, Resolution

_INTERVAL = 0.1  # seconds between two writes of one object's status
_SETTLE = 0.02  # seconds without news after which statuses are written: a burst is over, or has gone on for long

_log = structlog.get_logger(__name__)


_Target = tuple[type[Object], Key]
_PARENTS = frozenset({GatewayClass, Gateway, ListenerSet})


@functools.lru_cache(maxsize=2)
def _written_time(moment: datetime) -> str:
    return timestamp(moment)


class _Written(NamedTuple):
    """A kind whose status is ours to write: the objects, what resolution says of them, and how that is laid over."""

    objects: FlowCollection[Key, Any]
    resolved: FlowCollection[Key, Any]
    lay: Lay


def _written(inputs: Inputs, resolution: Resolution) -> dict[type[Object], _Written]:
    return {
        GatewayClass: _Written(inputs.gateway_classes, resolution.classes, class_status),
        Gateway: _Written(inputs.gateways, resolution.gateway_statuses, gateway_status),
        ListenerSet: _Written(inputs.listener_sets, resolution.listener_set_statuses, listener_set_status),
        HTTPRoute: _Written(inputs.http_routes, resolution.http_routes, route_status),
        GRPCRoute: _Written(inputs.grpc_routes, resolution.grpc_routes, route_status),
        TLSRoute: _Written(inputs.tls_routes, resolution.tls_routes, route_status),
        TCPRoute: _Written(inputs.tcp_routes, resolution.tcp_routes, route_status),
        UDPRoute: _Written(inputs.udp_routes, resolution.udp_routes, route_status),
        BackendTLSPolicy: _Written(inputs.backend_tls_policies, resolution.backend_tls_policies, policy_status),
    }


class StatusWriter:
    """Writes the statuses of GatewayClasses, Gateways, ListenerSets, routes and policies (`async with`)."""

    def __init__(
        self,
        client: Client,
        inputs: Inputs,
        resolution: Resolution,
        controllers: AbstractCollection[str],
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._controllers = controllers
        self._now = now
        self._written = _written(inputs, resolution)
        # Those of thousands of routes must not hold up their Gateway's.
        self._parents: Reconciler[_Target] = Reconciler(
            "status of a parent", self._write, concurrency=4, interval=_INTERVAL, settle=_SETTLE
        )
        self._others: Reconciler[_Target] = Reconciler(
            "status", self._write, concurrency=16, interval=_INTERVAL, settle=_SETTLE
        )
        self._crowded: set[_Target] = set()  # those that have no room for all of our entries
        self._running = False
        for type_, kind in self._written.items():
            self._watch(type_, kind.objects)
            self._watch(type_, kind.resolved)

    def _watch(self, type_: type[Object], collection: FlowCollection[Key, Any]) -> None:
        def enqueue(changes: Iterable[Change[Key, Any]]) -> None:
            if self._running:
                for change in changes:
                    if self._patch(type_, change.key) is not None:
                        self._enqueue(type_, change.key)

        collection.subscribe(enqueue)

    async def __aenter__(self) -> StatusWriter:
        self._running = True
        for type_, kind in self._written.items():
            for key in list(kind.objects.keys()):
                self._enqueue(type_, key)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._running = False
        await self._parents.__aexit__()
        await self._others.__aexit__()

    async def idle(self) -> None:
        """Return when every status that is known to be needed has been written."""
        while self._parents.busy or self._others.busy:
            await self._parents.idle()
            await self._others.idle()

    def _enqueue(self, type_: type[Object], key: Key) -> None:
        (self._parents if type_ in _PARENTS else self._others).enqueue((type_, key))

    async def _write(self, target: _Target) -> None:
        type_, key = target
        wanted = self._patch(type_, key)
        if wanted is not None:
            await self._client.patch(type_, key, wanted, subresource="status")

    def _patch(self, type_: type[Object], key: Key) -> dict[str, Any] | None:
        """The merge patch that brings an object's status to where it should be, or None where it is there."""
        kind = self._written[type_]
        obj = kind.objects.get(key)
        if obj is None:
            self._crowded.discard((type_, key))
            return None
        overlay = Overlay(self._controllers, _written_time(self._now().replace(microsecond=0)))
        wanted = kind.lay(overlay, obj, kind.resolved.get(key))
        if wanted is None:
            return None
        self._note_room(type_, key, wanted.left_out)
        return patch(obj, wanted.status)

    def _note_room(self, type_: type[Object], key: Key, left_out: int) -> None:
        target = (type_, key)
        if not left_out:
            self._crowded.discard(target)
        elif target not in self._crowded:
            self._crowded.add(target)
            _log.warning(
                "other controllers' status entries leave no room for all of ours",
                kind=type_.__name__,
                object=str(key),
                left_out=left_out,
            )
