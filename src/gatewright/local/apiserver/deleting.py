"""The verbs delete and deletecollection: preconditions, grace, finalizers, propagation."""

from __future__ import annotations

from dataclasses import dataclass

from gatewright.local.apiserver.errors import bad_request, conflict, forbidden, method_not_allowed, not_found
from gatewright.local.apiserver.metadata import later, now
from gatewright.local.apiserver.protobuf import decode_protobuf
from gatewright.local.apiserver.reading import predicate_of, table_key
from gatewright.local.apiserver.request import PROTOBUF, Options, Target, as_object, decode_document, media_type
from gatewright.local.apiserver.resources import Resource
from gatewright.local.apiserver.store import Json, Record, Store

FOREGROUND = "foregroundDeletion"
ORPHAN = "orphan"
_PERMANENT = frozenset({"default", "kube-system", "kube-public"})
_POLICIES = ("Background", "Foreground", "Orphan")
DEFAULT_GRACE_SECONDS = 30


@dataclass(frozen=True)
class DeleteOptions:
    """The body of a DELETE, with its query parameters folded in."""

    propagation: str = ""
    grace_seconds: int | None = None
    uid: str = ""
    resource_version: str = ""
    dry_run: bool = False


class Deleting:
    """Deletes objects, or marks them as being deleted where a finalizer or a grace period holds them."""

    def __init__(self, store: Store, *, graceful_pods: bool) -> None:
        self._store = store
        self._graceful_pods = graceful_pods

    def options(self, content_type: str, raw: bytes, options: Options) -> DeleteOptions:
        """The options of a DELETE request. 400 for a body that is none, 422 for values that make no sense."""
        body: Json = {}
        if raw.strip():
            if media_type(content_type) == PROTOBUF:
                body = decode_protobuf(raw)
            else:
                body = as_object(decode_document(content_type, raw))
        if body.get("kind", "DeleteOptions") != "DeleteOptions":
            raise bad_request(f"the body of a DELETE must be DeleteOptions, found {body['kind']}")
        propagation = options.query.get("propagationPolicy") or body.get("propagationPolicy") or ""
        if not propagation and body.get("orphanDependents") is not None:
            propagation = "Orphan" if body["orphanDependents"] else "Background"
        if propagation and propagation not in _POLICIES:
            raise bad_request(
                f'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "{propagation}": '
                'supported values: "Background", "Foreground", "Orphan"'
            )
        grace = options.number("gracePeriodSeconds")
        if grace is None:
            grace = body.get("gracePeriodSeconds")
        if grace is not None and not isinstance(grace, int):
            raise bad_request("gracePeriodSeconds must be an integer")
        conditions = body.get("preconditions")
        conditions = conditions if isinstance(conditions, dict) else {}
        return DeleteOptions(
            propagation=propagation,
            grace_seconds=grace,
            uid=conditions.get("uid") or "",
            resource_version=conditions.get("resourceVersion") or "",
            dry_run=options.dry_run or bool(body.get("dryRun")),
        )

    def delete(self, target: Target, options: Options, delete: DeleteOptions) -> tuple[Json, int]:
        """Delete one object. Returns a success `Status`, or the object when something still holds it."""
        resource = target.resource
        if target.subresource:
            raise method_not_allowed()
        record = self._store.table(table_key(resource)).get(target.namespace or "", target.name)
        if record is None:
            raise not_found(resource, target.name)
        if delete.uid and delete.uid != record.metadata.get("uid"):
            raise conflict(
                resource,
                target.name,
                f"Precondition failed: UID in precondition: {delete.uid}, UID in object meta: {record.metadata['uid']}",
            )
        if delete.resource_version and delete.resource_version != str(record.revision):
            raise conflict(
                resource,
                target.name,
                f"Precondition failed: ResourceVersion in precondition: {delete.resource_version}, "
                f"ResourceVersion in object meta: {record.revision}",
            )
        if resource.kind == "Namespace" and not resource.group and target.name in _PERMANENT:
            raise forbidden(resource, target.name, "this namespace may not be deleted")
        left = self.remove(resource, record, delete)
        if left is not None:
            return left, 200
        details = {"name": target.name, "kind": resource.plural, "uid": record.metadata.get("uid", "")}
        if resource.group:
            details["group"] = resource.group
        return {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details}, 200

    def delete_collection(self, target: Target, options: Options, delete: DeleteOptions) -> Json:
        """Delete everything that the selectors select; returns a list object of what was deleted."""
        resource = target.resource
        predicate = predicate_of(resource, options)
        deleted: list[Json] = []
        for record in self._store.table(table_key(resource)).records(target.namespace):
            if predicate is not None and not predicate(record.obj):
                continue
            if resource.kind == "Namespace" and not resource.group and record.name in _PERMANENT:
                continue
            left = self.remove(resource, record, delete)
            deleted.append(record.obj if left is None else left)
        return {
            "kind": resource.list_type,
            "apiVersion": resource.api_version(target.version),
            "metadata": {"resourceVersion": str(self._store.revision)},
            "items": deleted,
        }

    def remove(self, resource: Resource, record: Record, delete: DeleteOptions) -> Json | None:
        """Remove the object, or mark it as being deleted. Returns the marked object, None when it is gone."""
        obj = record.copy()
        metadata = obj["metadata"]
        finalizers: list[str] = list(metadata.get("finalizers") or [])
        if delete.propagation and "deletionTimestamp" not in metadata:
            finalizers = [name for name in finalizers if name not in (FOREGROUND, ORPHAN)]
            if delete.propagation != "Background":
                finalizers.append(FOREGROUND if delete.propagation == "Foreground" else ORPHAN)
        grace = self._grace(resource, obj, delete)
        held = bool(finalizers) or grace > 0 or bool(_is_namespace(resource) and obj.get("spec", {}).get("finalizers"))
        if not held:
            if not delete.dry_run:
                self._store.remove(table_key(resource), record.namespace, record.name)
            return None
        if finalizers:
            metadata["finalizers"] = finalizers
        if "deletionTimestamp" in metadata:
            if grace < metadata.get("deletionGracePeriodSeconds", 0):
                metadata["deletionGracePeriodSeconds"] = grace
                metadata["deletionTimestamp"] = later(grace)
        else:
            metadata["deletionTimestamp"] = later(grace) if grace else now()
            metadata["deletionGracePeriodSeconds"] = grace
            if resource.generation and "generation" in metadata:
                metadata["generation"] += 1
        if _is_namespace(resource):
            obj["status"] = {**obj.get("status", {}), "phase": "Terminating"}
        if delete.dry_run or obj == record.obj:
            return obj
        return self._store.put(table_key(resource), obj).obj

    def finish(self, resource: Resource, obj: Json) -> bool:
        """Whether an object that is being deleted is held by nothing any more, as seen after an update."""
        metadata = obj["metadata"]
        if "deletionTimestamp" not in metadata or metadata.get("finalizers"):
            return False
        if _is_namespace(resource) and obj.get("spec", {}).get("finalizers"):
            return False
        return not metadata.get("deletionGracePeriodSeconds")

    def _grace(self, resource: Resource, obj: Json, delete: DeleteOptions) -> int:
        if resource.qualified != "pods" or not self._graceful_pods:
            return 0
        spec = obj.get("spec", {})
        if not spec.get("nodeName") or obj.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            return 0
        if delete.grace_seconds is not None:
            return max(0, delete.grace_seconds)
        seconds: int = spec.get("terminationGracePeriodSeconds", DEFAULT_GRACE_SECONDS)
        return seconds


def _is_namespace(resource: Resource) -> bool:
    return resource.kind == "Namespace" and not resource.group
