"""Where the nodes of load balancers really listen.

The API says that a node listens at its network interface's address and its listeners' ports. On a laptop that may not
be had: the address may not exist on this system, the port may be reserved or in use. So each gets a real address and
port, which are kept for as long as the node has the listener, and which `CloudState.sockets` tells everybody.
"""

from __future__ import annotations

import errno
from collections.abc import Collection, Iterable

import structlog

from gatewright.local.aws.pools import transports
from gatewright.local.aws.state import Bound, CloudState, Socket, Transport
from gatewright.local.block import is_loopback
from gatewright.local.ports import substitutes, try_bind

_log = structlog.get_logger(__name__)

_SHARED = "127.0.0.1"


class Sockets:
    """Allots the sockets of a state's load balancers, and writes `state.sockets`.

    `shared`: everything is on 127.0.0.1, on ports that the system chooses. A load balancer that is made anew at an
    address that another had listens where that one did, even where Envoy has not let go of it yet.
    """

    def __init__(self, state: CloudState, *, shared: bool = False) -> None:
        self._state = state
        self._shared = shared
        self._bound: dict[Socket, Bound] = {}
        self._left: dict[Socket, Bound] = {}
        self._wanted = state.flow.derive_many(
            "sockets of listeners",
            state.listeners,
            lambda ctx, _, listener: {
                each: listener.arn
                for balancer in [ctx.get(state.load_balancers, listener.load_balancer)]
                if balancer
                for node in balancer.nodes
                for transport in transports(listener.protocol)
                for each in [Socket(node.address, listener.port, transport)]
            },
        )
        self._wanted.subscribe(lambda changes: self._changed(change.key for change in changes))
        self._changed(tuple(self._wanted))

    def move(self, bound: Bound) -> None:
        """Listen elsewhere: someone else has this place, although it was free when it was allotted."""
        with self._state.flow.batch():
            for key in [key for key, place in self._bound.items() if place == bound]:
                taken = {*self._bound.values(), bound}
                found = self._find(key, taken)
                if found:
                    _log.warning("a load balancer's port is taken", wanted=bound, instead=found)
                    self._bound[key] = found
                    self._state.sockets.set(key, found)

    def _changed(self, keys: Iterable[Socket]) -> None:
        with self._state.flow.batch():
            # Those that are gone first: what comes may get what they had.
            for key in sorted(keys, key=lambda key: key in self._wanted):
                if key not in self._wanted:
                    self._release(key)
                elif key not in self._bound:
                    self._allot(key)

    def _release(self, key: Socket) -> None:
        bound = self._bound.pop(key, None)
        if bound:
            self._left[key] = bound
            self._state.sockets.delete(key)

    def _allot(self, key: Socket) -> None:
        taken = {bound for other, bound in self._bound.items() if other.transport == key.transport}
        bound = self._find(key, taken)
        if bound is None:
            _log.error("no port is left for a load balancer", address=key.address, port=key.port)
            return
        self._bound[key] = bound
        self._state.sockets.set(key, bound)

    def _find(self, key: Socket, taken: Collection[Bound]) -> Bound | None:
        left = self._left.pop(key, None)
        if left and left not in taken:
            return left
        # Not on any other address that this system has, either: nobody else is to reach us.
        bound = real_port(key, taken) if not self._shared and is_loopback(key.address) else None
        # An address that this system doesn't have is stood in for, as where there is one address only.
        return bound or any_port(key.transport, {*taken, *self._left.values()})


def real_port(wanted: Socket, taken: Collection[Bound] = ()) -> Bound | None:
    """The port itself at its address, or one that stands in for it; None where the system doesn't have the address."""
    address, port, transport = wanted
    for candidate in substitutes(port):
        if (address, candidate) in taken:
            continue
        try:
            try_bind(address, candidate, transport)
        except OSError as error:
            if error.errno in (errno.EADDRNOTAVAIL, errno.EINVAL, errno.EAFNOSUPPORT):
                return None
            continue
        return Bound(address, candidate)
    return None


def any_port(transport: Transport, taken: Collection[Bound] = ()) -> Bound | None:
    """A port of 127.0.0.1 that the system chooses."""
    for _ in range(100):
        try:
            bound = Bound(_SHARED, try_bind(_SHARED, 0, transport))
        except OSError:
            return None
        if bound not in taken:
            return bound
    return None
