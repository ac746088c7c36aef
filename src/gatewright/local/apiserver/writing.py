"""The verbs create, update and patch: from a request's body to a stored object."""

from __future__ import annotations

from typing import Any

from gatewright.local.apiserver import scale
from gatewright.local.apiserver.admission import Admission, Change, same
from gatewright.local.apiserver.apply import apply
from gatewright.local.apiserver.deleting import DeleteOptions, Deleting
from gatewright.local.apiserver.errors import (
    STALE,
    already_exists,
    bad_request,
    conflict,
    invalid,
    no_such_path,
    not_found,
    unsupported_media_type,
)
from gatewright.local.apiserver.forms import converted, to_stored
from gatewright.local.apiserver.metadata import generated_name
from gatewright.local.apiserver.patch import APPLY, JSON_PATCH, MERGE, STRATEGIC, json_patch, merge_patch
from gatewright.local.apiserver.protobuf import decode_protobuf
from gatewright.local.apiserver.reading import table_key
from gatewright.local.apiserver.request import (
    PROTOBUF,
    Options,
    Target,
    as_object,
    decode_document,
    decode_yaml,
    media_type,
)
from gatewright.local.apiserver.store import Json, Record, Store
from gatewright.local.apiserver.strategic import strategic_merge
from gatewright.model.causes import Cause

_STATUS_PATCH = frozenset({"apiVersion", "kind", "metadata", "status"})
_PRECONDITIONS = frozenset({"name", "namespace", "uid", "resourceVersion"})

Written = tuple[Record | Json, int]
"""What a write answers: a stored object (or a Scale, a Status) and the HTTP status."""


