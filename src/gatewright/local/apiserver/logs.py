"""`pods/log`: the workloads register where a container's lines come from; `kubectl logs` reads them here."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

LogSource = Callable[["LogRequest"], AsyncIterator[bytes]]


@dataclass(frozen=True)
class LogRequest:
    """What a reader of a pod's log asked for. Lines are whole, each ending in a newline.

    `tail` is the number of last lines (None: all), `since` a number of seconds back, `limit` a number of bytes.
    """

    namespace: str
    pod: str
    container: str
    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail: int | None = None
    since: float | None = None
    limit: int | None = None


class PodLogs:
    """The source of pods' logs. Until one is registered every log is empty."""

    def __init__(self) -> None:
        self._source: LogSource | None = None

    def register(self, source: LogSource) -> None:
        """Read logs from `source`, called once a request; it yields bytes until the log ends or, with `follow`, on."""
        self._source = source

    async def read(self, request: LogRequest) -> AsyncIterator[bytes]:
        """The log's bytes, cut at the request's limit."""
        if self._source is None:
            return
        left = request.limit
        async for chunk in self._source(request):
            if left is None:
                yield chunk
                continue
            yield chunk[:left]
            left -= len(chunk)
            if left <= 0:
                return
