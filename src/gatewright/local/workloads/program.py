"""What a container runs, and what stands in for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from gatewright.local.workloads.exchange import Answer, Request

Protocol = Literal["http", "h2c"]
"""What is spoken on a port: HTTP/1.1, or HTTP/2 without TLS."""


@dataclass(frozen=True)
class Port:
    """A port that a program listens on in its pod."""

    number: int
    protocol: Protocol = "http"


@dataclass(frozen=True)
class Exit:
    """The end of a program that can't run as it was started."""

    code: int
    lines: tuple[str, ...]
    """What it writes before it ends."""


def _no_services() -> tuple[str, ...]:
    return ()


@dataclass(frozen=True)
class Program:
    """A container as its image sees it: variables are resolved, `$(VAR)` in the arguments is expanded."""

    image: str
    namespace: str = "default"
    pod: str = ""
    container: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: dict[str, str] = field(default_factory=dict)
    ports: tuple[int, ...] = ()
    """TCP ports that the pod's manifest and the Services that select it name."""
    services: Callable[[], tuple[str, ...]] = _no_services
    """The Services that select the pod now."""


class Behaviour:
    """What a program does: where it listens, what it writes at its start, what it answers. Holds a program's state."""

    known = True
    """Whether it behaves as its image does; else it is an echo that says that it stands in."""

    ports: tuple[Port, ...] = ()
    greeting: tuple[str, ...] = ()
    """The lines that it writes when it starts."""
    exit: Exit | None = None
    """Set when the program ends at once."""

    def answer(self, request: Request, port: Port) -> Answer:
        """The answer to one request on one of `ports`."""
        raise NotImplementedError

    def log(self, request: Request, answer: Answer, seconds: float) -> str | None:
        """The line that an answered request leaves in the container's log."""
        return None
