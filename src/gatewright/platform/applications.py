"""What Argo CD's Applications say of themselves: which are ready, which one hangs, what of it isn't well. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from gatewright.platform.objects import Json, title

NAMESPACE = "argocd"
"""Of Argo CD, and of every Application."""
WAVE = "argocd.argoproj.io/sync-wave"
_FAILED = ("Failed", "Error")
_BROKEN_HEALTH = ("Degraded",)


class Part(msgspec.Struct, frozen=True):
    """A resource of an Application that isn't well."""

    group: str
    version: str
    kind: str
    namespace: str
    name: str
    sync: str
    health: str
    message: str

    def __str__(self) -> str:
        state = ", ".join(part for part in (self.health, self.sync) if part and part not in ("Healthy", "Synced"))
        told = f": {self.message}" if self.message else ""
        return f"{title(self.kind, self.namespace, self.name)} is {state or 'not well'}{told}"


class Application(msgspec.Struct, frozen=True, kw_only=True):
    """An Application as it stands."""

    name: str
    wave: int
    sync: str
    health: str
    phase: str
    problems: tuple[str, ...]
    """What it says is wrong: errors among its conditions, and why its last operation failed or goes on."""
    parts: tuple[Part, ...]
    """Its resources that aren't synced and healthy."""
    children: tuple[str, ...]
    """Names of the Applications that it makes."""
    well: int
    """How many of its resources are synced and healthy."""
    seen: bool
    """Whether its state is that of what its spec now says."""
    deleting: bool
    obstructed: bool
    """Whether a sync of what it was before goes on, after which alone Argo CD turns to what it is to be now."""

    @property
    def ready(self) -> bool:
        """Whether it is synced and healthy, and nothing is under way."""
        well = self.sync == "Synced" and self.health == "Healthy"
        return well and self.seen and self.phase in ("", "Succeeded") and not self.deleting

    @property
    def broken(self) -> bool:
        """Whether something failed, so that waiting alone may not help."""
        erred = any(problem.split(":")[0].endswith("Error") for problem in self.problems)
        return erred or self.phase in _FAILED or self.health in _BROKEN_HEALTH

    def line(self) -> str:
        """Its state on one line, with the first of what is wrong."""
        state = f"{self.sync}, {self.health}" if self.seen else "not yet looked at by Argo CD"
        why = next(iter((*self.problems, *map(str, self.parts))), "")
        return f"{self.name} ({state})" + (f": {why.splitlines()[0][:200]}" if why else "")


def read_application(raw: Json) -> Application:
    """An Application of its JSON."""
    metadata, status = raw.get("metadata") or {}, raw.get("status") or {}
    sync, health = status.get("sync") or {}, status.get("health") or {}
    operation = status.get("operationState") or {}
    resources = status.get("resources") or ()
    parts = [_part(resource) for resource in resources]
    return Application(
        name=metadata.get("name", ""),
        wave=_wave(metadata.get("annotations") or {}),
        sync=sync.get("status") or "Unknown",
        health=health.get("status") or "Unknown",
        phase=operation.get("phase") or "",
        problems=tuple(_problems(status)),
        parts=tuple(part for part in parts if not _well(part)),
        children=tuple(part.name for part in parts if part.kind == "Application"),
        well=sum(_well(part) for part in parts),
        seen=_seen(raw.get("spec") or {}, sync.get("comparedTo")),
        deleting=bool(metadata.get("deletionTimestamp")),
        obstructed=_obstructed(raw),
    )


