"""Where each resource's structural schema comes from: the built-in types, our Gateway API types, or a definition."""

from __future__ import annotations

from gatewright.local.apiserver import builtin
from gatewright.local.apiserver.resources import Resource
from gatewright.local.apiserver.store import Json
from gatewright.model import kinds
from gatewright.model.schema import openapi_schema

_OBJECT_META = "meta/v1.ObjectMeta"


class Schemas:
    """The structural schemas of all resources, made when they are first needed."""

    def __init__(self) -> None:
        self._defined: dict[tuple[str, str, str], Json] = {}
        self._whole: dict[tuple[str, str, str], Json] = {}
        self._status: dict[tuple[str, str, str], Json] = {}

    def define(self, group: str, plural: str, version: str, schema: Json) -> None:
        """Use the schema that a CustomResourceDefinition gives for a version."""
        self._defined[group, plural, version] = schema
        self._whole.pop((group, plural, version), None)
        self._status.pop((group, plural, version), None)

    def forget(self, group: str, plural: str) -> None:
        """Drop a definition's schemas."""
        for store in (self._defined, self._whole, self._status):
            for key in [key for key in store if key[:2] == (group, plural)]:
                del store[key]

    def content(self, resource: Resource, version: str) -> Json | None:
        """The schema of a custom resource as its definition has it; None for built-in kinds."""
        if not resource.custom:
            return None
        kind = kinds.find(resource.api_version(version), resource.kind)
        if kind is not None and kind.type is not None:
            return openapi_schema(kind.type)
        return self._defined.get((resource.group, resource.plural, version))

    def status(self, resource: Resource, version: str) -> Json | None:
        """The schema of a custom resource's identity and status alone; None where its definition has none."""
        content = self.content(resource, version)
        if content is None:
            return None
        key = (resource.group, resource.plural, version)
        found = self._status.get(key)
        if found is None:
            parts = {name: part for name, part in content.get("properties", {}).items() if name != "spec"}
            found = self._status[key] = {**content, "properties": parts, "required": []}
        return found

    def whole(self, resource: Resource, version: str) -> Json:
        """The schema of whole objects, metadata included, as patches and field ownership need it."""
        key = (resource.group, resource.plural, version)
        found = self._whole.get(key)
        if found is None:
            found = self._whole[key] = self._make_whole(resource, version)
        return found

    def _make_whole(self, resource: Resource, version: str) -> Json:
        if not resource.custom:
            return builtin.kind_schema(resource.group, version, resource.kind) or {}
        content = self.content(resource, version) or {}
        properties = {**content.get("properties", {}), "metadata": builtin.schema(_OBJECT_META)}
        return {**content, "properties": properties}
