"""TLS that ends at a Network Load Balancer, and TLS that it begins."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from tests.aws.nlb_world import (
    ZONES,
    Cloud,
    LineTargets,
    cloud,
    connect,
    plane,
    said,
    settled,
    targets,
)
from tests.envoy.test_tls import certificate as self_signed

from gatewright.local.aws.dataplane import DataPlane
from gatewright.local.aws.state import Bound, Certificate

__all__ = ["cloud", "plane", "targets"]


def acm(cloud: Cloud, name: str) -> Certificate:
    """A certificate of ACM for a DNS name."""
    made = self_signed(name, name)
    arn = f"arn:aws:acm:us-east-1:123456789012:certificate/{name}"
    found = Certificate(arn, made.chain, made.private_key, (name,))
    cloud.state.certificates.set(arn, found)
    return found


def server(certificate: Certificate, directory: Path, *alpn: str) -> ssl.SSLContext:
    """A server's context that notes the server name of the client's hello in `names`."""
    (directory / "chain").write_bytes(certificate.chain)
    (directory / "key").write_bytes(certificate.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "chain", directory / "key")
    context.set_alpn_protocols(list(alpn)) if alpn else None
    return context


def client(*alpn: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


async def shown(at: Bound, name: str | None, context: ssl.SSLContext) -> tuple[bytes, str | None]:
    """The certificate that a client is shown, and the protocol that is negotiated."""
    connection = await connect(at, ssl=context, server_hostname=name or "")
    found = connection.writer.get_extra_info("ssl_object")
    connection.close()
    return found.getpeercert(binary_form=True), found.selected_alpn_protocol()


def der(certificate: Certificate) -> bytes:
    return ssl.PEM_cert_to_DER_cert(certificate.chain.decode())


async def test_tls_ends_at_the_listener_with_the_certificate_for_the_name(
    cloud: Cloud, plane: DataPlane, targets: LineTargets
) -> None:
    balancer, group = cloud.load_balancer("one", zones=ZONES[:1]), cloud.group("backends")
    first, second = acm(cloud, "one.example.com"), acm(cloud, "two.example.com")
    listener = cloud.listener(
        balancer,
        group,
        port=443,
        protocol="TLS",
        certificates=(first.arn, second.arn),
        ssl_policy="ELBSecurityPolicy-TLS13-1-2-2021-06",
    )
    cloud.target(group, await targets.tcp("plain"))
    await settled(plane)
    assert cloud.state.served[listener.arn]
    at = cloud.where(balancer, port=443)
    answer = await said(at, ssl=client(), server_hostname="one.example.com")
    assert answer == f"plain {balancer.nodes[0].address} hello"
    for name, expected in (("one.example.com", first), ("two.example.com", second), ("other.example.com", first)):
        assert await shown(at, name, client()) == (der(expected), None)


async def test_tls_begins_anew_to_tls_targets_without_verifying_them(
    cloud: Cloud, plane: DataPlane, targets: LineTargets, tmp_path: Path
) -> None:
    balancer, group = cloud.load_balancer("one", zones=ZONES[:1]), cloud.group("backends", "TLS")
    front, back = acm(cloud, "one.example.com"), acm(cloud, "back.example.com")
    cloud.listener(balancer, group, port=443, protocol="TLS", certificates=(front.arn,))
    names: list[str | None] = []
    context = server(back, tmp_path)
    context.sni_callback = lambda _, name, __: names.append(name)
    cloud.target(group, await targets.tcp("secure", tls=context))
    await settled(plane)
    answer = await said(cloud.where(balancer, port=443), ssl=client(), server_hostname="one.example.com")
    assert answer == f"secure {balancer.nodes[0].address} hello"
    assert names == [None]


@pytest.mark.parametrize(
    ("policy", "offered", "negotiated"),
    [
        ("None", ("h2", "http/1.1"), None),
        ("HTTP1Only", ("h2", "http/1.1"), "http/1.1"),
        ("HTTP1Only", ("h2",), None),
        ("HTTP2Only", ("http/1.1", "h2"), "h2"),
        ("HTTP2Optional", ("h2", "http/1.1"), "http/1.1"),
        ("HTTP2Optional", ("h2",), "h2"),
        ("HTTP2Preferred", ("http/1.1", "h2"), "h2"),
        ("HTTP2Preferred", ("http/1.1",), "http/1.1"),
    ],
)
async def test_the_alpn_policy_says_what_is_negotiated_with_client_and_target(
    cloud: Cloud,
    plane: DataPlane,
    targets: LineTargets,
    tmp_path: Path,
    policy: str,
    offered: tuple[str, ...],
    negotiated: str | None,
) -> None:
    balancer, group = cloud.load_balancer("one", zones=ZONES[:1]), cloud.group("backends", "TLS")
    front, back = acm(cloud, "one.example.com"), acm(cloud, "back.example.com")
    cloud.listener(balancer, group, port=443, protocol="TLS", certificates=(front.arn,), alpn_policy=policy)
    cloud.target(group, await targets.tcp("secure", tls=server(back, tmp_path, "http/1.1", "h2")))
    await settled(plane)
    at = cloud.where(balancer, port=443)
    assert (await shown(at, "one.example.com", client(*offered)))[1] == negotiated
    answer = await said(at, ssl=client(*offered), server_hostname="one.example.com")
    if negotiated:
        assert answer.split()[:2] == ["secure", negotiated]
    else:
        assert answer.startswith("secure ")


async def test_a_renewed_certificate_is_shown_and_open_connections_go_on(
    cloud: Cloud, plane: DataPlane, targets: LineTargets
) -> None:
    balancer, group = cloud.load_balancer("one", zones=ZONES[:1]), cloud.group("backends")
    before = acm(cloud, "one.example.com")
    cloud.listener(balancer, group, port=443, protocol="TLS", certificates=(before.arn,))
    cloud.target(group, await targets.tcp("plain"))
    await settled(plane)
    at = cloud.where(balancer, port=443)
    connection = await connect(at, ssl=client(), server_hostname="one.example.com")
    assert (await connection.say()).startswith("plain ")
    after = acm(cloud, "one.example.com")
    await settled(plane)
    assert (await shown(at, "one.example.com", client()))[0] == der(after)
    assert (await connection.say()).startswith("plain ")
    connection.close()


async def test_a_tcp_listener_passes_tls_on_as_it_is(
    cloud: Cloud, plane: DataPlane, targets: LineTargets, tmp_path: Path
) -> None:
    balancer, group = cloud.load_balancer("one", zones=ZONES[:1]), cloud.group("backends")
    cloud.listener(balancer, group, port=443)
    inner: Any = acm(cloud, "inner.example.com")
    cloud.target(group, await targets.tcp("secure", tls=server(inner, tmp_path, "h2")))
    await settled(plane)
    assert await shown(cloud.where(balancer, port=443), "any", client("h2")) == (der(inner), "h2")
