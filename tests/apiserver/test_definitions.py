"""CustomResourceDefinitions that are added, changed and removed while the server runs."""

from __future__ import annotations

import asyncio
from typing import Any

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
THINGS = "/apis/example.com/v1/namespaces/default/things"
MERGE = "application/merge-patch+json"

SCHEMA: Any = {
    "type": "object",
    "required": ["spec"],
    "properties": {
        "spec": {
            "type": "object",
            "required": ["size"],
            "properties": {
                "size": {"type": "integer", "minimum": 1},
                "color": {"type": "string", "enum": ["red", "blue"], "default": "red"},
                "replicas": {"type": "integer"},
                "parts": {
                    "type": "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    "items": {
                        "type": "object",
                        "required": ["name"],
                        "properties": {"name": {"type": "string"}, "count": {"type": "integer"}},
                    },
                },
            },
        },
        "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
    },
}


def definition(**spec: Any) -> Any:
    version = {
        "name": "v1",
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": SCHEMA},
        "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas"}},
        "additionalPrinterColumns": [{"name": "Size", "type": "integer", "jsonPath": ".spec.size"}],
        "selectableFields": [{"jsonPath": ".spec.color"}],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "things", "kind": "Thing", "shortNames": ["th"]},
            "versions": [version],
            **spec,
        },
    }


def thing(name: str = "a", **spec: Any) -> Any:
    return {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": name}, "spec": spec}


async def test_a_definition_is_established_and_served_at_once(api: Any) -> None:
    assert (await api("GET", THINGS))[0] == 404
    code, made = await api("POST", DEFINITIONS, definition())
    assert code == 201
    assert {c["type"]: c["status"] for c in made["status"]["conditions"]} == {
        "NamesAccepted": "True",
        "Established": "True",
    }
    assert made["spec"]["names"]["singular"] == "thing"
    assert (await api("GET", THINGS))[1]["kind"] == "ThingList"
    _, groups = await api("GET", "/apis")
    assert "example.com" in {group["name"] for group in groups["groups"]}
    _, listed = await api("GET", "/apis/example.com/v1")
    assert [resource["name"] for resource in listed["resources"]] == ["things", "things/status", "things/scale"]


async def test_its_schema_is_enforced(api: Any) -> None:
    await api("POST", DEFINITIONS, definition())
    code, made = await api("POST", THINGS, thing(size=2, extra=1))
    assert (code, made["spec"]) == (201, {"size": 2, "color": "red"})
    code, status = await api("POST", f"{THINGS}?fieldValidation=Strict", thing("b", size=2, extra=1))
    assert (code, 'unknown field "spec.extra"' in status["message"]) == (400, True)
    code, status = await api("POST", THINGS, thing("b", size=0, color="green"))
    assert code == 422
    assert [cause["field"] for cause in status["details"]["causes"]] == ["spec.size", "spec.color"]
    assert status["message"].startswith('Thing.example.com "b" is invalid: [')
    code, status = await api("POST", THINGS, thing("b"))
    assert status["message"] == 'Thing.example.com "b" is invalid: spec.size: Required value'


async def test_tables_selectors_scale_and_status_follow_it(api: Any) -> None:
    await api("POST", DEFINITIONS, definition())
    await api("POST", THINGS, thing("a", size=1, replicas=2))
    await api("POST", THINGS, thing("b", size=3, color="blue"))
    _, table = await api("GET", THINGS, accept="application/json;as=Table;v=v1;g=meta.k8s.io")
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Size"]
    assert [row["cells"] for row in table["rows"]] == [["a", 1], ["b", 3]]
    _, blue = await api("GET", f"{THINGS}?fieldSelector=spec.color%3Dblue")
    assert [item["metadata"]["name"] for item in blue["items"]] == ["b"]
    _, scale = await api("PATCH", f"{THINGS}/a/scale", {"spec": {"replicas": 5}}, content_type=MERGE)
    assert (scale["kind"], scale["spec"]["replicas"]) == ("Scale", 5)
    assert (await api("GET", f"{THINGS}/a"))[1]["spec"]["replicas"] == 5
    _, marked = await api("PATCH", f"{THINGS}/a/status", {"status": {"ok": True}}, content_type=MERGE)
    assert marked["status"] == {"ok": True}


async def test_lists_of_type_map_merge_in_server_side_apply(api: Any) -> None:
    await api("POST", DEFINITIONS, definition())
    apply = "application/apply-patch+yaml"
    for manager, part in (("me", "x"), ("you", "y")):
        body = thing("a", size=1, parts=[{"name": part, "count": 1}])
        code, _ = await api("PATCH", f"{THINGS}/a?fieldManager={manager}", body, content_type=apply)
        assert code in (200, 201)
    _, merged = await api("GET", f"{THINGS}/a")
    assert [part["name"] for part in merged["spec"]["parts"]] == ["x", "y"]


async def test_it_takes_its_objects_along(api: Any) -> None:
    await api("POST", DEFINITIONS, definition())
    await api("POST", THINGS, thing(size=1))
    await api("DELETE", f"{DEFINITIONS}/things.example.com")
    for _ in range(10):
        await asyncio.sleep(0)
    assert (await api("GET", f"{DEFINITIONS}/things.example.com"))[0] == 404
    assert (await api("GET", THINGS))[0] == 404
    assert api.store.table("things.example.com").records() == []


async def test_versions_come_and_go(api: Any) -> None:
    _, made = await api("POST", DEFINITIONS, definition())
    first = made["spec"]["versions"][0]
    made["spec"]["versions"] = [{**first, "storage": False, "served": False}, {**first, "name": "v2"}]
    _, changed = await api("PUT", f"{DEFINITIONS}/things.example.com", made)
    assert changed["status"]["storedVersions"] == ["v1", "v2"]
    assert (await api("GET", THINGS))[0] == 404
    assert (await api("GET", THINGS.replace("v1", "v2")))[0] == 200


async def test_wrong_definitions_are_refused(api: Any) -> None:
    wrong = definition(scope="Everywhere")
    wrong["metadata"]["name"] = "other.example.com"
    wrong["spec"]["versions"][0]["storage"] = False
    code, status = await api("POST", DEFINITIONS, wrong)
    assert code == 422
    fields = {cause["field"] for cause in status["details"]["causes"]}
    assert fields == {"metadata.name", "spec.scope", "spec.versions"}
    builtin = definition(group="apps", names={"plural": "deployments", "kind": "Deployment"})
    builtin["metadata"]["name"] = "deployments.apps"
    assert (await api("POST", DEFINITIONS, builtin))[0] == 422


async def test_the_gateway_apis_definitions_are_there_from_the_start(api: Any) -> None:
    _, found = await api("GET", f"{DEFINITIONS}/gateways.gateway.networking.k8s.io")
    assert found["metadata"]["annotations"]["gateway.networking.k8s.io/bundle-version"] == "v1.6.1"
    assert found["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    _, grant = await api("GET", f"{DEFINITIONS}/referencegrants.gateway.networking.k8s.io")
    assert {v["name"]: v["storage"] for v in grant["spec"]["versions"]} == {"v1": False, "v1beta1": True}
