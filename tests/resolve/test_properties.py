"""What holds for any set of objects: resolution is incremental, never fails, and leaves no condition out."""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from gatewright.flow import Collection, Flow
from gatewright.model.codec import decode
from gatewright.model.gateway.gateway import GatewayStatusAddress
from gatewright.model.gateway.shared import GROUP
from gatewright.model.meta import Condition, Key, Object
from gatewright.resolve import Addresses, Inputs, Resolution, resolve
from gatewright.topology import PortKey, PortState, Rejection

CONTROLLER = "gatewright.example/edge"

# --- any cluster -----------------------------------------------------------------------------------------------------

Data = dict[str, Any]
NAMESPACES = st.sampled_from(["a", "b"])
HOSTNAMES = ["*.example.com", "*.b.example.com", "x.b.example.com", "example.com", "*.org", "y.org"]
GATEWAYS = [Key("a", "g0"), Key("b", "g1")]


def some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Data]:
    """An object with these fields; those whose strategy gives None are left out."""
    return st.fixed_dictionaries(fields).map(lambda found: {k: v for k, v in found.items() if v is not None})


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


def one_of(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


def a_list(strategy: st.SearchStrategy[Any], at_least: int = 0, at_most: int = 2) -> st.SearchStrategy[list[Any]]:
    return st.lists(strategy, min_size=at_least, max_size=at_most)


def an_object(api_version: str, kind: str, names: st.SearchStrategy[str], **fields: st.SearchStrategy[Any]) -> Any:
    metadata = some(
        namespace=NAMESPACES,
        name=names,
        generation=st.integers(1, 2),
        resourceVersion=st.integers(1, 2).map(str),
        creationTimestamp=one_of("2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z"),
        labels=fields.pop("labels", st.just({})),
    )
    return some(apiVersion=st.just(api_version), kind=st.just(kind), metadata=metadata, **fields)


certificate_refs = a_list(
    some(name=one_of("s0", "s1"), namespace=maybe(NAMESPACES), kind=maybe(one_of("Secret", "ConfigMap")))
)
listeners = st.lists(
    some(
        name=one_of("l0", "l1", "l2", "l3"),
        port=one_of(80, 81, 443),
        protocol=one_of("HTTP", "HTTP", "HTTPS", "HTTPS", "TCP"),
        hostname=maybe(st.sampled_from(HOSTNAMES)),
        tls=maybe(some(certificateRefs=certificate_refs, mode=maybe(one_of("Terminate", "Passthrough")))),
        allowedRoutes=some(
            namespaces=one_of(
                {"from": "All"},
                {"from": "Same"},
                {"from": "Selector"},
                {"from": "Selector", "selector": {"matchLabels": {"tier": "t"}}},
            ),
            kinds=maybe(a_list(some(kind=one_of("HTTPRoute", "TCPRoute"), group=maybe(one_of(GROUP, "other"))))),
        ),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda listener: str(listener["name"]),
)
modifier = one_of(
    {"type": "ReplaceFullPath", "replaceFullPath": "/x"}, {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/x"}
)
http_filter = st.one_of(
    one_of(
        {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "h", "value": "v"}]}},
        {"type": "ResponseHeaderModifier", "responseHeaderModifier": {"remove": ["h"]}},
        {"type": "ExtensionRef", "extensionRef": {"group": "g", "kind": "K", "name": "n"}},
        {"type": "CORS", "cors": {}},
        {"type": "URLRewrite"},
    ),
    some(
        type=st.just("RequestRedirect"),
        requestRedirect=some(path=maybe(modifier), scheme=maybe(one_of("http", "https"))),
    ),
    some(type=st.just("URLRewrite"), urlRewrite=some(path=maybe(modifier))),
)
filters = one_of(True, False, False).flatmap(lambda any_: a_list(http_filter, 1) if any_ else st.none())
http_match = some(
    path=maybe(
        some(type=one_of("Exact", "PathPrefix", "RegularExpression"), value=one_of("/", "/a", "/a/", "/a/b", "/("))
    ),
    method=maybe(one_of("GET", "POST")),
    headers=maybe(
        a_list(some(name=one_of("h", "H"), value=one_of("v", "("), type=one_of("Exact", "RegularExpression")))
    ),
)
backend_ref = some(
    name=one_of("v0", "v1", "lost"),
    namespace=maybe(NAMESPACES),
    kind=maybe(one_of("Service", "Bucket")),
    port=maybe(one_of(80, 81)),
    weight=maybe(one_of(0, 1, 9)),
    filters=filters,
)
parent_ref = some(
    name=one_of("g0", "g1"),
    namespace=maybe(NAMESPACES),
    kind=one_of(None, None, None, "Gateway", "Service"),
    sectionName=one_of(None, None, None, "l0", "l1"),
    port=one_of(None, None, None, 80, 443),
)
secrets = ["none", "empty", "malformed", "mismatch", "good", "good"]
API = f"{GROUP}/v1"
routes = an_object(
    API,
    "HTTPRoute",
    one_of("r0", "r1", "r2"),
    spec=some(
        parentRefs=a_list(parent_ref, at_least=1, at_most=3),
        hostnames=maybe(st.lists(st.sampled_from(HOSTNAMES), max_size=3, unique=True)),
        rules=maybe(
            a_list(
                some(
                    matches=maybe(a_list(http_match)),
                    filters=filters,
                    backendRefs=maybe(a_list(backend_ref)),
                    timeouts=maybe(some(request=maybe(one_of("0s", "1h2m3s4ms")))),
                    retry=one_of(None, None, {"attempts": 1}),
                ),
                at_least=1,
            )
        ),
    ),
)
objects = st.one_of(
    routes,
    routes,
    routes,
    an_object(
        API,
        "GatewayClass",
        one_of("c0", "c1"),
        spec=some(
            controllerName=one_of(CONTROLLER, CONTROLLER, "example.com/other"),
            parametersRef=one_of(None, None, {"group": "", "kind": "ConfigMap", "name": "m"}),
        ),
    ),
    an_object(
        API,
        "Gateway",
        one_of("g0", "g1"),
        spec=some(
            gatewayClassName=one_of("c0", "c0", "c1", "lost"),
            listeners=listeners,
            addresses=maybe(
                a_list(some(type=one_of("IPAddress", "IPAddress", "Hostname"), value=st.just("127.0.0.9")))
            ),
            infrastructure=one_of(None, None, {"parametersRef": {"group": "", "kind": "ConfigMap", "name": "m"}}),
        ),
    ),
    an_object(
        API,
        "ReferenceGrant",
        one_of("t0"),
        spec=st.fixed_dictionaries(
            {
                "from": a_list(
                    some(group=st.just(GROUP), kind=one_of("Gateway", "HTTPRoute"), namespace=NAMESPACES), 1
                ),
                "to": a_list(
                    some(group=st.just(""), kind=one_of("Secret", "Service"), name=maybe(one_of("s0", "v0"))),
                    1,
                ),
            }
        ),
    ),
    an_object("v1", "Namespace", one_of("a", "b"), labels=one_of({}, {"tier": "t"})),
    an_object("v1", "ConfigMap", one_of("m")),
    an_object("v1", "Secret", one_of("s0", "s1"), stringData=st.sampled_from(secrets)),
    an_object(
        "v1",
        "Service",
        one_of("v0", "v1"),
        spec=some(
            type=one_of(None, None, "ExternalName"),
            ports=a_list(
                some(
                    port=one_of(80, 81),
                    name=maybe(one_of("p", "q")),
                    protocol=maybe(one_of("TCP", "UDP")),
                    appProtocol=one_of(None, None, "kubernetes.io/h2c", "odd"),
                )
            ),
        ),
    ),
    an_object(
        "discovery.k8s.io/v1",
        "EndpointSlice",
        one_of("e0", "e1"),
        labels=one_of({"kubernetes.io/service-name": "v0"}, {"kubernetes.io/service-name": "v1"}, {}),
        addressType=one_of("IPv4", "FQDN"),
        ports=a_list(some(name=maybe(one_of("p", "q")), port=maybe(one_of(8080, 9090)))),
        endpoints=a_list(
            some(
                addresses=a_list(one_of("10.0.0.1", "10.0.0.2")),
                conditions=some(
                    ready=maybe(st.booleans()), serving=maybe(st.booleans()), terminating=maybe(st.booleans())
                ),
            )
        ),
    ),
)
TYPES = {type_.__name__: type_ for type_ in Inputs(Flow()).by_type}
CLUSTER_SCOPED = {"GatewayClass", "Namespace"}


