"""The simple JSONPaths of printer columns: `.spec.a`, `[0]`, `[*]`, `['a.b']`, `[?(@.type=="Ready")]`."""

from __future__ import annotations

import functools
import re
from typing import Any

_STEP = re.compile(
    r"\.(?P<name>(?:[^.\[\]\\]|\\.)+)"
    r"|\[(?P<index>-?\d+)\]"
    r"|(?P<every>\[\*\]|\.\*)"
    r"|\[(?P<quote>['\"])(?P<key>.*?)(?P=quote)\]"
    r"|\[\?\(\s*@\.(?P<field>[\w.]+)\s*(?P<operator>==|!=)\s*(?P<literal>\"[^\"]*\"|'[^']*'|[\w.-]+)\s*\)\]"
)


@functools.lru_cache(maxsize=1024)
def _steps(path: str) -> tuple[tuple[str, Any], ...]:
    steps: list[tuple[str, Any]] = []
    position = 0
    path = path.strip().removeprefix("{").removesuffix("}").removeprefix("$")
    while position < len(path):
        match = _STEP.match(path, position)
        if match is None:
            return (("nothing", None),)
        if match["name"] is not None:
            steps.append(("name", re.sub(r"\\(.)", r"\1", match["name"])))
        elif match["index"] is not None:
            steps.append(("index", int(match["index"])))
        elif match["every"] is not None:
            steps.append(("every", None))
        elif match["key"] is not None:
            steps.append(("name", match["key"]))
        else:
            literal = match["literal"].strip("\"'")
            steps.append(("filter", (match["field"].split("."), match["operator"] == "==", literal)))
        position = match.end()
    return tuple(steps)


def find(path: str, obj: Any) -> list[Any]:
    """All values that the path leads to; none for a path that isn't understood."""
    found = [obj]
    for kind, argument in _steps(path):
        found = [result for value in found for result in _follow(kind, argument, value)]
    return found


def _follow(kind: str, argument: Any, value: Any) -> list[Any]:
    match kind:
        case "name":
            return [value[argument]] if isinstance(value, dict) and argument in value else []
        case "index":
            return [value[argument]] if isinstance(value, list) and -len(value) <= argument < len(value) else []
        case "every":
            return list(value.values()) if isinstance(value, dict) else list(value) if isinstance(value, list) else []
        case "filter" if isinstance(value, list):
            steps, equal, literal = argument
            return [item for item in value if (_text(item, steps) == literal) is equal]
    return []


def _text(item: Any, steps: list[str]) -> str:
    for step in steps:
        item = item.get(step) if isinstance(item, dict) else None
    if isinstance(item, bool):
        return "true" if item else "false"
    return "" if item is None else str(item)
