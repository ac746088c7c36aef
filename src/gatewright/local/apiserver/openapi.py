"""OpenAPI documents, one a group version: what `kubectl explain`, `apply` and `diff` read."""

from __future__ import annotations

import functools
import hashlib
import importlib
import re
from typing import Any

import msgspec

from gatewright.local.apiserver import builtin
from gatewright.local.apiserver.resources import Catalog, Resource
from gatewright.local.apiserver.schemas import Schemas
from gatewright.local.apiserver.store import Json

_PREFIXES = {
    "meta": "io.k8s.apimachinery.pkg.apis.meta.",
    "apiextensions": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.",
    "apiregistration": "io.k8s.kube-aggregator.pkg.apis.apiregistration.",
}
_SPECIAL_NAMES = {
    "resource.Quantity": "io.k8s.apimachinery.pkg.api.resource.Quantity",
    "intstr.IntOrString": "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
}
_PARAMETER = re.compile(r"^\s*\* \*\*([^*]+)\*\* ``[^`]*``(?: - (.*))?$")

# `swagger: "2.0"` and an `info` with a title, as protobuf: clients that ask for version 2 learn that there is nothing.
EMPTY_V2_PROTOBUF = b"\n\x032.0\x12\x15\n\nKubernetes\x12\x07v1.35.0"
EMPTY_V2: Json = {"swagger": "2.0", "info": {"title": "Kubernetes", "version": "v1.35.0"}, "paths": {}}
V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
# What clients before Kubernetes 1.28 ask for, and cannot themselves read as an answer's type.
V2_PROTOBUF_OLD = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"


def index(catalog: Catalog) -> Json:
    """`/openapi/v3`: where each group version's document is."""
    paths: Json = {}
    for group, versions in catalog.groups().items():
        for version, resources in versions.items():
            path = f"apis/{group}/{version}" if group else f"api/{version}"
            names = ",".join(sorted(resource.plural for resource in resources))
            stamp = f"{builtin.table().source} {catalog.revision if group not in _static_groups() else 0} {names}"
            digest = hashlib.sha256(stamp.encode()).hexdigest()[:32].upper()
            paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"}
    return {"paths": paths}


@functools.cache
def _static_groups() -> frozenset[str]:
    """The groups whose documents never change: those of built-in kinds and the Gateway API's."""
    return frozenset(resource.group for resource in Catalog())


def document(catalog: Catalog, schemas: Schemas, group: str, version: str) -> bytes | None:
    """The document of a group version; None when it isn't served. The first one takes a while: it reads docstrings."""
    resources = catalog.groups().get(group, {}).get(version)
    if resources is None:
        return None
    components: Json = {}
    paths: Json = {}
    for resource in resources:
        gvk = {"group": group, "version": version, "kind": resource.kind}
        if resource.custom:
            name = ".".join([*reversed(group.split(".")), version, resource.kind])
            described = _custom(schemas.content(resource, version), components)
        else:
            type_ = builtin.type_name(group, version, resource.kind)
            assert type_ is not None
            name = _component(type_, components)
            described = components[name]
            head = {"apiVersion": {"type": "string"}, "kind": {"type": "string"}}
            described["properties"] = {**head, **described["properties"]}
        described["x-kubernetes-group-version-kind"] = [gvk]
        components[name] = described
        paths.update(_paths(resource, version, gvk, name))
    return msgspec.json.encode(
        {
            "openapi": "3.0.0",
            "info": {"title": "Kubernetes", "version": "v1.35.0"},
            "paths": paths,
            "components": {"schemas": components},
        }
    )


def _custom(content: Json | None, components: Json) -> Json:
    described = dict(content or {"type": "object", "x-kubernetes-preserve-unknown-fields": True})
    metadata = {"$ref": "#/components/schemas/" + _component("meta/v1.ObjectMeta", components)}
    described["properties"] = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        **described.get("properties", {}),
        "metadata": {"allOf": [metadata], "description": "Standard object's metadata."},
    }
    return described


