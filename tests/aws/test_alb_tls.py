"""HTTPS listeners: certificates by server name, security policies, HTTP on an HTTPS port, mutual TLS."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
import ssl
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from cryptography import x509
from msgspec.structs import replace
from tests.aws.alb_world import (
    AUTHORITY,
    AlbCloud,
    Front,
    HttpTargets,
    client_tls,
    cloud,
    front,
    request,
    says,
    stack,
    to,
)

from gatewright.local.aws.elbv2.policies import POLICIES as DESCRIBED
from gatewright.local.aws.state import Certificate, Listener
from gatewright.local.aws.tls import POLICIES

__all__ = ["cloud", "front", "stack"]


def any_tls(**versions: ssl.TLSVersion) -> ssl.SSLContext:
    """Doesn't look at certificates."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for name, version in versions.items():
        setattr(context, name, version)
    return context


async def handshake(front: Front, listener: Listener, context: ssl.SSLContext, sni: str | None) -> ssl.SSLObject:
    """The TLS session with a listener's first node."""
    await front.settled()
    bound = front.cloud.where(front.cloud.state.load_balancers[listener.load_balancer], port=listener.port)
    _, writer = await asyncio.open_connection(bound.address, bound.port, ssl=context, server_hostname=sni or "")
    session: ssl.SSLObject = writer.get_extra_info("ssl_object")
    writer.close()
    return session


async def name_shown(front: Front, listener: Listener, sni: str | None) -> str:
    """The first name of the certificate that the listener shows."""
    session = await handshake(front, listener, any_tls(), sni)
    certificate = x509.load_der_x509_certificate(session.getpeercert(binary_form=True) or b"")
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return names.get_values_for_type(x509.DNSName)[0]


async def test_the_certificate_follows_the_server_name(cloud: AlbCloud, front: Front) -> None:
    arns = [cloud.certificate(*names) for names in (("default.test",), ("*.wild.test",), ("a.wild.test", "other.test"))]
    listener = cloud.https(cloud.alb(), says("here"), *arns)
    assert await name_shown(front, listener, "default.test") == "default.test"
    assert await name_shown(front, listener, "b.wild.test") == "*.wild.test"
    assert await name_shown(front, listener, "a.wild.test") == "a.wild.test"
    assert await name_shown(front, listener, "other.test") == "a.wild.test"
    assert await name_shown(front, listener, "nobody.test") == "default.test"
    assert await name_shown(front, listener, "a.b.wild.test") == "default.test"
    assert await name_shown(front, listener, None) == "default.test"


async def test_a_certificate_imported_again_is_shown_at_once(cloud: AlbCloud, front: Front) -> None:
    arn = cloud.certificate("old.test")
    listener = cloud.https(cloud.alb(), says("here"), arn)
    assert await name_shown(front, listener, None) == "old.test"
    cloud.state.certificates.set(arn, Certificate(arn, *AUTHORITY.issue("new.test"), ("new.test",)))
    assert await name_shown(front, listener, None) == "new.test"


async def test_a_bad_certificate_is_passed_over(cloud: AlbCloud, front: Front) -> None:
    good, bad = cloud.certificate("good.test"), cloud.certificate("bad.test")
    chain, _ = AUTHORITY.issue("bad.test")
    cloud.state.certificates.set(bad, replace(cloud.state.certificates[bad], chain=chain))
    listener = cloud.https(cloud.alb(), says("here"), bad, good, "arn:aws:acm:us-east-1:1:certificate/none")
    assert await name_shown(front, listener, "bad.test") == "good.test"
    assert cloud.state.served[listener.arn]


async def test_a_listener_without_a_certificate_is_not_served(cloud: AlbCloud, front: Front) -> None:
    balancer = cloud.alb()
    listener = cloud.https(balancer, says("here"), "arn:aws:acm:us-east-1:1:certificate/none")
    other = cloud.http(balancer, says("other"))
    assert (await front.ask(listener=other)).body == "other"
    assert cloud.state.served[other.arn]
    assert not cloud.state.served[listener.arn]


@pytest.mark.parametrize(
    ("policy", "versions"),
    [
        ("ELBSecurityPolicy-TLS13-1-3-2021-06", {"TLSv1.3"}),
        ("ELBSecurityPolicy-TLS13-1-2-2021-06", {"TLSv1.2", "TLSv1.3"}),
        ("ELBSecurityPolicy-TLS13-1-2-Res-PQ-2025-09", {"TLSv1.2", "TLSv1.3"}),
        ("ELBSecurityPolicy-2016-08", {"TLSv1.2"}),
        ("ELBSecurityPolicy-FS-1-2-Res-2020-10", {"TLSv1.2"}),
    ],
)
async def test_a_security_policy_limits_versions(
    cloud: AlbCloud, front: Front, policy: str, versions: set[str]
) -> None:
    listener = cloud.https(cloud.alb(), says("here"), cloud.certificate("a.test"), ssl_policy=policy)
    spoken = set()
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        try:
            session = await handshake(
                front, listener, any_tls(minimum_version=version, maximum_version=version), "a.test"
            )
        except (ssl.SSLError, ConnectionError):
            continue
        spoken.add(session.version())
    assert spoken == versions


async def test_a_security_policy_limits_ciphers(cloud: AlbCloud, front: Front) -> None:
    balancer, certificate = cloud.alb(), cloud.certificate("a.test")
    strict = cloud.https(balancer, says("1"), certificate, ssl_policy="ELBSecurityPolicy-FS-1-2-Res-2020-10")
    lax = cloud.https(balancer, says("2"), certificate, ssl_policy="ELBSecurityPolicy-2016-08", port=8443)
    context = any_tls(maximum_version=ssl.TLSVersion.TLSv1_2)
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA")
    assert ((await handshake(front, lax, context, "a.test")).cipher() or "")[0] == "ECDHE-ECDSA-AES128-SHA"
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await handshake(front, strict, context, "a.test")


