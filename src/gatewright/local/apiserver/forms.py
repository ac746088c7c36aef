"""The forms in which a client may ask for an object: another version of it, its metadata only, a row of a table."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from gatewright.local.apiserver.errors import not_acceptable
from gatewright.local.apiserver.events import CORE, convert_event
from gatewright.local.apiserver.resources import Resource
from gatewright.local.apiserver.store import Json, Record
from gatewright.local.apiserver.tables import Tables

encode = msgspec.json.Encoder().encode

Shape = Literal["object", "metadata", "table"]

_ANY = ("*/*", "application/*", "application/json")
META_VERSION = "meta.k8s.io/v1"


class Form(NamedTuple):
    """How an answer is to look. `include` says what of the object each table row carries."""

    version: str
    shape: Shape = "object"
    include: str = "Metadata"


def negotiate(accept: str, version: str, include: str = "Metadata") -> Form:
    """The first form of an `Accept` header that is spoken here; 406 when there is none.

    Protobuf and CBOR are passed over: every client that prefers them accepts JSON as well.
    """
    if not accept.strip():
        return Form(version)
    for choice in accept.split(","):
        kind, *parameters = (part.strip() for part in choice.split(";"))
        if kind.lower() not in _ANY:
            continue
        values = dict(parameter.split("=", 1) for parameter in parameters if "=" in parameter)
        wanted = values.get("as")
        if wanted is None:
            return Form(version)
        if values.get("g") != "meta.k8s.io" or values.get("v") != "v1":
            continue
        if wanted == "Table":
            return Form(version, "table", include or "Metadata")
        if wanted in ("PartialObjectMetadata", "PartialObjectMetadataList"):
            return Form(version, "metadata")
    raise not_acceptable(("application/json", "application/yaml"))


def converted(resource: Resource, version: str, obj: Json) -> Json:
    """The object in one of its resource's versions. The versions of a kind differ in `apiVersion` only, but Events'."""
    if resource.kind == "Event":
        return convert_event(obj, resource.api_version(version))
    api_version = resource.api_version(version)
    if obj.get("apiVersion") == api_version:
        return obj
    return {**obj, "apiVersion": api_version}


def to_stored(resource: Resource, obj: Json) -> Json:
    """The object as it is stored: in its resource's storage version, Events as core/v1."""
    if resource.kind == "Event":
        return convert_event(obj, CORE)
    return converted(resource, resource.storage_version, obj)


def stored_form(resource: Resource, version: str) -> bool:
    """Whether objects are stored just as this version shows them."""
    return version == resource.storage_version and not (resource.kind == "Event" and resource.group)


def partial(obj: Json) -> Json:
    """The object's `PartialObjectMetadata`."""
    return {"kind": "PartialObjectMetadata", "apiVersion": META_VERSION, "metadata": obj["metadata"]}


def encoded(resource: Resource, form: Form, record: Record, tables: Tables) -> bytes:
    """One object in the given form, as JSON."""
    if form.shape == "object" and stored_form(resource, form.version):
        return record.raw
    if form.shape == "table":
        # Ages change as time goes by, so a row is never kept.
        row = row_of(resource, form, record, tables)
        table = tables.table(resource, form.version, [row], with_columns=True)
        table["metadata"] = {"resourceVersion": str(record.revision)}
        return encode(table)
    if form.shape == "metadata":
        return record.encoded("metadata", lambda obj: encode(partial(obj)))
    return record.encoded(form, lambda obj: encode(converted(resource, form.version, obj)))


def row_of(resource: Resource, form: Form, record: Record, tables: Tables) -> Json:
    """One object as a row of a `Table`."""
    row: Json = {"cells": tables.cells(resource, form.version, record.obj)}
    if form.include == "Object":
        row["object"] = converted(resource, form.version, record.obj)
    elif form.include != "None":
        row["object"] = partial(record.obj)
    return row
