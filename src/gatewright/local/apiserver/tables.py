"""`Table` answers: what `kubectl get` prints."""

from __future__ import annotations

from typing import Any

from gatewright.local.apiserver.resources import Resource
from gatewright.local.apiserver.store import Json

NAME = {"name": "Name", "type": "string", "format": "name", "description": "Name", "priority": 0}
CREATED = {"name": "Created At", "type": "date", "format": "", "description": "Created", "priority": 0}


def cells(resource: Resource, version: str, obj: Json) -> list[Any]:
    """The cells of an object's row."""
    return [obj["metadata"]["name"], obj["metadata"].get("creationTimestamp")]


def table(resource: Resource, version: str, rows: list[Json], *, with_columns: bool) -> Json:
    """A `Table` of rows."""
    columns = [NAME, CREATED] if with_columns else None
    return {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {}, "columnDefinitions": columns, "rows": rows}
