"""Faults on request: calls of the emulated API that fail as AWS's do on its bad days, over the real HTTP connection."""

from __future__ import annotations

import fnmatch
import itertools
import time
from collections.abc import Callable
from threading import Lock
from typing import Literal

from msgspec import Struct

Kind = Literal["throttle", "internal-error", "unavailable", "latency", "reset", "timeout"]


class Fault(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What happens to which calls. It ends after `count` calls or after `seconds`, whichever comes first.

    `service` is boto3's name of it and `operation` AWS's, both with wildcards, as `elbv2` and `Describe*`. With kind
    `latency` a call is answered `latency` seconds later; with `timeout` it isn't answered, and the connection is closed
    after that time. A `reset` closes it at once. With `after` the call is carried out nevertheless.
    """

    kind: Kind
    service: str = "*"
    operation: str = "*"
    count: int | None = None
    seconds: float | None = None
    latency: float = 0.0
    after: bool = False
    probability: float = 1.0


class Injected(Struct):
    """A fault in force."""

    id: int
    fault: Fault
    hits: int = 0
    until: float | None = None
    share: float = 0.0
    """What has come together of a call that is to meet it: with each, the fault's `probability`."""

    def spent(self, now: float) -> bool:
        """Whether it has ended."""
        return (self.fault.count is not None and self.hits >= self.fault.count) or (
            self.until is not None and now >= self.until
        )


class Faults:
    """The faults in force; safe to use from several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = Lock()
        self._ids = itertools.count(1)
        self._injected: list[Injected] = []

    def inject(self, fault: Fault) -> int:
        """Put a fault in force and give its id."""
        with self._lock:
            until = None if fault.seconds is None else self._clock() + fault.seconds
            injected = Injected(next(self._ids), fault, until=until)
            self._injected.append(injected)
            return injected.id

    def clear(self, fault_id: int | None = None) -> None:
        """End one fault, or all."""
        with self._lock:
            self._injected = [one for one in self._injected if fault_id is not None and one.id != fault_id]

    def in_force(self) -> list[Injected]:
        """Those that haven't ended, the oldest first."""
        with self._lock:
            self._drop_spent()
            return list(self._injected)

    def strike(self, service: str, operation: str) -> Fault | None:
        """The fault that a call meets, if there is one; it counts as met. Of several, the oldest."""
        if not self._injected:
            return None
        with self._lock:
            self._drop_spent()
            for one in self._injected:
                fault = one.fault
                if not (
                    fnmatch.fnmatchcase(service, fault.service) and fnmatch.fnmatchcase(operation, fault.operation)
                ):
                    continue
                one.share += fault.probability  # evenly spread, so that a test always sees the same
                if one.share < 1.0:
                    continue
                one.share -= 1.0
                one.hits += 1
                return fault
        return None

    def _drop_spent(self) -> None:
        now = self._clock()
        self._injected = [one for one in self._injected if not one.spent(now)]


def throttling_code(service: str) -> tuple[int, str, str]:
    """Status, code and message with which a service says that there were too many calls."""
    match service:
        case "ec2":
            return 503, "RequestLimitExceeded", "Request limit exceeded."
        case "s3":
            return 503, "SlowDown", "Please reduce your request rate."
        case "acm" | "wafv2" | "eks":
            return 400, "ThrottlingException", "Rate exceeded"
    return 400, "Throttling", "Rate exceeded"
