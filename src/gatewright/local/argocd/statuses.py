"""An Application's status, as Argo CD writes it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from msgspec import Struct

from gatewright.local.argocd.application import Application, ApplicationSource, Operation, Retry
from gatewright.local.argocd.health import Health, Status, worst
from gatewright.local.argocd.operations import Result, pause_before
from gatewright.local.argocd.resources import IGNORE_HEALTH, Resource, ResourceId, annotations_of
from gatewright.model.meta import Key, timestamp

HISTORY: Final = 10
"""How many syncs are remembered, unless `revisionHistoryLimit` says otherwise."""

Json = dict[str, Any]


class Seen(Struct, frozen=True):
    """One object of an Application, as it was found."""

    id: ResourceId
    version: str
    wave: int
    synced: bool
    live: bool
    wanted: Resource | None
    health: Health | None
    checked: bool
    """Whether there is a health check for its kind."""


def now() -> str:
    """This moment, as statuses have it."""
    return timestamp(datetime.now(UTC))


def _plain(value: Any) -> Any:
    """A value as JSON gives it back, so that it equals what was read."""
    return msgspec.json.decode(msgspec.json.encode(value))


def sources(application: Application) -> Json:
    """What a status repeats of the source, or of the sources."""
    spec = application.spec
    if spec.sources:
        return {"sources": _plain(spec.sources)}
    return {"source": _plain(spec.source)} if spec.source else {}


def compared_to(application: Application) -> Json:
    """What a comparison was made with: `status.sync.comparedTo`."""
    return {**sources(application), "destination": _plain(application.spec.destination)}


def health_of(seen: Iterable[Seen]) -> Status:
    """The health of an Application: the worst of its objects that are there, and Missing where none of them is.

    Child Applications that have never been synced don't count.
    """
    wanted = [each for each in seen if each.wanted is not None]
    if wanted and not any(each.live for each in wanted):
        return Status.MISSING
    return worst(
        each.health.status
        for each in wanted
        if each.wanted is not None
        and each.live
        and each.health is not None
        and annotations_of(each.wanted.content).get(IGNORE_HEALTH) != "true"
        and not (each.id.kind == "Application" and each.health.status in (Status.MISSING, Status.UNKNOWN))
    )


def resource_entry(each: Seen, *, inline: bool) -> Json:
    """An entry of `status.resources`; `inline`: with the object's health."""
    identity = each.id
    entry: Json = {"version": each.version, "kind": identity.kind, "name": identity.key.name}
    if identity.group:
        entry["group"] = identity.group
    if identity.key.namespace:
        entry["namespace"] = identity.key.namespace
    entry["status"] = "Synced" if each.synced else "OutOfSync"
    if each.wave:
        entry["syncWave"] = each.wave
    if each.wanted is None:
        entry["requiresPruning"] = True
    health = each.health if each.live else Health(Status.MISSING) if each.checked else None
    if inline and health is not None:
        entry["health"] = {"status": str(health.status)} | ({"message": health.message} if health.message else {})
    return entry


def status(
    application: Application,
    seen: Sequence[Seen] | None,
    revision: str,
    conditions: Sequence[tuple[str, str]],
    state: Json | None,
    fares: Status | None = None,
    *,
    inline: bool,
) -> Json:
    """The whole status. `seen` None: nothing could be compared, so what was known of the objects stays.

    `fares`: the health, where it doesn't follow from the objects'. `inline`: whether objects' health is part of it.
    """
    before = application.status
    result: Json = {
        "sourceType": before.get("sourceType"),
        "resources": before.get("resources", [])
        if seen is None
        else [resource_entry(each, inline=inline) for each in seen],
        "resourceHealthSource": None if inline else "appTree",
        "sync": _sync(application, seen, revision),
        "health": _health(before, fares or (Status.UNKNOWN if seen is None else health_of(seen))),
        "conditions": _conditions(before, conditions),
        "operationState": state,
        "history": before.get("history"),
        "summary": _summary(seen) if seen is not None else before.get("summary"),
        "reconciledAt": before.get("reconciledAt"),
    }
    result = {name: value for name, value in result.items() if value not in (None, [], {})}
    if result != before:
        result["reconciledAt"] = now()
    return result


def _sync(application: Application, seen: Sequence[Seen] | None, revision: str) -> Json:
    value = "Unknown" if seen is None else "Synced" if all(each.synced for each in seen) else "OutOfSync"
    found: Json = {"status": value, "comparedTo": compared_to(application)}
    if revision:
        if application.spec.sources:
            found["revisions"] = revision.split(",")
        else:
            found["revision"] = revision
    return found


def _health(before: Mapping[str, Any], found: Status) -> Json:
    fresh: Json = {"status": str(found)}
    old = before.get("health") or {}
    same = old.get("status") == fresh["status"] and old.get("lastTransitionTime")
    fresh["lastTransitionTime"] = old["lastTransitionTime"] if same else now()
    return fresh


