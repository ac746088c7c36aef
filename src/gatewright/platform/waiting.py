"""Waiting for what others do in a cluster, telling meanwhile what is waited for, and why it didn't come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from gatewright.aws.errors import AwsError
from gatewright.cluster import ApiError, Client, ClusterError, Unreachable
from gatewright.platform import objects
from gatewright.platform.applications import NAMESPACE, Application, Standing, standing
from gatewright.platform.diagnosis import explain, explain_application
from gatewright.platform.errors import PlatformError
from gatewright.platform.objects import APPLICATIONS, Json, label

_PRIVATE = (
    "for a private repository Argo CD needs credentials of its own, in a Secret in namespace "
    f"{NAMESPACE} that is labelled argocd.argoproj.io/secret-type: repository"
)
_WORKLOADS = (("apps/v1", "deployments"), ("apps/v1", "statefulsets"), ("apps/v1", "daemonsets"))


@dataclass(frozen=True)
class Patience:
    """How long is waited, in seconds: between two looks, without anything moving, and with something broken."""

    look: float = 3.0
    still: float = 600.0
    broken: float = 180.0

    def now(self) -> float:
        """The time by which it is measured."""
        return time.monotonic()

    async def pause(self) -> None:
        """Return when it is time for another look."""
        await asyncio.sleep(self.look)


REMOTE = Patience()
LOCAL = Patience(look=0.3, still=120.0, broken=45.0)


@dataclass(frozen=True)
class Look:
    """What one look found. `text` says what is waited for; `signature` is another one whenever something moved."""

    done: bool
    text: str
    signature: Any = None
    broken: bool = False


class Late(PlatformError):
    """What was waited for didn't come."""


async def nothing() -> list[str]:
    """No more reasons than what a look says."""
    return []


async def wait(
    look: Callable[[], Awaitable[Look]],
    doing: Callable[[str], None],
    patience: Patience,
    why: Callable[[], Awaitable[list[str]]],
    remedy: str,
) -> None:
    """Look until it is done. Raises Late, with what `why` finds, when nothing moves for longer than patience lasts.

    An API that doesn't answer, or can't for a while, counts as nothing moving.
    """
    last: Any = object()
    moved = patience.now()
    while True:
        try:
            found = await look()
        except (AwsError, ClusterError) as error:
            if not passing(error):
                raise
            whose = "AWS" if isinstance(error, AwsError) else "the cluster's API"
            found = Look(False, f"{whose} doesn't answer: {error}", last)
        if found.done:
            return
        doing(found.text)
        now = patience.now()
        if found.signature != last:
            last, moved = found.signature, now
        limit = patience.broken if found.broken else patience.still
        if now - moved >= limit:
            try:
                reasons = await why()
            except (AwsError, ClusterError) as error:
                reasons = [f"why can't be asked: {error}"]
            told = "".join(f"\n  {reason}" for reason in reasons)
            raise Late(f"nothing moved for {limit:.0f} s: {found.text}{told}", remedy)
        await patience.pause()


def passing(error: AwsError | ClusterError) -> bool:
    """Whether the same request may succeed later, without anybody changing anything."""
    if isinstance(error, ApiError):
        return error.status == 429 or error.status >= 500
    return isinstance(error, Unreachable) or (isinstance(error, AwsError) and error.retryable)


async def free(client: Client, applications: Iterable[Application]) -> None:
    """End the syncs for whose end Argo CD waits before it turns to what Applications are to be now, or deletes them."""
    for each in applications:
        if each.obstructed:
            await objects.end_sync(client, each.name, NAMESPACE)


async def applications_ready(client: Client, root: str, doing: Callable[[str], None], patience: Patience) -> Standing:
    """Wait until a root Application and all that it makes are synced and healthy. Raises Late."""
    now = standing(root, ())

    async def look() -> Look:
        nonlocal now
        now = standing(root, await objects.items(client, APPLICATIONS, "applications", NAMESPACE))
        await free(client, filter(None, (now.root, *now.children)))
        blocking = now.blocking
        return Look(now.ready, now.line(), now.signature(), blocking is not None and blocking.broken)

    async def why() -> list[str]:
        hanging: list[Application] = list(now.hanging) or ([now.root] if now.root else [])
        blocking = now.blocking
        if blocking is not None:
            hanging = [blocking, *(each for each in hanging if each.wave == blocking.wave and each != blocking)]
        lines = [line for each in hanging[:3] for line in await explain_application(client, each)]
        return [*lines, _PRIVATE] if any(": ComparisonError: " in line for line in lines) else lines

    remedy = (
        "put right what is named, in the repository or in the cluster, and run the same command again; "
        f"`kubectl -n {NAMESPACE} describe application NAME` shows all that Argo CD knows"
    )
    await wait(look, doing, patience, why, remedy)
    return now


async def workloads_ready(
    client: Client, namespace: str, doing: Callable[[str], None], patience: Patience
) -> list[str]:
    """Wait until all workloads of a namespace have all their pods ready; their names. Raises Late."""
    unready: list[Json] = []
    names: list[str] = []

    async def look() -> Look:
        nonlocal unready, names
        found = [each for api, plural in _WORKLOADS for each in await objects.items(client, api, plural, namespace)]
        names = [label(each) for each in found]
        unready = [each for each in found if not rolled_out(each)]
        text = f"waiting for {', '.join(map(label, unready))}" if found else f"no workload in {namespace} yet"
        return Look(bool(found) and not unready, text, [(label(each), each.get("status")) for each in unready])

    async def why() -> list[str]:
        return [line for each in unready[:3] for line in await explain(client, each)]

    await wait(look, doing, patience, why, "put right what is named, and run the same command again")
    return names


def rolled_out(workload: Json) -> bool:
    """Whether all pods of a Deployment, StatefulSet or DaemonSet are there as it now says, and ready."""
    spec, status = workload.get("spec") or {}, workload.get("status") or {}
    generation = (workload.get("metadata") or {}).get("generation", 0)
    if status.get("observedGeneration", generation) < generation:
        return False
    if workload.get("kind") == "DaemonSet":
        wanted = status.get("desiredNumberScheduled")
        return wanted is not None and status.get("numberReady", 0) >= wanted
    wanted = spec.get("replicas", 1)
    return bool(status.get("readyReplicas", 0) >= wanted)
