"""The API refuses what a CEL rule of the official CRDs refuses, and says the same; it takes what they allow."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from tests.model.test_rules import CASES, VALID, manifest

from gatewright.model import kinds
from gatewright.model.causes import UNCHECKED, Cause

UNREACHABLE = {"type must be one of ['Exact', 'PathPrefix'", "action types are supported"}
"""Rules that an API server never comes to say: what breaks them keeps it from applying any."""


def _collection(obj: dict[str, Any]) -> str:
    kind = kinds.find(obj["apiVersion"], obj["kind"])
    assert kind is not None
    within = "/namespaces/default" if kind.namespaced else ""
    return f"/apis/{obj['apiVersion']}{within}/{kind.plural}?fieldValidation=Strict"


@pytest.mark.parametrize("kind", VALID)
async def test_a_valid_object_is_taken(api: Any, kind: str) -> None:
    obj = manifest(kind)
    code, answer = await api("POST", _collection(obj), copy.deepcopy(obj))
    assert code == 201, answer
    assert answer["metadata"].get("generation") == 1
    code, again = await api("PUT", _collection(obj).replace("?", "/x?"), answer)
    assert code == 200
    assert again["metadata"]["resourceVersion"] == answer["metadata"]["resourceVersion"], "nothing has changed"


async def test_every_rule_is_applied_and_said(api: Any) -> None:
    """All in one test: an API for each of hundreds of cases would take its time."""
    unsaid = set()
    for kind, changes, field, message in CASES:
        obj = manifest(kind, changes)
        code, answer = await api("POST", _collection(obj), obj)
        assert code == 422, (kind, changes, answer)
        assert answer["reason"] == "Invalid"
        said = [
            cause for cause in answer["details"]["causes"] if cause["field"] == field and message in cause["message"]
        ]
        if not said:  # the object breaks its schema as well, and that badly
            assert UNCHECKED in [Cause(**cause) for cause in answer["details"]["causes"]], (kind, changes, answer)
            unsaid.add(message)
        assert answer["details"]["kind"] == kind
        for cause in said:
            assert cause["message"] in answer["message"]
            assert f"{field}: " in answer["message"]
    assert unsaid == UNREACHABLE


@pytest.mark.parametrize("kind", ["GatewayClass", "XMesh"])
async def test_what_is_immutable_stays(api: Any, kind: str) -> None:
    obj = manifest(kind)
    await api("POST", _collection(obj), obj)
    changed = manifest(kind, {"controllerName": "example.com/other"})
    code, answer = await api(
        "PATCH",
        _collection(obj).partition("?")[0] + "/x",
        {"spec": changed["spec"]},
        content_type="application/merge-patch+json",
    )
    assert code == 422
    assert 'spec.controllerName: Invalid value: "example.com/other": Value is immutable' in answer["message"]