def _conditions(before: Mapping[str, Any], found: Sequence[tuple[str, str]]) -> list[Json]:
    old = {(c.get("type"), c.get("message")): c.get("lastTransitionTime") for c in before.get("conditions") or ()}
    return [
        {"type": type_, "message": message, "lastTransitionTime": old.get((type_, message)) or now()}
        for type_, message in dict.fromkeys(found)
    ]


def _summary(seen: Sequence[Seen]) -> Json:
    images: set[str] = set()
    for each in seen:
        if each.wanted is not None:
            spec = (((each.wanted.content.get("spec") or {}).get("template") or {}).get("spec")) or {}
            images.update(c["image"] for c in spec.get("containers") or () if isinstance(c.get("image"), str))
    return {"images": sorted(images)} if images else {}


# --- operations ---


def begun(application: Application, operation: Operation, revision: str) -> Json:
    """The state of an operation that begins."""
    given: Json = _plain(operation)
    given["sync"] = {**given.get("sync", {}), "revision": revision}
    return {
        "phase": "Running",
        "message": "",
        "operation": given,
        "startedAt": now(),
        "syncResult": {"revision": revision, **sources(application), "resources": []},
    }


def results_of(state: Mapping[str, Any]) -> dict[ResourceId, Result]:
    """What a sync has done so far, out of its state."""
    return {
        ResourceId(entry.get("group", ""), entry["kind"], Key(entry.get("namespace", ""), entry["name"])): Result(
            entry["status"], entry.get("message", "")
        )
        for entry in (state.get("syncResult") or {}).get("resources") or ()
    }


def with_results(
    state: Mapping[str, Any], results: Mapping[ResourceId, Result], version: Callable[[ResourceId], str]
) -> Json:
    """The state with what was done."""
    entries = [
        {
            "group": identity.group,
            "version": version(identity),
            "kind": identity.kind,
            "namespace": identity.key.namespace,
            "name": identity.key.name,
            "status": result.status,
            "message": result.message,
            "hookPhase": "Failed" if result.status == "SyncFailed" else "Succeeded",
            "syncPhase": "Sync",
        }
        for identity, result in results.items()
    ]
    return {**state, "syncResult": {**(state.get("syncResult") or {}), "resources": entries}}


def begun_with(application: Application, state: Mapping[str, Any]) -> Application:
    """An Application with the sources that an operation was begun with."""
    result = state["syncResult"]
    return msgspec.structs.replace(
        application,
        spec=msgspec.structs.replace(
            application.spec,
            source=msgspec.convert(result.get("source"), ApplicationSource | None),
            sources=msgspec.convert(result.get("sources", ()), tuple[ApplicationSource, ...]),
        ),
    )


def ended(state: Mapping[str, Any], phase: str, message: str) -> Json:
    """The state of an operation, or of one try, that has come to its end: phase Succeeded, Failed or Error."""
    return {**state, "phase": phase, "message": message, "finishedAt": now()}


def terminated(state: Mapping[str, Any]) -> Json:
    """The state of an operation that was told to end."""
    return _for_good(ended(state, "Failed", "Operation terminated"))


def retried(state: Json) -> tuple[float, Json]:
    """How long an operation that failed rests before its next try, in seconds, and its state until then.

    Zero, and its state for good, where there is none. One that rests is Running, and has a `finishedAt`.
    """
    given = state["operation"].get("retry")
    number = int(state.get("retryCount", 0))
    pause = pause_before(msgspec.convert(given, Retry) if given is not None else None, number)
    if pause is None:
        return 0.0, _for_good(state)
    message = f"{state['message']}. Retrying attempt #{number + 1} in {pause:.0f} s."
    return pause, {**state, "phase": "Running", "message": message, "retryCount": number + 1}


def _for_good(state: Json) -> Json:
    times = state.get("retryCount")
    return {**state, "message": f"{state['message']} (retried {times} times)."} if times else state


def begun_again(state: Mapping[str, Any], revision: str) -> Json:
    """The state of an operation whose next try begins, from the start."""
    fresh = {name: value for name, value in state.items() if name != "finishedAt"}
    return {**fresh, "syncResult": {**state["syncResult"], "revision": revision, "resources": []}}


def with_history(application: Application, state: Mapping[str, Any]) -> list[Json]:
    """The history with a sync that succeeded."""
    limit = application.spec.revision_history_limit
    history: list[Json] = list(application.status.get("history") or ())
    entry = {
        "id": history[-1]["id"] + 1 if history else 0,
        "revision": state["syncResult"]["revision"],
        "deployStartedAt": state["startedAt"],
        "deployedAt": state["finishedAt"],
        "initiatedBy": state["operation"].get("initiatedBy", {}),
        **sources(begun_with(application, state)),
    }
    kept = HISTORY if limit is None else limit
    return [*history, entry][-kept:] if kept else []
