"""What comes of a request, and what decided it."""

from __future__ import annotations

from typing import TypeAlias

from msgspec import Struct

from gatewright.topology import BackendKey, HostKey, Listener, Origin, Rule, Stream


class Sent(Struct, frozen=True):
    """It goes to a backend, which answers. `host` and `path` are what the backend sees.

    `ready` and `draining` count the endpoints; draining ones get it only where none is ready.
    """

    backend: BackendKey
    ready: int
    draining: int = 0
    host: str = ""
    path: str = ""

    def __str__(self) -> str:
        which = f"{self.ready} ready endpoints" if self.ready else f"{self.draining} endpoints, which all drain"
        return f"goes to Service {self.backend.address}, one of {which}"


class Redirected(Struct, frozen=True):
    """The proxy answers with a redirect."""

    status: int
    location: str

    def __str__(self) -> str:
        return f"{self.status}, a redirect to {self.location}"


class Answered(Struct, frozen=True):
    """The proxy answers by itself."""

    status: int
    why: str

    def __str__(self) -> str:
        return f"{self.status}: {self.why}"


class Split(Struct, frozen=True):
    """One of several things, by their weights."""

    shares: tuple[tuple[int, Sent | Redirected | Answered], ...]

    def __str__(self) -> str:
        total = sum(weight for weight, _ in self.shares)
        return "; ".join(f"{100 * weight / total:.4g}%: {result}" for weight, result in self.shares)


class PassedOn(Struct, frozen=True):
    """The connection goes on as it is, to one of these backends by weight; a share without one is closed."""

    shares: tuple[tuple[int, BackendKey | None], ...]

    def __str__(self) -> str:
        names = [f"Service {backend.address}" if backend else "nowhere (closed)" for _, backend in self.shares]
        return f"the connection is passed on to {', '.join(names)}"


class Closed(Struct, frozen=True):
    """The connection is opened, and closed or reset before any answer."""

    why: str

    def __str__(self) -> str:
        return f"the connection is closed: {self.why}"


class Refused(Struct, frozen=True):
    """Nothing listens there."""

    why: str

    def __str__(self) -> str:
        return f"the connection is refused: {self.why}"


Result: TypeAlias = Sent | Redirected | Answered | Split | PassedOn | Closed | Refused


class NearMiss(Struct, frozen=True):
    """A rule that would have taken the request but for `why`."""

    rule: Rule
    host: HostKey
    why: str

    def __str__(self) -> str:
        return f"{describe(self.rule)} {self.why}"


class Outcome(Struct, frozen=True):
    """What comes of a request. What is None was not reached: no listener took the connection, no rule the request.

    `host` is the virtual host that the request belongs to; `asks` the backend of an authorization service, which may
    answer in the result's place. `near_misses` are there where no rule took it, the nearest first.
    """

    result: Result
    listener: Listener | None = None
    host: HostKey | None = None
    rule: Rule | None = None
    stream: Stream | None = None
    asks: BackendKey | None = None
    near_misses: tuple[NearMiss, ...] = ()

    def __str__(self) -> str:
        return str(self.result)

    @property
    def decided_by(self) -> tuple[Origin, ...]:
        """The objects that decide, from the listener inwards."""
        parts = (self.listener, self.rule, self.stream)
        return tuple(part.origin for part in parts if part is not None)

    @property
    def statuses(self) -> tuple[int | None, ...]:
        """The HTTP statuses that may come back; None where a backend answers. Empty where there is no HTTP."""
        results = [share for _, share in self.result.shares] if isinstance(self.result, Split) else [self.result]
        found: dict[int | None, None] = {}
        for result in results:
            if isinstance(result, Answered | Redirected):
                found[result.status] = None
            elif isinstance(result, Sent):
                found[None] = None
        return tuple(found)


def describe(rule: Rule | Stream) -> str:
    """`HTTPRoute apps/shop, rule 0`, with the rule's name if it has one."""
    name = getattr(rule, "name", "")
    return f"{rule.key.kind} {rule.key.route}, rule {rule.key.rule}" + (f" ({name})" if name else "")
