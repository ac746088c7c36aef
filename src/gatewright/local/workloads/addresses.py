"""Addresses for pods: one each on loopback where the system allows, else a shared one."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from typing import Protocol


class Doorkeeper(Protocol):
    """Says who may connect to a pod."""

    def admits(self, peer: str, address: str, port: int) -> bool:
        """Whether the client at the address `peer` may connect to the pod at `address`, or stay connected."""

    def subscribe(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Be told when that may have changed, until what is returned is called."""


SHARED = "127.0.0.1"
"""The address of every pod where the system has no others on loopback."""


class PodAddresses:
    """Hands out addresses of `network`, each to one pod at a time; an address given back is used again last.

    With `own` of False, or where addresses of `network` can't be bound (macOS has 127.0.0.1 alone), every pod shares
    127.0.0.1 and its ports have to be ephemeral. `own` of None finds out.

    `doorkeeper` says who may connect to them; None is everybody. `probe` is the address from which they are probed.
    """

    def __init__(
        self,
        network: str = "127.32.0.0/16",
        own: bool | None = None,
        *,
        doorkeeper: Doorkeeper | None = None,
        probe: str | None = None,
    ) -> None:
        self.doorkeeper = doorkeeper
        self.probe = probe
        self._network = ipaddress.IPv4Network(network)
        if not self._network.is_loopback:
            raise ValueError(f"pod network: found {network}, expected a part of 127.0.0.0/8")
        self._size = self._network.num_addresses - 2
        self._next = 0
        self._taken: set[str] = set()
        self.own = _bindable(str(self._network[1])) if own is None else own
        """Whether each pod has an address of its own."""

    def allot(self, preferred: str = "") -> str:
        """A free address; `preferred` when it is one. Raises RuntimeError when the network is used up."""
        if not self.own:
            return SHARED
        if preferred and preferred not in self._taken and self._holds(preferred):
            self._taken.add(preferred)
            return preferred
        for _ in range(self._size):
            address = str(self._network[1 + self._next])
            self._next = (self._next + 1) % self._size
            if address not in self._taken:
                self._taken.add(address)
                return address
        raise RuntimeError(f"pod network {self._network}: all {self._size} addresses are in use; use a larger network")

    def release(self, address: str) -> None:
        """Give an address back."""
        self._taken.discard(address)

    def _holds(self, address: str) -> bool:
        try:
            return ipaddress.IPv4Address(address) in self._network
        except ValueError:
            return False


def _bindable(address: str) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True
