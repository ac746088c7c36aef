"""Protocol buffers from tables in code: no generated modules, and the descriptors that server reflection shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from google.protobuf import descriptor_pb2 as pb
from google.protobuf import descriptor_pool, message_factory
from google.protobuf.message import Message

Field = tuple[int, str, str]
"""Number, type, name. A type is `string`, `bytes`, `int32`, or a message of the same file; `repeated …`; `oneof …`."""
Rpc = tuple[str, str, str, bool]
"""Name, request, response, whether both stream."""

_SCALARS = {
    "string": pb.FieldDescriptorProto.TYPE_STRING,
    "bytes": pb.FieldDescriptorProto.TYPE_BYTES,
    "int32": pb.FieldDescriptorProto.TYPE_INT32,
}


class ProtoFile:
    """A `.proto` file: its descriptor, and a class a message by its short name."""

    def __init__(
        self, name: str, package: str, messages: Mapping[str, Sequence[Field]], services: Mapping[str, Sequence[Rpc]]
    ) -> None:
        self.descriptor = pb.FileDescriptorProto(name=name, package=package, syntax="proto3")
        for short, fields in messages.items():
            message = self.descriptor.message_type.add(name=short)
            for number, type_, field_name in fields:
                _add(message, package, number, type_, field_name)
        for service, methods in services.items():
            of = self.descriptor.service.add(name=service)
            for method, request, response, streams in methods:
                of.method.add(
                    name=method,
                    input_type=f".{package}.{request}",
                    output_type=f".{package}.{response}",
                    client_streaming=streams,
                    server_streaming=streams,
                )
        pool = descriptor_pool.DescriptorPool()
        pool.Add(self.descriptor)
        self.messages: dict[str, type[Message]] = {
            short: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{short}"))
            for short in messages
        }
        self.services = tuple(f"{package}.{service}" for service in services)

    @property
    def symbols(self) -> set[str]:
        """The full names of everything in the file."""
        package = self.descriptor.package
        names = {f"{package}.{message.name}" for message in self.descriptor.message_type}
        for service in self.descriptor.service:
            names.add(f"{package}.{service.name}")
            names |= {f"{package}.{service.name}.{method.name}" for method in service.method}
        return names


def _add(message: pb.DescriptorProto, package: str, number: int, type_: str, name: str) -> None:
    field = message.field.add(name=name, number=number, label=pb.FieldDescriptorProto.LABEL_OPTIONAL)
    prefix, _, rest = type_.rpartition(" ")
    if prefix == "repeated":
        field.label = pb.FieldDescriptorProto.LABEL_REPEATED
    elif prefix:
        group = prefix.removeprefix("oneof ")
        names = [oneof.name for oneof in message.oneof_decl]
        if group not in names:
            message.oneof_decl.add(name=group)
            names.append(group)
        field.oneof_index = names.index(group)
    scalar = _SCALARS.get(rest)
    if scalar is None:
        field.type = pb.FieldDescriptorProto.TYPE_MESSAGE
        field.type_name = f".{package}.{rest}"
    else:
        field.type = scalar
