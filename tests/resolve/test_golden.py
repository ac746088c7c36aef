"""Golden cases of resolution: tests/golden/resolve/NAME.in.yaml gives NAME.out.yaml.

An input holds manifests, and may hold a document `feedback` with what the data plane reports (`addresses` by Gateway,
`ports` by Gateway and port, `rejections` by object). Each starts from `base.yaml`, and may replace its objects. A
Secret annotated `test: generate` gets a key pair, one annotated `test: mismatch` gets a key that isn't its
certificate's.

An output holds the status of each object of the input, and the topology. After a change that is meant,
`pytest tests/resolve --regenerate` rewrites the outputs; review them as a diff.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gatewright.flow import Flow
from gatewright.model.codec import decode
from gatewright.model.gateway import Gateway, GatewayClass, HTTPRoute
from gatewright.model.gateway.gateway import GatewayStatusAddress
from gatewright.model.gateway.shared import ParentReference
from gatewright.model.meta import Condition, Key, Object
from gatewright.resolve import Addresses, Inputs, Resolution, resolve
from gatewright.topology import (
    Filter,
    HeaderModifier,
    HostKey,
    Match,
    PathModifier,
    PortKey,
    PortState,
    Redirect,
    Rejection,
    Rule,
    Topology,
)

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
            if document["kind"] == "Secret":
                fill(document)
            obj = decode(TYPES[document["kind"]], document)
            inputs.by_type[type(obj)].set(obj.key, obj)
            objects.append(obj)
    return objects


def take_feedback(inputs: Inputs, feedback: dict[str, Any]) -> None:
    for name, addresses in feedback.get("addresses", {}).items():
        values = tuple(GatewayStatusAddress(value=value) for value in addresses.get("values", ()))
        inputs.addresses.set(key_of(name), Addresses(values, addresses.get("problem", "")))
    for name, state in feedback.get("ports", {}).items():
        gateway, _, port = name.partition(":")
        inputs.ports.set(PortKey(key_of(gateway), int(port)), PortState(**state))
    for name, rejection in feedback.get("rejections", {}).items():
        kind, _, key = name.partition(" ")
        inputs.rejections.set((kind, key_of(key)), Rejection(**rejection))


def key_of(name: str) -> Key:
    namespace, _, name = name.rpartition("/")
    return Key(namespace, name)


def fill(secret: dict[str, Any]) -> None:
    wanted = secret["metadata"].get("annotations", {}).get("test")
    if wanted:
        chain, private_key = key_pair(0)
        if wanted == "mismatch":
            private_key = key_pair(1)[1]
        secret["stringData"] = {"tls.crt": chain, "tls.key": private_key}


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


# --- out -------------------------------------------------------------------------------------------------------------


def picture(resolution: Resolution, objects: list[Object]) -> dict[str, Any]:
    statuses: dict[str, Any] = defaultdict(dict)
    for obj in objects:
        if isinstance(obj, GatewayClass | Gateway | HTTPRoute):
            statuses[obj.kind][str(obj.key)] = status(resolution, obj) or "not ours"
    return {"status": dict(statuses), "topology": topology(resolution.topology)}


def status(resolution: Resolution, obj: Object) -> Any:
    if isinstance(obj, GatewayClass):
        found = resolution.classes.get(obj.key)
        return found and conditions(found.conditions)
    if isinstance(obj, HTTPRoute):
        route = resolution.http_routes.get(obj.key)
        return route and [{"parent": parent(p.parent_ref)} | conditions(p.conditions) for p in route.parents]
    gateway = resolution.gateway_statuses.get(obj.key)
    return gateway and {
        **conditions(gateway.conditions),
        "addresses": [address.value for address in gateway.addresses],
        "listeners": {
            listener.name: {
                **conditions(listener.conditions),
                "supportedKinds": [kind.kind for kind in listener.supported_kinds],
                "attachedRoutes": listener.attached_routes,
            }
            for listener in gateway.listeners
        },
    }


def conditions(found: tuple[Condition, ...]) -> dict[str, str]:
    """By type; the generation is told where it isn't the first."""
    texts = {}
    for c in found:
        generation = "" if c.observed_generation == 1 else f" at {c.observed_generation}"
        texts[c.type] = f"{c.status} {c.reason}{generation}: {c.message}"
    return texts


def parent(ref: ParentReference) -> str:
    section = f" sectionName {ref.section_name}" if ref.section_name else ""
    port = f" port {ref.port}" if ref.port else ""
    return f"{ref.namespace or '.'}/{ref.name}{section}{port}"


def topology(found: Topology) -> dict[str, Any]:
    return {
        "listeners": {
            f"{key.gateway}/{key.name}": f"{listener.protocol} {listener.port} host {listener.hostname}"
            + "".join(f" certificate {secret}" for secret in listener.certificates)
            for key, listener in sorted(found.listeners.items())
        },
        "certificates": [str(key) for key in sorted(found.certificates.keys())],
        "hosts": {
            host(key): [rule(placement.rule) for placement in found.placements_by_host.lookup(key)]
            for key in sorted(found.hosts.keys())
        },
        "backends": {str(key): backend.app_protocol for key, backend in sorted(found.backends.items())},
        "endpoints": {
            str(key): [f"{e.address} {e.port}{' draining' if e.draining else ''}" for e in endpoints.endpoints]
            for key, endpoints in sorted(found.endpoints.items())
        },
    }


def host(key: HostKey) -> str:
    return f"{key.listener.gateway}/{key.listener.name} {key.hostname}"


def rule(found: Rule) -> dict[str, Any]:
    key = found.key
    timeouts = {"request": found.request_timeout, "backendRequest": found.backend_request_timeout}
    parts = {
        "match": match(found.match),
        "of": f"{key.route} rules[{key.rule}].matches[{key.match}]",
        "filters": [text(item) for item in found.filters],
        "to": [
            f"{share.backend or 'nowhere'} weight {share.weight}" + "".join(f", {text(item)}" for item in share.filters)
            for share in found.backends
        ],
        "timeouts": {name: seconds for name, seconds in timeouts.items() if seconds is not None},
    }
    return {name: part for name, part in parts.items() if part}


def match(found: Match) -> str:
    parts = [f"{found.path.type} {found.path.value}"]
    parts += [f"method {found.method}"] if found.method else []
    parts += [f"header {header.name} {header.type} {header.value}" for header in found.headers]
    parts += [f"query {query.name} {query.type} {query.value}" for query in found.query_params]
    return ", ".join(parts)


def text(found: Filter) -> str:
    if isinstance(found, HeaderModifier):
        parts = [f"{what} {name}={value}" for what in ("set", "add") for name, value in getattr(found, what)]
        return f"{found.on} headers: {', '.join([*parts, *(f'remove {name}' for name in found.remove)])}"
    target = f" host {found.hostname}" if found.hostname else ""
    target += path(found.path)
    if not isinstance(found, Redirect):
        return f"rewrite{target}"
    scheme = f" scheme {found.scheme}" if found.scheme else ""
    port = f" port {found.port}" if found.port else " port of the listener"
    return f"redirect {found.status_code}{scheme}{target}{port}"


def path(found: PathModifier | None) -> str:
    return f" {found.type} {found.value!r}" if found else ""
