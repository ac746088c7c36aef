"""CustomResourceDefinitions: what they add to the served resources, and those of the kinds that are built in."""

from __future__ import annotations

import asyncio
from typing import Any

from gatewright.local.apiserver.deleting import DeleteOptions, Deleting
from gatewright.local.apiserver.metadata import new_metadata, now
from gatewright.local.apiserver.resources import DEFINED, Catalog, Resource, version_priority
from gatewright.local.apiserver.schemas import Schemas
from gatewright.local.apiserver.store import Change, Json, Record, Store
from gatewright.model.causes import Cause, invalid, required
from gatewright.model.definition import COLUMNS, definition, printer_columns
from gatewright.model.kinds import kind_of

TABLE = "customresourcedefinitions.apiextensions.k8s.io"
CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
BUNDLE_VERSION = "v1.6.1"
CHANNEL = "experimental"

_DEFINED = {(resource.group, resource.plural): resource for resource in DEFINED}


def _column(name: str, path: str, type_: str = "string", priority: int = 0) -> Json:
    column: Json = {"name": name, "jsonPath": path, "type": type_}
    return {**column, "priority": priority} if priority else column


def _condition(type_: str) -> Json:
    return _column(type_, f'.status.conditions[?(@.type=="{type_}")].status')


_AGE = _column("Age", ".metadata.creationTimestamp", "date")
_COLUMNS: dict[str, list[Json]] = {
    "gatewayclasses": [
        _column("Controller", ".spec.controllerName"),
        _condition("Accepted"),
        _AGE,
        _column("Description", ".spec.description", priority=1),
    ],
    "gateways": [
        _column("Class", ".spec.gatewayClassName"),
        _column("Address", ".status.addresses[*].value"),
        _condition("Programmed"),
        _AGE,
    ],
    "httproutes": [_column("Hostnames", ".spec.hostnames"), _AGE],
    "grpcroutes": [_column("Hostnames", ".spec.hostnames"), _AGE],
    "listenersets": [_condition("Accepted"), _condition("Programmed"), _AGE],
    "xmeshes": [_condition("Accepted"), _AGE],
}
_WRITTEN = {(kind.group, kind.plural): type_ for type_ in COLUMNS for kind in (kind_of(type_),)}
"""The kinds whose definitions are written by us."""


