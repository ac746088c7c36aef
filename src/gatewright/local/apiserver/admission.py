"""What stands between a request's object and the stored one: decoding checks, defaults, validation, bookkeeping."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gatewright.local.apiserver import apply, builtin
from gatewright.local.apiserver.allocation import Allocator
from gatewright.local.apiserver.decoding import Decoded, WrongType, decode_builtin, decode_metadata
from gatewright.local.apiserver.defaults import apply_builtin_defaults
from gatewright.local.apiserver.definitions import Definitions
from gatewright.local.apiserver.errors import bad_request, forbidden, invalid, not_found
from gatewright.local.apiserver.forms import to_stored
from gatewright.local.apiserver.metadata import new_metadata
from gatewright.local.apiserver.names import check_metadata
from gatewright.local.apiserver.request import Options, Target
from gatewright.local.apiserver.resources import Catalog, Resource
from gatewright.local.apiserver.schemas import Schemas
from gatewright.local.apiserver.semantics import check_builtin
from gatewright.local.apiserver.store import Json, Store
from gatewright.model.causes import (
    NOT_SUPPORTED,
    REQUIRED,
    TOO_LONG,
    TOO_MANY,
    TYPE_INVALID,
    UNCHECKED,
    Cause,
)
from gatewright.model.causes import invalid as invalid_value
from gatewright.model.rules import has_rules, violations
from gatewright.model.validation import apply_defaults, drop_nulls, prune, unknown_fields, validate

Change = Callable[[Json], Json]

_KEPT_METADATA = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation")
_BLOCKING = frozenset({NOT_SUPPORTED, REQUIRED, TOO_LONG, TOO_MANY, TYPE_INVALID})
"""What keeps an API server from applying CEL rules: they could cost too much, or make no sense."""

# Their strategies let a new object bring its status along.
_STATUS_ON_CREATE = frozenset({"nodes", "namespaces"})
_NAME_LABEL = "kubernetes.io/metadata.name"


def same(old: Json, new: Json) -> bool:
    """Whether a write changes nothing but the times in `managedFields`."""
    if old == new:
        return True

    def timeless(obj: Json) -> Json:
        metadata = dict(obj["metadata"])
        managed = metadata.get("managedFields")
        if managed:
            metadata["managedFields"] = [{k: v for k, v in entry.items() if k != "time"} for entry in managed]
        return {**obj, "metadata": metadata}

    return timeless(old) == timeless(new)


class Admission:
    """Checks and completes objects before they are stored."""

    def __init__(self, store: Store, catalog: Catalog, schemas: Schemas, definitions: Definitions) -> None:
        self._store = store
        self._catalog = catalog
        self._schemas = schemas
        self._definitions = definitions
        self._allocator = Allocator(store)

    def schema(self, resource: Resource, version: str) -> Json:
        """The structural schema of a resource's version."""
        return self._schemas.whole(resource, version)

    def received(self, target: Target, obj: Json, options: Options) -> Json:
        """The object as it was received, in its stored version, after the checks that come before any other.

        400 for another kind, version, namespace or name than the path's, for a value of the wrong type in a built-in
        kind, and for unknown fields when validation is `Strict`.
        """
        resource = target.resource
        expected = resource.api_version(target.version)
        found, kind = obj.setdefault("apiVersion", expected), obj.setdefault("kind", resource.kind)
        if kind != resource.kind:
            raise bad_request(f"the kind in the data ({kind}) does not match the expected kind ({resource.kind})")
        if found != expected:
            raise bad_request(
                f"the API version in the data ({found}) does not match the expected API version ({expected})"
            )
        if obj.get("metadata") is None:
            obj["metadata"] = {}
        decoded = Decoded()
        try:
            if resource.custom:
                obj = {**obj, "metadata": decode_metadata(obj, decoded)}
                obj = self._decode_custom(target, obj, decoded)
            else:
                type_ = builtin.type_name(resource.group, target.version, resource.kind)
                assert type_ is not None
                obj = decode_builtin(type_, obj, decoded)
        except WrongType as error:
            raise bad_request(
                f'{kind} in version "{target.version}" cannot be handled as a {resource.kind}: {error}'
            ) from error
        if decoded.unknown:
            self._report_unknown(target, decoded.unknown, options)
        options.causes = decoded.causes
        metadata = obj.setdefault("metadata", {})
        if resource.namespaced:
            if metadata.setdefault("namespace", target.namespace) != target.namespace:
                raise bad_request(
                    "the namespace of the provided object does not match the namespace sent on the request"
                )
        else:
            metadata.pop("namespace", None)
        if target.name and metadata.setdefault("name", target.name) != target.name:
            raise bad_request(
                f"the name of the object ({metadata['name']}) does not match the name on the URL ({target.name})"
            )
        return to_stored(resource, obj)

    def _decode_custom(self, target: Target, obj: Json, decoded: Decoded) -> Json:
        schema = self._schemas.content(target.resource, target.version)
        if schema is None:
            return obj
        unknown = unknown_fields(schema, obj)
        if unknown:
            decoded.unknown += unknown
            obj = prune(schema, obj)
        kept: Json = drop_nulls(schema, obj)
        return kept

    def _report_unknown(self, target: Target, unknown: list[str], options: Options) -> None:
        texts = [f'unknown field "{path}"' for path in unknown]
        if options.validation == "Strict":
            kind = target.resource.kind
            raise bad_request(
                f'{kind} in version "{target.version}" cannot be handled as a {kind}: strict decoding error: '
                + ", ".join(texts)
            )
        if options.validation == "Warn":
            for text in texts:
                options.warn(text)

    def created(self, target: Target, obj: Json, options: Options) -> Json:
        """A new object, complete and valid."""
        self._check_namespace(target, obj)
        resource = target.resource
        metadata = new_metadata(obj["metadata"])
        for key in ("deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation"):
            metadata.pop(key, None)
        if resource.generation:
            metadata["generation"] = 1
        obj = {**obj, "metadata": metadata}
        if resource.has_status and resource.qualified not in _STATUS_ON_CREATE:
            obj.pop("status", None)
        if resource.qualified == "namespaces":
            obj["spec"] = {**obj.get("spec", {}), "finalizers": ["kubernetes"]}
            obj["status"] = {"phase": "Active"}
        return self._completed(target, None, obj, options)

    def _check_namespace(self, target: Target, obj: Json) -> None:
        if target.namespace is None:
            return
        record = self._store.table("namespaces").get("", target.namespace)
        if record is None:
            namespaces = self._catalog.named("", "namespaces")
            assert namespaces is not None
            raise not_found(namespaces, target.namespace)
        if "deletionTimestamp" in record.metadata:
            message = f"namespace {target.namespace} is being terminated"
            raise forbidden(
                target.resource,
                obj["metadata"].get("name", ""),
                f"unable to create new content in namespace {target.namespace} because it is being terminated",
                [Cause("NamespaceTerminating", message, "metadata.namespace")],
            )

    def updated(self, target: Target, old: Json, obj: Json, options: Options) -> Json:
        """The object that replaces `old`: only its status where the path is the status's, all else otherwise."""
        resource = target.resource
        metadata = obj["metadata"]
        if target.subresource == "status":
            kept = {**old["metadata"]}
            if "managedFields" in metadata:
                kept["managedFields"] = metadata["managedFields"]
            changed = {**old, "metadata": kept, "status": obj.get("status", {})}
            return self._completed(target, old, changed, options)
        if target.subresource == "finalize":
            finalizers = (obj.get("spec") or {}).get("finalizers") or []
            obj = {**old, "metadata": dict(old["metadata"]), "spec": {**old.get("spec", {}), "finalizers": finalizers}}
            return self._completed(target, old, obj, options)
        for key in _KEPT_METADATA:
            metadata.pop(key, None)
            if key in old["metadata"]:
                metadata[key] = old["metadata"][key]
        if resource.has_status:
            obj.pop("status", None)
            if "status" in old:
                obj["status"] = old["status"]
        if resource.qualified == "namespaces":
            obj["spec"] = old.get("spec", {})
        added = set(metadata.get("finalizers") or []) - set(old["metadata"].get("finalizers") or [])
        if added and "deletionTimestamp" in metadata:
            listed = ", ".join(f'"{name}"' for name in sorted(added))
            message = (
                "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers "
                f"[]string{{{listed}}}"
            )
            raise invalid(resource, metadata["name"], [Cause("FieldValueForbidden", message, "metadata.finalizers")])
        obj = self._completed(target, old, obj, options)
        if resource.generation and _specification(resource, old) != _specification(resource, obj):
            obj["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
        return obj

    def _completed(self, target: Target, old: Json | None, obj: Json, options: Options) -> Json:
        """The object with its defaults; 422 with every cause when it is invalid."""
        resource = target.resource
        if resource.qualified == "customresourcedefinitions.apiextensions.k8s.io":
            self._definitions.complete(obj, old)
        found: list[Cause] = []
        if old is not None and target.subresource == "status" and resource.custom:
            obj, found = self._complete_status(target, old, obj)
            if found:
                raise invalid(resource, obj["metadata"].get("name", ""), found)
            return obj
        if resource.custom:
            obj, found = self._complete_custom(target, old, obj)
        else:
            if target.subresource == "":
                apply_builtin_defaults(resource.qualified, obj)
                if resource.qualified == "namespaces":
                    metadata = obj["metadata"]
                    metadata["labels"] = {**(metadata.get("labels") or {}), _NAME_LABEL: metadata.get("name", "")}
            found = list(options.causes)
            if not found:
                found = check_builtin(resource.qualified, obj, old)
        found = check_metadata(resource, obj["metadata"]) + found
        if resource.qualified == "customresourcedefinitions.apiextensions.k8s.io":
            found += self._definitions.check(obj)
        if resource.qualified == "services" and not found:
            found = self._allocated(obj, old)
        if found:
            raise invalid(resource, obj["metadata"].get("name", ""), found)
        return obj

    def _complete_custom(self, target: Target, old: Json | None, obj: Json) -> tuple[Json, list[Cause]]:
        resource = target.resource
        schema = self._schemas.content(resource, target.version)
        if schema is None:
            return obj, []
        obj = apply_defaults(schema, obj)
        found = validate(schema, obj)
        if not any(cause.reason in _BLOCKING for cause in found):
            found += violations(obj, old, filled=True)
        elif has_rules(obj):
            found.append(UNCHECKED)
        return obj, found

    def _complete_status(self, target: Target, old: Json, obj: Json) -> tuple[Json, list[Cause]]:
        """As the whole object would be completed whose rest is as it was: what hasn't changed isn't judged again."""
        schema = self._schemas.status(target.resource, target.version)
        if schema is None:
            return obj, []
        identity = {name: obj[name] for name in ("apiVersion", "kind")}
        part = apply_defaults(schema, {**identity, "metadata": {}, "status": obj["status"]})
        found = validate(schema, part)
        if not found:
            found = violations(part, {**identity, "status": old.get("status", {})}, filled=True)
        return {**obj, "status": part["status"]}, found

    def _allocated(self, obj: Json, old: Json | None) -> list[Cause]:
        self._allocator.allocate(obj, old)
        if old is None:
            return []
        before, after = old.get("spec", {}), obj["spec"]
        both = "ExternalName" not in (before.get("type"), after.get("type"))
        if both and before.get("clusterIP") and after.get("clusterIP") != before["clusterIP"]:
            return [invalid_value("spec.clusterIPs[0]", after.get("clusterIP"), "may not change once set")]
        return []

    def owned(self, target: Target, old: Json | None, obj: Json, manager: str, operation: str) -> Json:
        """The object with `metadata.managedFields` brought up to date."""
        if operation == "Apply":
            return obj
        return apply.updated(target, self.schema(target.resource, target.version), old, obj, manager)


def _specification(resource: Resource, obj: Json) -> dict[str, Any]:
    without = (
        ("metadata", "status", "apiVersion", "kind") if resource.has_status else ("metadata", "apiVersion", "kind")
    )
    return {key: value for key, value in obj.items() if key not in without}
