"""Namespaces: those that every cluster has, what each has from its start, and the emptying of one that goes."""

from __future__ import annotations

import asyncio

from gatewright.local.apiserver.deleting import DeleteOptions, Deleting
from gatewright.local.apiserver.metadata import new_metadata, now
from gatewright.local.apiserver.reading import table_key
from gatewright.local.apiserver.resources import Catalog
from gatewright.local.apiserver.store import Change, Json, Store

INITIAL = ("default", "kube-system", "kube-public", "kube-node-lease")
DEFAULT_ACCOUNT = "default"
NAME_LABEL = "kubernetes.io/metadata.name"


def namespace(name: str) -> Json:
    """A new, active Namespace."""
    metadata = new_metadata({"name": name, "labels": {NAME_LABEL: name}})
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": metadata,
        "spec": {"finalizers": ["kubernetes"]},
        "status": {"phase": "Active"},
    }


def default_account(name: str) -> Json:
    """The ServiceAccount of pods that name none."""
    metadata = new_metadata({"name": DEFAULT_ACCOUNT, "namespace": name})
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata}


class Namespaces:
    """Creates the initial namespaces, and in each a ServiceAccount; empties terminating ones, then deletes them."""

    def __init__(self, store: Store, catalog: Catalog, deleting: Deleting) -> None:
        self._store = store
        self._catalog = catalog
        self._deleting = deleting
        self._terminating: set[str] = set()
        self._without_account: set[str] = set()
        self._scheduled: asyncio.Handle | None = None
        self._running = False

    def ensure_initial(self) -> None:
        """Create the namespaces that every cluster has, where they are missing."""
        table = self._store.table("namespaces")
        self._store.load("namespaces", [namespace(name) for name in INITIAL if table.get("", name) is None])

    def start(self) -> None:
        """Watch for terminating namespaces. Call it within the event loop."""
        self._running = True
        self._store.observe(self._notice)
        for record in self._store.table("namespaces").records():
            if "deletionTimestamp" in record.metadata:
                self._terminating.add(record.name)
            else:
                self._without_account.add(record.name)
        self._schedule()

    def stop(self) -> None:
        """Do no more."""
        self._running = False

    def _notice(self, change: Change) -> None:
        record = change.event.record
        if change.resource == "namespaces":
            if change.event.type == "DELETED":
                self._terminating.discard(record.name)
            elif "deletionTimestamp" in record.metadata:
                self._terminating.add(record.name)
                self._schedule()
            elif change.event.type == "ADDED":
                self._without_account.add(record.name)
                self._schedule()
        elif change.resource == "serviceaccounts" and change.event.type == "DELETED" and record.name == DEFAULT_ACCOUNT:
            self._without_account.add(record.namespace)
            self._schedule()
        elif self._terminating and change.event.type == "DELETED" and record.namespace in self._terminating:
            self._schedule()

    def _schedule(self) -> None:
        if self._running and self._scheduled is None and (self._terminating or self._without_account):
            self._scheduled = asyncio.get_running_loop().call_soon(self._look_after)

    def _look_after(self) -> None:
        self._scheduled = None
        if self._running and not self._store.closed:
            for name in sorted(self._without_account):
                self._furnish(name)
            self._without_account.clear()
            for name in sorted(self._terminating):
                self._empty(name)

    def _furnish(self, name: str) -> None:
        """Create what a namespace has from its start."""
        record = self._store.table("namespaces").get("", name)
        if record is not None and "deletionTimestamp" not in record.metadata:
            self._store.load("serviceaccounts", [default_account(name)])

    def _empty(self, name: str) -> None:
        record = self._store.table("namespaces").get("", name)
        if record is None:
            self._terminating.discard(name)
            return
        remaining: dict[str, int] = {}
        waiting: dict[str, int] = {}
        for resource in self._catalog:
            if not resource.namespaced or table_key(resource) in remaining:
                continue
            for found in self._store.table(table_key(resource)).records(name):
                if "deletionTimestamp" not in found.metadata:
                    self._deleting.remove(resource, found, DeleteOptions())
            left = self._store.table(table_key(resource)).records(name)
            if left:
                remaining[table_key(resource)] = len(left)
                for found in left:
                    for finalizer in found.metadata.get("finalizers") or []:
                        waiting[finalizer] = waiting.get(finalizer, 0) + 1
        obj = record.copy()
        if not remaining:
            obj["spec"] = {key: value for key, value in obj.get("spec", {}).items() if key != "finalizers"}
            if obj["metadata"].get("finalizers"):
                if obj["spec"] != record.obj.get("spec"):
                    self._store.put("namespaces", obj)
                return
            self._store.remove("namespaces", "", name)
            return
        conditions = _conditions(obj, remaining, waiting)
        if obj.get("status", {}).get("conditions") != conditions:
            obj["status"] = {"phase": "Terminating", "conditions": conditions}
            self._store.put("namespaces", obj)


def _conditions(obj: Json, remaining: dict[str, int], waiting: dict[str, int]) -> list[Json]:
    """Why the namespace isn't gone yet, in a namespace controller's words."""
    known = {condition["type"]: condition for condition in obj.get("status", {}).get("conditions", [])}
    content = ", ".join(f"{resource} has {count} resource instances" for resource, count in sorted(remaining.items()))
    finalizers = ", ".join(f"{name} in {count} resource instances" for name, count in sorted(waiting.items()))
    texts = [
        ("NamespaceContentRemaining", "SomeResourcesRemain", f"Some resources are remaining: {content}"),
    ]
    if finalizers:
        texts.append(
            (
                "NamespaceFinalizersRemaining",
                "SomeFinalizersRemain",
                f"Some content in the namespace has finalizers remaining: {finalizers}",
            )
        )
    conditions = []
    for type_, reason, message in texts:
        same = known.get(type_)
        since = same["lastTransitionTime"] if same else now()
        conditions.append(
            {"type": type_, "status": "True", "lastTransitionTime": since, "reason": reason, "message": message}
        )
    return conditions