def typed(data: Data) -> Object:
    data = {**data, "metadata": dict(data["metadata"])}
    if data["kind"] in CLUSTER_SCOPED:
        data["metadata"]["namespace"] = ""
    if data["kind"] == "Secret":
        data["stringData"] = secret_content(data["stringData"])
    return decode(TYPES[data["kind"]], data)


def secret_content(what: str) -> dict[str, str]:
    chain, private_key = key_pair(0)
    return {
        "none": {},
        "empty": {"tls.crt": "", "tls.key": ""},
        "malformed": {"tls.crt": "Hello", "tls.key": private_key},
        "mismatch": {"tls.crt": chain, "tls.key": key_pair(1)[1]},
        "good": {"tls.crt": chain, "tls.key": private_key},
    }[what]


@functools.cache
def key_pair(_: int) -> tuple[str, str]:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    builder = x509.CertificateBuilder(name, name, private.public_key(), 1)
    moments = datetime(2020, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)
    certificate = builder.not_valid_before(moments[0]).not_valid_after(moments[1]).sign(private, hashes.SHA256())
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM).decode(), pem.decode()


# --- edits -----------------------------------------------------------------------------------------------------------

addresses = st.tuples(
    st.just("addresses"),
    st.sampled_from(GATEWAYS),
    maybe(st.builds(Addresses, st.just((GatewayStatusAddress(value="127.0.0.2"),)), one_of("", "taken"))),
)
ports = st.tuples(
    st.just("ports"),
    st.builds(PortKey, st.sampled_from(GATEWAYS), one_of(80, 81, 443)),
    maybe(st.builds(PortState, st.booleans(), one_of("", "taken"))),
)
rejections = st.tuples(
    st.just("rejections"),
    one_of(("HTTPRoute", Key("a", "r0")), ("HTTPRoute", Key("b", "r1")), ("Secret", Key("a", "s0"))),
    maybe(st.builds(Rejection, one_of("1", "2"), st.just("too large"))),
)
edits = st.one_of(
    objects.map(lambda data: ("set", typed(data), None)),
    objects.map(lambda data: ("set", typed(data), None)),
    objects.map(lambda data: ("delete", typed(data), None)),
    addresses,
    ports,
    rejections,
)


