"""One health check of one target, over the network."""

from __future__ import annotations

import asyncio

import structlog

from gatewright.local.aws.health import http1, http2
from gatewright.local.aws.health.connection import Malformed, connected, tls_context
from gatewright.local.aws.health.plan import Check
from gatewright.local.aws.health.thresholds import FAILED, PASSED, TIMED_OUT, Verdict, mismatch

_log = structlog.get_logger(__name__)


async def probe(check: Check, timeout: float) -> Verdict:  # noqa: ASYNC109 - the verdict tells of it
    """Check once. `timeout` is in seconds, for the whole of it."""
    if check.to is None:
        return FAILED
    try:
        async with asyncio.timeout(timeout):
            verdict = await _perform(check)
    except TimeoutError:
        verdict = TIMED_OUT
    except (OSError, Malformed, asyncio.LimitOverrunError) as error:
        _log.debug("health check failed", target=f"{check.to.address}:{check.to.port}", error=str(error))
        verdict = FAILED
    return verdict if check.explains or verdict.passed else FAILED


async def _perform(check: Check) -> Verdict:
    assert check.to is not None
    http2_spoken = check.protocol != "TCP" and check.version != "HTTP1"
    tls = tls_context(tls13=check.tls13, http2=http2_spoken) if check.protocol == "HTTPS" else None
    async with connected(check.to, check.source, tls, proxy_header=check.proxy_header) as (reader, writer):
        if check.protocol == "TCP":
            return PASSED
        if http2_spoken:
            scheme = check.protocol.lower()
            grpc = check.version == "GRPC"
            code = await http2.status(reader, writer, check.authority, check.path, scheme, grpc=grpc)
        else:
            code = await http1.status(reader, writer, check.authority, check.path)
    return PASSED if any(first <= code <= last for first, last in check.matcher) else mismatch(code)
