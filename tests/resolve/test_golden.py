"""Golden cases of resolution: tests/golden/resolve/NAME.in.yaml gives NAME.out.yaml.

An input holds manifests, and may hold a document `feedback` with what the data plane reports (`addresses` by Gateway,
`ports` by Gateway and port, with `/udp` where it is one, `rejections` by object) and with what no watch tells (`now`,
`definitions` with their versions). Each starts from `base.yaml`, and may
replace its objects. A Secret annotated `test: generate` gets a key pair, one annotated `test: mismatch` gets a key that
isn't its certificate's; a ConfigMap annotated `test: authority` gets a certificate as its ca.crt.

An output holds the status of each object of the input, and the topology. After a change that is meant,
`pytest tests/resolve --regenerate` rewrites the outputs; review them as a diff.
"""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.resolve.resolution_picture import picture

from gatewright.flow import Flow
from gatewright.model.codec import decode
from gatewright.model.gateway.gateway import GatewayStatusAddress
from gatewright.model.meta import Key, Object
from gatewright.resolve import Addresses, Inputs, resolve
from gatewright.resolve.inputs import NOW
from gatewright.topology import PortKey, PortState, Rejection

GOLDEN = Path(__file__).parents[1] / "golden" / "resolve"
CASES = sorted(path.name.removesuffix(".in.yaml") for path in GOLDEN.glob("*.in.yaml"))
CONTROLLER = "gatewright.example/edge"
TYPES = {type_.__name__: type_ for type_ in Inputs(Flow()).by_type}


@pytest.mark.parametrize("name", CASES)
def test_case(name: str, pytestconfig: pytest.Config) -> None:
    source = GOLDEN / f"{name}.in.yaml"
    assert source.read_text().startswith("# "), "a case begins with the behaviour in a sentence"
    inputs = Inputs(Flow())
    resolution = resolve(inputs, {CONTROLLER})
    load(inputs, GOLDEN / "base.yaml")
    objects = load(inputs, source)
    assert not [collection.errors for collection in inputs.flow._collections if collection.errors]
    found = yaml.dump(picture(resolution, objects), sort_keys=False, width=120, allow_unicode=True)
    golden = GOLDEN / f"{name}.out.yaml"
    if pytestconfig.getoption("--regenerate", default=False):
        golden.write_text(found)
    assert found == golden.read_text()


def test_every_output_has_an_input() -> None:
    outputs = sorted(path.name.removesuffix(".out.yaml") for path in GOLDEN.glob("*.out.yaml"))
    assert outputs == CASES


# --- in --------------------------------------------------------------------------------------------------------------


def load(inputs: Inputs, path: Path) -> list[Object]:
    objects = []
    with inputs.flow.batch():
        for document in yaml.safe_load_all(path.read_text()):
            if "feedback" in document:
                take_feedback(inputs, document["feedback"])
                continue
            document["metadata"] = {"generation": 1, "resourceVersion": "1"} | document["metadata"]
            fill(document)
            obj = decode(TYPES[document["kind"]], document)
            inputs.by_type[type(obj)].set(obj.key, obj)
            objects.append(obj)
    return objects


def take_feedback(inputs: Inputs, feedback: dict[str, Any]) -> None:
    if "now" in feedback:
        inputs.clock.set(NOW, datetime.fromisoformat(feedback["now"]))
    inputs.bundle_versions.replace(feedback.get("definitions", {}))
    for name, addresses in feedback.get("addresses", {}).items():
        values = tuple(GatewayStatusAddress(value=value) for value in addresses.get("values", ()))
        inputs.addresses.set(key_of(name), Addresses(values, addresses.get("problem", "")))
    for name, state in feedback.get("ports", {}).items():
        gateway, _, port = name.partition(":")
        number, _, transport = port.partition("/")
        inputs.ports.set(PortKey(key_of(gateway), int(number), "UDP" if transport else "TCP"), PortState(**state))
    for name, rejection in feedback.get("rejections", {}).items():
        kind, _, key = name.partition(" ")
        inputs.rejections.set((kind, key_of(key)), Rejection(**rejection))


def key_of(name: str) -> Key:
    namespace, _, name = name.rpartition("/")
    return Key(namespace, name)


def fill(document: dict[str, Any]) -> None:
    wanted = document["metadata"].get("annotations", {}).get("test")
    if not wanted:
        return
    chain, private_key = key_pair(0)
    if document["kind"] == "ConfigMap":
        document["data"] = {"ca.crt": chain}
        return
    if wanted == "mismatch":
        private_key = key_pair(1)[1]
    document["stringData"] = {"tls.crt": chain, "tls.key": private_key}


@functools.cache
def key_pair(_: int) -> tuple[str, str]:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2040, 1, 1, tzinfo=UTC))
        .sign(private, hashes.SHA256())
    )
    return (
        certificate.public_bytes(serialization.Encoding.PEM).decode(),
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
    )