async def test_envoy_takes_every_policy(cloud: AlbCloud, front: Front) -> None:
    balancer, certificate = cloud.alb(), cloud.certificate("a.test")
    listeners = [
        cloud.https(balancer, says("here"), certificate, ssl_policy=policy, port=9000 + number)
        for number, policy in enumerate([*POLICIES, "ELBSecurityPolicy-Of-Tomorrow"])
    ]
    await front.settled()
    assert [listener.ssl_policy for listener in listeners if not cloud.state.served.get(listener.arn)] == []


def test_policies_are_as_the_api_describes_them() -> None:
    """In versions, and in the ciphers that Envoy's TLS library has."""
    names = {1: "TLSv1", 2: "TLSv1.1", 3: "TLSv1.2", 4: "TLSv1.3"}  # envoy.extensions...TlsParameters.TlsProtocol
    served = {name: _plain(policy.ciphers) for name, policy in POLICIES.items()}
    known = _plain(POLICIES["ELBSecurityPolicy-2016-08"].ciphers)
    for name, (versions, ciphers) in DESCRIBED.items():
        policy = POLICIES[name]
        assert (names[policy.minimum], names[policy.maximum]) == (min(versions), max(versions)), name
        assert served[name] == set(ciphers) & known, name


def _plain(ciphers: tuple[str, ...]) -> set[str]:
    return {each for group in ciphers for each in group.strip("[]").split("|")}


async def test_plain_http_on_an_https_port_is_answered_400(cloud: AlbCloud, front: Front) -> None:
    balancer = cloud.alb()
    cloud.https(balancer, says("here"), cloud.certificate("a.test"))
    await front.settled()
    bound = cloud.where(balancer, port=443)
    answer = await request(bound.address, bound.port, "/")
    assert (answer.status, answer.header("server")) == (400, "awselb/2.0")
    assert "The plain HTTP request was sent to HTTPS port" in answer.body


async def test_mutual_tls_passthrough_tells_the_target_of_the_certificate(
    cloud: AlbCloud, front: Front, stack: AsyncExitStack, tmp_path: Path
) -> None:
    group = cloud.http_group("app")
    await HttpTargets(stack, cloud)("pod", group)
    arn = cloud.certificate("app.example.com")
    cloud.https(cloud.alb(), to(group), arn, mutual_tls="passthrough")
    assert "x-amzn-mtls-clientcert" not in (await front.ask(headers={"x-amzn-mtls-clientcert": "forged"})).echo
    chain, key = AUTHORITY.issue("client.test")
    (tmp_path / "chain").write_bytes(chain)
    (tmp_path / "key").write_bytes(key)
    context = client_tls()
    context.load_cert_chain(tmp_path / "chain", tmp_path / "key")
    shown = (await front.ask(tls=context)).echo["x-amzn-mtls-clientcert"]
    assert shown.startswith("-----BEGIN%20CERTIFICATE-----")


async def test_mutual_tls_verifies_by_the_trust_store(
    cloud: AlbCloud, front: Front, stack: AsyncExitStack, tmp_path: Path
) -> None:
    group = cloud.http_group("app")
    await HttpTargets(stack, cloud)("pod", group)
    trusted, stranger = type(AUTHORITY)(), type(AUTHORITY)()
    arn = cloud.certificate("app.example.com")
    cloud.https(cloud.alb(), to(group), arn, mutual_tls="verify", authorities=trusted.chain)
    for authority, good in ((trusted, True), (stranger, False)):
        chain, key = authority.issue("client.test")
        (tmp_path / "chain").write_bytes(chain)
        (tmp_path / "key").write_bytes(key)
        context = client_tls()
        context.load_cert_chain(tmp_path / "chain", tmp_path / "key")
        if good:
            echo = (await front.ask(tls=context, headers={"x-amzn-mtls-clientcert-subject": "forged"})).echo
            leaf = x509.load_pem_x509_certificate(chain)
            assert int(echo["x-amzn-mtls-clientcert-serial-number"], 16) == leaf.serial_number
            assert echo["x-amzn-mtls-clientcert-subject"] == leaf.subject.rfc4514_string()
            assert echo["x-amzn-mtls-clientcert-issuer"] == leaf.issuer.rfc4514_string()
            since, until = leaf.not_valid_before_utc, leaf.not_valid_after_utc
            shown = f"NotBefore={since:%Y-%m-%dT%H:%M:%SZ};NotAfter={until:%Y-%m-%dT%H:%M:%SZ}"
            assert echo["x-amzn-mtls-clientcert-validity"] == shown
            assert echo["x-amzn-mtls-clientcert-leaf"].startswith("-----BEGIN%20CERTIFICATE-----")
        else:
            with pytest.raises(OSError):  # noqa: PT011 - how a handshake fails depends on the version of TLS
                await front.ask(tls=context)
    with pytest.raises(OSError):  # noqa: PT011
        await front.ask()


async def test_mutual_tls_that_cannot_be_verified_lets_nobody_in(cloud: AlbCloud, front: Front) -> None:
    cloud.https(cloud.alb(), says("in"), cloud.certificate("app.example.com"), mutual_tls="verify")
    answer = await front.ask()
    assert (answer.status, answer.header("server")) == (500, "awselb/2.0")
