"""ALBs whose requests are logged: a real Envoy, a place instead of S3, and entries taken apart."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
import gzip
import re
from collections.abc import Callable
from contextlib import AsyncExitStack

from tests.aws.alb_world import AlbCloud, Front

from gatewright.local.aws.dataplane import DataPlane

_NAMES = (
    "type time elb client target request_processing_time target_processing_time response_processing_time "
    "elb_status_code target_status_code received_bytes sent_bytes request user_agent ssl_cipher ssl_protocol "
    "target_group_arn trace_id domain_name chosen_cert_arn matched_rule_priority request_creation_time "
    "actions_executed redirect_url error_reason target_port_list target_status_code_list classification "
    "classification_reason conn_trace_id transformed_host transformed_uri request_transform_status"
)
FIELDS = _NAMES.split()
"""In the order in which the user guide of Application Load Balancers lists them."""

_QUOTED = (
    "request user_agent trace_id domain_name chosen_cert_arn actions_executed redirect_url error_reason "
    "target_port_list target_status_code_list classification classification_reason transformed_host transformed_uri "
    "request_transform_status"
)
QUOTED = frozenset(_QUOTED.split())

ATHENA = re.compile(
    r"([^ ]*) ([^ ]*) ([^ ]*) ([^ ]*):([0-9]*) ([^ ]*)[:-]([0-9]*) ([-.0-9]*) ([-.0-9]*) ([-.0-9]*) (|[-0-9]*) "
    r'(-|[-0-9]*) ([-0-9]*) ([-0-9]*) "([^ ]*) (.*) (- |[^ ]*)" "([^"]*)" ([A-Z0-9-_]+) ([A-Za-z0-9.-]*) ([^ ]*) '
    r'"([^"]*)" "([^"]*)" "([^"]*)" ([-.0-9]*) ([^ ]*) "([^"]*)" "([^"]*)" "([^ ]*)" "([^\s]+?)" "([^\s]+)" '
    r'"([^ ]*)" "([^ ]*)" ?([^ ]*)? ?( .*)?'
)
"""The expression with which Athena reads such logs, as its user guide has it."""


def fields(entry: str) -> dict[str, str]:
    """An entry by the names of its fields, which have to be quoted where AWS quotes them."""
    assert ATHENA.fullmatch(entry), entry
    found = re.findall(r'"[^"]*"|[^ ]+', entry)
    assert len(found) == len(FIELDS), entry
    named = dict(zip(FIELDS, found, strict=True))
    assert {name for name, text in named.items() if text.startswith('"')} == QUOTED, entry
    return {name: text.strip('"') for name, text in named.items()}


class Bucket:
    """Stands for S3: objects by bucket and key."""

    def __init__(self) -> None:
        self.objects: dict[tuple[str, str], bytes] = {}

    def put(self, bucket: str, key: str, content: bytes) -> None:
        if bucket == "none":
            raise KeyError(bucket)
        self.objects[bucket, key] = content

    @property
    def entries(self) -> list[dict[str, str]]:
        """All entries of all log files in the order of their time."""
        files = [content for (_, key), content in self.objects.items() if key.endswith(".log.gz")]
        lines = [line for content in files for line in gzip.decompress(content).decode().splitlines()]
        return sorted(map(fields, lines), key=lambda each: each["request_creation_time"])


class LoggedFront(Front):
    """As `Front`, with logs that are delivered ten times a second."""

    def __init__(self, cloud: AlbCloud, stack: AsyncExitStack) -> None:
        super().__init__(cloud, stack)
        self.bucket = Bucket()

    async def start(self) -> None:
        plane = DataPlane(self.cloud.state, pace=3000, concurrency=1, put=self.bucket.put)
        self.plane = await self._stack.enter_async_context(plane)

    async def logged(self, count: int) -> list[dict[str, str]]:
        """The entries of so many requests, once they are delivered."""
        await self.told(lambda: len(self.bucket.entries) >= count)
        return self.bucket.entries

    async def told(self, condition: Callable[[], bool]) -> None:
        """Wait until the condition holds; Envoy tells of requests some milliseconds later."""
        async with asyncio.timeout(60):
            while not condition():  # noqa: ASYNC110 - it is Envoy that has to come
                await asyncio.sleep(0.01)
