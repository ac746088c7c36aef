"""Our Gateway API types against the official CustomResourceDefinitions: every field, constraint and default."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from gatewright.model import gateway, kinds, schema

REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "reference" / "crds" / "gateway-api-v1.6.1"
KINDS = [kind for kind in kinds.KINDS if kind.group in (gateway.GROUP, gateway.EXPERIMENTAL_GROUP)]

pytestmark = pytest.mark.skipif(
    not REFERENCE.is_dir(), reason="the official CRDs (../shared/reference/crds) are missing"
)

# Said by the CRD, and checked elsewhere: the rules in test_rules.py; descriptions are prose.
SAID_ELSEWHERE = {"description", "x-kubernetes-validations"}


@cache
def official(channel: str, plural: str) -> dict[str, Any] | None:
    for path in (REFERENCE / channel).glob(f"*_{plural}.yaml"):
        for document in yaml.safe_load_all(path.read_text()):
            if document and document.get("kind") == "CustomResourceDefinition":
                return dict(document)
    return None


def normal(node: Any) -> Any:
    """A schema without prose; minLength 0 says nothing."""
    if isinstance(node, list):
        return [normal(item) for item in node]
    if not isinstance(node, dict):
        return node
    result: dict[str, Any] = {}
    for key, value in node.items():
        if key == "properties":
            result[key] = {name: normal(part) for name, part in value.items()}
        elif key in SAID_ELSEWHERE or (key, value) == ("minLength", 0):
            continue
        elif key in ("required", "enum"):
            result[key] = sorted(value, key=str)
        elif key == "default":
            result[key] = value
        else:
            result[key] = normal(value)
    return result


def differences(theirs: Any, ours: Any, path: str = "") -> list[str]:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        found = []
        for key in sorted({*theirs, *ours}):
            where = f"{path}.{key}"
            if key not in ours:
                found.append(f"{where}: missing here: {theirs[key]!r:.200}")
            elif key not in theirs:
                found.append(f"{where}: only here: {ours[key]!r:.200}")
            else:
                found += differences(theirs[key], ours[key], where)
        return found
    return [] if theirs == ours else [f"{path}: {theirs!r:.300} != {ours!r:.300}"]


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_schema_is_the_experimental_channels(kind: kinds.Kind) -> None:
    crd = official("experimental", kind.plural)
    assert crd is not None
    assert kind.type is not None
    for version in crd["spec"]["versions"]:
        if version["name"] == kind.version:
            theirs = normal(version["schema"]["openAPIV3Schema"])
            assert differences(theirs, normal(schema.openapi_schema(kind.type))) == []


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_standard_channel_is_a_part_of_ours(kind: kinds.Kind) -> None:
    crd = official("standard", kind.plural)
    if crd is None:
        pytest.skip("not in the standard channel")
    assert kind.type is not None
    for version in crd["spec"]["versions"]:
        if version["name"] != kind.version:
            continue
        theirs = normal(version["schema"]["openAPIV3Schema"])
        found = differences(theirs, normal(schema.openapi_schema(kind.type)))
        # The experimental channel has further fields, and filters of further types.
        narrower = [line for line in found if ": only here:" not in line and ".type.enum: " not in line]
        assert narrower == []


LOOSER = {"TCPRoute": {"v1alpha2"}, "TLSRoute": {"v1alpha2"}, "UDPRoute": {"v1alpha2"}}
"""Versions that allow more than the preferred one (several rules, a TLSRoute without hostnames): here they don't."""


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_names_and_versions(kind: kinds.Kind) -> None:
    crd = official("experimental", kind.plural)
    assert crd is not None
    names = crd["spec"]["names"]
    assert (names["kind"], names["plural"], names["singular"]) == (kind.kind, kind.plural, kind.singular)
    assert tuple(names.get("shortNames", ())) == kind.short_names
    assert tuple(names.get("categories", ())) == kind.categories
    assert (crd["spec"]["scope"] == "Namespaced") == kind.namespaced
    versions = {version["name"]: version for version in crd["spec"]["versions"]}
    assert ("status" in versions[kind.version]["subresources"]) == kind.has_status
    assert set(kind.served_versions) == {name for name, version in versions.items() if version["served"]}
    preferred = normal(versions[kind.version]["schema"])
    other = {name for name in kind.served_versions if normal(versions[name]["schema"]) != preferred}
    assert other == LOOSER.get(kind.kind, set())
    assert set(kind.deprecated_versions) == {name for name in kind.served_versions if versions[name].get("deprecated")}
