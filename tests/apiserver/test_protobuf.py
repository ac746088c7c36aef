"""Bodies in Kubernetes protobuf, as client-go sends them for built-in kinds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright.local.apiserver.errors import StatusError
from gatewright.local.apiserver.protobuf import MAGIC, PROTOBUF, decode_protobuf


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    encoded = b""
    while value > 0x7F:
        encoded += bytes([value & 0x7F | 0x80])
        value >>= 7
    return encoded + bytes([value])


def field(number: int, value: bytes | str | int) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    raw = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(raw)) + raw


def envelope(api_version: str, kind: str, content: bytes) -> bytes:
    return MAGIC + field(1, field(1, api_version) + field(2, kind)) + field(2, content)


def metadata(name: str, *more: bytes) -> bytes:
    # What Go's encoder writes for a new object: unset fields too, where they are no pointers.
    unset = b"".join(field(number, "") for number in (2, 3, 4, 5, 6)) + field(7, 0) + field(8, b"")
    return field(1, field(1, name) + unset + b"".join(more))


def test_a_config_map() -> None:
    content = metadata("a", field(11, field(1, "app") + field(2, "web")))
    content += field(2, field(1, "key") + field(2, "text")) + field(2, field(1, "empty") + field(2, ""))
    content += field(3, field(1, "blob") + field(2, b"\x00\xff"))
    assert decode_protobuf(envelope("v1", "ConfigMap", content)) == {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "a", "labels": {"app": "web"}},
        "data": {"key": "text", "empty": ""},
        "binaryData": {"blob": "AP8="},
    }


def test_optional_numbers_quantities_times_and_ports_of_two_kinds() -> None:
    http = field(1, "/") + field(2, field(1, 0) + field(2, 8080) + field(3, "")) + field(3, "") + field(4, "HTTP")
    probe = field(1, field(2, http)) + field(2, 0) + field(4, 5)
    limits = field(1, field(1, "cpu") + field(2, field(1, "500m")))
    container = field(1, "c") + field(2, "nginx") + field(8, limits) + field(11, probe)
    template = field(2, field(2, container))
    spec = field(1, 0) + field(3, template) + field(7, 1)
    status = field(6, field(1, "Available") + field(2, "True") + field(7, field(1, 1_700_000_000) + field(2, 0)))
    obj = decode_protobuf(envelope("apps/v1", "Deployment", metadata("d") + field(2, spec) + field(3, status)))
    assert obj["spec"]["replicas"] == 0
    assert obj["spec"]["paused"] is True
    container_found = obj["spec"]["template"]["spec"]["containers"][0]
    assert container_found["resources"]["limits"] == {"cpu": "500m"}
    assert container_found["readinessProbe"]["httpGet"] == {"path": "/", "port": 8080, "scheme": "HTTP"}
    assert container_found["readinessProbe"]["periodSeconds"] == 5
    assert obj["status"]["conditions"][0]["lastTransitionTime"] == "2023-11-14T22:13:20Z"


def test_a_definition_with_its_unions() -> None:
    items = field(24, field(1, field(5, "string")))
    open_ended = field(30, field(1, 1))
    of_strings = field(30, field(1, 0) + field(2, field(5, "string")))
    members = [
        field(29, field(1, name) + field(2, content))
        for name, content in (("list", items), ("open", open_ended), ("map", of_strings))
    ]
    schema = field(5, "object") + field(8, field(1, b'{"a":1}')) + b"".join(members)
    version = field(1, "v1") + field(2, 1) + field(4, field(1, schema))
    obj = decode_protobuf(
        envelope("apiextensions.k8s.io/v1", "CustomResourceDefinition", metadata("x") + field(2, field(7, version)))
    )
    found = obj["spec"]["versions"][0]
    assert found["served"] is True
    assert found["schema"]["openAPIV3Schema"] == {
        "type": "object",
        "default": {"a": 1},
        "properties": {
            "list": {"items": {"type": "string"}},
            "open": {"additionalProperties": True},
            "map": {"additionalProperties": {"type": "string"}},
        },
    }


async def test_it_is_stored_like_json(api: Any) -> None:
    body = envelope("v1", "ConfigMap", metadata("a") + field(2, field(1, "k") + field(2, "v")))
    code, made = await api("POST", "/api/v1/namespaces/default/configmaps", body, content_type=PROTOBUF)
    assert (code, made["data"]) == (201, {"k": "v"})
    options = envelope("v1", "DeleteOptions", field(2, field(1, made["metadata"]["uid"])) + field(1, 0))
    path = "/api/v1/namespaces/default/configmaps/a"
    assert (await api("DELETE", path, options, content_type=PROTOBUF))[0] == 200
    code, status = await api("POST", path.removesuffix("/a"), envelope("x/v1", "Nothing", b""), content_type=PROTOBUF)
    assert (code, status["reason"]) == (415, "UnsupportedMediaType")


@given(st.binary(max_size=60))
def test_malformed_bytes_are_a_bad_request(raw: bytes) -> None:
    for body in (raw, MAGIC + raw, envelope("v1", "Pod", raw), envelope("apps/v1", "Deployment", raw)):
        try:
            found = decode_protobuf(body)
        except StatusError as error:
            found = {"code": error.code}
        assert found.get("code", 400) in (400, 415)


def test_depth_is_limited() -> None:
    schema = b""
    for _ in range(500):
        schema = field(25, schema)  # allOf
    body = field(2, field(7, field(4, field(1, schema))))
    with pytest.raises(StatusError, match="nested too deeply"):
        decode_protobuf(envelope("apiextensions.k8s.io/v1", "CustomResourceDefinition", body))
