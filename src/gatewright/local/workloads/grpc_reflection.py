"""gRPC server reflection (grpc/grpc-proto, grpc/reflection), in both of its versions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from google.protobuf.message import DecodeError

from gatewright.local.workloads.descriptors import Field, ProtoFile
from gatewright.local.workloads.exchange import Request
from gatewright.local.workloads.grpc_wire import INTERNAL, INVALID_ARGUMENT, NOT_FOUND, Method, Services, Status

_MESSAGES: dict[str, list[Field]] = {
    "ExtensionRequest": [(1, "string", "containing_type"), (2, "int32", "extension_number")],
    "ServerReflectionRequest": [
        (1, "string", "host"),
        (3, "oneof message_request string", "file_by_filename"),
        (4, "oneof message_request string", "file_containing_symbol"),
        (5, "oneof message_request ExtensionRequest", "file_containing_extension"),
        (6, "oneof message_request string", "all_extension_numbers_of_type"),
        (7, "oneof message_request string", "list_services"),
    ],
    "FileDescriptorResponse": [(1, "repeated bytes", "file_descriptor_proto")],
    "ExtensionNumberResponse": [(1, "string", "base_type_name"), (2, "repeated int32", "extension_number")],
    "ServiceResponse": [(1, "string", "name")],
    "ListServiceResponse": [(1, "repeated ServiceResponse", "service")],
    "ErrorResponse": [(1, "int32", "error_code"), (2, "string", "error_message")],
    "ServerReflectionResponse": [
        (1, "string", "valid_host"),
        (2, "ServerReflectionRequest", "original_request"),
        (4, "oneof message_response FileDescriptorResponse", "file_descriptor_response"),
        (5, "oneof message_response ExtensionNumberResponse", "all_extension_numbers_response"),
        (6, "oneof message_response ListServiceResponse", "list_services_response"),
        (7, "oneof message_response ErrorResponse", "error_response"),
    ],
}
_METHOD = "ServerReflectionInfo"


def _proto(version: str) -> ProtoFile:
    methods = [(_METHOD, "ServerReflectionRequest", "ServerReflectionResponse", True)]
    name = f"grpc/reflection/{version}/reflection.proto"
    return ProtoFile(name, f"grpc.reflection.{version}", _MESSAGES, {"ServerReflection": methods})


PROTOS = (_proto("v1"), _proto("v1alpha"))


def reflection(shown: Sequence[ProtoFile]) -> Services:
    """The reflection services that show `shown` and themselves."""
    files = (*shown, *PROTOS)

    def service(proto: ProtoFile) -> Method:
        def stream(message: bytes, request: Request) -> Iterable[bytes]:
            return [_answer(proto, files, message)]

        return Method(stream=stream)

    return {proto.services[0]: {_METHOD: service(proto)} for proto in PROTOS}


def _answer(proto: ProtoFile, files: Sequence[ProtoFile], message: bytes) -> bytes:
    asked: Any = proto.messages["ServerReflectionRequest"]()
    try:
        asked.ParseFromString(message)
    except DecodeError as error:
        raise Status(INTERNAL, f"grpc: error unmarshalling request: {error}") from None
    answer: Any = proto.messages["ServerReflectionResponse"](valid_host=asked.host, original_request=asked)
    question = asked.WhichOneof("message_request")
    if question is None:
        raise Status(INVALID_ARGUMENT, f"invalid MessageRequest: {asked}")
    wanted = getattr(asked, question)
    if question == "list_services":
        for name in sorted(name for file in files for name in file.services):
            answer.list_services_response.service.add(name=name)
        return bytes(answer.SerializeToString())
    if question == "all_extension_numbers_of_type":
        found = any(wanted in file.symbols for file in files)
        answer.all_extension_numbers_response.base_type_name = wanted if found else ""
    elif question == "file_by_filename":
        found = _show(answer, (file for file in files if file.descriptor.name == wanted))
    elif question == "file_containing_symbol":
        found = _show(answer, (file for file in files if wanted in file.symbols))
    else:
        found = False
    if not found:
        answer.error_response.error_code = NOT_FOUND
        answer.error_response.error_message = f"proto: not found: {wanted}".strip()
    return bytes(answer.SerializeToString())


def _show(answer: Any, files: Iterable[ProtoFile]) -> bool:
    found = next(iter(files), None)
    if found:
        answer.file_descriptor_response.file_descriptor_proto.append(found.descriptor.SerializeToString())
    return found is not None
