"""Secrets as key pairs: what is served, and what is said of the others; nothing in them makes resolution fail."""

from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import given
from hypothesis import strategies as st

from gatewright.flow import Flow
from gatewright.model.core import Secret
from gatewright.model.gateway import Gateway, GatewayClass, GatewayClassSpec, GatewaySpec
from gatewright.model.gateway.listeners import Listener, ListenerTLSConfig
from gatewright.model.gateway.shared import SecretObjectReference
from gatewright.model.meta import Key, ObjectMeta
from gatewright.resolve import Inputs, resolve
from gatewright.resolve.certificates import key_pair

Private = (
    ec.EllipticCurvePrivateKey
    | rsa.RSAPrivateKey
    | ed25519.Ed25519PrivateKey
    | dsa.DSAPrivateKey
    | ed448.Ed448PrivateKey
)
EC = ec.generate_private_key(ec.SECP256R1())
OTHER = ec.generate_private_key(ec.SECP256R1())


def certificate(private: Private) -> bytes:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    builder = x509.CertificateBuilder(name, name, private.public_key(), 1)
    builder = builder.not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
    builder = builder.not_valid_after(datetime(2040, 1, 1, tzinfo=UTC))
    algorithm = None if isinstance(private, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey) else hashes.SHA256()
    return builder.sign(private, algorithm).public_bytes(Encoding.PEM)


def pem(private: Private, encryption: KeySerializationEncryption | None = None) -> bytes:
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


def secret(chain: bytes, private_key: bytes) -> Secret:
    metadata = ObjectMeta(namespace="infra", name="cert", resource_version="7")
    return Secret(metadata=metadata, data={"tls.crt": chain, "tls.key": private_key})


@pytest.mark.parametrize(
    "private",
    [EC, rsa.generate_private_key(65537, 2048), ed25519.Ed25519PrivateKey.generate()],
    ids=["ec", "rsa", "ed25519"],
)
def test_a_key_pair_is_served_as_it_is(private: Private) -> None:
    chain = certificate(private) + certificate(OTHER)  # leaf first
    pair = key_pair(secret(chain, pem(private)))
    assert pair.problem == ""
    assert pair.certificate is not None
    assert (pair.certificate.chain, pair.certificate.private_key) == (chain, pem(private))
    assert (str(pair.certificate.origin), pair.certificate.origin.version) == ("Secret infra/cert", "7")


def test_who_reads_no_secrets_takes_one_that_is_named_to_be_there() -> None:
    inputs = Inputs(Flow(), secrets=False)
    resolution = resolve(inputs, frozenset({"ours"}))
    listener = Listener(
        name="https",
        port=443,
        protocol="HTTPS",
        hostname="www.example.com",
        tls=ListenerTLSConfig(certificate_refs=(SecretObjectReference(name="unread"),)),
    )
    inputs.gateway_classes.set(
        Key("", "ours"), GatewayClass(metadata=ObjectMeta(name="ours"), spec=GatewayClassSpec(controller_name="ours"))
    )
    inputs.gateways.set(
        Key("infra", "web"),
        Gateway(
            metadata=ObjectMeta(namespace="infra", name="web"),
            spec=GatewaySpec(gateway_class_name="ours", listeners=(listener,)),
        ),
    )
    (served,) = resolution.topology.listeners.values()
    assert served.certificates == (Key("infra", "unread"),)
    (found,) = resolution.listeners.values()
    assert {(each.type, each.status) for each in found.conditions} >= {("Accepted", "True"), ("ResolvedRefs", "True")}
    assert not any("no host name" in each.message for each in found.conditions)
    assert Secret not in inputs.by_type


def test_string_data_of_a_manifest_counts() -> None:
    written = Secret(string_data={"tls.crt": certificate(EC).decode(), "tls.key": pem(EC).decode()})
    assert key_pair(written).certificate is not None


@pytest.mark.parametrize(
    ("chain", "private_key", "problem"),
    [
        (b"", b"", "data[tls.crt] is missing"),
        (certificate(EC), b"", "data[tls.key] is missing"),
        (b"Hello", pem(EC), "data[tls.crt] is not a PEM certificate"),
        (pem(EC), pem(EC), "data[tls.crt] is not a PEM certificate"),
        (certificate(EC), b"world", "data[tls.key] is not an unencrypted PEM private key"),
        (certificate(EC), certificate(EC), "data[tls.key] is not an unencrypted PEM private key"),
        (
            certificate(EC),
            pem(EC, BestAvailableEncryption(b"x")),
            "data[tls.key] is not an unencrypted PEM private key",
        ),
        (certificate(EC), pem(OTHER), "does not belong to data[tls.crt]"),
        (certificate(OTHER) + certificate(EC), pem(EC), "does not belong to data[tls.crt]"),
    ],
    ids=[
        "nothing",
        "no key",
        "text for a chain",
        "a key for a chain",
        "text for a key",
        "a chain for a key",
        "an encrypted key",
        "another's key",
        "not leaf first",
    ],
)
def test_what_is_wrong_is_said(chain: bytes, private_key: bytes, problem: str) -> None:
    pair = key_pair(secret(chain, private_key))
    assert pair.certificate is None
    assert pair.problem.startswith("Secret infra/cert: ")
    assert problem in pair.problem


@pytest.mark.parametrize(
    ("private", "problem"),
    [
        (rsa.generate_private_key(65537, 1024), "has an RSA key of 1024 bits, expected 2048 or more"),
        (ec.generate_private_key(ec.SECP256K1()), "has a key on the curve secp256k1"),
        (dsa.generate_private_key(1024), "has a key of a kind that TLS doesn't serve"),
        (ed448.Ed448PrivateKey.generate(), "has a key of a kind that TLS doesn't serve"),
    ],
    ids=["rsa-1024", "secp256k1", "dsa", "ed448"],
)
def test_a_key_that_no_proxy_takes_is_refused_before_one_sees_it(private: Private, problem: str) -> None:
    pair = key_pair(secret(certificate(private), pem(private)))
    assert pair.certificate is None
    assert problem in pair.problem


@pytest.mark.skipif(not shutil.which("openssl"), reason="no openssl, and nothing else makes such keys")
@pytest.mark.parametrize(
    "options",
    [
        ["-algorithm", "rsa-pss"],
        ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-pkeyopt", "ec_param_enc:explicit"],
    ],
    ids=["rsa-pss", "explicit curve"],
)
def test_a_key_in_an_encoding_that_no_proxy_takes_is_refused(tmp_path: Path, options: list[str]) -> None:
    private, chain = tmp_path / "key", tmp_path / "crt"
    subprocess.run(["openssl", "genpkey", *options, "-out", private], check=True, capture_output=True)
    request = ["openssl", "req", "-x509", "-subj", "/CN=test", "-days", "2"]
    subprocess.run([*request, "-key", private, "-out", chain], check=True, capture_output=True)
    assert "unusual encoding" in key_pair(secret(chain.read_bytes(), private.read_bytes())).problem


@given(st.integers(0, 700), st.binary(max_size=4), st.booleans())
def test_no_content_makes_it_fail(position: int, garbage: bytes, in_key: bool) -> None:
    chain, private_key = certificate(EC), pem(EC)
    broken = private_key if in_key else chain
    broken = broken[:position] + garbage + broken[position + len(garbage) :]
    pair = key_pair(secret(chain, broken) if in_key else secret(broken, private_key))
    assert (pair.certificate is None) == bool(pair.problem)


def test_a_key_never_shows() -> None:
    pair = key_pair(secret(certificate(EC), pem(EC)))
    assert "PRIVATE" not in repr(pair)
