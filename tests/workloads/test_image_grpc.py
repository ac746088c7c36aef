"""The gRPC server of the conformance images, called by a real client."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from tests.workloads.program_pods import SERVER, Pod, http1, running

from gatewright.local.workloads.grpc_echo import PROTO, SERVICE
from gatewright.local.workloads.grpc_reflection import PROTOS


@asynccontextmanager
async def plaintext() -> AsyncIterator[Any]:
    async with (
        running(GRPC_ECHO_SERVER="1") as pod,
        grpc.aio.insecure_channel(f"127.0.0.1:{pod.port(3000)}") as channel,
    ):
        yield channel


Call = tuple[grpc.StatusCode, Any]


async def call(channel: Any, method: str, *metadata: tuple[str, str], service: str = SERVICE) -> Call:
    """A unary call of the echo: its status, and the answer or the details."""
    stub = channel.unary_unary(f"/{service}/{method}", response_deserializer=PROTO.messages["EchoResponse"].FromString)
    try:
        return grpc.StatusCode.OK, await stub(b"", metadata=metadata, timeout=60)
    except grpc.aio.AioRpcError as error:
        return error.code(), error.details()


class TestGrpc:
    async def test_echo_tells_the_metadata_and_the_pod(self) -> None:
        async with running(GRPC_ECHO_SERVER="1") as pod:
            target = f"127.0.0.1:{pod.port(3000)}"
            async with grpc.aio.insecure_channel(target) as channel:
                for method in ("Echo", "EchoTwo"):
                    code, answer = await call(channel, method, ("foo", "bar"), ("foo", "baz"))
                    assert code is grpc.StatusCode.OK
                    found = answer.assertions
                    assert found.fully_qualified_method == f"/{SERVICE}/{method}"
                    assert found.authority == target
                    assert [header.value for header in found.headers if header.key == "foo"] == ["bar", "baz"]
                    assert (found.context.namespace, found.context.pod) == ("ns", "pod-1")
                    assert (found.context.service_name, found.context.ingress) == ("svc", "ing")
                    assert not found.HasField("tls_assertions")
        assert pod.log == ["Received over plaintext: "] * 2

    @pytest.mark.parametrize(
        ("service", "method", "details"),
        [
            (SERVICE, "EchoThree", "method EchoThree not implemented"),
            (SERVICE, "Nope", f"unknown method Nope for service {SERVICE}"),
            ("a.B", "Nope", "unknown service a.B"),
        ],
    )
    async def test_what_is_not_implemented_says_so(self, service: str, method: str, details: str) -> None:
        async with plaintext() as channel:
            assert await call(channel, method, service=service) == (grpc.StatusCode.UNIMPLEMENTED, details)

    async def test_over_tls(self) -> None:
        async with running(GRPC_ECHO_SERVER="1", TLS_SERVER_CERT="/tls/crt", TLS_SERVER_PRIV_KEY="/tls/key") as pod:
            credentials = grpc.ssl_channel_credentials(SERVER.certificate)
            options = [("grpc.ssl_target_name_override", "abc.example.com")]
            async with grpc.aio.secure_channel(f"127.0.0.1:{pod.port(8443)}", credentials, options) as channel:
                _, answer = await call(channel, "Echo")
                tls = answer.assertions.tls_assertions
                assert (tls.version, tls.negotiated_protocol, tls.server_name) == ("TLSv1.3", "h2", "abc.example.com")

    async def test_many_calls_share_a_connection(self) -> None:
        async with plaintext() as channel:
            answers = await asyncio.gather(*(call(channel, "Echo", ("n", str(n))) for n in range(100)))
            assert all(code is grpc.StatusCode.OK for code, _ in answers)

    @pytest.mark.parametrize("proto", PROTOS, ids=lambda proto: proto.descriptor.package)
    async def test_reflection_shows_the_service(self, proto: Any) -> None:
        request, response = (proto.messages[f"ServerReflection{kind}"] for kind in ("Request", "Response"))
        async with plaintext() as channel:
            stream = channel.stream_stream(
                f"/{proto.services[0]}/ServerReflectionInfo",
                request_serializer=request.SerializeToString,
                response_deserializer=response.FromString,
            )()
            await stream.write(request(list_services="*"))
            listed = [found.name for found in (await stream.read()).list_services_response.service]
            assert SERVICE in listed
            await stream.write(request(file_containing_symbol=SERVICE))
            [file] = (await stream.read()).file_descriptor_response.file_descriptor_proto
            assert file == PROTO.descriptor.SerializeToString()
            await stream.write(request(file_by_filename="no.proto"))
            assert (await stream.read()).error_response.error_code == 5
            await stream.done_writing()
            assert await stream.code() is grpc.StatusCode.OK

    def test_a_port_that_is_no_number_ends_the_program(self) -> None:
        end = Pod(GRPC_ECHO_SERVER="1", HTTP_PORT="x").behaviour.exit
        assert end is not None
        assert "non-integer value in HTTP_PORT 'x'" in end.lines[0]

    async def test_an_unknown_image_is_healthy(self) -> None:
        async with running("nginx:1.27") as pod:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{pod.port(80)}") as channel:
                assert await channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=60) == b"\x08\x01"
            status, body = await http1(pod.port(80), "/x")
            assert (status, json.loads(body)["standIn"]) == (200, True)
