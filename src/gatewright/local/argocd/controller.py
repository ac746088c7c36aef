"""The controller: looks at every Application whenever something that it depends on changes, and syncs it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final, Self

import msgspec
import structlog

from gatewright.cluster import Client, Invalid, NotFound, Reconciler, Reflector, Reflectors
from gatewright.cluster.client import path_of
from gatewright.flow import Change, Flow, Source
from gatewright.local.argocd import health, projects, statuses
from gatewright.local.argocd.application import APP_PROJECT, APPLICATION, FINALIZER, Application, AppProject
from gatewright.local.argocd.builds import Cluster
from gatewright.local.argocd.comparison import Comparison
from gatewright.local.argocd.definitions import definitions
from gatewright.local.argocd.folders import FolderWatch
from gatewright.local.argocd.health import Status
from gatewright.local.argocd.live import Kinds, LiveState
from gatewright.local.argocd.operating import SELF_HEAL_PAUSE, Operating, in_progress
from gatewright.local.argocd.operations import failed
from gatewright.local.argocd.picture import Looking
from gatewright.local.argocd.provided import PROVIDED, Provided
from gatewright.local.argocd.sources import Sources
from gatewright.local.argocd.statuses import Json, Seen
from gatewright.local.argocd.syncing import Syncing
from gatewright.model.core import ConfigMap
from gatewright.model.kinds import Kind
from gatewright.model.meta import Key, Object

_log = structlog.get_logger(__name__)

NAMESPACE: Final = "argocd"
"""Where Argo CD is, and its Applications."""
REFRESH: Final = "argocd.argoproj.io/refresh"
"""An annotation that asks for a comparison from nothing; it is taken away when that was made."""

_CONFIGURATION: Final = "argocd-cm"
_PARAMETERS: Final = "argocd-cmd-params-cm"
_CLUSTER_SECONDS: Final = 5.0  # how long what charts may ask of the cluster is believed
_DEFINITIONS_MANAGER: Final = "gatewright-argocd"


class ArgoCD:
    """A running stand-in of Argo CD for the cluster of `client` (`async with`).

    `repositories` are the folders that stand for Git repositories, by URL; every revision of one is the folder as it
    is. `provided` are sources that aren't fetched since the local edge does their work. Pauses between tries are
    `pace` times as short as they say.
    """

    def __init__(
        self,
        client: Client,
        repositories: Mapping[str, Path],
        provided: Sequence[Provided] = PROVIDED,
        *,
        pace: float = 1.0,
    ) -> None:
        self._client = client
        self._pace = pace
        self._flow = Flow()
        self._applications: Source[Key, Application] = self._flow.source("applications")
        self._projects: Source[Key, AppProject] = self._flow.source("projects")
        self._configuration: Source[Key, ConfigMap] = self._flow.source("configuration")
        self._kinds = Kinds(client)
        self._live = LiveState(client, lambda name: self._reconciler.enqueue(Key(NAMESPACE, name)))
        self._comparison = Comparison(client, self._live)
        self._sources = Sources(repositories, self._cluster, provided)
        self._looking = Looking(self._sources, self._kinds, self._live, self._comparison)
        self._syncing = Syncing(client, self._kinds, self._live)
        self._folders = FolderWatch(self._enqueue_all)
        self._reconciler: Reconciler[Key] = Reconciler("argocd", self.reconcile, settle=0.02, longest=0.2)
        self._operating = Operating(self._looking, self._syncing, self._reconciler.enqueue_later, pace)
        self._releasing: Reconciler[Key] = Reconciler("argocd projects", self._release)
        self._written: dict[Key, tuple[str, int, Json]] = {}  # uid, resourceVersion and status of the last write
        self._followed: dict[Key, frozenset[Path]] = {}
        self._asked: tuple[float, Cluster] | None = None
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Returns once its kinds are there, and the Applications are known."""
        async with AsyncExitStack() as stack:
            for definition in definitions():
                await self._client.apply(definition, field_manager=_DEFINITIONS_MANAGER)
            await stack.enter_async_context(self._live)
            await stack.enter_async_context(self._folders)
            reflectors = Reflectors(
                Reflector(self._client, ConfigMap, self._configuration, namespace=NAMESPACE),
                Reflector(self._client, AppProject, self._projects, namespace=NAMESPACE, kind=APP_PROJECT),
                Reflector(self._client, Application, self._applications, namespace=NAMESPACE, kind=APPLICATION),
            )
            await stack.enter_async_context(reflectors)
            await stack.enter_async_context(self._reconciler)
            self._applications.subscribe(self._enqueue_changed)
            await stack.enter_async_context(self._releasing)
            self._projects.subscribe(lambda _: self._enqueue_all())
            self._configuration.subscribe(lambda _: self._enqueue_all())
            self._enqueue_all()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def idle(self) -> None:
        """Return when every Application is where it can be for now; a sync that waits doesn't count as work."""
        await self._reconciler.idle()
        await self._releasing.idle()

    async def reconcile(self, key: Key) -> None:
        """Look at one Application, and do what there is to do."""
        application = self._current(key)
        if application is None:
            self._written.pop(key, None)
            self._followed.pop(key, None)
            self._operating.forget(key)
            self._follow()
            return
        state: Json | None = application.status.get("operationState")
        if application.deleting and application.operation is None and not in_progress(state):
            await self._delete(application)
            return
        if REFRESH in application.metadata.annotations:
            await self._refreshed(application)
        customizations = self._customizations()
        project = self._project(application.spec.project)
        picture = await self._looking.look(application, project, customizations)
        self._followed[key] = self._sources.folders(application.spec.all_sources)
        self._follow()
        conditions = [*picture.conditions, *self._remarks()]
        began = self._operating.begin(application, picture)
        if isinstance(began, str):
            conditions.append(("SyncError", began))
        else:
            state = began
        if state is None or state["phase"] != "Running":
            await self._write(application, picture.seen, picture.revision, conditions, state)
            return

        async def progress(state: Json) -> None:
            await self._write(application, picture.seen, picture.revision, conditions, state)

        state, again = await self._operating.advance(application, project, picture, state, customizations, progress)
        if state["phase"] == "Failed":
            conditions.append(("SyncError", failed(state)))
        history = statuses.with_history(application, state) if state["phase"] == "Succeeded" else None
        await self._write(application, picture.seen, picture.revision, conditions, state, history)
        if again:
            self._reconciler.enqueue(key)

    async def _delete(self, application: Application) -> None:
        """Take an Application's objects away, and then what holds it."""
        if not application.cascades:
            return
        await self._looking.watch_known(application)
        left, trouble = await self._syncing.cascade(application)
        if left:
            conditions = [("DeletionError", trouble)] if trouble else []
            seen = [self._remaining(identity) for identity in left]
            state = application.status.get("operationState")
            await self._write(application, seen, "", conditions, state, fares=Status.PROGRESSING)
            if trouble:
                self._reconciler.enqueue_later(application.key, SELF_HEAL_PAUSE / self._pace)
            return
        await self._patch(application.key, _without_finalizer(application))

    def _remaining(self, identity: Any) -> Seen:
        view = self._live.view(identity)
        found = health.health(view, self._customizations()) if view else None
        return Seen(
            id=identity,
            version=self._live.kind(identity).version,
            wave=0,
            synced=False,
            live=view is not None,
            wanted=None,
            health=found,
            checked=found is not None,
        )

    # --- what is known ---

    def _current(self, key: Key) -> Application | None:
        """An Application as it was last seen, with the status that was last written."""
        application = self._applications.get(key)
        written = self._written.get(key)
        if application is None or written is None:
            return application
        uid, version, status = written
        if application.metadata.uid != uid or _number(application.metadata.resource_version) >= version:
            return application
        return msgspec.structs.replace(application, status=status, operation=None)

    def _project(self, name: str) -> AppProject | None:
        found = self._projects.get(Key(NAMESPACE, name))
        return projects.DEFAULT if found is None and name in ("", "default") else found

    def _customizations(self) -> frozenset[tuple[str, str]]:
        return health.customized(self._data(_CONFIGURATION))

    def _remarks(self) -> list[tuple[str, str]]:
        unknown = health.unknown_checks(self._customizations())
        text = "argocd-cm brings a health check that isn't evaluated here: "
        return [("NotRehearsed", f"{text}{', '.join(unknown)}")] if unknown else []

    def _data(self, name: str) -> dict[str, str]:
        found = self._configuration.get(Key(NAMESPACE, name))
        return dict(found.data or {}) if found is not None else {}

    async def _cluster(self) -> Cluster:
        now = asyncio.get_running_loop().time()
        if self._asked is None or self._asked[0] < now - _CLUSTER_SECONDS:
            self._asked = (now, await self._kinds.cluster())
        return self._asked[1]

    def _enqueue_changed(self, changes: list[Change[Key, Application]]) -> None:
        for change in changes:
            self._reconciler.enqueue(change.key)
            if change.new is None and change.old is not None:
                self._releasing.enqueue(Key(NAMESPACE, change.old.spec.project))

    def _enqueue_all(self) -> None:
        for key in tuple(self._applications.keys()):
            self._reconciler.enqueue(key)
        for key in tuple(self._projects.keys()):
            self._releasing.enqueue(key)

    async def _release(self, key: Key) -> None:
        """Let a project go that is being deleted, once no Application is in it any more."""
        project = self._projects.get(key)
        if project is None or not project.deleting:
            return
        if any(application.spec.project == key.name for application in self._applications.values()):
            return
        await self._patch(key, _without_finalizer(project), APP_PROJECT)

    def _follow(self) -> None:
        self._folders.follow(frozenset(folder for folders in self._followed.values() for folder in folders))

    # --- writing ---

    async def _refreshed(self, application: Application) -> None:
        self._comparison.forget()
        self._kinds.forget()
        path = "/metadata/annotations/" + REFRESH.replace("/", "~1")
        await self._patch(application.key, [{"op": "remove", "path": path}])

    async def _write(
        self,
        application: Application,
        seen: Sequence[Seen] | None,
        revision: str,
        conditions: Sequence[tuple[str, str]],
        state: Json | None,
        history: list[Json] | None = None,
        fares: Status | None = None,
    ) -> None:
        """Write the status where it isn't what it was."""
        current = self._current(application.key)
        if current is None or current.metadata.uid != application.metadata.uid:
            return
        fresh = statuses.status(
            msgspec.structs.replace(application, status=current.status),
            seen,
            revision,
            conditions,
            state,
            fares,
            inline=self._data(_PARAMETERS).get("controller.resource.health.persist") == "true",
        )
        if history is not None:
            fresh["history"] = history
        # Not one that was asked for since: that is looked at the next time.
        started = application.operation is not None and application.operation == current.operation and state is not None
        if fresh == current.status and not started:
            return
        patch: list[Json] = [
            {"op": "test", "path": "/metadata/uid", "value": application.metadata.uid},
            {"op": "add", "path": "/status", "value": fresh},
        ]
        if started:
            patch.append({"op": "remove", "path": "/operation"})
        goes_on = (
            state is not None and state["phase"] == "Running" and in_progress(current.status.get("operationState"))
        )
        if goes_on:
            patch.insert(0, {"op": "test", "path": "/status/operationState/phase", "value": "Running"})
        try:
            raw = await self._patch(application.key, patch)
        except Invalid:
            if not goes_on:
                raise
            # It was told to end in the meantime, which isn't to be lost.
            fresh["operationState"] = {**fresh["operationState"], "phase": "Terminating"}
            raw = await self._patch(application.key, patch[1:])
        if raw:
            version = msgspec.json.decode(raw)["metadata"]["resourceVersion"]
            self._written[application.key] = (application.metadata.uid, _number(version), fresh)

    async def _patch(self, key: Key, patch: list[Json], kind: Kind = APPLICATION) -> bytes:
        """Send a JSON patch; nothing where the object is gone."""
        try:
            return await self._client.request(
                "PATCH",
                path_of(kind, key),
                body=msgspec.json.encode(patch),
                content_type="application/json-patch+json",
            )
        except NotFound:
            return b""


def _without_finalizer(obj: Object) -> list[Json]:
    """The patch that lets an object go, as far as that is ours to say."""
    left = [name for name in obj.metadata.finalizers if name.partition("/")[0] != FINALIZER]
    return [
        {"op": "test", "path": "/metadata/uid", "value": obj.metadata.uid},
        {"op": "add", "path": "/metadata/finalizers", "value": left},
    ]


def _number(version: str) -> int:
    return int(version) if version.isdecimal() else 0
