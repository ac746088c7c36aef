"""A Terraform provider that knows a real one's schema and makes nothing, so that Terraform itself checks what uses it.

It speaks Terraform's plugin protocol, version 6 (docs/plugin-protocol in Terraform's repository). Terraform is told by
TF_REATTACH_PROVIDERS where it listens, as when providers are debugged, so that nothing has to be installed.
Whatever a cloud would decide, it invents, unless it was told the answer.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import grpc
import msgspec
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from tests.deploy import tools
from tests.deploy.schemas import Attribute, Block, Nested, Schema, Type, read, used

_UNKNOWN = msgspec.msgpack.Ext(0, b"\0")
Answers = Mapping[str, Any]
"""What the cloud says: a value by `TYPE.ATTRIBUTE`, or by `data.TYPE.ATTRIBUTE`."""


def _optional(**attributes: Type) -> dict[str, Attribute]:
    return {name: Attribute(kind, optional=True) for name, kind in attributes.items()}


_RULE_GROUP = Block(
    {"name": Attribute("string", required=True), "vendor_name": Attribute("string", required=True)}
    | _optional(version="string"),
    {},
)
_RATE = Block(
    {"limit": Attribute("number", required=True)}
    | _optional(aggregate_key_type="string", evaluation_window_sec="number"),
    {},
)
OPAQUE = {
    "statement": Block(
        {},
        {
            "managed_rule_group_statement": Nested(_RULE_GROUP, "list", required=False, once=True),
            "rate_based_statement": Nested(_RATE, "list", required=False, once=True),
        },
    )
}
"""Blocks that nest in themselves, as far as configurations here use them: WAF's statements, by AWS's documentation."""

# Of tfplugin6.proto, the fields that are used here: name, number, type; `*` is repeated.
_MESSAGES = """
DynamicValue: msgpack 1 bytes, json 2 bytes
Attribute: name 1 string, type 2 bytes, required 4 bool, optional 5 bool, computed 6 bool
NestedBlock: type_name 1 string, block 2 Block, nesting 3 int64, min_items 4 int64, max_items 5 int64
Block: version 1 int64, attributes 2 *Attribute, block_types 3 *NestedBlock
Schema: version 1 int64, block 2 Block
ResourceSchema: key 1 string, value 2 Schema
SchemaResponse: provider 1 Schema, resource_schemas 2 *ResourceSchema, data_source_schemas 3 *ResourceSchema
Nothing: unused 99 bytes
Diagnostic: severity 1 int64, summary 2 string, detail 3 string
Validate: type_name 1 string, config 2 DynamicValue
Validated: diagnostics 1 *Diagnostic
RawState: json 1 bytes
Upgrade: type_name 1 string, version 2 int64, raw_state 3 RawState
Upgraded: upgraded_state 1 DynamicValue
Read: type_name 1 string, current_state 2 DynamicValue
ReadResponse: new_state 1 DynamicValue
ReadData: type_name 1 string, config 2 DynamicValue
ReadDataResponse: state 1 DynamicValue
Plan: type_name 1 string, prior_state 2 DynamicValue, proposed_new_state 3 DynamicValue, config 4 DynamicValue
Planned: planned_state 1 DynamicValue, legacy_type_system 5 bool
Apply: type_name 1 string, prior_state 2 DynamicValue, planned_state 3 DynamicValue
Applied: new_state 1 DynamicValue, legacy_type_system 4 bool
"""


def _messages() -> dict[str, Any]:
    """Message classes by name."""
    file = FileDescriptorProto(name="tfplugin6.proto", package="tfplugin6", syntax="proto3")
    for line in _MESSAGES.strip().splitlines():
        name, fields = line.split(": ")
        message = file.message_type.add(name=name)
        for field in fields.split(", "):
            field_name, number, kind = field.split()
            repeated, kind = kind.startswith("*"), kind.lstrip("*")
            added = message.field.add(name=field_name, number=int(number))
            added.label = FieldDescriptorProto.LABEL_REPEATED if repeated else FieldDescriptorProto.LABEL_OPTIONAL
            if kind[0].isupper():
                added.type, added.type_name = FieldDescriptorProto.TYPE_MESSAGE, f".tfplugin6.{kind}"
            else:
                added.type = FieldDescriptorProto.Type.Value(f"TYPE_{kind.upper()}")
    pool = DescriptorPool()
    pool.Add(file)
    return {
        message.name: GetMessageClass(pool.FindMessageTypeByName(f"tfplugin6.{message.name}"))
        for message in file.message_type
    }


_M = _messages()


def _schema(block: Block) -> Any:
    return _M["Schema"](block=_block(block))


def _block(block: Block) -> Any:
    attributes = [
        _M["Attribute"](
            name=name,
            type=msgspec.json.encode(attribute.type),
            required=attribute.required,
            optional=attribute.optional,
            computed=attribute.computed,
        )
        for name, attribute in block.attributes.items()
    ]
    blocks = [
        _M["NestedBlock"](
            type_name=name,
            block=_block(nested.block),
            nesting={"single": 1, "list": 2, "set": 3}[nested.nesting],
            min_items=int(nested.required and nested.nesting != "single"),
            max_items=int(nested.once and nested.nesting != "single"),
        )
        for name, nested in block.blocks.items()
    ]
    return _M["Block"](attributes=attributes, block_types=blocks)


def _fill(block: Block, value: Any, path: str, missing: Callable[[str, Type], Any], *, inner: bool = False) -> Any:
    """The value with what is computed and isn't there, or isn't known yet, as `missing` says by path and type.

    What may be set may be computed where it isn't, too, as the bindings don't tell; but not in blocks within.
    """
    if value is None:
        return None
    filled = dict(value)
    for name, attribute in block.attributes.items():
        found = filled.get(name)
        absent = found is None and attribute.computed and not (inner and attribute.optional)
        if absent or isinstance(found, msgspec.msgpack.Ext):
            filled[name] = missing(f"{path}.{name}", attribute.type)
    for name, nested in block.blocks.items():
        found, within = filled.get(name), f"{path}.{name}"
        if isinstance(found, list):
            filled[name] = [_fill(nested.block, each, within, missing, inner=True) for each in found]
        elif isinstance(found, dict):
            filled[name] = _fill(nested.block, found, within, missing, inner=True)
    return filled


def _set_though_computed(block: Block, value: Any) -> Iterator[str]:
    for name, attribute in block.attributes.items():
        if attribute.computed and not attribute.optional and value.get(name) is not None:
            yield name
    for name, nested in block.blocks.items():
        found = value.get(name)
        for each in found if isinstance(found, list) else [found]:
            if isinstance(each, dict):
                yield from _set_though_computed(nested.block, each)


class StandInProvider:
    """What Terraform asks of a provider."""

    def __init__(self, schema: Schema, answers: Answers) -> None:
        self._known, self._answers = schema, answers
        self._numbers = count(1)

    def schema(self, _: Any) -> Any:
        """Everything that it knows."""
        return _M["SchemaResponse"](
            provider=_schema(self._known.provider),
            resource_schemas=self._schemas(self._known.resources),
            data_source_schemas=self._schemas(self._known.data),
        )

    def ok(self, _: Any) -> Any:
        """No objections."""
        return _M["Nothing"]()

    def validate(self, request: Any) -> Any:
        """What isn't to be set; the rest Terraform itself has compared with the schema by now."""
        refused = _set_though_computed(self._known.resources[request.type_name], _decode(request.config))
        summary, detail = "Value for unconfigurable attribute", "its value will be decided automatically"
        diagnostics = [_M["Diagnostic"](severity=1, summary=f"{summary}: {name}", detail=detail) for name in refused]
        return _M["Validated"](diagnostics=diagnostics)

    def upgrade(self, request: Any) -> Any:
        """A state is as it was written."""
        return _M["Upgraded"](upgraded_state=_M["DynamicValue"](json=request.raw_state.json))

    def read(self, request: Any) -> Any:
        """Nothing has changed."""
        return _M["ReadResponse"](new_state=request.current_state)

    def read_data(self, request: Any) -> Any:
        """As it was told, else something invented."""
        block = self._known.data[request.type_name]
        value = _fill(block, _decode(request.config), f"data.{request.type_name}", self._told)
        return _M["ReadDataResponse"](state=_encode(value))

    def plan(self, request: Any) -> Any:
        """What is new will get what is computed."""
        proposed = _decode(request.proposed_new_state)
        if _decode(request.prior_state) is None:
            block = self._known.resources[request.type_name]
            proposed = _fill(block, proposed, request.type_name, lambda path, kind: _UNKNOWN)
        return _M["Planned"](planned_state=_encode(proposed), legacy_type_system=True)

    def apply(self, request: Any) -> Any:
        """As planned."""
        block = self._known.resources[request.type_name]
        value = _fill(block, _decode(request.planned_state), request.type_name, self._invented)
        return _M["Applied"](new_state=_encode(value), legacy_type_system=True)

    @staticmethod
    def _schemas(blocks: Mapping[str, Block]) -> list[Any]:
        return [_M["ResourceSchema"](key=name, value=_schema(block)) for name, block in blocks.items()]

    def _invented(self, path: str, kind: Type) -> Any:
        """Another one each time."""
        return self._value(path, kind, f"{path}-{next(self._numbers)}")

    def _told(self, path: str, kind: Type) -> Any:
        """The same each time, as data is read again and again."""
        return self._value(path, kind, path)

    def _value(self, path: str, kind: Type, text: str) -> Any:
        if path in self._answers:
            return self._answers[path]
        match kind:
            case "string":
                return text
            case "number":
                return 1
            case "bool":
                return False
            case ["list" | "set", ["object", _]]:
                return [self._value(path, kind[1], text)]
            case ["list" | "set", _]:
                return []
            case ["map", _]:
                return {}
            case ["object", fields]:
                return {name: self._value(f"{path}.{name}", inner, f"{text}.{name}") for name, inner in fields.items()}
            case _:
                return [b'"string"', text]


