"""Carries out syncs and cascading deletions: applies, deletes, and remembers in the status what was done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
import structlog

from gatewright.cluster import AlreadyExists, ApiError, Client, NotFound
from gatewright.cluster.client import path_of
from gatewright.local.argocd.application import APPLICATION, Application
from gatewright.local.argocd.comparison import FIELD_MANAGER
from gatewright.local.argocd.health import Health, Status, health
from gatewright.local.argocd.live import Kinds, LiveState
from gatewright.local.argocd.operations import Result, step
from gatewright.local.argocd.picture import Picture
from gatewright.local.argocd.resources import Resource, ResourceId, options_of, order, survives, wave_of
from gatewright.local.argocd.statuses import Json, compared_to, ended, results_of, with_results
from gatewright.model.core import Namespace
from gatewright.model.meta import Key

_log = structlog.get_logger(__name__)

NAMESPACE_MANAGER: Final = "argocd-namespace"
"""Who applies the labels of namespaces that are made for Applications: not who applies what is in the repository."""

Progress = Callable[[Json], Awaitable[None]]


class Syncing:
    """Brings the cluster to what pictures say."""

    def __init__(
        self,
        client: Client,
        kinds: Kinds,
        live: LiveState,
    ) -> None:
        self._client = client
        self._kinds = kinds
        self._live = live
        self._applied: dict[ResourceId, int] = {}  # the resourceVersion at which an object was applied

    async def advance(
        self,
        application: Application,
        picture: Picture,
        state: Json,
        customizations: frozenset[tuple[str, str]],
        progress: Progress,
    ) -> Json:
        """Do all that a running operation can do now. Returns its state: ended, or Running with what it waits for."""
        operation = state["operation"]
        only = {
            (entry.get("group", ""), entry["kind"], entry["name"])
            for entry in operation.get("sync", {}).get("resources") or ()
        }
        wanted = [r for r in picture.resources if not only or (r.group, r.kind.kind, r.key.name) in only]
        extra = picture.extra if operation["sync"].get("prune") and not only else {}
        extra = {identity: wave for identity, wave in extra.items() if not self._kept(identity)}
        if picture.invalid:
            results = {i: Result("SyncFailed", text) for i, text in picture.invalid.items()}
            state = with_results(state, results, self._versions(picture))
            told = "; ".join(f"{identity}: {text}" for identity, text in picture.invalid.items())
            return ended(state, "Failed", f"one or more synchronization tasks are not valid, reason: {told}")
        if not state["syncResult"]["resources"]:
            await progress(state)
            problem = await self._namespace(application)
            if problem:
                return ended(state, "Failed", f"namespace {application.spec.destination.namespace}: {problem}")
        results = results_of(state)
        while True:
            todo = step(
                wanted,
                extra,
                results,
                lambda identity: self._health(identity, customizations),
                lambda identity: self._live.get(identity) is None,
                "PruneLast=true" in application.spec.sync_policy.sync_options,
            )
            for resource in todo.apply:
                results[resource.id] = await self._apply(resource, application)
            for identity in todo.prune:
                results[identity] = await self._prune(identity)
            if todo.apply or todo.prune:
                state = with_results({**state, "message": ""}, results, self._versions(picture))
                await progress(state)
                continue
            if todo.failure:
                return ended(state, "Failed", todo.failure)
            if todo.waits:
                missing = await self._missing(wanted, results)
                if missing:
                    results |= missing
                    state = with_results(state, results, self._versions(picture))
                    continue
                return {**state, "message": todo.waits}
            how = "provided by the local edge" if picture.provided and not picture.resources else "all tasks run"
            return ended(state, "Succeeded", f"successfully synced ({how})")

    async def cascade(self, application: Application) -> tuple[list[ResourceId], str]:
        """Delete what belongs to an Application, the highest wave first, and nothing while something of it is going.

        Returns what is still there, and a trouble.
        """
        left: dict[int, list[ResourceId]] = {}
        going = False
        for identity, live in self._live.belonging(application.name):
            view = live.view(self._live.kind(identity))
            going = going or live.deleting
            if live.deleting or not survives(view, identity, application.spec.sync_policy.sync_options):
                left.setdefault(wave_of(view), []).append(identity)
        trouble = ""
        for identity in sorted(left[max(left)], key=order, reverse=True) if left and not going else ():
            result = await self._prune(identity)
            if result.status == "SyncFailed":
                trouble = result.message
        return [identity for wave in sorted(left, reverse=True) for identity in sorted(left[wave], key=order)], trouble

    # --- one object ---

    async def _apply(self, resource: Resource, application: Application) -> Result:
        kind = await self._kinds.find(resource.content["apiVersion"], resource.kind.kind)
        if kind is None:
            return Result("SyncFailed", f"no matches for kind {resource.kind.kind} in {resource.content['apiVersion']}")
        strict = "Validate=false" not in (*application.spec.sync_policy.sync_options, *options_of(resource.content))
        try:
            raw = await self._client.apply(resource.content, field_manager=FIELD_MANAGER, kind=kind, strict=strict)
        except ApiError as error:
            if error.status >= 500:
                raise
            if isinstance(error, NotFound):
                self._kinds.forget()  # perhaps it is the kind that is gone
            return Result("SyncFailed", f"{resource.id}: {error}")
        stored = msgspec.json.decode(raw)
        version = str(stored.get("metadata", {}).get("resourceVersion", ""))
        self._applied[resource.id] = int(version) if version.isdecimal() else 0
        await self._live.watch(kind)
        name = kind.singular if not kind.group else f"{kind.singular}.{kind.group}"
        return Result("Synced", f"{name}/{resource.key.name} serverside-applied")

    async def _missing(
        self, wanted: Sequence[Resource], results: Mapping[ResourceId, Result]
    ) -> dict[ResourceId, Result]:
        """What was applied and isn't there any more: nobody would make it healthy."""
        found: dict[ResourceId, Result] = {}
        for resource in wanted:
            if resource.id not in results or self._live.get(resource.id) is not None:
                continue
            kind = await self._kinds.find(resource.content["apiVersion"], resource.kind.kind)
            try:
                if kind is not None:  # the watch may be late
                    await self._client.request("GET", path_of(kind, resource.key))
                    continue
            except NotFound:
                pass
            found[resource.id] = Result("SyncFailed", f"{resource.id} is missing, it might have been deleted")
        return found

    async def _prune(self, identity: ResourceId) -> Result:
        live = self._live.get(identity)
        try:
            if live is not None and not live.deleting:
                kind = self._live.kind(identity)
                await self._client.delete(kind, identity.key, propagation="Foreground", uid=live.metadata.uid)
        except NotFound:
            pass
        except ApiError as error:
            if error.status >= 500:
                raise
            return Result("SyncFailed", f"{identity}: {error}")
        return Result("Pruned", "pruned")

    async def _namespace(self, application: Application) -> str:
        """Make the destination's namespace where that is asked for. Returns a refusal."""
        name = application.spec.destination.namespace
        policy = application.spec.sync_policy
        if "CreateNamespace=true" not in policy.sync_options or not name:
            return ""
        given = policy.managed_namespace_metadata
        metadata: dict[str, Any] = {"name": name}
        if given is not None:
            metadata |= {"labels": given.labels, "annotations": given.annotations}
        content = {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}
        try:
            if given is not None:
                await self._client.apply(content, field_manager=NAMESPACE_MANAGER)
                return ""
            try:
                await self._client.get(Namespace, Key("", name))
            except NotFound:
                await self._client.create(content)
        except AlreadyExists:
            return ""
        except ApiError as error:
            if error.status >= 500:
                raise
            return str(error)
        return ""

    def _health(self, identity: ResourceId, customizations: frozenset[tuple[str, str]]) -> Health | None:
        """How an object that was applied fares; what isn't heard of yet, or is older than the apply, is on its way."""
        live = self._live.get(identity)
        version = live.metadata.resource_version if live is not None else ""
        if live is None or (version.isdecimal() and int(version) < self._applied.get(identity, 0)):
            return Health(Status.PROGRESSING, "waits for news of it")
        found = health(live.view(self._live.kind(identity)), customizations)
        if found is None or (identity.group, identity.kind) != (APPLICATION.group, APPLICATION.kind):
            return found
        try:
            child = msgspec.convert({"spec": live.spec, "status": live.status or {}}, Application)
        except msgspec.ValidationError as error:
            return Health(Status.DEGRADED, f"it can't be read: {error}")
        return settled(child, found)

    def _kept(self, identity: ResourceId) -> bool:
        view = self._live.view(identity)
        return view is not None and "Prune=false" in options_of(view)

    def _versions(self, picture: Picture) -> Callable[[ResourceId], str]:
        versions = {each.id: each.version for each in picture.seen or ()}
        return lambda identity: versions.get(identity, "")


def settled(child: Application, found: Health) -> Health:
    """The health of an Application for those that wait for it: one that hasn't been looked at since it changed, or that
    is yet to be synced, is on its way. Argo CD leaves the former to its pause between waves.
    """
    sync = child.status.get("sync") or {}
    if sync.get("comparedTo") != compared_to(child):
        return Health(Status.PROGRESSING, "it hasn't been compared since it changed")
    state = child.status.get("operationState") or {}
    if state.get("phase") == "Running":
        return Health(Status.PROGRESSING, str(state.get("message") or "its sync is running"))
    automated = child.spec.sync_policy.automated
    if automated is not None and automated.enabled is not False and sync.get("status") != "Synced":
        conditions = child.status.get("conditions") or ()
        told = next((c["message"] for c in conditions if c["type"].endswith("Error")), "")
        return Health(Status.PROGRESSING, told or f"its sync status is {sync.get('status', 'Unknown')}")
    return found