def apply(inputs: Inputs, edit: tuple[str, Any, Any]) -> None:
    what, subject, value = edit
    if what == "set":
        inputs.by_type[type(subject)].set(subject.key, subject)
    elif what == "delete":
        inputs.by_type[type(subject)].delete(subject.key)
    elif value is None:
        getattr(inputs, what).delete(subject)
    else:
        getattr(inputs, what).set(subject, value)


SOURCES = ("addresses", "ports", "rejections")


def from_nothing(inputs: Inputs) -> Resolution:
    fresh = Inputs(Flow())
    for type_, source in inputs.by_type.items():
        fresh.by_type[type_].replace(dict(source.items()))
    for name in SOURCES:
        getattr(fresh, name).replace(dict(getattr(inputs, name).items()))
    return resolve(fresh, {CONTROLLER})


def content(resolution: Resolution) -> dict[str, Any]:
    collections = {
        f"{type(owner).__name__}.{field.name}": getattr(owner, field.name)
        for owner in (resolution, resolution.topology)
        for field in dataclasses.fields(owner)
    }
    found: dict[str, Any] = {
        name: dict(item.items()) for name, item in collections.items() if isinstance(item, Collection)
    }
    by_host = resolution.topology.placements_by_host
    return found | {"in order": {host: by_host.lookup(host) for host in resolution.topology.hosts.keys()}}  # noqa: SIM118


@pytest.fixture(autouse=True, scope="module")
def _key_pairs() -> Iterator[None]:
    key_pair(0), key_pair(1)
    with capture_logs():
        yield


BASE: list[Data] = [
    {"kind": "GatewayClass", "metadata": {"name": "c0"}, "spec": {"controllerName": CONTROLLER}},
    {
        "kind": "Gateway",
        "metadata": {"namespace": "a", "name": "g0"},
        "spec": {
            "gatewayClassName": "c0",
            "listeners": [
                {"name": "l0", "port": 80, "protocol": "HTTP", "allowedRoutes": {"namespaces": {"from": "All"}}},
                {"name": "l1", "port": 443, "protocol": "HTTPS", "tls": {"certificateRefs": [{"name": "s0"}]}},
                {"name": "l2", "port": 80, "protocol": "HTTP", "hostname": "*.example.com"},
            ],
        },
    },
    {
        "kind": "HTTPRoute",
        "metadata": {"namespace": "a", "name": "r0"},
        "spec": {"parentRefs": [{"name": "g0"}], "rules": [{"backendRefs": [{"name": "v0", "port": 80}]}]},
    },
    {
        "kind": "HTTPRoute",
        "metadata": {"namespace": "a", "name": "r1"},
        "spec": {"parentRefs": [{"name": "g0"}], "hostnames": ["x.b.example.com", "y.org"]},
    },
    {"kind": "Secret", "metadata": {"namespace": "a", "name": "s0"}, "stringData": "good"},
    {"kind": "Service", "metadata": {"namespace": "a", "name": "v0"}, "spec": {"ports": [{"port": 80}]}},
    {
        "kind": "EndpointSlice",
        "metadata": {"namespace": "a", "name": "e0", "labels": {"kubernetes.io/service-name": "v0"}},
        "addressType": "IPv4",
        "ports": [{"port": 8080}],
        "endpoints": [{"addresses": ["10.0.0.1"]}],
    },
]
"""Where each cluster starts from: something that works, for edits to break."""


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(
    st.lists(objects.map(typed), min_size=10, max_size=30),
    st.lists(st.lists(edits, min_size=1, max_size=3), min_size=2, max_size=8),
)
def test_incremental_resolution_equals_resolution_from_nothing(
    start: list[Object], batches: list[list[tuple[str, Any, Any]]]
) -> None:
    inputs = Inputs(Flow())
    resolution = resolve(inputs, {CONTROLLER})
    with inputs.flow.batch():
        for obj in [*map(typed, BASE), *start]:
            apply(inputs, ("set", obj, None))
    check(inputs, resolution)
    for batch in batches:
        with inputs.flow.batch():
            for edit in batch:
                apply(inputs, edit)
        check(inputs, resolution)
    assert content(resolution) == content(from_nothing(inputs))