def _decode(value: Any) -> Any:
    return msgspec.msgpack.decode(value.msgpack)


def _encode(value: Any) -> Any:
    return _M["DynamicValue"](msgpack=msgspec.msgpack.encode(value))


@contextmanager
def serving(source: str, schema: Schema, answers: Answers) -> Iterator[dict[str, str]]:
    """Serve a provider by its source (`hashicorp/aws`). Yields the environment in which Terraform uses it."""
    provider = StandInProvider(schema, answers)
    calls: dict[str, tuple[Callable[[Any], Any], str]] = {
        "GetProviderSchema": (provider.schema, "Nothing"),
        "ValidateProviderConfig": (provider.ok, "Nothing"),
        "ValidateResourceConfig": (provider.validate, "Validate"),
        "ValidateDataResourceConfig": (provider.ok, "Nothing"),
        "ConfigureProvider": (provider.ok, "Nothing"),
        "StopProvider": (provider.ok, "Nothing"),
        "UpgradeResourceState": (provider.upgrade, "Upgrade"),
        "ReadResource": (provider.read, "Read"),
        "ReadDataSource": (provider.read_data, "ReadData"),
        "PlanResourceChange": (provider.plan, "Plan"),
        "ApplyResourceChange": (provider.apply, "Apply"),
    }
    handlers = {
        name: grpc.unary_unary_rpc_method_handler(
            lambda request, _, call=call: call(request),
            request_deserializer=_M[message].FromString,
            response_serializer=lambda response: response.SerializeToString(),
        )
        for name, (call, message) in calls.items()
    }
    server = grpc.server(ThreadPoolExecutor(4), options=[("grpc.max_receive_message_length", -1)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("tfplugin6.Provider", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    listens = {
        "Protocol": "grpc",
        "ProtocolVersion": 6,
        "Pid": os.getpid(),
        "Test": True,
        "Addr": {"Network": "tcp", "String": f"127.0.0.1:{port}"},
    }
    try:
        yield {"TF_REATTACH_PROVIDERS": json.dumps({f"registry.terraform.io/{source}": listens})}
    finally:
        server.stop(None).wait()


@functools.cache
def _known(provider: str, resources: frozenset[str], data: frozenset[str]) -> Schema:
    return read(tools.bindings(provider), provider, resources, data, OPAQUE)


@contextmanager
def reading(provider: str, *trees: Path, **answers: Any) -> Iterator[dict[str, str]]:
    """Serve what Terraform configurations in these folders use of `aws` or `azurerm`; answers by `TYPE__ATTRIBUTE`.

    Data sources' answers begin with `data__`. Skips the test where the bindings aren't installed.
    """
    texts = [path.read_text() for tree in trees for path in tree.rglob("*.tf")]
    resources, data = used(texts, provider)
    schema = _known(provider, frozenset(resources), frozenset(data))
    told = {name.replace("__", "."): value for name, value in answers.items()}
    with serving(f"hashicorp/{provider}", schema, told) as environment:
        yield environment
