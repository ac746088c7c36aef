"""`Table` answers: the columns and cells that `kubectl get` prints, as a real API server computes them."""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable
from typing import Any

from gatewright.local.apiserver import jsonpath
from gatewright.local.apiserver.printing import PRINTERS
from gatewright.local.apiserver.resources import Resource
from gatewright.local.apiserver.store import Json

Columns = Callable[[Resource, str], list[Json]]


def age(timestamp: str | None) -> str:
    """How long ago a time was, as kubectl writes it: `5s`, `3m12s`, `4h`, `2d`; `<unknown>` without a time."""
    if not timestamp:
        return "<unknown>"
    try:
        moment = datetime.datetime.fromisoformat(timestamp)
    except ValueError:
        return "<invalid>"
    return duration((datetime.datetime.now(datetime.UTC) - moment).total_seconds())


def duration(seconds: float) -> str:
    """A duration in the one or two units that matter."""
    whole = int(seconds)
    if whole < -1:
        return "<invalid>"
    whole = max(0, whole)
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if whole < 120:
        return f"{whole}s"
    if minutes < 10:
        return f"{minutes}m{whole % 60}s" if whole % 60 else f"{minutes}m"
    if minutes < 180:
        return f"{minutes}m"
    if hours < 8:
        return f"{hours}h{minutes % 60}m" if minutes % 60 else f"{hours}h"
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return f"{days}d{hours % 24}h" if hours % 24 else f"{days}d"
    if days < 730:
        return f"{days}d"
    if days < 8 * 365:
        return f"{days // 365}y{days % 365}d" if days % 365 else f"{days // 365}y"
    return f"{days // 365}y"


def _definition(name: str, type_: str = "string", priority: int = 0, format_: str = "") -> Json:
    return {"name": name, "type": type_, "format": format_, "description": name, "priority": priority}


_NAME = _definition("Name", format_="name")


class Tables:
    """Makes rows and column definitions. `columns` gives a custom resource's `additionalPrinterColumns`."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns

    def definitions(self, resource: Resource, version: str) -> list[Json]:
        """The column definitions of a resource's table."""
        if resource.custom:
            return [
                _NAME,
                *(
                    {"description": column["name"], "format": "", "priority": 0, **column, "jsonPath": None}
                    for column in self._columns(resource, version)
                ),
            ]
        printer = PRINTERS.get(resource.qualified)
        if printer is None:
            return [_NAME, _definition("Age")]
        return [_NAME, *(_definition(column.name, column.type, column.priority) for column in printer.columns)]

    def cells(self, resource: Resource, version: str, obj: Json) -> list[Any]:
        """The cells of an object's row."""
        metadata = obj["metadata"]
        name = metadata["name"]
        if resource.custom:
            return [name, *(_cell(column, obj) for column in self._columns(resource, version))]
        printer = PRINTERS.get(resource.qualified)
        if printer is None:
            return [name, age(metadata.get("creationTimestamp"))]
        return [name, *printer.cells(obj, age)]

    def table(self, resource: Resource, version: str, rows: list[Json], *, with_columns: bool) -> Json:
        """A `Table` of rows."""
        columns = self.definitions(resource, version) if with_columns else None
        return {
            "kind": "Table",
            "apiVersion": "meta.k8s.io/v1",
            "metadata": {},
            "columnDefinitions": columns,
            "rows": rows,
        }


def _cell(column: Json, obj: Json) -> Any:
    found = jsonpath.find(column.get("jsonPath", ""), obj)
    if not found or found[0] is None:
        return None
    value = found[0]
    match column.get("type"):
        case "date":
            return age(value) if isinstance(value, str) else "<invalid>"
        case "string" if isinstance(value, dict | list):
            return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        case "string" if isinstance(value, bool):
            return "true" if value else "false"
        case "string":
            return str(value)
    return value