class Writing:
    """Writes objects into the store, after admission."""

    def __init__(self, store: Store, deleting: Deleting, admission: Admission) -> None:
        self._store = store
        self._deleting = deleting
        self._admission = admission

    def _record(self, target: Target) -> Record | None:
        return self._store.table(table_key(target.resource)).get(target.namespace or "", target.name)

    def _existing(self, target: Target) -> Record:
        record = self._record(target)
        if record is None:
            raise not_found(target.resource, target.name)
        return record

    # Create

    def create(self, target: Target, options: Options, content_type: str, raw: bytes) -> Written:
        """POST: a new object; or a pod's `binding` or `eviction`."""
        obj = _decode(content_type, raw)
        if target.subresource:
            return self._create_subresource(target, options, obj)
        obj = self._admission.received(target, obj, options)
        return self._insert(target, obj, options, options.manager, operation="Update"), 201

    def _insert(self, target: Target, obj: Json, options: Options, manager: str, *, operation: str) -> Record:
        resource = target.resource
        metadata = obj["metadata"]
        if metadata.get("resourceVersion"):
            raise bad_request("resourceVersion should not be set on objects to be created")
        table = self._store.table(table_key(resource))
        namespace = target.namespace or ""
        if not metadata.get("name") and metadata.get("generateName"):
            metadata["name"] = generated_name(metadata["generateName"])
        name = metadata.get("name")
        if isinstance(name, str) and table.get(namespace, name) is not None:
            raise already_exists(resource, name)
        obj = self._admission.created(target, obj, options)
        obj = self._admission.owned(target, None, obj, manager, operation)
        if options.dry_run:
            return Record(obj, 0)
        return self._store.put(table_key(resource), obj)

    def _create_subresource(self, target: Target, options: Options, obj: Json) -> Written:
        record = self._existing(target)
        success: Json = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
        match target.resource.qualified, target.subresource:
            case "pods", "eviction":
                delete_options = obj.get("deleteOptions") or {}
                grace = delete_options.get("gracePeriodSeconds")
                dry_run = options.dry_run or bool(delete_options.get("dryRun"))
                delete = DeleteOptions(grace_seconds=grace if isinstance(grace, int) else None, dry_run=dry_run)
                self._deleting.remove(target.resource, record, delete)
                return success, 201
            case "pods", "binding":
                node = obj.get("target")
                if not isinstance(node, dict) or not isinstance(node.get("name"), str):
                    raise bad_request("Binding: target.name: Required value")
                pod = record.copy()
                if pod.get("spec", {}).get("nodeName"):
                    raise conflict(target.resource, target.name, f"pod {target.name} is already assigned to a node")
                pod.setdefault("spec", {})["nodeName"] = node["name"]
                if not options.dry_run:
                    self._store.put("pods", pod)
                return success, 201
        raise no_such_path()

    # Update

    def update(self, target: Target, options: Options, content_type: str, raw: bytes) -> Written:
        """PUT: the whole object, its status, or its scale."""
        obj = _decode(content_type, raw)
        if target.subresource == "scale":
            return self._scale(target, options, lambda _old: obj)
        self._check_subresource(target)
        obj = self._admission.received(target, obj, options)
        record = self._existing(target)
        return self._replace(target, record, obj, options, options.manager, operation="Update"), 200

    def _check_subresource(self, target: Target) -> None:
        match target.subresource:
            case "" | "finalize" if target.subresource == "" or target.resource.qualified == "namespaces":
                return
            case "status" if target.resource.has_status:
                return
            case "ephemeralcontainers" | "resize" if target.resource.qualified == "pods":
                return
        raise no_such_path()

    def _replace(
        self, target: Target, record: Record, obj: Json, options: Options, manager: str, *, operation: str
    ) -> Record:
        """Store `obj` in place of the record, unless nothing changes or nothing is left of it."""
        resource = target.resource
        metadata = obj["metadata"]
        version = metadata.get("resourceVersion")
        if not version and operation == "Update" and resource.custom:
            cause = Cause(
                "FieldValueInvalid", "Invalid value: 0: must be specified for an update", "metadata.resourceVersion"
            )
            raise invalid(resource, target.name, [cause])
        if version and version != str(record.revision):
            raise conflict(resource, target.name, STALE)
        if metadata.get("uid") and metadata["uid"] != record.metadata.get("uid"):
            raise conflict(
                resource,
                target.name,
                f"Precondition failed: UID in precondition: {metadata['uid']}, "
                f"UID in object meta: {record.metadata.get('uid')}",
            )
        old = record.obj
        obj = self._admission.updated(target, old, obj, options)
        obj = self._admission.owned(target, old, obj, manager, operation)
        obj["metadata"]["resourceVersion"] = str(record.revision)
        if same(old, obj):
            return record
        if self._deleting.finish(resource, obj):
            if not options.dry_run:
                return self._store.remove(table_key(resource), record.namespace, record.name)
            return Record(obj, record.revision)
        if options.dry_run:
            return Record(obj, record.revision)
        return self._store.put(table_key(resource), obj)

    # Patch

    def patch(self, target: Target, options: Options, content_type: str, raw: bytes) -> Written:
        """PATCH: JSON, merge or strategic merge patch, or server-side apply."""
        kind = media_type(content_type)
        if kind == APPLY:
            return self._apply(target, options, as_object(decode_yaml(raw)))
        if kind not in (JSON_PATCH, MERGE, STRATEGIC):
            raise unsupported_media_type(kind, (JSON_PATCH, MERGE, STRATEGIC, APPLY))
        if kind == STRATEGIC and target.resource.custom:
            raise unsupported_media_type(kind, (JSON_PATCH, MERGE, APPLY))
        change = decode_document("application/json", raw)

        def patched(old: Json) -> Json:
            if kind == JSON_PATCH:
                return as_object(json_patch(old, change))
            if kind == MERGE:
                return as_object(merge_patch(old, as_object(change)))
            return strategic_merge(self._admission.schema(target.resource, target.version), old, as_object(change))

        if target.subresource == "scale":
            return self._scale(target, options, patched)
        self._check_subresource(target)
        record = self._existing(target)
        if kind == MERGE and _is_of_status(target, change):
            obj = _with_status(target, record, change)
        else:
            obj = patched(converted(target.resource, target.version, record.copy()))
        obj = self._admission.received(target, obj, options)
        return self._replace(target, record, obj, options, options.manager, operation="Update"), 200

    def _apply(self, target: Target, options: Options, applied: Json) -> Written:
        if not options.query.get("fieldManager"):
            raise bad_request(
                'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch'
            )
        if target.subresource == "scale":
            return self._scale(target, options, lambda old: {**old, "spec": applied.get("spec", {})})
        self._check_subresource(target)
        applied = self._admission.received(target, applied, options)
        if applied["metadata"].get("managedFields"):
            raise bad_request("metadata.managedFields must be nil")
        record = self._record(target)
        if record is None and target.subresource:
            raise not_found(target.resource, target.name)
        schema = self._admission.schema(target.resource, target.version)
        old = None if record is None else converted(target.resource, target.version, record.copy())
        applied = converted(target.resource, target.version, applied)
        obj = apply(target, schema, old, applied, options.query["fieldManager"], force=options.flag("force"))
        obj = to_stored(target.resource, obj)
        if record is None:
            return self._insert(target, obj, options, options.manager, operation="Apply"), 201
        obj["metadata"].pop("resourceVersion", None)
        if applied["metadata"].get("resourceVersion"):
            obj["metadata"]["resourceVersion"] = applied["metadata"]["resourceVersion"]
        return self._replace(target, record, obj, options, options.manager, operation="Apply"), 200

    # Scale

    def _scale(self, target: Target, options: Options, change: Change) -> Written:
        if not target.resource.has_scale:
            raise no_such_path()
        record = self._existing(target)
        wanted = change(scale.scale_of(target.resource, record.obj))
        obj = scale.rescaled(target.resource, record.copy(), wanted)
        version = (wanted.get("metadata") or {}).get("resourceVersion")
        if version:
            obj["metadata"]["resourceVersion"] = version
        parent = Target(target.resource, target.resource.storage_version, target.namespace, target.name)
        stored = self._replace(parent, record, obj, options, options.manager, operation="Update")
        return scale.scale_of(target.resource, stored.obj), 200


def _is_of_status(target: Target, change: Any) -> bool:
    """Whether a merge patch concerns nothing but a custom resource's status, as those of controllers do."""
    return (
        target.subresource == "status"
        and target.resource.custom
        and isinstance(change, dict)
        and change.keys() <= _STATUS_PATCH
        and isinstance(change.get("metadata", {}), dict)
        and change.get("metadata", {}).keys() <= _PRECONDITIONS
    )


def _with_status(target: Target, record: Record, change: Json) -> Json:
    """The identity and the patched status: all that an update of the status looks at."""
    metadata = {"name": record.name, "namespace": record.namespace, "resourceVersion": str(record.revision)}
    obj: Json = {
        "apiVersion": target.resource.api_version(target.version),
        "kind": target.resource.kind,
        "metadata": metadata if record.namespace else {"name": record.name, "resourceVersion": str(record.revision)},
    }
    old = record.obj
    if "status" in old:
        obj["status"] = old["status"]
    return as_object(merge_patch(obj, change))


def _decode(content_type: str, raw: bytes) -> Json:
    if media_type(content_type) == PROTOBUF:
        return decode_protobuf(raw)
    if not raw.strip():
        raise bad_request("the request has no body; expected an object")
    return as_object(decode_document(content_type, raw))
