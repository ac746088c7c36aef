"""What a sync does next, and when one begins by itself: decisions only."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final, Literal

from msgspec import Struct

from gatewright.local.argocd.application import (
    Application,
    IgnoreDifferences,
    InitiatedBy,
    Operation,
    OperationSync,
    Retry,
)
from gatewright.local.argocd.health import Health, Status
from gatewright.local.argocd.resources import Resource, ResourceId, order

ResultStatus = Literal["Synced", "SyncFailed", "Pruned", "PruneSkipped"]


class Result(Struct, frozen=True):
    """What a sync has done about one object."""

    status: ResultStatus
    message: str = ""


class Step(Struct, frozen=True):
    """What a sync has to do now: one wave's applies, then deletions, or wait, or end.

    At most one of `apply`, `prune`, `waits` and `failure` says something; none of them is success.
    """

    wave: int = 0
    apply: tuple[Resource, ...] = ()
    prune: tuple[ResourceId, ...] = ()
    waits: str = ""
    failure: str = ""


def step(
    wanted: Sequence[Resource],
    extra: Mapping[ResourceId, int],
    results: Mapping[ResourceId, Result],
    health: Callable[[ResourceId], Health | None],
    gone: Callable[[ResourceId], bool],
    prune_last: bool = False,
) -> Step:
    """The next step of a sync whose results so far are known (Argo CD's "Sync Phases and Waves").

    A wave is applied once the objects of all earlier waves are healthy; one that is degraded fails the sync, and the
    last wave isn't waited for. `extra`: the waves of the objects that are to be deleted; they go when everything else
    is applied (with `prune_last`: and healthy), the highest wave first, each wave when the one before it is gone.
    """
    refused = [result.message for result in results.values() if result.status == "SyncFailed"]
    if refused:
        return Step(failure=f"one or more objects failed to apply, reason: {'; '.join(refused)}")
    waves = sorted({resource.wave for resource in wanted})
    for wave in waves:
        members = sorted((r for r in wanted if r.wave == wave), key=lambda r: order(r.id))
        todo = tuple(resource for resource in members if resource.id not in results)
        if todo:
            return Step(wave=wave, apply=todo)
        if wave == waves[-1] and not (extra and prune_last):
            break
        found = [(resource.id, fares) for resource in members if (fares := health(resource.id)) is not None]
        degraded = [(identity, fares) for identity, fares in found if fares.status is Status.DEGRADED]
        if degraded:
            told = "; ".join(f"{identity}: {fares.message}" for identity, fares in degraded)
            return Step(wave, failure=f"one or more synchronization tasks completed unsuccessfully, reason: {told}")
        waiting = [(identity, fares) for identity, fares in found if fares.status is not Status.HEALTHY]
        if waiting:
            return Step(wave, waits=_waiting("healthy state", [i for i, _ in waiting], waiting[0][1].message))
    for wave in sorted(set(extra.values()), reverse=True):
        these = sorted((i for i, of in extra.items() if of == wave and not gone(i)), key=order, reverse=True)
        todo_ids = tuple(identity for identity in these if identity not in results)
        if todo_ids:
            return Step(wave, prune=todo_ids)
        if these:
            return Step(wave, waits=_waiting("deletion", these, ""))
    return Step()


def _waiting(what: str, identities: Sequence[ResourceId], why: str) -> str:
    text = f"waiting for {what} of {identities[0]}"
    if len(identities) > 1:
        text += f" and {len(identities) - 1} more resources"
    return f"{text}: {why}" if why else text


class Begin(Struct, frozen=True):
    """A sync that begins by itself."""

    operation: Operation


class Refuse(Struct, frozen=True):
    """Why none begins although something is out of sync; empty where that is as it should be."""

    error: str = ""


def automatic(
    application: Application,
    revision: str,
    source: Mapping[str, Any],
    out_of_sync: Collection[ResourceId],
    extra: Collection[ResourceId],
    wanted: int,
    pending: bool = False,
) -> Begin | Refuse:
    """Whether a sync begins by itself, as Argo CD's "Automated Sync Policy" has it.

    `extra` are those out of sync because they aren't wanted; `wanted` is how many objects are. `source` is what
    `syncResult` repeats of the source, to know whether the last sync was of this one. `pending`: a sync is due although
    nothing differs.
    """
    policy = application.spec.sync_policy
    automated = policy.automated
    if automated is None or automated.enabled is False or not (out_of_sync or pending):
        return Refuse()
    if set(out_of_sync) == set(extra) and not (automated.prune or pending):
        return Refuse()
    if extra and not wanted and automated.prune and not automated.allow_empty:
        return Refuse(f"Skipping sync attempt to {revision}: auto-sync will wipe out all resources")
    last = application.status.get("operationState") or {}
    if concerned(last, revision, source):
        if last.get("phase") in ("Failed", "Error"):
            return Refuse(failed(last))
        if last.get("phase") == "Succeeded" and not automated.self_heal:
            return Refuse()
    retry = policy.retry if policy.retry is not None else Retry(limit=5)
    return Begin(
        Operation(sync=OperationSync(prune=automated.prune), retry=retry, initiated_by=InitiatedBy(automated=True))
    )


def concerned(state: Mapping[str, Any], revision: str, source: Mapping[str, Any]) -> bool:
    """Whether an operation is, or was, about this revision of this source."""
    result = state.get("syncResult") or {}
    return result.get("revision") == revision and all(result.get(name) == source[name] for name in source)


def failed(state: Mapping[str, Any]) -> str:
    """What a condition says of a sync that failed."""
    return f"Failed last sync attempt to {state['syncResult']['revision']}: {state.get('message', '')}"


_DURATION: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def seconds(text: str, otherwise: float) -> float:
    """A Go duration, or a number of seconds as text."""
    parts = _DURATION.findall(text)
    if parts:
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
    return float(text) if text.isdigit() else otherwise


def pause_before(retry: Retry | None, retried: int) -> float | None:
    """Seconds until a sync that failed is tried again, after `retried` tries beyond the first; None: not again."""
    if retry is None or (0 <= retry.limit <= retried):
        return None
    longest = seconds(retry.backoff.max_duration, 180.0)
    factor = retry.backoff.factor or 2
    return min(longest, seconds(retry.backoff.duration, 5.0) * float(factor) ** min(retried, 30))


def unsupported(application: Application, resources: Collection[Resource]) -> list[str]:
    """What is asked for and not done here, a sentence each."""
    spec = application.spec
    found: list[str] = []
    for rule in spec.ignore_differences:
        if not any(concerns(rule, resource.id) for resource in resources):
            continue
        for field, given in (
            ("jqPathExpressions", rule.jq_path_expressions),
            ("managedFieldsManagers", rule.managed_fields_managers),
        ):
            if given:
                found.append(f"ignoreDifferences of {rule.kind}: {field} isn't evaluated here; jsonPointers are")
    found += [
        f"sync option {name}=true isn't followed here: every object is applied by server-side apply"
        for name in ("Replace", "Force")
        if f"{name}=true" in spec.sync_policy.sync_options or any(r.option(name, "true") for r in resources)
    ]
    return found


def concerns(rule: IgnoreDifferences, identity: ResourceId) -> bool:
    """Whether a rule of `ignoreDifferences` is about an object."""
    return (
        rule.group in (identity.group, "*")
        and rule.kind in (identity.kind, "*")
        and rule.name in ("", identity.key.name)
        and rule.namespace in ("", identity.key.namespace)
    )
