"""AWS's query protocol: a request's parameters, and answers as XML.

moto's serializer takes 200 ms for the rules of one load balancer, and its parser 400 ms for the targets of a large
group, all the while nobody else is answered.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast
from uuid import uuid4
from xml.sax.saxutils import escape

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

from gatewright.local.aws.elbv2.models import Document


def request(operation: OperationModel, values: Iterable[tuple[str, str]]) -> Document:
    """The parameters of a request in the model's names, from the pairs of its form; those it doesn't have are left out.

    Raises ValueError for a number or a list that is none.
    """
    tree: Document = {}
    for name, value in values:
        *path, last = name.split(".")
        node = tree
        for part in path:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                raise ValueError(f"{name} is beneath a value")
        node[last] = value
    if operation.input_shape is None:
        return {}
    parsed: Document = _parsed(operation.input_shape, tree)
    return parsed


def _parsed(shape: Shape, node: Any) -> Any:
    match shape.type_name:
        case "structure":
            members = cast("StructureShape", shape).members
            return {key: _parsed(members[key], value) for key, value in node.items() if key in members}
        case "list":
            member = cast("ListShape", shape).member
            items = node.get("member", {}) if node else {}
            return [_parsed(member, items[number]) for number in sorted(items, key=int)]
        case "map":
            entries = node.get("entry", {}) if node else {}
            return {entries[number]["key"]: entries[number]["value"] for number in sorted(entries, key=int)}
        case "integer" | "long":
            return int(node)
        case "boolean":
            return node.lower() == "true"
    return str(node)


def answer(operation: OperationModel, document: Document) -> str:
    """The body of the answer to an operation; `document` is the operation's output, in the model's names.

    Raises KeyError for a member that the model doesn't have.
    """
    name = operation.name
    parts = [
        "<?xml version='1.0' encoding='utf-8'?>\n",
        f'<{name}Response xmlns="{operation.service_model.metadata["xmlNamespace"]}"><{name}Result>',
    ]
    if operation.output_shape is not None:
        _structure(operation.output_shape, document, parts)
    parts.append(
        f"</{name}Result><ResponseMetadata><RequestId>{uuid4()}</RequestId></ResponseMetadata></{name}Response>"
    )
    return "".join(parts)


def _structure(shape: StructureShape, document: Document, parts: list[str]) -> None:
    members = shape.members
    for key, value in document.items():
        if value is None:
            continue
        parts.append(f"<{key}>")
        _value(members[key], value, parts)
        parts.append(f"</{key}>")


def _value(shape: Shape, value: Any, parts: list[str]) -> None:
    match shape.type_name:
        case "structure":
            _structure(cast("StructureShape", shape), value, parts)
        case "list":
            member = cast("ListShape", shape).member
            for item in value:
                parts.append("<member>")
                _value(member, item, parts)
                parts.append("</member>")
        case "map":
            of = cast("MapShape", shape).value
            for key, item in value.items():
                parts.append(f"<entry><key>{escape(key)}</key><value>")
                _value(of, item, parts)
                parts.append("</value></entry>")
        case "boolean":
            parts.append("true" if value else "false")
        case _:
            parts.append(escape(str(value)))