def _paths(resource: Resource, version: str, gvk: Json, name: str) -> Json:
    base = f"/apis/{resource.group}/{version}" if resource.group else f"/api/{version}"
    if resource.namespaced:
        base += "/namespaces/{namespace}"
    content = {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}
    answer = {"200": {"description": "OK", "content": content}}

    def operation(action: str, *parameters: str) -> Json:
        return {
            "parameters": [
                {"name": parameter, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
                for parameter in parameters
            ],
            "responses": answer,
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": gvk,
        }

    write = ("dryRun", "fieldManager", "fieldValidation")
    collection = f"{base}/{resource.plural}"
    return {
        collection: {
            "get": operation("list", "labelSelector", "fieldSelector", "limit", "continue"),
            "post": operation("post", *write),
        },
        collection + "/{name}": {
            "get": operation("get"),
            "put": operation("put", *write),
            "patch": operation("patch", *write, "force"),
            "delete": operation("delete", "dryRun", "gracePeriodSeconds", "propagationPolicy"),
        },
    }


# Components of built-in kinds


def _component_name(type_: str) -> str:
    if type_ in _SPECIAL_NAMES:
        return _SPECIAL_NAMES[type_]
    package, _, rest = type_.partition("/")
    return _PREFIXES.get(package, f"io.k8s.api.{package}.") + rest


def _component(type_: str, components: Json) -> str:
    """The component of a struct type, with all that it refers to."""
    name = _component_name(type_)
    if name in components:
        return name
    described: Json = {"type": "object", "properties": {}}
    components[name] = described
    about, texts = _documentation(type_)
    if about:
        described["description"] = about
    required = []
    for field in builtin.fields(type_).values():
        schema = builtin.field_schema(field)
        target = field.type.lstrip("*")
        reference = _reference(target, components)
        if reference is not None:
            kept = {key: value for key, value in schema.items() if key.startswith("x-kubernetes-")}
            extra: Json = {"default": {}} if not field.type.startswith("*") and target in builtin.table().types else {}
            schema = {**kept, **reference, **extra}
        if field.name in texts:
            schema = {**schema, "description": texts[field.name]}
        described["properties"][field.name] = schema
        if field.required:
            required.append(field.name)
    if required:
        described["required"] = required
    if builtin.table().types[type_].atomic:
        described["x-kubernetes-map-type"] = "atomic"
    return name


def _reference(type_: str, components: Json) -> Json | None:
    """The schema of a field's type by reference; None where it is written out."""
    if type_.startswith("[]"):
        inner = _reference(type_[2:].lstrip("*"), components)
        return None if inner is None else {"type": "array", "items": inner}
    if type_.startswith("{}"):
        inner = _reference(type_[2:].lstrip("*"), components)
        return None if inner is None else {"type": "object", "additionalProperties": inner}
    if type_ in builtin.table().types:
        return {"allOf": [{"$ref": f"#/components/schemas/{_component(type_, components)}"}]}
    if type_ in _SPECIAL_NAMES:
        name = _SPECIAL_NAMES[type_]
        components.setdefault(name, dict(builtin.schema(type_)))
        return {"allOf": [{"$ref": f"#/components/schemas/{name}"}]}
    return None


def _documentation(type_: str) -> tuple[str, dict[str, str]]:
    """What a type and its fields are for, out of the docstrings of the Kubernetes models."""
    package, _, name = type_.rpartition(".")
    try:
        module: Any = importlib.import_module("lightkube.models." + package.replace("/", "_"))
        text = getattr(module, name).__doc__ or ""
    except (ImportError, AttributeError):
        return "", {}
    about, _, parameters = text.partition("**parameters**")
    fields: dict[str, list[str]] = {}
    current: list[str] = []
    for line in parameters.splitlines():
        match = _PARAMETER.match(line)
        if match is not None:
            current = fields.setdefault(match[1].rstrip("_"), [])
            if match[2]:
                current.append(match[2])
        elif line.strip():
            current.append(line.strip())
    return " ".join(about.split()), {name: " ".join(lines) for name, lines in fields.items()}
