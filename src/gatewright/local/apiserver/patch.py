"""JSON merge patch (RFC 7386) and JSON patch (RFC 6902)."""

from __future__ import annotations

import copy
from typing import Any

from gatewright.local.apiserver.errors import StatusError, bad_request
from gatewright.local.apiserver.store import Json

MERGE = "application/merge-patch+json"
JSON_PATCH = "application/json-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"

MAX_OPERATIONS = 10_000


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386: the target with the patch's members set, and those removed that the patch has as null."""
    if not isinstance(patch, dict):
        return patch
    merged: Json = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def json_patch(document: Any, operations: Any) -> Any:
    """RFC 6902: the document after all operations. 400 for a malformed patch, 422 for one that doesn't apply."""
    if not isinstance(operations, list):
        raise bad_request("a JSON patch must be an array of operations")
    if len(operations) > MAX_OPERATIONS:
        message = f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(operations)}"
        raise StatusError(413, "RequestEntityTooLarge", message)
    result = copy.deepcopy(document)
    for operation in operations:
        if not isinstance(operation, dict) or not isinstance(operation.get("path"), str):
            raise bad_request("a JSON patch operation must be an object with `op` and `path`")
        result = _operate(result, operation)
    return result


def _operate(document: Any, operation: Json) -> Any:
    name, path = operation.get("op"), _pointer(operation["path"])
    if name in ("add", "replace", "test") and "value" not in operation:
        raise bad_request(f"JSON patch operation {name} {operation['path']}: `value` is missing")
    if name in ("move", "copy") and not isinstance(operation.get("from"), str):
        raise bad_request(f"JSON patch operation {name} {operation['path']}: `from` is missing")
    match name:
        case "add":
            return _add(document, path, copy.deepcopy(operation["value"]))
        case "replace":
            _get(document, path)
            if not path:
                return copy.deepcopy(operation["value"])
            parent = _get(document, path[:-1])
            parent[_index(parent, path[-1])] = copy.deepcopy(operation["value"])
            return document
        case "remove":
            _remove(document, path)
            return document
        case "test":
            if not _equal(_get(document, path), operation["value"]):
                raise _inapplicable(f"testing path {operation['path']} value failed: test failed")
            return document
        case "move":
            origin = _pointer(operation["from"])
            if path[: len(origin)] == origin and len(path) > len(origin):
                raise _inapplicable("can't move a value into itself")
            value = _get(document, origin)
            _remove(document, origin)
            return _add(document, path, value)
        case "copy":
            return _add(document, path, copy.deepcopy(_get(document, _pointer(operation["from"]))))
    raise bad_request(f"JSON patch: unexpected operation {name!r}; expected add, remove, replace, move, copy or test")


def _equal(left: Any, right: Any) -> bool:
    """Equality of JSON values, in which true is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_equal(value, right[key]) for key, value in left.items())
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_equal, left, right))
    return bool(left == right)


def _inapplicable(why: str) -> StatusError:
    return StatusError(422, "Invalid", f"the server rejected our request due to an error in our request: {why}", {})


def _pointer(text: str) -> list[str]:
    if not text:
        return []
    if not text.startswith("/"):
        raise bad_request(f'JSON patch path "{text}" must be empty or begin with "/"')
    return [part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/")]


def _index(parent: Any, key: str) -> Any:
    if isinstance(parent, dict):
        if key not in parent:
            raise _inapplicable(f"the path's member {key!r} does not exist")
        return key
    if isinstance(parent, list):
        if not key.isdecimal() or len(key) > 9 or int(key) >= len(parent):
            raise _inapplicable(f"{key!r} is no index of an array of {len(parent)}")
        return int(key)
    raise _inapplicable(f"the path goes through {key!r} into a value that has no members")


def _get(document: Any, path: list[str]) -> Any:
    for key in path:
        document = document[_index(document, key)]
    return document


def _remove(document: Any, path: list[str]) -> None:
    if not path:
        raise _inapplicable("the whole document can't be removed")
    parent = _get(document, path[:-1])
    del parent[_index(parent, path[-1])]


def _add(document: Any, path: list[str], value: Any) -> Any:
    if not path:
        return value
    parent, key = _get(document, path[:-1]), path[-1]
    if isinstance(parent, dict):
        parent[key] = value
    elif isinstance(parent, list):
        at = len(parent) if key == "-" else int(key) if key.isdecimal() and len(key) < 10 else -1
        if not 0 <= at <= len(parent):
            raise _inapplicable(f"{key!r} is no place in an array of {len(parent)}")
        parent.insert(at, value)
    else:
        raise _inapplicable(f"the path goes through {key!r} into a value that has no members")
    return document
