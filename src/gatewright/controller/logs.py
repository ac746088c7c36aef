"""Structured logs, to standard error: JSON for machines, lines for people."""

from __future__ import annotations

import logging
import sys
from typing import Any, Literal, TextIO

import structlog

Level = Literal["debug", "info", "warning", "error"]
Format = Literal["json", "console"]

_HIDDEN = ("token", "password", "secret_access_key", "private_key", "authorization", "client_secret")
"""Fields whose value is never written, whoever logs them."""


def configure(format_: Format, level: Level, stream: TextIO | None = None) -> None:
    """Write the logs of all parts, and those of libraries from warnings on, to `stream` (standard error).

    A traceback shows no local variables, since a private key may be among them.
    """
    out = stream or sys.stderr
    at = logging.getLevelNamesMapping()[level.upper()]
    last: Any = structlog.processors.JSONRenderer(default=str)
    if format_ == "console":
        last = structlog.dev.ConsoleRenderer(
            colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback, pad_event_to=0
        )
    shared: list[Any] = [
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _hide,
    ]
    if format_ == "json":
        shared.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*shared, last],
        wrapper_class=structlog.make_filtering_bound_logger(at),
        logger_factory=_factory(out),
    )
    # boto3, aiohttp and the like log by the standard library.
    lines = logging.StreamHandler(out)
    lines.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [lines]
    root.setLevel(max(at, logging.WARNING))


def _factory(out: TextIO) -> Any:
    """Loggers that know their name, which says which part speaks."""

    def make(*names: str) -> _Named:
        return _Named(out, names[0] if names else "")

    return make


class _Named(structlog.PrintLogger):
    def __init__(self, out: TextIO, name: str) -> None:
        super().__init__(out)
        self.name = name


def _hide(_: Any, __: str, event: dict[str, Any]) -> dict[str, Any]:
    for name in event:
        if name.lower() in _HIDDEN:
            event[name] = "(hidden)"
    return event
