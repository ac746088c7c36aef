"""Kinds as CustomResourceDefinitions: what a cluster is given before the controller runs on it.

`python -m gatewright.model.definition FOLDER` writes them there, a file each, as `config/crd` has them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from gatewright.model import awsgateway, edgebinding
from gatewright.model.edgebinding import EdgeBinding
from gatewright.model.ingressclassparams import IngressClassParams
from gatewright.model.kinds import Kind, kind_of
from gatewright.model.meta import Object
from gatewright.model.rules import RULES
from gatewright.model.rules.engine import Rule
from gatewright.model.schema import Schema, openapi_schema
from gatewright.model.structure import copied
from gatewright.model.targetgroupbinding import TargetGroupBinding

Column = tuple[str, str, str, int]
"""What `kubectl get` shows: name, type, path and priority (1 and more: with `-o wide` only)."""

_AGE: Final[Column] = ("AGE", "date", ".metadata.creationTimestamp", 0)

COLUMNS: Final[dict[type[Object], tuple[Column, ...]]] = {
    EdgeBinding: edgebinding.COLUMNS,
    awsgateway.LoadBalancerConfiguration: (_AGE,),
    awsgateway.TargetGroupConfiguration: (("SERVICE-NAME", "string", ".spec.targetReference.name", 0), _AGE),
    awsgateway.ListenerRuleConfiguration: (_AGE,),
    IngressClassParams: (
        ("GROUP-NAME", "string", ".spec.group.name", 0),
        ("SCHEME", "string", ".spec.scheme", 0),
        ("IP-ADDRESS-TYPE", "string", ".spec.ipAddressType", 0),
        _AGE,
    ),
    TargetGroupBinding: (
        ("SERVICE-NAME", "string", ".spec.serviceRef.name", 0),
        ("SERVICE-PORT", "string", ".spec.serviceRef.port", 0),
        ("TARGET-TYPE", "string", ".spec.targetType", 0),
        ("ARN", "string", ".spec.targetGroupARN", 1),
        ("NAME", "string", ".spec.targetGroupName", 2),
        _AGE,
    ),
}
"""The kinds that are defined here, each with its columns."""


def printer_columns(type_: type[Object]) -> list[dict[str, Any]]:
    """The `additionalPrinterColumns` of a kind."""
    return [
        {"name": name, "type": kind, "jsonPath": path} | ({"priority": priority} if priority else {})
        for name, kind, path, priority in COLUMNS[type_]
    ]


def definition(type_: type[Object]) -> dict[str, Any]:
    """The CustomResourceDefinition of one of the kinds in `COLUMNS`."""
    kind = kind_of(type_)
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{kind.plural}.{kind.group}"},
        "spec": {
            "group": kind.group,
            "names": _names(kind),
            "scope": "Namespaced" if kind.namespaced else "Cluster",
            "versions": [_version(type_, kind, version) for version in kind.served_versions],
        },
    }


def _version(type_: type[Object], kind: Kind, version: str) -> dict[str, Any]:
    deprecation: dict[str, Any] = {}
    if version in kind.deprecated_versions:
        warning = f"{kind.api_version_of(version)} {kind.kind} is deprecated; use {kind.api_version} instead"
        deprecation = {"deprecated": True, "deprecationWarning": warning}
    return {
        "name": version,
        "served": True,
        "storage": version == kind.version,
        **deprecation,
        "subresources": {"status": {}} if kind.has_status else {},
        "additionalPrinterColumns": printer_columns(type_),
        "schema": {"openAPIV3Schema": _schema(type_)},
    }


def _names(kind: Kind) -> dict[str, Any]:
    names: dict[str, Any] = {
        "kind": kind.kind,
        "listKind": kind.list_kind,
        "plural": kind.plural,
        "singular": kind.singular,
        "shortNames": list(kind.short_names),
        "categories": list(kind.categories),
    }
    return {name: value for name, value in names.items() if value}


def _schema(type_: type[Object]) -> Schema:
    schema: Schema = copied(openapi_schema(type_))  # without parts in common, which YAML would write as aliases
    if (rules := RULES.get(type_)) is not None:
        for where, declared in rules.rules.items():
            part = schema
            for step in where.replace("[]", ".[]").split("."):
                part = part["items"] if step == "[]" else part["properties"][step]
            part["x-kubernetes-validations"] = [
                {"rule": rule.cel, "message": rule.message} for rule in declared if isinstance(rule, Rule)
            ]
    return schema


def written(write: Callable[[str, str], object]) -> None:
    """Tell `write` the name and the text of each file of `config/crd`."""
    import yaml

    for type_ in COLUMNS:
        kind = kind_of(type_)
        text = yaml.safe_dump(definition(type_), sort_keys=False, width=120)
        write(f"{kind.group}_{kind.plural}.yaml", text)


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "config/crd")
    written(lambda name, text: (folder / name).write_text(text))