class Standing(msgspec.Struct, frozen=True):
    """A root Application and all that it makes, at one moment."""

    root: Application | None
    children: tuple[Application, ...]
    """In the order of their waves."""
    missing: tuple[str, ...]
    """Names of those that the root is yet to make."""

    @property
    def ready(self) -> bool:
        """Whether all is synced and healthy."""
        return self.root is not None and self.root.ready and not self.missing and not self.hanging

    @property
    def hanging(self) -> tuple[Application, ...]:
        """Those that aren't ready, the ones that the others wait for first."""
        return tuple(child for child in self.children if not child.ready)

    @property
    def blocking(self) -> Application | None:
        """The one to look at: the first that isn't ready; the root where that itself is what fails."""
        if self.root is not None and self.root.broken and not self.root.children:
            return self.root
        broken = next((child for child in self.hanging if child.broken), None)
        first = next(iter(self.hanging), None)
        if broken is not None and first is not None and broken.wave == first.wave:
            return broken
        return first or (self.root if self.root is not None and not self.root.ready else None)

    def line(self) -> str:
        """How far it is, on one line."""
        if self.root is None:
            return "the root Application isn't there"
        count = len(self.children) + len(self.missing)
        done = sum(child.ready for child in self.children)
        text = f"{done} of {count} applications ready" if count else "Argo CD reads the repository"
        blocking = self.blocking
        return f"{text}; waiting for {blocking.line()}" if blocking else text

    def signature(self) -> Any:
        """Another value whenever something moved."""
        every = (*((self.root,) if self.root else ()), *self.children)
        return [(each.name, each.sync, each.health, each.phase, each.well, each.seen) for each in every]


def standing(name: str, applications: Iterable[Json]) -> Standing:
    """The root Application `name` and its children, out of all Applications."""
    found = {each.name: each for each in map(read_application, applications)}
    root = found.get(name)
    children = root.children if root else ()
    there = sorted((found[child] for child in children if child in found), key=lambda each: (each.wave, each.name))
    return Standing(root, tuple(there), tuple(child for child in children if child not in found))


def _wave(annotations: Mapping[str, str]) -> int:
    try:
        return int(annotations.get(WAVE, "0"))
    except ValueError:
        return 0


def _part(resource: Json) -> Part:
    health = resource.get("health") or {}
    return Part(
        group=resource.get("group") or "",
        version=resource.get("version") or "",
        kind=resource.get("kind") or "",
        namespace=resource.get("namespace") or "",
        name=resource.get("name") or "",
        sync=resource.get("status") or "",
        health=health.get("status") or "",
        message=health.get("message") or "",
    )


def _well(part: Part) -> bool:
    return part.sync in ("", "Synced") and part.health in ("", "Healthy")


def _problems(status: Json) -> Iterable[str]:
    for condition in status.get("conditions") or ():
        kind = condition.get("type", "")
        if kind.endswith(("Error", "Warning")):
            yield f"{kind}: {condition.get('message', '')}"
    operation = status.get("operationState") or {}
    if operation.get("phase") in (*_FAILED, "Running", "Terminating") and operation.get("message"):
        yield f"its sync is {operation['phase']}: {operation['message']}"
    for result in (operation.get("syncResult") or {}).get("resources") or ():
        failed = result.get("status") == "SyncFailed" or result.get("hookPhase") in _FAILED
        if failed:
            what = title(result.get("kind", ""), result.get("namespace", ""), result.get("name", ""))
            yield f"{what}: {result.get('message') or result.get('status')}"


def _obstructed(raw: Json) -> bool:
    """Argo CD begins no sync, and finishes no deletion, while a sync runs, which may wait for somebody's health."""
    status = raw.get("status") or {}
    operation = status.get("operationState") or {}
    if operation.get("phase") != "Running":
        return False
    if (raw.get("metadata") or {}).get("deletionTimestamp"):
        return True
    result, found = operation.get("syncResult"), (status.get("sync") or {}).get("revision")
    if not isinstance(result, dict):
        return False  # it has only begun
    return not _seen(raw.get("spec") or {}, result) or bool(found and result.get("revision") not in (None, "", found))


def _seen(spec: Json, compared: Any) -> bool:
    """Whether the state is of the source that the spec names now; `comparedTo` is what Argo CD looked at."""
    if not isinstance(compared, dict):
        return False
    return all(_plain(spec.get(name)) == _plain(compared.get(name)) for name in ("source", "sources"))


def _plain(value: Any) -> Any:
    """Without what is empty, which one writer leaves out and another one writes."""
    if isinstance(value, dict):
        kept = {name: _plain(each) for name, each in value.items()}
        return {name: each for name, each in kept.items() if each not in (None, "", {}, [], False)} or None
    if isinstance(value, list):
        return [_plain(each) for each in value] or None
    return value or None
