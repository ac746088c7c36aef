"""TLS to backends (Gateway API, BackendTLSPolicy), and the certificate that a Gateway shows them (GEP-3155)."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
import datetime
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.envoy.edge_world import GATEWAY, backend_key
from tests.envoy.scripted import Answer

from gatewright.model.meta import Key
from gatewright.topology import Backend, BackendTLS, Certificate, Origin, SubjectName

_PEM = serialization.Encoding.PEM
CLIENT = Key("infra", "client")


class Authority:
    """Signs certificates."""

    def __init__(self, name: str = "authority") -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.chain = self._sign(self._name, self._key, (), is_authority=True)[0]

    def issue(self, *names: str) -> tuple[bytes, bytes]:
        """Certificate and key; a name with "://" is a URI."""
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
        return self._sign(subject, ec.generate_private_key(ec.SECP256R1()), names)

    def _sign(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, names: Iterable[str], *, is_authority: bool = False
    ) -> tuple[bytes, bytes]:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if is_authority:
            signs = dict.fromkeys(("digital_signature", "content_commitment", "key_encipherment"), False)
            signs |= dict.fromkeys(("data_encipherment", "key_agreement", "encipher_only", "decipher_only"), False)
            usage = x509.KeyUsage(key_cert_sign=True, crl_sign=True, **signs)
            builder = builder.add_extension(usage, critical=True)
        general: list[x509.GeneralName] = [
            x509.UniformResourceIdentifier(name) if "://" in name else x509.DNSName(name) for name in names
        ]
        if general:
            builder = builder.add_extension(x509.SubjectAlternativeName(general), critical=False)
        private = key.private_bytes(_PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return builder.sign(self._key, hashes.SHA256()).public_bytes(_PEM), private


@pytest.fixture
def authority() -> Authority:
    return Authority()


def server_side(tmp_path: Path, pair: tuple[bytes, bytes], clients: Authority | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    file = tmp_path / f"{len(list(tmp_path.iterdir()))}.pem"
    file.write_bytes(pair[0] + pair[1])
    context.load_cert_chain(file)
    context.set_alpn_protocols(["h2", "http/1.1"])
    if clients:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=clients.chain.decode())
    return context


def hostname(value: str) -> SubjectName:
    return SubjectName("Hostname", value)


def tls(authority: Authority | None, *names: SubjectName, version: str = "1", server: str = "abc.test") -> BackendTLS:
    origin = Origin("BackendTLSPolicy", Key("apps", "policy"), version)
    return BackendTLS(server, names or (hostname(server),), authority.chain if authority else None, origin)


@pytest.fixture
def speak(world: Any, script: Any, tmp_path: Path) -> Any:
    """A backend with a certificate, and how to speak to it."""
    world.listener()

    async def make(
        pair: tuple[bytes, bytes], how: BackendTLS, name: str = "secure", clients: Authority | None = None
    ) -> Any:
        made = await script(lambda _: Answer(body="it"), tls=server_side(tmp_path, pair, clients))
        world.backend(name, made.endpoint)
        world.backends.set(backend_key(name), Backend(backend_key(name), "http", how))
        return made

    return make


@pytest.mark.parametrize(
    ("has", "wants", "status"),
    [
        (["abc.test"], [], 200),
        (["*.test"], [], 200),
        (["other.test"], [], 503),
        (["other.test"], [hostname("other.test")], 200),
        (["abc.test"], [hostname("other.test")], 503),
        (["abc.test"], [hostname("no.test"), hostname("abc.test")], 200),
        (["abc.test"], [hostname("*.test")], 200),
        (["*.test"], [hostname("*.test")], 200),
        (["abc.testing"], [hostname("*.test")], 503),
        (["a.b.test"], [hostname("*.test")], 503),
        (["abc.test", "spiffe://abc.test/id"], [SubjectName("URI", "spiffe://abc.test/id")], 200),
        (["abc.test", "spiffe://abc.test/id2"], [SubjectName("URI", "spiffe://abc.test/id")], 503),
        (["abc.test"], [SubjectName("URI", "abc.test")], 503),
    ],
)
async def test_names(
    world: Any, speak: Any, authority: Authority, get: Any, has: list[str], wants: list[SubjectName], status: int
) -> None:
    await speak(authority.issue(*has), tls(authority, *wants))
    world.rule("it", "/", "secure")
    assert (await get("/")).status == status


async def test_a_certificate_of_another_authority_is_refused(
    world: Any, speak: Any, authority: Authority, get: Any
) -> None:
    await speak(Authority("other").issue("abc.test"), tls(authority))
    world.rule("it", "/", "secure")
    assert (await get("/")).status == 503


async def test_the_systems_authorities(
    world: Any, speak: Any, authority: Authority, get: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted = tmp_path / "trusted"
    trusted.write_bytes(authority.chain)
    monkeypatch.setattr("gatewright.envoy.backendtls.system_authorities", lambda: str(trusted))
    await speak(authority.issue("abc.test"), tls(None))
    await speak(Authority("other").issue("abc.test"), tls(None), "other")
    world.rule("it", "/it", "secure")
    world.rule("other", "/other", "other")
    assert (await get("/it")).status == 200
    assert (await get("/other")).status == 503


async def test_several_authorities_and_their_rotation_under_load(
    world: Any, speak: Any, authority: Authority, edge: Any, get: Any
) -> None:
    await speak(authority.issue("abc.test"), tls(authority))
    world.rule("it", "/", "secure")
    assert (await get("/")).status == 200
    other, seen, over, answered = Authority("other"), [], False, asyncio.Event()

    async def hammer() -> None:
        while not over:
            seen.append((await get("/")).status)
            answered.set()

    hammers = [asyncio.create_task(hammer()) for _ in range(3)]
    for number in range(10):
        both = tls(authority, version=str(number))
        chain = authority.chain + other.chain if number % 2 else other.chain + authority.chain
        origin = both.origin
        how = BackendTLS("abc.test", both.names, chain, origin)
        world.backends.set(backend_key("secure"), Backend(backend_key("secure"), "http", how))
        await asyncio.wait_for(edge.settled(), 60)
        for _ in range(4):
            answered.clear()
            await asyncio.wait_for(answered.wait(), 60)
    over = True
    await asyncio.gather(*hammers)
    assert set(seen) == {200}
    assert len(seen) > 30


async def test_a_client_certificate_is_shown_and_rotated_under_load(
    world: Any, speak: Any, authority: Authority, edge: Any, get: Any
) -> None:
    def show(name: str) -> None:
        chain, key = authority.issue(name)
        world.certificates.set(CLIENT, Certificate(CLIENT, chain, key, Origin("Secret", CLIENT, name)))

    backend = await speak(authority.issue("abc.test"), tls(authority), clients=authority)
    world.rule("it", "/", "secure")
    assert (await get("/")).status == 503
    show("client-0")
    world.client_certificates.set(GATEWAY, CLIENT)
    assert (await get("/")).status == 200
    assert backend.asked[-1].peer["subject"] == ((("commonName", "client-0"),),)
    seen, over, answered = [], False, asyncio.Event()

    async def hammer() -> None:
        while not over:
            seen.append((await get("/")).status)
            answered.set()

    hammers = [asyncio.create_task(hammer()) for _ in range(3)]
    for number in range(1, 8):
        show(f"client-{number}")
        await asyncio.wait_for(edge.settled(), 60)
        for _ in range(4):
            answered.clear()
            await asyncio.wait_for(answered.wait(), 60)
    over = True
    await asyncio.gather(*hammers)
    assert set(seen) == {200}
    world.client_certificates.delete(GATEWAY)
    assert (await get("/")).status == 503


async def test_a_backend_with_a_problem_answers_500(world: Any, echo: Any, get: Any) -> None:
    world.listener()
    world.backend("it", await echo("it"))
    world.backend("good", await echo("good"))
    world.rule("it", "/", "it")
    world.rule("half", "/half", "it", "good")
    assert (await get("/")).status == 200
    world.backends.set(backend_key("it"), Backend(backend_key("it"), "http", problem="its policy is broken"))
    assert (await get("/")).status == 500
    assert {(await get("/half")).status for _ in range(40)} == {200, 500}


async def test_authorities_that_envoy_refuses_are_the_policys_fault(
    world: Any, speak: Any, echo: Any, authority: Authority, get: Any
) -> None:
    """At creation, and at update."""
    world.backend("plain", await echo("plain"))
    world.rule("plain", "/plain", "plain")
    good = tls(authority)
    bad = BackendTLS("abc.test", good.names, b"nonsense", Origin("BackendTLSPolicy", Key("apps", "policy"), "7"))
    await speak(authority.issue("abc.test"), bad)
    world.rule("it", "/it", "secure")
    world.rule("next", "/next", "plain")
    assert (await get("/plain")).status == 200
    assert (await get("/next")).status == 200
    assert (await get("/it")).status in (500, 503)
    rejection = world.rejections[("BackendTLSPolicy", Key("apps", "policy"))]
    assert rejection.version == "7"
    assert "CA" in rejection.message or "certificate" in rejection.message
    world.backends.set(backend_key("secure"), Backend(backend_key("secure"), "http", tls(authority, version="8")))
    assert (await get("/it")).status == 200
    assert ("BackendTLSPolicy", Key("apps", "policy")) not in world.rejections
