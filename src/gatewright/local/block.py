"""A claim to loopback addresses. Linux answers on all of 127.0.0.0/8, so every edge claims a block of its own there.

A module of its own since it is needed before anything else is.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Iterator

_CLAIM_PORT = 61616


def is_loopback(address: str) -> bool:
    """Whether this is an IPv4 address of 127.0.0.0/8."""
    try:
        return ipaddress.IPv4Address(address).is_loopback
    except ValueError:
        return False


class Block:
    """A claimed block of loopback addresses, 127.N.0.0/16, or just 127.0.0.1 where the system has no more.

    Another edge of this machine sees the claim and takes the next block. Released by `close`.
    """

    def __init__(self) -> None:
        self._claim: socket.socket | None = None
        self.network = ipaddress.IPv4Network("127.0.0.1/32")
        for second in range(64, 255):
            claim = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            try:
                claim.bind((f"127.{second}.255.254", _CLAIM_PORT))
                claim.listen(1)  # two sockets may be bound to a port, but only one may listen
            except OSError as error:
                claim.close()
                if error.errno == errno.EADDRINUSE:
                    continue
                break  # the system has one loopback address only
            self._claim = claim
            self.network = ipaddress.IPv4Network(f"127.{second}.0.0/16")
            break

    @property
    def shared(self) -> bool:
        """Whether everything shares one address."""
        return self.network.num_addresses == 1

    @property
    def gateways(self) -> Iterator[str]:
        """Addresses for Gateways, the same ones in the same order for every edge of the block."""
        return self._hosts(0, 1, 250)

    @property
    def proxy(self) -> str:
        """The address from which the Gateways' proxy connects to pods."""
        return "127.0.0.1" if self.shared else str(self.network.network_address + 251)

    @property
    def node(self) -> str:
        """The address from which pods are probed."""
        return "127.0.0.1" if self.shared else str(self.network.network_address + 252)

    @property
    def pods(self) -> ipaddress.IPv4Network:
        """The range for pods; of one address where everything is shared."""
        return self.network if self.shared else ipaddress.IPv4Network((int(self.network.network_address) + 0x8000, 17))

    def close(self) -> None:
        """Give the block back."""
        if self._claim:
            self._claim.close()
            self._claim = None

    def _hosts(self, third: int, first: int, last: int) -> Iterator[str]:
        if self.shared:
            yield "127.0.0.1"
            return
        base = int(self.network.network_address) + third * 256
        for number in range(first, last):
            yield str(ipaddress.ip_address(base + number))
