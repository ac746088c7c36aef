"""HTTPS listeners: chosen by SNI, certificates by SDS."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
import datetime
import ssl
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from tests.envoy.edge_world import GATEWAY, HTTP, free_port

from gatewright.envoy import ports as envoy_ports
from gatewright.envoy.listeners import Binding
from gatewright.envoy.resources import FILTER_CHAIN, SECRET
from gatewright.model.meta import Key
from gatewright.topology import Certificate, HostKey, Listener, Origin, PortKey

pytestmark = pytest.mark.usefixtures("few_or_many")


def certificate(
    name: str, secret: str, version: str = "1", key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | None = None
) -> Certificate:
    """A self-signed certificate for a DNS name."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name} {version}")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    where = Key("infra", secret)
    return Certificate(where, made.public_bytes(pem), private, Origin("Secret", where, version))


def trust(*certificates: Certificate) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata="".join(each.chain.decode() for each in certificates))
    context.set_alpn_protocols(["http/1.1"])
    return context


@pytest.fixture
async def served(world: Any, echo: Any) -> Any:
    one, two = certificate("one.example.com", "one"), certificate("*.two.example.com", "two")
    world.backend("one", await echo("one"))
    world.backend("two", await echo("two"))
    with world.flow.batch():
        for cert, name, hostname in ((one, "one", "one.example.com"), (two, "two", "*.two.example.com")):
            world.certificates.set(cert.key, cert)
            listener = world.listener(name, 443, "HTTPS", hostname, (cert.key,))
            world.rule(name, "/", name, host=HostKey(listener, hostname))
    return world


async def test_the_listener_is_chosen_by_sni(served: Any, get: Any) -> None:
    one, two = served.certificates.values()
    answer = await get("/", port=443, host="one.example.com", tls=trust(one))
    assert (answer.echo["name"], answer.echo["x-forwarded-proto"]) == ("one", "https")
    assert (await get("/", port=443, host="a.two.example.com", tls=trust(two))).echo["name"] == "two"
    assert (await get("/", port=443, sni="one.example.com", host="a.two.example.com", tls=trust(one))).status == 404
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await get("/", port=443, host="three.example.com", tls=trust(one, two))
    assert served.ports[PortKey(GATEWAY, 443)].serving


async def test_old_tls_versions_are_refused_and_http2_is_offered(served: Any, edge: Any, get: Any) -> None:
    (one, _) = served.certificates.values()
    old = trust(one)
    old.minimum_version = ssl.TLSVersion.TLSv1
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await get("/", port=443, host="one.example.com", tls=old)

    new = trust(one)
    new.set_alpn_protocols(["h2", "http/1.1"])
    binding = served.bindings[GATEWAY]
    _, writer = await asyncio.open_connection(
        binding.host, binding.ports[443], ssl=new, server_hostname="one.example.com"
    )
    assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "h2"
    writer.close()


