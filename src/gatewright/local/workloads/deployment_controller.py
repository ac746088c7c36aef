"""Brings Deployments and ReplicaSets to where they should be."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from gatewright.cluster import AlreadyExists, Client, Reconciler
from gatewright.local.workloads.deployments import (
    REVISION_ANNOTATION,
    Owned,
    Progress,
    annotations_of,
    deployment_status,
    is_complete,
    owned,
    replica_set_of,
    scale_annotations,
    status_patch,
)
from gatewright.local.workloads.names import controller_of, timestamp
from gatewright.local.workloads.replicas import (
    Expectations,
    available_in,
    is_active,
    pod_from,
    replica_set_status,
    victims,
)
from gatewright.local.workloads.rollout import DESIRED_ANNOTATION, first_replicas, outlived, scales
from gatewright.local.workloads.state import State
from gatewright.local.workloads.templates import Deployment, Pod
from gatewright.model import apps, core
from gatewright.model.meta import Key, Object

_AT_ONCE = 16
"""How many pods are made or deleted at the same time."""


class DeploymentController:
    """Deployment → ReplicaSets, with rolling updates, revisions and the statuses that `kubectl rollout` reads."""

    def __init__(self, client: Client, state: State) -> None:
        self._client = client
        self._state = state
        self._moved: dict[Key, tuple[object, float]] = {}  # what the rollout looked like, and since when
        self.reconciler = Reconciler("deployments", self.reconcile)

    async def reconcile(self, key: Key) -> None:
        """Bring one Deployment to where it should be."""
        deployment = self._state.deployments.get(key)
        if deployment is None or deployment.deleting:
            self._moved.pop(key, None)
            return
        replica_sets = self._state.replica_sets_of.lookup(deployment.metadata.uid)
        those = owned(deployment, [r for r in replica_sets if not r.deleting])
        created = ""
        if those.new is None and not deployment.spec.paused:
            created = await self._create(deployment, those)
        else:
            await self._scale(deployment, those)
        await self._write_status(deployment, those, created)
        if is_complete(deployment, deployment.status):
            for former in outlived(deployment, those.old):
                await self._client.delete(apps.ReplicaSet, former.key, uid=former.metadata.uid)

    async def _create(self, deployment: Deployment, those: Owned) -> str:
        """Make the ReplicaSet of the present template. Returns its name, or nothing when it is there already."""
        body = replica_set_of(deployment, those, first_replicas(deployment, those.old))
        name: str = body["metadata"]["name"]
        await self._note_revision(deployment, body["metadata"]["annotations"][REVISION_ANNOTATION])
        try:
            await self._client.create(body)
        except AlreadyExists:
            found = await self._client.get(apps.ReplicaSet, Key(deployment.namespace, name))
            if controller_of(found) != deployment.metadata.uid:
                count = (deployment.status.collision_count or 0) + 1
                await self._client.patch(
                    apps.Deployment, deployment.key, {"status": {"collisionCount": count}}, subresource="status"
                )
            return ""
        return name

    async def _scale(self, deployment: Deployment, those: Owned) -> None:
        changes = scales(deployment, those.new, those.old, self._terminating(those))
        for replica_set in those.all:
            patch: dict[str, Any] = {}
            wanted: dict[str, str] = {}
            if replica_set is those.new:
                wanted |= annotations_of(deployment, those)
                await self._note_revision(deployment, wanted[REVISION_ANNOTATION])
            if replica_set.key in changes:
                patch["spec"] = {"replicas": changes[replica_set.key]}
            if replica_set.key in changes or (replica_set.spec.replicas and self._other_size(deployment, replica_set)):
                wanted |= scale_annotations(deployment)
            annotations = replica_set.metadata.annotations
            differing = {name: value for name, value in wanted.items() if annotations.get(name) != value}
            if differing:
                patch["metadata"] = {"annotations": differing}
            if patch:
                await self._client.patch(apps.ReplicaSet, replica_set.key, patch)

    @staticmethod
    def _other_size(deployment: Deployment, replica_set: Object) -> bool:
        return replica_set.metadata.annotations.get(DESIRED_ANNOTATION) != str(deployment.spec.replicas)

    def _terminating(self, those: Owned) -> int:
        pods = (pod for r in those.old for pod in self._state.pods_of.lookup(r.metadata.uid))
        return sum(1 for pod in pods if pod.deleting)

    async def _note_revision(self, deployment: Deployment, revision: str) -> None:
        if deployment.metadata.annotations.get(REVISION_ANNOTATION) != revision:
            patch = {"metadata": {"annotations": {REVISION_ANNOTATION: revision}}}
            await self._client.patch(apps.Deployment, deployment.key, patch)

    async def _write_status(self, deployment: Deployment, those: Owned, created: str) -> None:
        status = deployment_status(
            deployment, those, Progress(created, self._stalled(deployment, those)), now := timestamp()
        )
        if status != deployment.status:
            patch = status_patch(deployment.status, status, now)
            await self._client.patch(apps.Deployment, deployment.key, patch, subresource="status")

    def _stalled(self, deployment: Deployment, those: Owned) -> bool:
        """Whether an unfinished rollout has not moved for its deadline; sets the timer for that moment."""
        now, key = asyncio.get_running_loop().time(), deployment.key
        looks = (deployment.metadata.uid, deployment.spec, [(r.name, r.spec.replicas, r.status) for r in those.all])
        before, since = self._moved.get(key, (None, now))
        if before != looks:
            since = now
        self._moved[key] = (looks, since)
        if is_complete(deployment, deployment.status) or deployment.spec.paused:
            return False
        left = since + deployment.spec.progress_deadline_seconds - now
        if left > 0:
            self.reconciler.enqueue_later(key, left)
        return left <= 0


class ReplicaSetController:
    """ReplicaSet → Pods."""

    def __init__(self, client: Client, state: State) -> None:
        self._client = client
        self._state = state
        self._expectations = Expectations()
        self.reconciler = Reconciler("replicasets", self.reconcile)

    async def reconcile(self, key: Key) -> None:
        """Bring one ReplicaSet to where it should be."""
        replica_set = self._state.replica_sets.get(key)
        if replica_set is None or replica_set.deleting:
            return
        uid = replica_set.metadata.uid
        pods = self._state.pods_of.lookup(uid)
        unseen, deleted = self._expectations.pending(uid, pods)
        active = [pod for pod in pods if is_active(pod) and pod.metadata.uid not in deleted]
        missing = replica_set.spec.replicas - len(active) - unseen
        if missing > 0:
            name = {"generateName": f"{replica_set.name}-"}
            body = pod_from(replica_set.spec.template, replica_set, name, self._state.node)
            await _together([self._create(uid, body) for _ in range(missing)])
        elif missing < 0:
            await _together([self._delete(uid, pod) for pod in victims(active, -missing)])
        status = replica_set_status(replica_set, pods)
        if status != replica_set.status:
            patch = {"status": {**msgspec.to_builtins(status)}}
            patch["status"].pop("conditions", None)
            await self._client.patch(apps.ReplicaSet, key, patch, subresource="status")
        waits = [wait for pod in active if (wait := available_in(pod, replica_set.spec.min_ready_seconds))]
        if waits:
            self.reconciler.enqueue_later(key, min(waits))
        if unseen or deleted:
            self.reconciler.enqueue_later(key, 5.0)

    async def _create(self, owner: str, body: dict[str, Any]) -> None:
        pod = msgspec.json.decode(await self._client.create(body), type=Pod)
        self._expectations.created(owner, pod.metadata.uid)

    async def _delete(self, owner: str, pod: Pod) -> None:
        self._expectations.deleted(owner, pod.metadata.uid)
        await self._client.delete(core.Pod, pod.key, uid=pod.metadata.uid)


async def _together(calls: list[Any]) -> None:
    """Await all of `calls`, a few at a time; raise the first failure after the others are done."""
    for start in range(0, len(calls), _AT_ONCE):
        results = await asyncio.gather(*calls[start : start + _AT_ONCE], return_exceptions=True)
        failure = next((result for result in results if isinstance(result, BaseException)), None)
        if failure:
            for call in calls[start + _AT_ONCE :]:
                call.close()
            raise failure
