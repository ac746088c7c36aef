"""Our own kinds as CustomResourceDefinitions: what a cluster is given before the controller runs on it.

`python -m gatewright.model.definition` prints them; `config/crd` holds what it prints.
"""

from __future__ import annotations

import sys
from typing import Any

from gatewright.model.edgebinding import COLUMNS, EXACTLY_ONE, EdgeBinding
from gatewright.model.kinds import Kind, kind_of
from gatewright.model.rules.edgebinding import TARGET_GROUP_CEL
from gatewright.model.schema import Schema, copied, openapi_schema


def printer_columns() -> list[dict[str, Any]]:
    """The `additionalPrinterColumns` of EdgeBinding."""
    return [
        {"name": name, "type": type_, "jsonPath": path} | ({"priority": priority} if priority else {})
        for name, type_, path, priority in COLUMNS
    ]


def edge_binding_definition() -> dict[str, Any]:
    """The CustomResourceDefinition of EdgeBinding."""
    kind = kind_of(EdgeBinding)
    version = {
        "name": kind.version,
        "served": True,
        "storage": True,
        "subresources": {"status": {}},
        "additionalPrinterColumns": printer_columns(),
        "schema": {"openAPIV3Schema": _schema()},
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{kind.group}"},
        "spec": {"group": kind.group, "names": _names(kind), "scope": "Namespaced", "versions": [version]},
    }


def _names(kind: Kind) -> dict[str, Any]:
    return {
        "kind": kind.kind,
        "listKind": kind.list_kind,
        "plural": kind.plural,
        "singular": kind.singular,
        "shortNames": list(kind.short_names),
        "categories": list(kind.categories),
    }


def _schema() -> Schema:
    schema = copied(openapi_schema(EdgeBinding))
    group = schema["properties"]["spec"]["properties"]["aws"]["properties"]["targetGroup"]
    group["x-kubernetes-validations"] = [{"rule": TARGET_GROUP_CEL, "message": EXACTLY_ONE}]
    return schema


if __name__ == "__main__":
    import yaml

    sys.stdout.write(yaml.safe_dump(edge_binding_definition(), sort_keys=False, width=120))
