"""Our types of the AWS configuration kinds against the AWS Load Balancer Controller's CustomResourceDefinitions."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from gatewright.model import awsgateway, definition, ingressclassparams, kinds, schema

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT.parent / "shared" / "reference" / "crds" / "aws"
KINDS = [kind for kind in kinds.KINDS if kind.group in (awsgateway.GROUP, ingressclassparams.GROUP)]

SMALLER = {"TargetGroupBinding": {"v1alpha1"}}
"""Versions that lack fields of the preferred one; here they have them."""


@cache
def original(kind: kinds.Kind) -> dict[str, Any]:
    path = REFERENCE / f"{kind.group}_{kind.plural}.yaml"
    if not path.is_file():
        pytest.skip("the controller's CRDs (../shared/reference/crds) are missing")
    return dict(yaml.safe_load(path.read_text()))


def normal(node: Any, within: str = "") -> Any:
    """A schema without prose, without rules (which are compared by themselves), and without order."""
    if isinstance(node, list):
        return [normal(item) for item in node]
    if not isinstance(node, dict):
        return node
    if within == "properties":
        return {name: normal(part) for name, part in node.items()}
    return {
        key: sorted(value, key=str) if key in ("required", "enum") else normal(value, key)
        for key, value in node.items()
        if key not in ("description", "x-kubernetes-validations")
    }


def differences(theirs: Any, ours: Any, path: str = "") -> list[str]:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        return [
            line
            for key in sorted({*theirs, *ours})
            for line in differences(theirs.get(key), ours.get(key), f"{path}.{key}")
        ]
    return [] if theirs == ours else [f"{path}: {theirs!r:.200} is {ours!r:.200} here"]


def rules(node: Any, path: str = "") -> dict[str, list[tuple[str, str]]]:
    """The CEL rules of a schema by path, as (rule, message), the same whatever the spaces and parentheses."""
    found: dict[str, list[tuple[str, str]]] = {}
    if isinstance(node, dict):
        if declared := node.get("x-kubernetes-validations"):
            found[path] = sorted(
                (" ".join(rule["rule"].split()), " ".join(rule["message"].split())) for rule in declared
            )
        for key, part in node.items():
            found |= rules(part, f"{path}.{key}")
    return found


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_schema_is_the_originals(kind: kinds.Kind) -> None:
    assert kind.type is not None
    for version in original(kind)["spec"]["versions"]:
        if version["name"] in SMALLER.get(kind.kind, ()):
            continue
        theirs = normal(version["schema"]["openAPIV3Schema"])
        assert differences(theirs, normal(schema.openapi_schema(kind.type))) == []


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_names_versions_columns_and_rules_are_the_originals(kind: kinds.Kind) -> None:
    assert kind.type is not None
    theirs, ours = original(kind)["spec"], definition.definition(kind.type)["spec"]
    assert (theirs["group"], theirs["names"], theirs["scope"]) == (ours["group"], ours["names"], ours["scope"])
    versions = {version["name"]: version for version in theirs["versions"]}
    assert set(versions) == set(kind.served_versions)
    for version in ours["versions"]:
        their = versions[version["name"]]
        for key in ("served", "storage", "subresources", "deprecated", "deprecationWarning"):
            assert version.get(key) == their.get(key)
        if version["name"] in SMALLER.get(kind.kind, ()):
            continue
        columns = [{**column, "description": ""} for column in their["additionalPrinterColumns"]]
        assert [{**column, "description": ""} for column in version["additionalPrinterColumns"]] == columns
        assert rules(version["schema"]) == rules(their["schema"])


def test_the_definitions_for_clusters_are_what_the_model_says() -> None:
    folder = ROOT / "config" / "crd"
    expected: dict[str, str] = {}
    definition.written(expected.__setitem__)
    found = {path.name: path.read_text() for path in folder.glob("*.yaml")}
    assert found == expected, "run python -m gatewright.model.definition config/crd"
