"""From what a Gateway says of client certificates to what a port of an ALB does about them."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from gatewright.aws.configuration.settings import MutualAuthentication
from gatewright.aws.gateways.clientcertificates import Clients, TrustStores, clients
from gatewright.aws.gateways.names import Tags
from gatewright.aws.stack.desired import StackKey
from gatewright.model.meta import Key
from gatewright.topology import ClientValidation

OWNER = Key("infra", "edge")
TAGS = Tags(StackKey("prod", "alb", str(OWNER)), {}, {})
FIELD = "spec.tls.frontend.default.validation"
WITH_BUCKET = TrustStores({"partners": "arn:aws:elasticloadbalancing:::truststore/partners/1"}, bucket="trust")


@functools.cache
def authority(number: int = 0, kind: str = "ec", comment: str = "") -> bytes:
    private: Any = ec.generate_private_key(ec.SECP256R1())
    if kind == "rsa-1024":
        private = rsa.generate_private_key(65537, 1024)
    elif kind == "k1":
        private = ec.generate_private_key(ec.SECP256K1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"{kind} {number}")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(number + 1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2040, 1, 1, tzinfo=UTC))
    )
    if comment:
        value = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), comment.encode())
        builder = builder.add_extension(value, critical=False)
    return builder.sign(private, hashes.SHA256()).public_bytes(Encoding.PEM)


def let_in(
    *authorities: bytes,
    required: bool = True,
    port: int = 0,
    asked: MutualAuthentication | None = None,
    stores: TrustStores = WITH_BUCKET,
) -> Clients:
    pem = b"".join(authorities or (authority(),))
    return clients(OWNER, ClientValidation(pem, required, FIELD, port), asked, stores, TAGS)


def test_nothing_is_asked_of_clients_unless_somebody_says_so() -> None:
    assert clients(OWNER, None, None, WITH_BUCKET, TAGS) == Clients()


def test_authorities_in_another_order_are_the_same_ones() -> None:
    one, other = let_in(authority(1), authority(2)), let_in(authority(2), authority(1), authority(2))
    assert one == other
    assert one.trust_store != let_in(authority(1)).trust_store


def test_the_default_and_a_port_of_its_own_have_a_trust_store_each() -> None:
    default, own = let_in().trust_store, let_in(port=8443).trust_store
    assert default
    assert own
    assert default.fingerprint == own.fingerprint
    assert len({default.resource, own.resource}) == len({default.name, own.name}) == len({default.key, own.key}) == 2
    assert len(own.name) <= 32


def test_fallback_needs_no_trust_store() -> None:
    found = let_in(required=False, stores=TrustStores())
    assert (found.mutual and found.mutual.mode, found.trust_store, found.problem) == ("passthrough", None, "")


@pytest.mark.parametrize("kind", ["rsa-1024", "k1"])
def test_an_authority_that_an_alb_cannot_take_is_left_out_by_name(kind: str) -> None:
    found = let_in(authority(kind=kind), authority(1))
    assert found.trust_store
    assert found.trust_store.bundle == authority(1)
    (remark,) = found.remarks
    assert remark.startswith(f"{FIELD}: found the authority CN={kind} 0 with a")
    alone = let_in(authority(kind=kind))
    assert (alone.mutual, alone.trust_store) == (None, None)
    assert "clients with its certificates don't get in" in alone.problem


def test_one_that_is_too_large_is_left_out() -> None:
    assert "ALBs take 16384" in let_in(authority(kind="ec", comment="x" * 16384)).problem


def test_more_than_a_trust_store_takes() -> None:
    many = [authority(number) for number in range(26)]
    assert let_in(*many[:25]).trust_store
    assert let_in(*many).problem.startswith(f"{FIELD}: found 26 authorities; a trust store of AWS takes 25")


def test_without_a_bucket_the_port_stays_closed() -> None:
    found = let_in(stores=TrustStores())
    assert found.mutual is None
    assert "--trust-store-bucket" in found.problem


@pytest.mark.parametrize("mode", ["off", "passthrough"])
def test_a_configuration_does_not_let_in_whom_the_gateway_keeps_out(mode: Any) -> None:
    assert let_in(asked=MutualAuthentication(mode)).problem
    assert not let_in(asked=MutualAuthentication(mode), required=False).problem


def test_a_configurations_trust_store_wins() -> None:
    found = let_in(asked=MutualAuthentication("verify", "partners", ignore_expiry=True))
    assert found.mutual
    assert (found.mutual.trust_store, found.mutual.ignore_expiry) == (WITH_BUCKET.arns["partners"], True)
    assert found.trust_store is None
    assert "which wins" in found.remarks[0]


def test_a_trust_store_that_is_not_known_yet_is_not_missing() -> None:
    asked = MutualAuthentication("verify", "partners")
    unread = clients(OWNER, None, asked, TrustStores(unread="AWS is throttled"), TAGS)
    assert unread == Clients(unknown="the trust store partners isn't known: AWS is throttled")
    assert "there is no trust store of that name" in clients(OWNER, None, asked, TrustStores(), TAGS).problem
