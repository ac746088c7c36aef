"""Loopback addresses: where Gateways and pods of a local edge live.

Linux answers on all of 127.0.0.0/8, so every edge claims a block of its own there, and every Gateway in it has its own
address with its own ports. Elsewhere only 127.0.0.1 answers; Gateways then share it and ports are allotted.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping

from gatewright.envoy.listeners import Binding
from gatewright.local.block import Block
from gatewright.local.ports import substitutes, try_bind
from gatewright.topology import Transport


class AddressError(Exception):
    """An address or a port can't be had; the text says which and why."""


class Allocator:
    """Gives each name (a Gateway, say) a loopback address and real ports for the ports that it asks for.

    An address that was released is kept for its name for as long as there are others: a proxy may have its ports open
    for a while yet, and a Gateway that is made anew is found where it was.
    """

    def __init__(self, block: Block) -> None:
        self._block = block
        self._bindings: dict[object, Binding] = {}
        self._left: dict[object, str] = {}
        """The address that each name had when it was released, the last one at the end."""
        self._opened: dict[tuple[str, Transport], dict[int, int]] = {}
        """By address and transport: the real port of each port that was ever asked for there."""

    def bind(
        self, name: object, ports: Iterable[int], wanted: str | None = None, *, udp_ports: Iterable[int] = ()
    ) -> Binding:
        """A binding for `ports`; keeps the address and ports that `name` has already. Raises `AddressError`.

        `wanted` is an address that the user asks for.
        """
        before = self._bindings.get(name)
        if before and wanted is not None and _spelled(wanted) != before.host:
            self.release(name)
            before = None
        host = before.host if before else self._host(name, wanted)
        binding = Binding(
            host,
            self._real_ports(name, host, ports, "TCP", before.ports if before else {}),
            self._real_ports(name, host, udp_ports, "UDP", before.udp_ports if before else {}),
        )
        self._bindings[name] = binding
        return binding

    def _real_ports(
        self, name: object, host: str, ports: Iterable[int], transport: Transport, before: Mapping[int, int]
    ) -> dict[int, int]:
        taken = {
            port
            for other, binding in self._bindings.items()
            if other != name and binding.host == host
            for port in (binding.udp_ports if transport == "UDP" else binding.ports).values()
        }
        # On an address of its own, what was opened once is ours, even where a proxy has not let go of it yet.
        opened = dict(before) if self._block.shared else self._opened.setdefault((host, transport), {})
        real: dict[int, int] = {}
        for port in sorted(set(ports)):
            if port not in opened or opened[port] in taken:
                opened[port] = _free_port(host, port, transport, taken | set(real.values()))
            real[port] = opened[port]
        return real

    def release(self, name: object) -> None:
        """Take back what `name` has."""
        binding = self._bindings.pop(name, None)
        if binding and not self._block.shared:
            self._left.pop(name, None)
            self._left[name] = binding.host

    def _host(self, name: object, wanted: str | None) -> str:
        if wanted:
            return self._checked(wanted)
        if self._block.shared:
            return next(self._block.gateways)
        used = {binding.host for binding in self._bindings.values()}
        own = self._left.pop(name, None)
        if own and own not in used:
            return own
        free = dict.fromkeys(host for host in self._block.gateways if host not in used)
        fresh = next((host for host in free if host not in self._left.values()), None)
        if fresh:
            return fresh
        for former, host in self._left.items():
            if host in free:
                del self._left[former]
                return host
        raise AddressError(f"no loopback address is left in {self._block.network}")

    def _checked(self, wanted: str) -> str:
        """The address that `wanted` spells, in its usual spelling, if a Gateway may have it."""
        host = _spelled(wanted)
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            raise AddressError(f"found {wanted!r}, expected an IP address") from None
        if "%" in host or not address.is_loopback or getattr(address, "ipv4_mapped", None):
            raise AddressError(f"found {wanted!r}, expected a loopback address: the local edge listens nowhere else")
        if not self._block.shared and address in self._block.pods:
            raise AddressError(f"found {wanted}, expected an address outside of {self._block.pods}, the pods' range")
        if any(binding.host == host for binding in self._bindings.values()):
            raise AddressError(f"{wanted} belongs to another Gateway")
        try:
            try_bind(host, 0, "TCP")
        except OSError as error:
            raise AddressError(f"{wanted}: {error.strerror}") from None
        return host


def _spelled(address: str) -> str:
    """An address as all others spell it: `0:0::1` is `::1`. What is none is left as it is."""
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return address


def _free_port(host: str, port: int, transport: Transport, taken: set[int]) -> int:
    """`port` itself, or shifted where the system doesn't allow it, or the next free one."""
    for candidate in substitutes(port):
        if candidate in taken:
            continue
        try:
            try_bind(host, candidate, transport)
        except OSError:
            continue
        return candidate
    raise AddressError(f"port {port} of {host} is in use, and so are its substitutes")
