"""Sets of objects for property tests: small name spaces, so that things meet, and everything wrong that can be."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import strategies as st

from gatewright.flow import Flow
from gatewright.model.codec import decode
from gatewright.model.gateway.gateway import GatewayStatusAddress
from gatewright.model.gateway.shared import GROUP
from gatewright.model.meta import Key, Object
from gatewright.resolve import Addresses, Inputs
from gatewright.resolve.inputs import NOW
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
        protocol=one_of("HTTP", "HTTP", "HTTPS", "HTTPS", "TLS", "TLS", "TCP", "UDP", "SCTP"),
        hostname=maybe(st.sampled_from(HOSTNAMES)),
        tls=maybe(some(certificateRefs=certificate_refs, mode=maybe(one_of("Terminate", "Passthrough")))),
        allowedRoutes=some(
            namespaces=one_of(
                {"from": "All"},
                {"from": "Same"},
                {"from": "Selector"},
                {"from": "Selector", "selector": {"matchLabels": {"tier": "t"}}},
            ),
            kinds=one_of(
                None, None, [{"kind": "HTTPRoute"}], [{"kind": "TLSRoute"}], [{"kind": "HTTPRoute", "group": "other"}]
            ),
        ),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda listener: str(listener["name"]),
)
modifier = one_of(
    {"type": "ReplaceFullPath", "replaceFullPath": "/x"}, {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/x"}
)
filter_ref = some(name=one_of("v0", "v1", "lost"), namespace=maybe(NAMESPACES), port=maybe(one_of(80, 81)))
mirror = some(
    type=st.just("RequestMirror"),
    requestMirror=some(
        backendRef=filter_ref, percent=one_of(None, 0, 50), fraction=one_of(None, None, {"numerator": 1})
    ),
)
http_filter = st.one_of(
    mirror,
    some(
        type=st.just("ExternalAuth"),
        externalAuth=some(
            protocol=one_of("HTTP", "GRPC"), backendRef=filter_ref, forwardBody=one_of(None, {"maxSize": 9})
        ),
    ),
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
stream_backend = some(
    name=one_of("v0", "v1", "lost"),
    namespace=maybe(NAMESPACES),
    port=maybe(one_of(80, 81)),
    weight=maybe(one_of(0, 1, 9)),
)
parent_ref = some(
    name=one_of("g0", "g1", "g0", "ls0", "ls1"),
    namespace=maybe(NAMESPACES),
    kind=one_of(None, None, None, "Gateway", "ListenerSet", "ListenerSet", "Service"),
    sectionName=one_of(None, None, None, "l0", "l1"),
    port=one_of(None, None, None, 80, 443),
)
session = one_of(
    None, None, {}, {"type": "Header", "sessionName": "h"}, {"sessionName": "a b"}, {"absoluteTimeout": "0s"}
)
grpc_method = some(
    type=one_of("Exact", "RegularExpression"), service=one_of(None, "a.B", "("), method=one_of(None, "C", "*")
)
grpc_rule = some(
    matches=maybe(a_list(some(method=maybe(grpc_method)))),
    filters=maybe(a_list(mirror)),
    backendRefs=maybe(a_list(stream_backend)),
    sessionPersistence=session,
)
secrets = ["none", "empty", "malformed", "mismatch", "good", "good"]
API = f"{GROUP}/v1"
routes = an_object(
    API,
    "HTTPRoute",
    one_of("r0", "r1", "r2"),
    spec=some(
        useDefaultGateways=one_of(None, None, "All", "None"),
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
                    sessionPersistence=session,
                ),
                at_least=1,
            )
        ),
    ),
)


def stream_routes(kind: str, **fields: st.SearchStrategy[Any]) -> Any:
    spec = some(
        parentRefs=a_list(parent_ref, at_least=1, at_most=2),
        rules=a_list(some(backendRefs=a_list(stream_backend, at_least=1)), at_least=1, at_most=1),
        **fields,
    )
    return an_object(API, kind, one_of("r0", "r1"), spec=spec)


ca_refs = a_list(
    some(
        group=st.just(""),
        kind=one_of("ConfigMap", "ConfigMap", "Secret"),
        name=one_of("m", "n"),
        namespace=maybe(NAMESPACES),
    ),
    at_least=1,
)
validation = some(
    validation=maybe(some(caCertificateRefs=ca_refs, mode=maybe(one_of("AllowValidOnly", "AllowInsecureFallback"))))
)
gateway_tls = some(
    frontend=maybe(
        some(default=validation, perPort=maybe(a_list(some(port=one_of(443, 81), tls=validation), at_most=1)))
    ),
    backend=maybe(some(clientCertificateRef=maybe(some(name=one_of("s0", "s1"), namespace=maybe(NAMESPACES))))),
)
listener_sets = an_object(
    API,
    "ListenerSet",
    one_of("ls0", "ls1", "ls2"),
    spec=some(parentRef=some(name=one_of("g0", "g0", "g1"), namespace=maybe(NAMESPACES)), listeners=listeners),
)
objects = st.one_of(
    routes,
    routes,
    routes,
    listener_sets,
    listener_sets,
    an_object(
        API,
        "GRPCRoute",
        one_of("r0", "r1"),
        spec=some(
            parentRefs=a_list(parent_ref, at_least=1, at_most=3),
            hostnames=maybe(st.lists(st.sampled_from(HOSTNAMES), max_size=2, unique=True)),
            rules=maybe(a_list(grpc_rule, at_least=1)),
        ),
    ),
    stream_routes("TLSRoute", hostnames=st.lists(st.sampled_from(HOSTNAMES), min_size=1, max_size=3, unique=True)),
    stream_routes("TCPRoute"),
    stream_routes("UDPRoute"),
    an_object(
        API,
        "BackendTLSPolicy",
        one_of("p0", "p1"),
        spec=some(
            targetRefs=a_list(
                some(
                    group=st.just(""),
                    kind=one_of("Service", "Service", "Bucket"),
                    name=one_of("v0", "v1"),
                    sectionName=one_of(None, None, "p"),
                ),
                at_least=1,
            ),
            validation=some(
                hostname=st.just("x.org"),
                caCertificateRefs=maybe(
                    a_list(some(group=st.just(""), kind=st.just("ConfigMap"), name=one_of("m", "n")), 1)
                ),
                wellKnownCACertificates=maybe(st.just("System")),
            ),
        ),
    ),
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
            defaultScope=one_of(None, None, "All", "None"),
            listeners=listeners,
            allowedListeners=maybe(
                some(
                    namespaces=one_of(
                        {"from": "All"},
                        {"from": "All"},
                        {"from": "Same"},
                        {"from": "None"},
                        {"from": "Selector"},
                        {"from": "Selector", "selector": {"matchLabels": {"tier": "t"}}},
                    )
                )
            ),
            tls=maybe(gateway_tls),
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
                    some(
                        group=st.just(GROUP),
                        kind=one_of("Gateway", "ListenerSet", "HTTPRoute", "TCPRoute"),
                        namespace=NAMESPACES,
                    ),
                    1,
                ),
                "to": a_list(
                    some(
                        group=st.just(""),
                        kind=one_of("Secret", "Service", "ConfigMap"),
                        name=maybe(one_of("s0", "v0", "m")),
                    ),
                    1,
                ),
            }
        ),
    ),
    an_object("v1", "Namespace", one_of("a", "b"), labels=one_of({}, {"tier": "t"})),
    an_object("v1", "ConfigMap", one_of("m", "n"), data=one_of("none", "malformed", "good", "good")),
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
    if data["kind"] == "ConfigMap":
        content = {"none": {}, "malformed": {"ca.crt": "Hello"}, "good": {"ca.crt": key_pair(0)[0]}}
        data["data"] = content[data["data"]]
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
    st.builds(PortKey, st.sampled_from(GATEWAYS), one_of(80, 81, 443), one_of("TCP", "UDP")),
    maybe(st.builds(PortState, st.booleans(), one_of("", "taken"))),
)
rejections = st.tuples(
    st.just("rejections"),
    one_of(
        ("HTTPRoute", Key("a", "r0")),
        ("HTTPRoute", Key("b", "r1")),
        ("Secret", Key("a", "s0")),
        ("TCPRoute", Key("a", "r0")),
    ),
    maybe(st.builds(Rejection, one_of("1", "2"), st.just("too large"))),
)
clock = st.tuples(
    st.just("clock"), st.just(NOW), maybe(one_of(datetime(2019, 1, 1, tzinfo=UTC), datetime(2041, 1, 1, tzinfo=UTC)))
)
versions = st.tuples(st.just("bundle_versions"), one_of("gateways", "routes"), maybe(one_of("", "v1.6.1", "v9.0.0")))
edits = st.one_of(
    objects.map(lambda data: ("set", typed(data), None)),
    objects.map(lambda data: ("set", typed(data), None)),
    objects.map(lambda data: ("delete", typed(data), None)),
    addresses,
    ports,
    rejections,
    clock,
    versions,
)


BASE: list[Data] = [
    {"kind": "GatewayClass", "metadata": {"name": "c0"}, "spec": {"controllerName": CONTROLLER}},
    {
        "kind": "Gateway",
        "metadata": {"namespace": "a", "name": "g0"},
        "spec": {
            "gatewayClassName": "c0",
            "allowedListeners": {"namespaces": {"from": "All"}},
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
    {
        "kind": "ListenerSet",
        "metadata": {"namespace": "b", "name": "ls0"},
        "spec": {
            "parentRef": {"name": "g0", "namespace": "a"},
            "listeners": [
                {"name": "l0", "port": 80, "protocol": "HTTP", "hostname": "y.org"},
                {"name": "l1", "port": 443, "protocol": "TLS", "hostname": "*.org", "tls": {"mode": "Passthrough"}},
            ],
        },
    },
    {
        "kind": "TLSRoute",
        "metadata": {"namespace": "b", "name": "r0"},
        "spec": {
            "parentRefs": [{"kind": "ListenerSet", "name": "ls0"}],
            "hostnames": ["y.org"],
            "rules": [{"backendRefs": [{"name": "v0", "namespace": "a", "port": 80}]}],
        },
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