async def test_a_rotated_secret_is_all_that_is_sent(
    served: Any, edge: Any, get: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, _ = served.certificates.values()
    assert (await get("/", port=443, host="one.example.com", tls=trust(old))).status == 200
    sent: list[Any] = []
    monkeypatch.setattr(edge.target, "sent", lambda url, names, removed: sent.append((url, list(names))))
    new = certificate("one.example.com", "one", "2")
    served.certificates.set(new.key, new)
    assert (await get("/", port=443, host="one.example.com", tls=trust(new))).status == 200
    with pytest.raises(ssl.SSLCertVerificationError):
        await get("/", port=443, host="one.example.com", tls=trust(old))
    whole = envoy_ports.CROWD == 0
    assert sent == [(FILTER_CHAIN, ["infra/shared/443/one"]) if whole else (SECRET, ["infra/one"])]


async def test_a_listener_that_comes_later_leaves_the_others_connections_alone(
    served: Any, echo: Any, edge: Any, get: Any
) -> None:
    one, _ = served.certificates.values()
    assert (await get("/", port=443, host="one.example.com", tls=trust(one))).status == 200
    three = certificate("three.example.com", "three")
    with served.flow.batch():
        listener = served.listener("three", 443, "HTTPS", "three.example.com", (three.key,))
        served.rule("three", "/", "one", host=HostKey(listener, "three.example.com"))
    assert (await get("/", port=443, host="one.example.com", tls=trust(one))).status == 200
    served.certificates.set(three.key, three)  # until now its chain could not be served
    assert (await get("/", port=443, host="three.example.com", tls=trust(three))).status == 200
    with served.flow.batch():
        served.listeners.delete(listener)
        served.hosts.delete(HostKey(listener, "three.example.com"))
        served.remove("three", HostKey(listener, "three.example.com"))
    assert (await get("/", port=443, host="one.example.com", tls=trust(one))).status == 200


async def test_several_certificates_of_one_listener(world: Any, echo: Any, get: Any) -> None:
    a, b = certificate("a.example.com", "a"), certificate("b.example.com", "b")
    world.backend("one", await echo("one"))
    for each in (a, b):
        world.certificates.set(each.key, each)
    listener = world.listener("any", 443, "HTTPS", "*", (a.key, b.key))
    world.rule("it", "/", "one", host=HostKey(listener, "*"))
    assert (await get("/", port=443, host="a.example.com", tls=trust(a))).status == 200
    assert (await get("/", port=443, host="b.example.com", tls=trust(b))).status == 200


async def test_a_certificate_and_a_listener_print_no_key(world: Any) -> None:
    cert = certificate("a.example.com", "a")
    assert "PRIVATE" not in repr(cert)
    assert isinstance(Listener(HTTP, 80, "HTTP", "*", (), cert.origin), Listener)


async def test_refused_certificates_among_others_are_all_found(world: Any, echo: Any, edge: Any, get: Any) -> None:
    good = certificate("good.example.com", "good")
    # Envoy takes no RSA key below 2048 bits.
    bad = [certificate(f"{name}.example.com", name, key=rsa.generate_private_key(65537, 1024)) for name in "ab"]
    world.backend("one", await echo("one"))
    with world.flow.batch():
        binding = world.bindings[GATEWAY]
        ports = {443: binding.ports[443], 8444: free_port(binding.host), 8445: free_port(binding.host)}
        world.bindings.set(GATEWAY, Binding(binding.host, ports))
        for port, each in zip(ports, (good, *bad), strict=True):
            hostname = f"{each.key.name}.example.com"
            listener = world.listener(each.key.name, port, "HTTPS", hostname, (each.key,))
            world.rule(each.key.name, "/", "one", host=HostKey(listener, hostname))
            world.certificates.set(each.key, each)
    assert (await get("/", port=443, host="good.example.com", tls=trust(good))).status == 200
    await edge.settled()
    states = [world.ports[PortKey(GATEWAY, port)] for port in ports]
    assert [state.serving for state in states] == [True, False, False]
    assert all("2048-bit" in state.message for state in states[1:])


async def test_a_refused_certificate_is_blamed_and_costs_its_port_nothing(
    served: Any, echo: Any, edge: Any, get: Any
) -> None:
    one, _ = served.certificates.values()
    assert (await get("/", port=443, host="one.example.com", tls=trust(one))).status == 200
    bad = certificate("bad.example.com", "bad", key=rsa.generate_private_key(65537, 1024))
    served.certificates.set(bad.key, bad)
    served.listener("bad", 443, "HTTPS", "bad.example.com", (bad.key,))
    await asyncio.wait_for(edge.settled(), 60)
    rejection = served.rejections["Secret", bad.key]
    assert (rejection.version, "2048-bit" in rejection.message) == ("1", True)
    assert (await get("/", port=443, host="one.example.com", tls=trust(one))).status == 200
    served.certificates.delete(bad.key)  # as resolution does with a certificate that is rejected
    three = certificate("three.example.com", "three")
    served.certificates.set(three.key, three)
    listener = served.listener("three", 443, "HTTPS", "three.example.com", (three.key,))
    served.rule("three", "/", "one", host=HostKey(listener, "three.example.com"))
    assert (await get("/", port=443, host="three.example.com", tls=trust(three))).status == 200
    assert served.ports[PortKey(GATEWAY, 443)].serving
