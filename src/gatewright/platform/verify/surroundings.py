"""How a platform that is to be verified is reached."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from gatewright.aws.client import Aws
from gatewright.cluster import Client
from gatewright.platform.outputs import Outputs
from gatewright.platform.targets import Settings

AzureCommand: TypeAlias = Callable[..., Awaitable[Any]]
"""Calls Azure's command line: `await az("network", "application-gateway", "list")` is its JSON, decoded.

Raises one of `gatewright.platform.errors.EXPECTED` whose text says why there is none.
"""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What a verification works with. What is None or empty is left out, and the checks that need it are skipped.

    `outputs` are Terraform's; without them the load balancers are found by what the cluster and AWS say. `trust` is a
    file with the authorities that clients trust, None for the system's. `dns` is `ADDRESS:PORT` of the resolver to ask,
    empty for the system's. `sockets` says where load balancers are really open, `HOST:PORT` by `ADDRESS:PORT`, where
    that isn't the same.
    """

    settings: Settings
    client: Client
    outputs: Outputs | None = None
    aws: Aws | None = None
    azure: AzureCommand | None = None
    trust: Path | None = None
    dns: str = ""
    sockets: Mapping[str, str] = field(default_factory=dict)
    clock: Callable[[], datetime] = _now
    """Tells the time, by which certificates and leases are judged."""

    def open_at(self, address: str, port: int) -> tuple[str, int]:
        """Where to connect in order to reach a port of an address."""
        host, _, real = self.sockets.get(f"{address}:{port}", "").rpartition(":")
        return (host.strip("[]"), int(real)) if host else (address, port)
