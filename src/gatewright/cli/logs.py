"""Where a command's log goes: to standard error, so that standard output has nothing but what was asked for."""

from __future__ import annotations

import logging
import sys

import structlog


def to_stderr(*, verbose: bool = False) -> None:
    """Log errors, or with `verbose` also what goes on, for people."""
    level = logging.INFO if verbose else logging.ERROR
    logging.basicConfig(level=level, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S"),
            # Plain, since the default shows local variables, and a token or a private key may be among them.
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
            ),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
