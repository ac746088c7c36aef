"""The operation of each Application: when one begins, that it goes on with what it was begun with, and when it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from gatewright.local.argocd import statuses
from gatewright.local.argocd.application import Application, AppProject
from gatewright.local.argocd.operations import Begin, automatic, concerned
from gatewright.local.argocd.picture import Looking, Picture
from gatewright.local.argocd.sources import Rendered
from gatewright.local.argocd.statuses import Json
from gatewright.local.argocd.syncing import Progress, Syncing
from gatewright.model.meta import Key

SELF_HEAL_PAUSE: Final = 5.0
"""Seconds between the end of a sync and one that mends what was changed since."""


def in_progress(state: Json | None) -> bool:
    """Whether an operation, by its state, is yet to end: no other begins, and no deletion, until it has."""
    return state is not None and state["phase"] in ("Running", "Terminating")


class Operating:
    """Begins operations, and advances them. `later` has an Application looked at again in some seconds."""

    def __init__(self, looking: Looking, syncing: Syncing, later: Callable[[Key, float], None], pace: float) -> None:
        self._looking = looking
        self._syncing = syncing
        self._later = later
        self._pace = pace
        self._due: dict[Key, float] = {}  # when an operation that failed is tried again, in the loop's time
        self._ended: dict[Key, float] = {}  # when the last operation succeeded, in the loop's time
        self._rendered: dict[Key, Rendered] = {}  # what the running operation was begun with

    def forget(self, key: Key) -> None:
        """An Application is gone."""
        for known in (self._due, self._ended, self._rendered):
            known.pop(key, None)

    def begin(self, application: Application, picture: Picture) -> Json | str | None:
        """The state of the operation that runs, begins or was the last; or an error by which none begins."""
        state: Json | None = application.status.get("operationState")
        if state is not None and state["phase"] == "Terminating":  # `argocd app terminate-op` writes that
            return statuses.terminated(state)
        if in_progress(state):
            return state
        operation = application.operation
        if operation is None:
            if picture.seen is None or application.deleting:
                return state
            source = statuses.sources(application)
            attempted = state is not None and concerned(state, picture.revision, source)
            found = automatic(
                application,
                picture.revision,
                source,
                picture.out_of_sync,
                list(picture.extra),
                len(picture.resources),
                picture.provided and not attempted,
            )
            if not isinstance(found, Begin):
                return found.error or state
            if attempted and (pause := self._until(self._ended, application.key, SELF_HEAL_PAUSE / self._pace)) > 0:
                self._later(application.key, pause)
                return state
            operation = found.operation
        self._due.pop(application.key, None)
        self._rendered.pop(application.key, None)
        return statuses.begun(application, operation, picture.revision)

    async def advance(
        self,
        application: Application,
        project: AppProject | None,
        picture: Picture,
        state: Json,
        customizations: frozenset[tuple[str, str]],
        progress: Progress,
    ) -> tuple[Json, bool]:
        """The state of a running operation after all that can be done now, and whether to look again at once."""
        key = application.key
        pause = self._until(self._due, key)
        if pause > 0:
            self._later(key, pause)
            return state, False
        self._due.pop(key, None)
        rests = "finishedAt" in state
        if rests and state["operation"]["retry"].get("refresh"):
            self._rendered.pop(key, None)
        target = picture
        if not concerned(state, picture.revision, statuses.sources(application)):
            former = statuses.begun_with(application, state)
            target = await self._looking.look(former, project, customizations, self._rendered.get(key))
        if target.rendered is not None:
            self._rendered[key] = target.rendered
        if rests:
            state = statuses.begun_again(state, target.revision or state["syncResult"]["revision"])
        before = len(state["syncResult"]["resources"])
        if target.errors:
            state = statuses.ended(state, "Error", "; ".join(target.errors))
        elif state["operation"]["sync"].get("dryRun"):
            message = "dry runs aren't made here; status.resources tells what a sync would change"
            state = statuses.ended(state, "Error", message)
        else:
            state = await self._syncing.advance(application, target, state, customizations, progress)
        if state["phase"] in ("Failed", "Error"):
            pause, state = statuses.retried(state)
            if state["phase"] == "Running":
                self._due[key] = asyncio.get_running_loop().time() + pause / self._pace
                self._later(key, pause / self._pace)
                return state, False
        if state["phase"] == "Succeeded":
            self._ended[key] = asyncio.get_running_loop().time()
        return state, len(state["syncResult"]["resources"]) != before

    def _until(self, moments: dict[Key, float], key: Key, after: float = 0.0) -> float:
        """Seconds until a time after the moment that is known of an Application; zero or less where that is over."""
        return moments.get(key, float("-inf")) + after - asyncio.get_running_loop().time()
