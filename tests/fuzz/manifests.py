"""Any set of manifests, derived from the schemas of the kinds that resolution reads: a new field is drawn by itself.

Names are drawn from a few, so that references often lead somewhere; every other value comes from its schema. What a
schema doesn't say, a pool does: which values are interesting for a field of that name.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import strategies as st

from gatewright.flow import Flow
from gatewright.model import kinds
from gatewright.model.causes import Cause
from gatewright.model.codec import decode
from gatewright.model.constraints import python_pattern
from gatewright.model.gateway.shared import GROUP
from gatewright.model.meta import Object
from gatewright.model.rules import violations
from gatewright.model.schema import Schema, openapi_schema
from gatewright.model.validation import apply_defaults, validate
from gatewright.resolve import Inputs

Json = dict[str, Any]
Draw = Callable[[st.SearchStrategy[Any]], Any]

CONTROLLER = "gatewright.dev/fuzz"
KINDS: tuple[type[Object], ...] = tuple(Inputs(Flow()).by_type)
CLUSTER_SCOPED = {"GatewayClass", "Namespace"}
NAMESPACES = ("a", "b")
NAMES = ("n0", "n1")
PORTS = (80, 81, 443)
HOSTS = ("example.com", "*.example.com", "x.example.com", "*.b.example.com", "x.b.example.com", "y.org")
ROUTES = tuple(kind.__name__ for kind in KINDS if kind.__name__.endswith("Route"))
_GROUPS = {kind.__name__: getattr(kinds.kind_of(kind), "group", "") for kind in KINDS}

_REFERENCES: Mapping[str, tuple[str, ...]] = {
    "parentRefs": (*("Gateway",) * 6, *("ListenerSet",) * 3, "Service"),
    "parentRef": ("Gateway",),
    "backendRefs": (*("Service",) * 8, "ConfigMap"),
    "backendRef": (*("Service",) * 8, "ConfigMap"),
    "certificateRefs": ("Secret", "Secret", "Secret", "ConfigMap"),
    "clientCertificateRef": ("Secret", "Secret", "ConfigMap"),
    "caCertificateRefs": ("ConfigMap", "ConfigMap", "Secret", "Service"),
    "targetRefs": ("Service", "Service", "Gateway"),
    "parametersRef": ("ConfigMap",),
    "extensionRef": ("ConfigMap",),
    "kinds": ROUTES,
    "from": ("Gateway", "ListenerSet", *ROUTES),
    "to": ("Service", "Secret", "ConfigMap"),
}
"""What a reference in a field of this name usually names."""

_POOLS: Mapping[str, tuple[Any, ...]] = {
    "namespace": NAMESPACES,
    "gatewayClassName": ("n0", "n0", "n0", "n1", "lost"),
    "controllerName": (CONTROLLER,),
    "hostname": HOSTS,
    "hostnames": HOSTS,
    "sectionName": ("l0", "l1", "p0"),
    "port": PORTS,
    "protocol": ("HTTP", "HTTP", "HTTPS", "HTTPS", "TLS", "TCP", "UDP", "example.com/odd"),
    "appProtocol": ("http", "kubernetes.io/h2c", "kubernetes.io/ws", "https", "odd"),
    "targetPort": (8080, "p0"),
    "addressType": ("IPv4", "IPv4", "IPv6", "FQDN"),
    "replaceFullPath": ("/full", "/", "", "x"),
    "replacePrefixMatch": ("/prefix", "/", "", "x/"),
    "wellKnownCACertificates": ("System",),
    "clusterIP": ("10.0.0.1", "None"),
    "externalName": ("elsewhere.example.com",),
}
"""Interesting values, by field."""

_PLACED: Mapping[str, tuple[Any, ...]] = {
    "GatewayClass.spec.controllerName": (CONTROLLER, CONTROLLER, "example.com/other"),
    "Service.spec.type": ("ClusterIP", "ClusterIP", "LoadBalancer", "ExternalName"),
    "Service.spec.ports.name": ("", "p0", "p1"),
    "Service.spec.ports.protocol": ("TCP", "TCP", "UDP"),
    "EndpointSlice.ports.name": ("", "p0", "p1"),
    "EndpointSlice.ports.protocol": ("TCP", "TCP", "UDP"),
    "EndpointSlice.ports.port": (8080, 9090),
    "EndpointSlice.endpoints.addresses": ("127.0.0.1", "127.0.0.2", "::1"),
    "Gateway.spec.listeners.name": ("l0", "l1", "l2"),
    "ListenerSet.spec.listeners.name": ("l0", "l1", "l2"),
    "Gateway.spec.addresses.type": ("IPAddress", "Hostname", "NamedAddress"),
    "Gateway.spec.addresses.value": ("127.0.0.9", "gw.example.com"),
}
"""Interesting values, by kind and path; they come before those by field."""

_MOSTLY = {"parentRefs", "rules", "backendRefs", "caCertificateRefs"}
"""Optional fields that a route without would be dull."""

_SELDOM = {"namespace", "sectionName"}
"""Optional fields that mostly keep a reference from leading anywhere."""

_ONE_IN = {count: st.sampled_from((True, *(False,) * (count - 1))) for count in (3, 8)}

_PATHS = ("/", "/a", "/a/", "/a/b", "/A", "/%61", "/a.b", "/(a|b)/.*", "/[0-9]+", "/a(", "/a*+")
_SELECTORS: tuple[Json, ...] = (
    {"matchLabels": {"tier": "t"}},
    {"matchExpressions": [{"key": "tier", "operator": "Exists"}]},
    {},
)


def manifest(kind: type[Object], *, wild: bool = True) -> st.SearchStrategy[Json]:
    """An object of a kind with its metadata. `wild` values are valid for the schema and come from no pool."""
    return st.composite(lambda draw: _object(draw, kind, wild))()


def _object(draw: Draw, kind: type[Object], wild: bool) -> Json:
    name = kind.__name__
    schema = openapi_schema(kind)
    described = kinds.kind_of(kind)
    body = {
        field: _value(draw, part, f"{name}.{field}", wild)
        for field, part in schema["properties"].items()
        if field not in ("apiVersion", "kind", "metadata", "status")
        and (field in schema.get("required", ()) or field == "spec" or draw(st.booleans()))
    }
    # The class n0 is the one that works.
    names = {"Namespace": NAMESPACES, "GatewayClass": NAMES[1:]}.get(name, NAMES[::-1])
    metadata = {
        "name": draw(st.sampled_from(names)),
        "namespace": "" if name in CLUSTER_SCOPED else draw(st.sampled_from(("a", "a", *NAMESPACES))),
        "generation": draw(st.integers(1, 3)),
        "resourceVersion": str(draw(st.integers(1, 3))),
        "creationTimestamp": draw(st.sampled_from(("2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z"))),
    }
    if name == "Namespace":
        metadata["labels"] = draw(st.sampled_from(({}, {"tier": "t"})))
    if name == "EndpointSlice":
        metadata["labels"] = {"kubernetes.io/service-name": draw(st.sampled_from(NAMES))}
    if name == "Secret":
        body = {
            "stringData": secret_content(draw(st.sampled_from(("good", "good", "good", "mixed", "broken", "none"))))
        }
    if name == "ConfigMap":
        body = {"data": draw(st.sampled_from(({"ca.crt": key_pair(0)[0]}, {"ca.crt": "Hello"}, {})))}
    return {"apiVersion": described.api_version, "kind": name, "metadata": metadata, **body}


def _value(draw: Draw, schema: Schema, where: str, wild: bool) -> Any:
    field = where.rpartition(".")[2]
    pool = _PLACED.get(where) or (_POOLS.get(field) if schema.get("type") != "object" else None)
    if field == "selector" and "Service" not in where:
        return draw(st.sampled_from(_SELECTORS))
    if where.endswith("matches.path") and schema.get("properties", {}).keys() == {"type", "value"}:
        return {
            "type": draw(st.sampled_from(schema["properties"]["type"]["enum"])),
            "value": draw(st.sampled_from(_PATHS)),
        }
    if pool and "pattern" in schema:
        pool = tuple(value for value in pool if re.search(python_pattern(schema["pattern"]), value))
    if pool and schema.get("type") != "array" and not (wild and draw(st.integers(0, 11)) == 7):
        return draw(st.sampled_from(pool))
    if "enum" in schema:
        return draw(st.sampled_from(schema["enum"]))
    match schema.get("type"):
        case "object" if "properties" in schema:
            return _struct(draw, schema, where, wild)
        case "object":
            entries = schema.get("additionalProperties", {"type": "string"})
            keys = draw(st.lists(st.sampled_from(("k", "example.com/k")), max_size=2, unique=True))
            return {key: _value(draw, entries, f"{where}.*", wild) for key in keys}
        case "array":
            return _list(draw, schema, where, wild)
        case "boolean":
            return draw(st.booleans())
        case "integer":
            least, most = schema.get("minimum", 0), schema.get("maximum", 2**31 - 1)
            return draw(st.integers(least, min(most, least + 3)) | st.integers(least, most))
        case "number":
            return draw(st.integers(0, 3))
    if schema.get("x-kubernetes-int-or-string"):
        return draw(st.sampled_from((1, "a")))
    return draw(
        _texts(
            schema.get("pattern", ""),
            schema.get("minLength", 0),
            schema.get("maxLength", 100),
            schema.get("format", ""),
        )
    )


def _struct(draw: Draw, schema: Schema, where: str, wild: bool) -> Json:
    properties: Schema = schema["properties"]
    needed = schema.get("required", ())
    chosen = {
        name
        for name in properties
        if name in needed or draw(_ONE_IN[8 if name in _MOSTLY | _SELDOM else 3]) == (name not in _MOSTLY)
    }
    result: Json = {}
    # In a union, the field that has the settings of a type goes with that type.
    for choice in ("type", "protocol"):
        settings = {value.lower(): value for value in properties.get(choice, {}).get("enum", ())}
        members = {name for name in properties if name.lower() in settings}
        if members:
            result[choice] = draw(st.sampled_from(properties[choice]["enum"]))
            chosen = (chosen - members) | {name for name in members if settings[name.lower()] == result[choice]}
    if {"kind", "name"} <= properties.keys() or {"kind", "group"} <= properties.keys():
        usual = next((found for part in reversed(where.split(".")) if (found := _REFERENCES.get(part))), ("Service",))
        result["kind"] = draw(st.sampled_from(usual))
        result["group"] = _GROUPS.get(result["kind"], GROUP)
        if "name" in properties:
            result["name"] = draw(st.sampled_from(("n0", "n0", *NAMES, "lost")))
        if "port" in properties and result["kind"] == "Service":
            chosen.add("port")
        if wild and draw(st.integers(0, 15)) == 7:
            result["group"] = "example.com"
    if "allowedRoutes" in properties and (not wild or draw(st.integers(0, 7)) != 7):
        chosen = _fitting(draw, chosen, result)
    if {"caCertificateRefs", "wellKnownCACertificates"} <= properties.keys():
        either = draw(st.sampled_from(("caCertificateRefs", "caCertificateRefs", "wellKnownCACertificates")))
        chosen = chosen - {"caCertificateRefs", "wellKnownCACertificates"} | {either}
    for name in properties:
        if name in chosen and name not in result:
            result[name] = _value(draw, properties[name], f"{where}.{name}", wild)
    return result


def _fitting(draw: Draw, chosen: set[str], listener: Json) -> set[str]:
    """Give a listener a protocol, and the TLS that goes with it; which other fields it may have."""
    protocol = listener["protocol"] = draw(st.sampled_from(_POOLS["protocol"]))
    secrets = [{"name": name} for name in draw(st.lists(st.sampled_from(NAMES), min_size=1, unique=True))]
    terminate = {"mode": "Terminate", "certificateRefs": secrets}
    if protocol == "HTTPS":
        listener["tls"] = terminate
    elif protocol == "TLS":
        listener["tls"] = draw(st.sampled_from((terminate, {"mode": "Passthrough"})))
    listener["allowedRoutes"] = {"namespaces": draw(st.sampled_from(({"from": "All"}, {"from": "Same"})))}
    return chosen - {"tls", "allowedRoutes"} - ({"hostname"} if protocol in ("TCP", "UDP") else set())


def _list(draw: Draw, schema: Schema, where: str, wild: bool) -> list[Any]:
    least, most = schema.get("minItems", 0), schema.get("maxItems", 3)
    keys = schema.get("x-kubernetes-list-map-keys")
    found: list[Any] = []
    seen = set()
    usual = 1 if where.rpartition(".")[2] in _MOSTLY else least
    for _ in range(draw(st.sampled_from((least, usual, usual, max(1, least), 1, min(most, 2), min(most, 3))))):
        item = _value(draw, schema["items"], where, wild)
        identity = repr([item.get(key) for key in keys] if keys else item)
        if identity not in seen:
            seen.add(identity)
            found.append(item)
    return found


@functools.cache
def _texts(pattern: str, least: int, most: int, form: str) -> st.SearchStrategy[str]:
    if form == "byte":
        return st.just("Zm9v")
    if form == "date-time":
        return st.just("2024-01-01T00:00:00Z")
    most = min(most, 60)
    if not pattern:
        return st.sampled_from(("v", "x-v", "(", "%41", "a b", '"', "é", "%")).filter(
            lambda text: len(text) >= least
        ) | st.text(min_size=least, max_size=min(most, 12))
    accepted = re.compile(python_pattern(pattern))
    return st.from_regex(re.compile(python_pattern(pattern), re.ASCII)).filter(
        lambda text: least <= len(text) <= most and accepted.search(text) is not None
    )


# --- valid ones ------------------------------------------------------------------------------------------------------

_STEP = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]")


def problems(data: Json) -> list[Cause]:
    """What the API would refuse in an object of the Gateway API."""
    type_ = {kind.__name__: kind for kind in KINDS}[data["kind"]]
    schema = openapi_schema(type_)
    filled = apply_defaults(schema, data)
    return validate(schema, filled) or violations(filled)


def mended(data: Json) -> Json | None:
    """The object without the parts that the API would refuse; None where that leaves nothing of it."""
    if data["kind"] not in _GROUPS or _GROUPS[data["kind"]] != GROUP:
        return data
    for _ in range(40):
        found = problems(data)
        if not found:
            return data
        # What is wrong by `oneOf` names its field in the message alone.
        field = found[0].field if found[0].field != "<nil>" else found[0].message.split('"')[3]
        steps = [int(index) if index else name for name, index in _STEP.findall(field)]
        if not _cut(data, steps):
            return None
    return None


def _cut(data: Json, steps: list[Any]) -> bool:
    """Remove what `steps` lead to, or the nearest thing around it that may be missing."""
    places: list[tuple[Any, Any]] = []
    node: Any = data
    for step in steps:
        try:
            inner = node[step]
        except (KeyError, IndexError, TypeError):
            break
        places.append((node, step))
        node = inner
    if isinstance(node, list) and len(node) > 1:
        node.pop()
        return True
    for parent, step in reversed(places[1:]):
        if isinstance(parent, list):
            if len(parent) > 1:
                del parent[step]
                return True
        elif step not in ("name", "type", "kind", "value", "port", "protocol", "listeners"):
            del parent[step]
            return True
    return False


def typed(data: Json) -> Object:
    """The object that a controller would read."""
    type_ = {kind.__name__: kind for kind in KINDS}[data["kind"]]
    return decode(type_, data)


# --- certificates ----------------------------------------------------------------------------------------------------


@functools.cache
def key_pair(number: int) -> tuple[str, str]:
    """A self-signed certificate and its key."""
    from datetime import UTC, datetime

    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"test {number}")])
    builder = x509.CertificateBuilder(name, name, private.public_key(), number + 1)
    moments = datetime(2020, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)
    certificate = (
        builder.not_valid_before(moments[0])
        .not_valid_after(moments[1])
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(private, hashes.SHA256())
    )
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return certificate.public_bytes(Encoding.PEM).decode(), pem.decode()


def secret_content(what: str) -> dict[str, str]:
    """The data of a Secret: a `good` key pair, one that doesn't belong together, one that is none, or nothing."""
    chain, private_key = key_pair(0)
    return {
        "none": {},
        "broken": {"tls.crt": "Hello", "tls.key": private_key, "ca.crt": "-----BEGIN CERTIFICATE-----\n"},
        "mixed": {"tls.crt": chain, "tls.key": key_pair(1)[1], "ca.crt": key_pair(1)[0]},
        "good": {"tls.crt": chain, "tls.key": private_key, "ca.crt": chain},
    }[what]