# --- what holds ------------------------------------------------------------------------------------------------------


def check(inputs: Inputs, resolution: Resolution) -> None:
    nothing_failed(inputs)
    conditions_are_complete(inputs, resolution)
    topology_is_whole(resolution)


def nothing_failed(inputs: Inputs) -> None:
    for collection in inputs.flow._collections:
        assert not collection.errors
        assert not any(index.errors for index in collection._indexes)


def conditions_are_complete(inputs: Inputs, resolution: Resolution) -> None:
    ours = {
        key
        for key, gateway in inputs.gateways.items()
        if Key("", gateway.spec.gateway_class_name) in resolution.classes
    }
    assert resolution.gateways.keys() == resolution.gateway_statuses.keys() == ours
    for key, status in resolution.gateway_statuses.items():
        spec = inputs.gateways[key].spec
        assert types(status.conditions) == ["Accepted", "Programmed"]
        assert [listener.name for listener in status.listeners] == [listener.name for listener in spec.listeners]
        for listener in status.listeners:
            required = {"Accepted", "Conflicted", "ResolvedRefs", "Programmed"}
            assert set(types(listener.conditions)) - {"OverlappingTLSConfig"} == required
            assert holds(listener.conditions, "Programmed") <= holds(listener.conditions, "Accepted")
            assert holds(listener.conditions, "Conflicted") <= (not holds(listener.conditions, "Accepted"))
            attached = sum((key, listener.name) in route.listeners for route in resolution.http_routes.values())
            assert listener.attached_routes == attached
    for key, route in inputs.http_routes.items():
        wanted = [
            ref
            for ref in route.spec.parent_refs
            if ref.kind == "Gateway" and Key(ref.namespace or key.namespace, ref.name) in ours
        ]
        resolved = resolution.http_routes.get(key)
        assert [parent.parent_ref for parent in resolved.parents] == wanted if resolved else not wanted
        for parent in resolved.parents if resolved else ():
            assert types(parent.conditions)[:2] == ["Accepted", "ResolvedRefs"]
            assert set(types(parent.conditions)[2:]) <= {"PartiallyInvalid"}
            assert holds(parent.conditions, "PartiallyInvalid") <= holds(parent.conditions, "Accepted")
            assert all(c.observed_generation == route.metadata.generation for c in parent.conditions)


def types(conditions: tuple[Condition, ...]) -> list[str]:
    found = [condition.type for condition in conditions]
    assert len(set(found)) == len(found)
    assert all(condition.reason for condition in conditions)
    return found


def holds(conditions: tuple[Condition, ...], type_: str) -> bool:
    return any(condition.type == type_ and condition.status == "True" for condition in conditions)


def topology_is_whole(resolution: Resolution) -> None:
    """Nothing refers to what isn't there; every request has one listener, every listener its certificates."""
    topology = resolution.topology
    assert topology.endpoints.keys() == topology.backends.keys()
    owners: Counter[tuple[PortKey, str]] = Counter()
    for host in topology.hosts.values():
        listener = topology.listeners[host.listener]
        if listener.protocol == "HTTP":
            owners[listener.port_key, host.hostname] += 1
        ordered = [placement.rule.precedence for placement in topology.placements_by_host.lookup(host)]
        assert ordered == sorted(set(ordered))
    assert all(count == 1 for count in owners.values())
    used = set()
    for placement in topology.placements.values():
        assert placement.host in topology.hosts
        used |= {share.backend for share in placement.rule.backends if share.backend}
    assert used == set(topology.backends.keys())
    served = {secret for listener in topology.listeners.values() for secret in listener.certificates}
    assert served == set(topology.certificates.keys())
    assert all(listener.certificates for listener in topology.listeners.values() if listener.protocol == "HTTPS")
    protocols = {(listener.port_key, listener.protocol) for listener in topology.listeners.values()}
    assert len(protocols) == len({port for port, _ in protocols})
