"""The example with a listener of every protocol, as clients of each protocol meet it."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

import dns.message
import dns.query
import grpc
import pytest
from tests.e2e.edge_process import EXAMPLES, Edge, fetch


@pytest.fixture(scope="module")
def protocols(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """The example, shared by the tests of this module."""
    process = Edge("up", EXAMPLES / "protocols", "--no-watch", directory=tmp_path_factory.mktemp("protocols"))
    try:
        yield process.serving()
    finally:
        process.close()


@pytest.fixture
def address(protocols: Edge) -> str:
    """The Gateway's address."""
    return protocols.address("edge", "protocols")


def secured(protocols: Edge, address: str, port: int, name: str) -> ssl.SSLSocket:
    """A TLS connection that is verified for `name`."""
    context = ssl.create_default_context(cafile=str(protocols.ca))
    plain = socket.create_connection((address, port), timeout=60)
    return context.wrap_socket(plain, server_hostname=name)


def converse(connection: socket.socket, *says: bytes) -> list[bytes]:
    """The server's greeting, and its answer to each line."""
    with connection, connection.makefile("rb") as lines:
        heard = [lines.readline()]
        for line in says:
            connection.sendall(line + b"\n")
            heard.append(lines.readline())
    return heard


def test_every_listener_is_programmed(protocols: Edge) -> None:
    rows = [line.split() for line in protocols.out.splitlines()]
    names = ("http", "https", "terminate", "passthrough", "tcp", "dns", "team/shop/shop")
    found = {row[0]: row[-3:] for row in rows if row and row[0] in names}
    assert found == {name: ["Accepted", "ResolvedRefs", "Programmed"] for name in names}


def test_http_by_host_and_the_listener_of_a_team(protocols: Edge) -> None:
    assert fetch(protocols.url, host="api.example.com").json["namespace"] == "edge"
    for name, pod in (("api.example.com", "echo-"), ("shop.example.com", "shop-")):
        answer = fetch(protocols.https_url, host=name, sni=name, ca=protocols.ca)
        assert answer.json["pod"].startswith(pod)
    assert fetch(protocols.https_url, host="shop.example.com", sni="api.example.com", ca=protocols.ca).status == 421


def test_grpc(protocols: Edge) -> None:
    url = urlsplit(protocols.url)
    with grpc.insecure_channel(
        f"{url.hostname}:{url.port or 80}", [("grpc.default_authority", "grpc.example.com")]
    ) as channel:
        service = "/gateway_api_conformance.echo_basic.grpcecho.GrpcEcho"
        assert b"calls-" in channel.unary_unary(f"{service}/Echo")(b"", timeout=60)
        with pytest.raises(grpc.RpcError) as refused:
            channel.unary_unary("/another.Service/Echo")(b"", timeout=60)
        assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_tls_is_terminated_or_passed_through_on_one_port(protocols: Edge, address: str) -> None:
    greeting, *answers = converse(secured(protocols, address, 8443, "terminate.example.com"), b"PING", b"IS_TLS")
    assert greeting == b"Gateway API Test TCP Server\n"
    assert answers == [b"PONG\n", b"false\n"]
    # What is passed through is ended by the pod, with its own certificate: not one for this name.
    with pytest.raises(ssl.SSLCertVerificationError, match=r"doesn't match|mismatch"):
        secured(protocols, address, 8443, "pass.example.com")


def test_tcp_and_udp(address: str) -> None:
    plain = socket.create_connection((address, 9000), timeout=60)
    assert converse(plain, b"IS_TLS")[1] == b"false\n"
    question = dns.message.make_query("www.example.com.", "A")
    answer = dns.query.udp(question, address, timeout=60, port=5300)
    assert [item.to_text() for item in answer.answer[0]] == ["192.0.2.10"]