class Definitions:
    """Keeps the catalog and the schemas as the stored CustomResourceDefinitions say."""

    def __init__(self, store: Store, catalog: Catalog, schemas: Schemas, deleting: Deleting) -> None:
        self._store = store
        self._catalog = catalog
        self._schemas = schemas
        self._deleting = deleting
        self._seeded = False
        self._running = False
        self._columns: dict[tuple[str, str, str], list[Json]] = {}

    def start(self) -> None:
        """Serve what is defined, and follow what changes. Call it within the event loop."""
        self._running = True
        self._store.observe(self._notice)
        for record in self._store.table(TABLE).records():
            self._serve(record.obj)
            if "deletionTimestamp" in record.metadata:
                asyncio.get_running_loop().call_soon(self._clean_up, record.name)

    def stop(self) -> None:
        """Follow no more."""
        self._running = False

    def columns(self, resource: Resource, version: str) -> list[Json]:
        """The `additionalPrinterColumns` of a custom resource's version."""
        found = self._columns.get((resource.group, resource.plural, version))
        if found is None and (resource.group, resource.plural) in _DEFINED:
            written = _WRITTEN.get((resource.group, resource.plural))
            found = printer_columns(written) if written else _COLUMNS.get(resource.plural)
        return found or [_AGE]

    # The built-in ones

    def seed(self) -> None:
        """Store the definitions of the built-in kinds, at the first look at any definition."""
        if self._seeded:
            return
        self._seeded = True
        self._store.load(TABLE, [self._definition(resource) for resource in DEFINED])

    def _definition(self, resource: Resource) -> Json:
        written = _WRITTEN.get((resource.group, resource.plural))
        obj = definition(written) if written else self._gateway_definition(resource)
        obj["metadata"] = new_metadata({**obj["metadata"], "generation": 1})
        self.complete(obj, None)
        return obj

    def _gateway_definition(self, resource: Resource) -> Json:
        """As the Gateway API's own release has it."""
        versions = []
        for version in resource.versions:
            described: Json = {
                "name": version,
                "served": True,
                "storage": version == resource.storage_version,
                "schema": {"openAPIV3Schema": self._schemas.content(resource, version)},
                "additionalPrinterColumns": self.columns(resource, version),
            }
            if resource.has_status:
                described["subresources"] = {"status": {}}
            versions.append(described)
        names = {
            "plural": resource.plural,
            "singular": resource.singular,
            "kind": resource.kind,
            "listKind": resource.list_type,
            "categories": list(resource.categories),
            "shortNames": list(resource.short_names),
        }
        return {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {
                "name": resource.qualified,
                "annotations": {
                    "api-approved.kubernetes.io": "https://github.com/kubernetes-sigs/gateway-api/pull/4530",
                    "gateway.networking.k8s.io/bundle-version": BUNDLE_VERSION,
                    "gateway.networking.k8s.io/channel": CHANNEL,
                },
            },
            "spec": {
                "group": resource.group,
                "names": {key: value for key, value in names.items() if value},
                "scope": "Namespaced" if resource.namespaced else "Cluster",
                "conversion": {"strategy": "None"},
                "versions": versions,
            },
        }

    # Admission

    def complete(self, obj: Json, old: Json | None) -> None:
        """Give a definition its status (served at once, so established) and its finalizer, in place."""
        spec = obj.get("spec")
        if not isinstance(spec, dict) or not isinstance(spec.get("names"), dict):
            return
        metadata = obj["metadata"]
        finalizers = metadata.get("finalizers") or []
        if "deletionTimestamp" not in metadata and CLEANUP not in finalizers:
            metadata["finalizers"] = [*finalizers, CLEANUP]
        before = (old or {}).get("status", {})
        conditions = before.get("conditions") or [
            _true("NamesAccepted", "NoConflicts", "no conflicts found"),
            _true("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ]
        stored = [version["name"] for version in _versions(obj) if version.get("storage") and "name" in version]
        known = before.get("storedVersions") or []
        obj["status"] = {
            "conditions": conditions,
            "acceptedNames": dict(spec["names"]),
            "storedVersions": [*known, *(version for version in stored if version not in known)],
        }

    def check(self, obj: Json) -> list[Cause]:
        """What is wrong with a definition."""
        spec = obj.get("spec") or {}
        names = spec.get("names") or {}
        found: list[Cause] = []
        found += [required(f"spec.names.{key}") for key in ("plural", "kind") if not names.get(key)]
        if not spec.get("group"):
            found.append(required("spec.group"))
        name = f"{names.get('plural', '')}.{spec.get('group', '')}"
        if obj["metadata"].get("name") != name:
            text = 'must be spec.names.plural+"."+spec.group'
            found.append(invalid("metadata.name", obj["metadata"].get("name", ""), text))
        if spec.get("scope") not in ("Namespaced", "Cluster"):
            found.append(
                Cause(
                    "FieldValueNotSupported",
                    f'Unsupported value: "{spec.get("scope", "")}": supported values: "Cluster", "Namespaced"',
                    "spec.scope",
                )
            )
        versions = _versions(obj)
        if sum(bool(version.get("storage")) for version in versions) != 1:
            text = "must have exactly one version marked as storage version"
            found.append(invalid("spec.versions", [version.get("name") for version in versions], text))
        for index, version in enumerate(versions):
            field = f"spec.versions[{index}].schema.openAPIV3Schema"
            schema = (version.get("schema") or {}).get("openAPIV3Schema")
            if not isinstance(schema, dict):
                found.append(required(field, "schemas are required"))
            elif schema.get("type") != "object":
                found.append(invalid(f"{field}.type", schema.get("type", ""), "must be object at the root"))
        builtin = self._catalog.named(spec.get("group", ""), names.get("plural", ""))
        if builtin is not None and not builtin.custom:
            found.append(invalid("spec.group", spec.get("group", ""), "is served by the API server itself"))
        return found

    # Following the store

    def _notice(self, change: Change) -> None:
        if not self._running:
            return
        if change.resource == TABLE:
            record = change.event.record
            if change.event.type == "DELETED":
                self._withdraw(record.obj)
                return
            if change.event.previous is None or change.event.previous.obj.get("spec") != record.obj.get("spec"):
                self._serve(record.obj)
            if "deletionTimestamp" in record.metadata:
                asyncio.get_running_loop().call_soon(self._clean_up, record.name)
        elif change.event.type == "DELETED":
            definition = self._store.table(TABLE).get("", change.resource)
            if definition is not None and "deletionTimestamp" in definition.metadata:
                asyncio.get_running_loop().call_soon(self._clean_up, definition.name)

    def _serve(self, obj: Json) -> None:
        spec = obj["spec"]
        group, names = spec["group"], spec["names"]
        for version in _versions(obj):
            self._columns[group, names["plural"], version["name"]] = version.get("additionalPrinterColumns") or []
        if (group, names["plural"]) in _DEFINED:
            return
        served = [version for version in _versions(obj) if version.get("served")]
        self._schemas.forget(group, names["plural"])
        for version in _versions(obj):
            self._schemas.define(group, names["plural"], version["name"], version["schema"]["openAPIV3Schema"])
        if not served:
            self._catalog.discard(group, names["plural"])
            return
        subresources: list[Any] = [version.get("subresources") or {} for version in served]
        fields = {
            field["jsonPath"].lstrip(".") for version in served for field in version.get("selectableFields") or []
        }
        resource = Resource(
            group=group,
            kind=names["kind"],
            plural=names["plural"],
            singular=names.get("singular") or names["kind"].lower(),
            list_kind=names.get("listKind", ""),
            namespaced=spec["scope"] == "Namespaced",
            versions=_by_priority([version["name"] for version in served]),
            storage_version=next(version["name"] for version in _versions(obj) if version.get("storage")),
            short_names=tuple(names.get("shortNames") or ()),
            categories=tuple(names.get("categories") or ()),
            has_status=any("status" in subresource for subresource in subresources),
            has_scale=any("scale" in subresource for subresource in subresources),
            generation=True,
            custom=True,
            selectable=frozenset(fields),
        )
        self._catalog.add(resource)

    def _withdraw(self, obj: Json) -> None:
        group, plural = obj["spec"]["group"], obj["spec"]["names"]["plural"]
        for key in [key for key in self._columns if key[:2] == (group, plural)]:
            del self._columns[key]
        if (group, plural) not in _DEFINED:
            self._catalog.discard(group, plural)
            self._schemas.forget(group, plural)

    def _clean_up(self, name: str) -> None:
        """Delete the objects of a definition that is being deleted; let it go once none is left."""
        definition = self._store.table(TABLE).get("", name)
        if definition is None or self._store.closed or not self._running:
            return
        spec = definition.obj["spec"]
        resource = self._catalog.named(spec["group"], spec["names"]["plural"])
        if resource is not None:
            for record in self._store.table(resource.qualified).records():
                if "deletionTimestamp" not in record.metadata:
                    self._deleting.remove(resource, record, DeleteOptions())
            if self._store.table(resource.qualified).records():
                return
        self._release(definition)

    def _release(self, definition: Record) -> None:
        obj = definition.copy()
        left = [name for name in obj["metadata"].get("finalizers") or [] if name != CLEANUP]
        if left:
            if left != obj["metadata"]["finalizers"]:
                obj["metadata"]["finalizers"] = left
                self._store.put(TABLE, obj)
            return
        self._store.remove(TABLE, "", definition.name)


def _by_priority(versions: list[str]) -> tuple[str, ...]:
    return tuple(sorted(versions, key=version_priority))


def _versions(obj: Json) -> list[Json]:
    versions = obj.get("spec", {}).get("versions") or []
    return [version for version in versions if isinstance(version, dict)]


def _true(type_: str, reason: str, message: str) -> Json:
    return {"type": type_, "status": "True", "lastTransitionTime": now(), "reason": reason, "message": message}
