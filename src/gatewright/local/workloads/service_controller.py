"""Brings Services' EndpointSlices to where they should be."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterable
from typing import Any

import msgspec
import structlog

from gatewright.cluster import AlreadyExists, Client, Reconciler
from gatewright.local.workloads.slices import Backend, Override, RealPort, endpoint_slices
from gatewright.local.workloads.state import State
from gatewright.model import core, discovery
from gatewright.model.meta import Key

_log = structlog.get_logger(__name__)

_LONGEST_PAUSE = 30.0  # seconds


class ServiceController:
    """Service → EndpointSlices; `backends` are processes of the user's own that take a Service's traffic instead."""

    def __init__(self, client: Client, state: State, real_port: RealPort, backends: Iterable[Backend]) -> None:
        self._client = client
        self._state = state
        self._real_port = real_port
        self._backends: dict[Key, list[Backend]] = {}
        for backend in backends:
            self._backends.setdefault(Key(backend.namespace, backend.service), []).append(backend)
        self._addresses: dict[str, tuple[str, str]] = {}  # host -> family and address
        self.reconciler = Reconciler("services", self.reconcile)

    async def resolve_backends(self) -> None:
        """Find the addresses of the backends' hosts; one that can't be found is tried again until it can."""
        hosts = {backend.host for backends in self._backends.values() for backend in backends}
        await asyncio.gather(*(self._resolve(host) for host in hosts))

    async def reconcile(self, key: Key) -> None:
        """Bring one Service's slices to where they should be."""
        service = self._state.services.get(key)
        if service is None or service.deleting or service.spec.type == "ExternalName":
            return
        overrides = self._overrides(service)
        if not service.spec.selector and not overrides:
            return
        pods = self._state.selected_by(service)
        wanted = {s.name: s for s in endpoint_slices(service, pods, self._real_port, overrides, self._state.zone_of)}
        found = {s.name: s for s in self._state.slices_of.lookup(key)}
        for name, slice_ in wanted.items():
            old = found.get(name)
            if old is None:
                with contextlib.suppress(AlreadyExists):  # made a moment ago: its event brings the Service back here
                    await self._client.create(_body(slice_))
            elif _differs(slice_, old):
                await self._client.patch(discovery.EndpointSlice, old.key, _patch(slice_, old))
        for name, slice_ in found.items():
            if name not in wanted and not slice_.deleting:
                await self._client.delete(discovery.EndpointSlice, slice_.key)

    def _overrides(self, service: core.Service) -> dict[int, Override]:
        overrides: dict[int, Override] = {}
        for backend in self._backends.get(service.key, ()):
            taken = [port for port in service.spec.ports if backend.takes(port)]
            if not taken:
                ports = ", ".join(str(port.port) for port in service.spec.ports)
                _log.warning(
                    "a backend names a port that its Service doesn't have",
                    service=str(service.key),
                    found=backend.port,
                    expected=f"one of {ports}",
                )
            resolved = self._addresses.get(backend.host)
            if resolved:
                overrides.update((port.port, Override(*resolved, backend.host_port)) for port in taken)
        return overrides

    async def _resolve(self, host: str) -> None:
        pause = 0.5
        while True:
            try:
                found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
            except OSError as error:
                _log.warning("a backend's host has no address yet; trying again", host=host, error=str(error))
                await asyncio.sleep(pause)
                pause = min(_LONGEST_PAUSE, pause * 2)
                continue
            family, _, _, _, address = min(found, key=lambda info: info[0] != socket.AF_INET)
            self._addresses[host] = ("IPv4" if family == socket.AF_INET else "IPv6", str(address[0]))
            for key, backends in self._backends.items():
                if any(backend.host == host for backend in backends):
                    self.reconciler.enqueue(key)
            return


def _differs(wanted: discovery.EndpointSlice, found: discovery.EndpointSlice) -> bool:
    return (
        wanted.endpoints != found.endpoints
        or wanted.ports != found.ports
        or wanted.metadata.labels != found.metadata.labels
    )


def _body(slice_: discovery.EndpointSlice) -> dict[str, Any]:
    owners = msgspec.to_builtins(slice_.metadata.owner_references)
    return {
        "apiVersion": slice_.api_version,
        "kind": slice_.kind,
        "metadata": {
            "name": slice_.name,
            "namespace": slice_.namespace,
            "labels": slice_.metadata.labels,
            "ownerReferences": owners,
        },
        "addressType": slice_.address_type,
        "endpoints": msgspec.to_builtins(slice_.endpoints),
        "ports": [_port(port) for port in slice_.ports],
    }


def _patch(wanted: discovery.EndpointSlice, found: discovery.EndpointSlice) -> dict[str, Any]:
    gone = dict.fromkeys(found.metadata.labels.keys() - wanted.metadata.labels.keys())
    body = _body(wanted)
    return {
        "metadata": {"labels": {**gone, **wanted.metadata.labels}},
        "endpoints": body["endpoints"],
        "ports": body["ports"],
    }


def _port(port: discovery.EndpointPort) -> dict[str, Any]:
    fields = {"name": port.name, "port": port.port, "protocol": port.protocol, "appProtocol": port.app_protocol}
    return {name: value for name, value in fields.items() if value is not None}
