"""Merge patch (RFC 7386), JSON patch (RFC 6902) and strategic merge patch."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright.local.apiserver import builtin
from gatewright.local.apiserver.errors import StatusError
from gatewright.local.apiserver.patch import json_patch, merge_patch
from gatewright.local.apiserver.strategic import strategic_merge

scalars = st.none() | st.booleans() | st.integers(-5, 5) | st.text("ab/~", max_size=3)
keys = st.text("ab/~", min_size=1, max_size=2)
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3))
objects = st.dictionaries(keys, values, max_size=4)


# The appendix of RFC 7386.
@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b"}, {"a": None}, {}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        (["a", "b"], ["c", "d"], ["c", "d"]),
        ({"a": "b"}, ["c"], ["c"]),
        ({"a": "foo"}, None, None),
        ({"a": "foo"}, "bar", "bar"),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_patch(target: Any, patch: Any, result: Any) -> None:
    assert merge_patch(target, patch) == result


@given(objects, objects)
def test_merge_patch_applied_twice_is_applied_once(target: Any, patch: Any) -> None:
    before = copy.deepcopy(target)
    once = merge_patch(target, patch)
    assert merge_patch(once, patch) == once
    assert target == before


def pointer(*parts: str) -> str:
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)


@given(objects, keys, values)
def test_json_patch_add_test_and_remove(document: Any, key: str, value: Any) -> None:
    path = pointer(key)
    added = json_patch(
        document, [{"op": "add", "path": path, "value": value}, {"op": "test", "path": path, "value": value}]
    )
    assert added == {**document, key: value}
    removed = json_patch(added, [{"op": "remove", "path": path}])
    assert removed == {name: content for name, content in document.items() if name != key}


@given(st.lists(values, min_size=1, max_size=4), values, st.data())
def test_json_patch_inserts_into_lists(items: list[Any], value: Any, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(items)))
    patched = json_patch({"l": items}, [{"op": "add", "path": f"/l/{at}", "value": value}])
    assert patched["l"] == [*items[:at], value, *items[at:]]
    moved = json_patch({"l": items}, [{"op": "move", "from": "/l/0", "path": "/l/-"}])
    assert moved["l"] == [*items[1:], items[0]]


@pytest.mark.parametrize(
    ("operations", "code"),
    [
        ({}, 400),
        ([1], 400),
        ([{"op": "add", "path": "/x"}], 400),
        ([{"op": "frobnicate", "path": "/x"}], 400),
        ([{"op": "add", "path": "x", "value": 1}], 400),
        ([{"op": "copy", "path": "/x"}], 400),
        ([{"op": "remove", "path": "/missing"}], 422),
        ([{"op": "remove", "path": ""}], 422),
        ([{"op": "replace", "path": "/a/9", "value": 1}], 422),
        ([{"op": "add", "path": "/a/x", "value": 1}], 422),
        ([{"op": "test", "path": "/b", "value": 1}], 422),
        ([{"op": "move", "from": "/c", "path": "/c/d"}], 422),
        ([{"op": "add", "path": "/b/x", "value": 1}], 422),
        ([{"op": "add", "path": "/x", "value": 1}] * 10_001, 413),
    ],
)
def test_json_patch_refusals(operations: Any, code: int) -> None:
    with pytest.raises(StatusError) as refused:
        json_patch({"a": [1], "b": True, "c": {}}, operations)
    assert refused.value.code == code


DEPLOYMENT = builtin.kind_schema("apps", "v1", "Deployment") or {}
SERVICE = builtin.kind_schema("", "v1", "Service") or {}


def pod(*containers: Any, **rest: Any) -> Any:
    return {"spec": {"template": {"spec": {"containers": list(containers), **rest}}}}


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        # Lists with a merge key merge by it.
        (
            pod({"name": "a", "image": "1"}, {"name": "b", "image": "1"}),
            pod({"name": "b", "image": "2"}, {"name": "c", "image": "3"}),
            pod({"name": "a", "image": "1"}, {"name": "b", "image": "2"}, {"name": "c", "image": "3"}),
        ),
        # Lists without one are replaced.
        (pod({"name": "a", "args": ["x", "y"]}), pod({"name": "a", "args": ["z"]}), pod({"name": "a", "args": ["z"]})),
        # Directives.
        (
            pod({"name": "a"}, {"name": "b"}),
            pod({"name": "a", "$patch": "delete"}),
            pod({"name": "b"}),
        ),
        (pod({"name": "a"}), pod({"$patch": "replace"}, {"name": "b"}), pod({"name": "b"})),
        (
            {"metadata": {"finalizers": ["a", "b"]}},
            {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"], "finalizers": ["c"]}},
            {"metadata": {"finalizers": ["b", "c"]}},
        ),
        (
            {"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}},
            {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}},
            {"spec": {"strategy": {"type": "Recreate"}}},
        ),
        (
            pod({"name": "a"}, {"name": "b"}),
            {"spec": {"template": {"spec": {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}}}},
            pod({"name": "b"}, {"name": "a"}),
        ),
        ({"spec": {"replicas": 1, "paused": True}}, {"spec": {"paused": None}}, {"spec": {"replicas": 1}}),
    ],
)
def test_strategic_merge(target: Any, patch: Any, result: Any) -> None:
    assert strategic_merge(DEPLOYMENT, target, patch) == result


def test_strategic_merge_of_service_ports_is_by_port() -> None:
    ports = {"spec": {"ports": [{"port": 80, "targetPort": 1}, {"port": 81, "targetPort": 1}]}}
    merged = strategic_merge(SERVICE, ports, {"spec": {"ports": [{"port": 81, "targetPort": 2}]}})
    assert merged["spec"]["ports"] == [{"port": 80, "targetPort": 1}, {"port": 81, "targetPort": 2}]


@pytest.mark.parametrize("patch", [pod({"image": "x"}), {"$patch": "explode"}])
def test_strategic_merge_refusals(patch: Any) -> None:
    with pytest.raises(StatusError) as refused:
        strategic_merge(DEPLOYMENT, pod({"name": "a"}), patch)
    assert refused.value.code == 400
