"""Brings access logs to S3: every five minutes an object for each node of a load balancer that had requests.

("Access log files" in the user guide of Application Load Balancers.)
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import string
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import NamedTuple

import structlog
from msgspec import Struct

from gatewright.local.aws.endpoint import ACCOUNT, REGION
from gatewright.local.aws.state import LoadBalancer

_log = structlog.get_logger(__name__)

INTERVAL = 300.0
"""Seconds of the emulated clock between two files of a node."""

_LETTERS = string.ascii_lowercase + string.digits
_GZIP = 16 + zlib.MAX_WBITS

Put = Callable[[str, str, bytes], None]
"""Puts an object: bucket, key, content. Raises KeyError where there is no such bucket; called in a thread."""


class Destination(NamedTuple):
    """Where a load balancer's logs go."""

    bucket: str
    prefix: str

    def key(self, rest: str) -> str:
        """The key of an object under the prefix and `AWSLogs/<account>`."""
        return "/".join(part for part in (self.prefix.strip("/"), "AWSLogs", ACCOUNT, rest) if part)


def destination(balancer: LoadBalancer | None) -> Destination | None:
    """Where a load balancer's access logs go; None where it keeps none."""
    if balancer is None or balancer.attributes.get("access_logs.s3.enabled") != "true":
        return None
    bucket = balancer.attributes.get("access_logs.s3.bucket", "")
    return Destination(bucket, balancer.attributes.get("access_logs.s3.prefix", "")) if bucket else None


def log_key(where: Destination, balancer_id: str, ended: datetime, node: str, unique: str) -> str:
    """The key of a log file that ends at a point in time (UTC); `unique` is a random string."""
    day = ended.strftime("%Y/%m/%d")
    name = balancer_id.replace("/", ".")
    file = f"{ACCOUNT}_elasticloadbalancing_{REGION}_{name}_{ended.strftime('%Y%m%dT%H%MZ')}_{node}_{unique}.log.gz"
    return where.key(f"elasticloadbalancing/{REGION}/{day}/{file}")


class _File(Struct):
    """What a node's requests have come to so far, compressed."""

    where: Destination
    compressor: zlib._Compress
    parts: list[bytes]


class Delivery:
    """Collects entries and delivers them every `INTERVAL` / `pace` seconds, and at the end of the context."""

    def __init__(self, put: Put, *, pace: float = 1.0) -> None:
        self._put = put
        self._interval = INTERVAL / pace
        self._files: dict[tuple[str, str], _File] = {}
        self._over = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Delivery:
        self._task = asyncio.create_task(self._repeat())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._over.set()
        if self._task:
            await self._task

    def add(self, balancer_id: str, node: str, where: Destination, entry: str) -> None:
        """Add an entry for a request that the node at address `node` got."""
        file = self._files.get((balancer_id, node))
        if file is None or file.where != where:
            file = _File(where, zlib.compressobj(wbits=_GZIP), [])
            self._files[balancer_id, node] = file
        file.parts.append(file.compressor.compress(entry.encode() + b"\n"))

    async def deliver(self) -> None:
        """Put what has been collected; what can't be put is lost, and logged."""
        files, self._files = self._files, {}
        ended = datetime.now(UTC)
        for (balancer_id, node), file in files.items():
            unique = "".join(secrets.choice(_LETTERS) for _ in range(8))
            content = b"".join((*file.parts, file.compressor.flush()))
            await self._store(file.where.bucket, log_key(file.where, balancer_id, ended, node, unique), content)

    async def _repeat(self) -> None:
        over = False
        while not over:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), self._interval)
            over = self._over.is_set()  # before the last delivery, not after it
            await self.deliver()

    async def _store(self, bucket: str, key: str, content: bytes) -> None:
        try:
            await asyncio.to_thread(self._put, bucket, key, content)
        except KeyError:
            _log.warning("access logs can't be delivered: there is no such bucket", bucket=bucket, key=key)
        except Exception:  # noqa: BLE001 - the bucket is the user's, and the next delivery may do better
            _log.exception("access logs can't be delivered", bucket=bucket, key=key)
