"""What one tenant writes costs no other tenant anything, however bad it is: as it comes, as it is edited, and when
gatewright or Envoy starts again with all of it there.

The API takes all of these objects. Where something can't be served, its own conditions say so.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tests.e2e.edge_process import Edge, app, conditions, eventually, fetch

HOST = "good.example.com"
API = "gateway.networking.k8s.io/v1"
PORT, TLS_PORT = 8080, 8443


# --- good neighbours -------------------------------------------------------------------------------------------------


def listener(name: str, port: int, protocol: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "port": port, "protocol": protocol, "allowedRoutes": {"namespaces": {"from": "All"}}, **more}


def https(name: str, host: str, *secrets: str) -> dict[str, Any]:
    refs = [{"name": secret} for secret in secrets]
    return listener(name, TLS_PORT, "HTTPS", hostname=host, tls={"certificateRefs": refs})


LISTENERS = [listener("http", PORT, "HTTP"), https("https", HOST, "made")]


def gateway(*more: dict[str, Any]) -> dict[str, Any]:
    spec = {"gatewayClassName": "gatewright", "listeners": [*LISTENERS, *more]}
    return {"apiVersion": API, "kind": "Gateway", "metadata": {"name": "gw", "namespace": "default"}, "spec": spec}


def route(name: str, *rules: dict[str, Any], hosts: tuple[str, ...] = (HOST,), **spec: Any) -> dict[str, Any]:
    spec = {"parentRefs": [{"name": "gw"}], "hostnames": list(hosts), "rules": list(rules), **spec}
    return {"apiVersion": API, "kind": "HTTPRoute", "metadata": {"name": name, "namespace": "default"}, "spec": spec}


def rule(backend: str = "one", path: str = "/", **more: Any) -> dict[str, Any]:
    matches = [{"path": {"type": "PathPrefix", "value": path}}]
    return {"matches": matches, "backendRefs": [{"name": backend, "port": 8080}], **more}


# --- bad ones --------------------------------------------------------------------------------------------------------


def matching(**match: Any) -> dict[str, Any]:
    return rule(matches=[{"path": {"type": "PathPrefix", "value": "/bad"}} | match])


def regex(value: str) -> dict[str, Any]:
    return matching(path={"type": "RegularExpression", "value": value})


def filtering(type_: str, **settings: Any) -> dict[str, Any]:
    field = {"URLRewrite": "urlRewrite", "CORS": "cors"}.get(type_, type_[0].lower() + type_[1:])
    return rule(path="/bad", filters=[{"type": type_, field: settings}])


def redirecting(**settings: Any) -> dict[str, Any]:
    return {key: value for key, value in filtering("RequestRedirect", **settings).items() if key != "backendRefs"}


def pairs(count: int, length: int) -> list[dict[str, str]]:
    return [{"name": f"x-{number}", "value": "v" * length} for number in range(count)]


def full_path(value: str) -> dict[str, Any]:
    return {"path": {"type": "ReplaceFullPath", "replaceFullPath": value}}


BAD: dict[str, list[dict[str, Any]]] = {
    "regex-unbalanced": [regex("/a(b")],
    "regex-of-a-header": [matching(headers=[{"name": "x", "type": "RegularExpression", "value": "["}])],
    "regex-of-a-parameter": [matching(queryParams=[{"name": "x", "type": "RegularExpression", "value": "*"}])],
    "regex-with-lookahead": [regex("/(?=a)")],
    "regex-with-backreference": [regex(r"/(a)\1")],
    "regex-too-large": [regex("/((((a{1,9}){1,9}){1,9}){1,9}){1,9}")],
    "regex-with-control-characters": [regex("/a\n\x00b")],
    "regex-of-a-lone-surrogate": [regex("/[^\\x{D800}]")],
    "parameter-with-control-characters": [matching(queryParams=[{"name": "x", "value": "a\r\n\x00"}])],
    "removes-host": [filtering("RequestHeaderModifier", remove=["host", "Host", "x"])],
    "sets-host": [filtering("RequestHeaderModifier", set=[{"name": "Host", "value": "a"}])],
    "sets-what-frames": [
        filtering("RequestHeaderModifier", set=[{"name": "content-length", "value": "7"}], remove=["transfer-encoding"])
    ],
    "answers-what-frames": [filtering("ResponseHeaderModifier", set=[{"name": "content-length", "value": "7"}])],
    "header-that-looks-like-a-command": [
        filtering("RequestHeaderModifier", set=[{"name": "x", "value": "%REQ(x"}, {"name": "y", "value": "100%"}])
    ],
    "header-values-that-are-long": [filtering("RequestHeaderModifier", set=pairs(16, 4096), add=pairs(16, 4096))],
    "redirects-with-control-characters": [redirecting(**full_path("/a\r\nx-injected: yes\r\n\r\n"))],
    "redirects-to-what-is-not-ascii": [redirecting(**full_path("/é 世界 \x7f"))],
    "rewrites-with-control-characters": [filtering("URLRewrite", **full_path("/a b\r\nx-injected: yes\x00"))],
    "rewrites-to-nothing": [filtering("URLRewrite", **full_path(""))],
    "rewrites-like-a-regex": [
        filtering("URLRewrite", path={"type": "ReplacePrefixMatch", "replacePrefixMatch": "/\\1\\9\\"})
    ],
    "paths-that-are-long": [rule(path="/" + "a" * 1023), regex("/" + "a?" * 500)],
    "matches-many": [
        {"matches": [{"path": {"value": f"/bad/{number}/{index}"}} for index in range(60)]} for number in range(2)
    ],
    "weights-that-are-large": [
        rule(path="/bad", backendRefs=[{"name": n, "port": 8080, "weight": 1_000_000} for n in ("one", "two")] * 8)
    ],
    "durations-that-are-long": [
        rule(path="/bad", timeouts={"request": "99999h99999h99999h99999h", "backendRequest": "99999h"})
    ],
    "session-of-an-odd-name": [rule(path="/bad", sessionPersistence={"sessionName": "a b;\r\n\x00=,"})],
    "session-in-an-odd-header": [rule(path="/bad", sessionPersistence={"sessionName": ":a b", "type": "Header"})],
    "session-for-ever": [
        rule(
            path="/bad",
            sessionPersistence={
                "absoluteTimeout": "99999h99999h99999h99999h",
                "cookieConfig": {"lifetimeType": "Permanent"},
            },
        )
    ],
    "authorized-by-odd-headers": [
        filtering(
            "ExternalAuth",
            protocol="HTTP",
            backendRef={"name": "one", "port": 8080},
            http={"path": "/", "allowedHeaders": ["a b\r\n", ""], "allowedResponseHeaders": ["\x00", "é"]},
            forwardBody={"maxSize": 2**31 - 1},
        )
    ],
    "retried-for-ever": [
        rule(path="/bad", retry={"codes": list(range(400, 600)), "attempts": 2**40, "backoff": "99999h99999h"})
    ],
    "origins-that-are-odd": [
        filtering(
            "CORS", allowOrigins=["http://*:99999", "https://*.-", "http://a"], exposeHeaders=["*"], maxAge=2**31 - 1
        )
    ],
    "mirrored-many-times": [
        rule(
            path="/bad",
            filters=[
                {"type": "RequestMirror", "requestMirror": {"backendRef": {"name": "one", "port": 8080}, "percent": 0}}
            ]
            * 16,
        )
    ],
    "backend-of-another-kind": [rule(path="/bad", backendRefs=[{"group": "x.io", "kind": "Bucket", "name": "b"}])],
}
"""By the route's name, its rules."""


SERVED = {"with-ed25519", "expired"}


@cache
def odd_certificates() -> dict[str, tuple[str, str]]:
    """Key pairs that a Secret may hold. Envoy would refuse all but those in `SERVED`, which are its clients' affair."""
    chain, private = made(ec.generate_private_key(ec.SECP256R1()))
    return {
        "of-another-key": (chain, made(ec.generate_private_key(ec.SECP256R1()))[1]),
        "that-is-none": ("Hello", "World"),
        "with-text-around": (chain.replace("MII", "!!!", 1), private),
        "with-ed25519": made(ed25519.Ed25519PrivateKey.generate()),
        "with-a-short-key": made(rsa.generate_private_key(65537, 1024)),
        "with-an-odd-curve": made(ec.generate_private_key(ec.SECP256K1())),
        "expired": made(ec.generate_private_key(ec.SECP256R1()), days=-1),
    }


def made(private: Any, days: int = 10) -> tuple[str, str]:
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "bad.example.com")])
    start = datetime.now(UTC) - timedelta(days=30)
    builder = x509.CertificateBuilder(name, name, private.public_key(), 7)
    builder = builder.not_valid_before(start).not_valid_after(start + timedelta(days=30 + days))
    digest = None if isinstance(private, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return builder.sign(private, digest).public_bytes(Encoding.PEM).decode(), pem.decode()


def secret(name: str, pair: tuple[str, str]) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "default"}
    data = {"tls.crt": pair[0], "tls.key": pair[1]}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "kubernetes.io/tls", "stringData": data}


# --- the edge --------------------------------------------------------------------------------------------------------


class Neighbours:
    """An edge with good routes, for bad ones to be put beside them."""

    def __init__(self, edge: Edge) -> None:
        self.edge = edge
        self.turn = 0
        address = edge.address("default")
        self.urls = {f"http://{address}:{PORT}", f"https://{address}:{TLS_PORT}"}

    def are_served(self) -> None:
        """They answer over HTTP and HTTPS, and an edit of theirs arrives."""
        self.turn += 1
        path = f"/turn-{self.turn}"
        self.edge.cluster.apply(yaml.safe_dump(route("good", rule("one"), rule("two", path))))
        for url in self.urls:
            eventually(lambda url=url: self.ask(url + path) == "two", "an edit of a good route arrives")  # type: ignore[misc]
            assert self.ask(url) == "one"

    def ask(self, url: str) -> str:
        answer = fetch(url, host=HOST, sni=HOST, ca=self.edge.ca)
        return answer.body.strip() if answer.status == 200 else f"{answer.status} {answer.body}"

    def say(self, name: str) -> dict[str, tuple[str, str]]:
        """The conditions of a route, once they are about its newest version."""

        def look() -> dict[str, tuple[str, str]]:
            found = self.edge.cluster.get("HTTPRoute", "default", name)
            parent = found["status"]["parents"][0]
            assert {each["observedGeneration"] for each in parent["conditions"]} == {found["metadata"]["generation"]}
            return conditions(parent)

        return eventually(look, f"the status of {name} is up to date")


APPS = "---".join((app("one", "one"), app("two", "two")))
GOOD = yaml.safe_dump_all([gateway(), route("good", rule("one"))])


@pytest.fixture(scope="module")
def neighbours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neighbours]:
    folder = tmp_path_factory.mktemp("isolation")
    (folder / "good.yaml").write_text(f"{APPS}---\n{GOOD}")
    process = Edge("up", folder / "good.yaml", "--no-watch", directory=folder)
    try:
        yield Neighbours(process.serving())
    finally:
        process.close()


@pytest.mark.parametrize("name", BAD)
def test_a_bad_route_beside_good_ones(neighbours: Neighbours, name: str) -> None:
    cluster = neighbours.edge.cluster
    for version in range(2):  # as it comes, and as it is edited into another bad one
        bad = route(name, *BAD[name], rule("two", f"/beside/{version}"))
        cluster.apply(yaml.safe_dump(bad))
        neighbours.are_served()

    def is_served_or_says_so() -> bool:
        said = neighbours.say(name)
        assert {"Accepted", "ResolvedRefs"} <= said.keys()
        served = said["Accepted"][0] == "True"
        return neighbours.ask(f"{min(neighbours.urls)}/beside/1") == ("two" if served else "one")

    eventually(is_served_or_says_so, "the rule beside the bad one is served, unless the route says that it isn't")
    cluster.delete("HTTPRoute", "default", name)
    neighbours.are_served()


@pytest.mark.parametrize("name", odd_certificates())
def test_an_odd_certificate_beside_a_good_one(neighbours: Neighbours, name: str) -> None:
    cluster = neighbours.edge.cluster
    cluster.apply(yaml.safe_dump(secret("bad", odd_certificates()[name])))
    cluster.apply(
        yaml.safe_dump(gateway(https("bad", "bad.example.com", "bad"), listener("odd", TLS_PORT + 1, "HTTP")))
    )
    neighbours.are_served()
    address = neighbours.edge.address("default")
    eventually(lambda: fetch(f"http://{address}:{TLS_PORT + 1}/", host="x").status == 404, "a good listener beside it")

    def of_the_bad() -> dict[str, tuple[str, str]]:
        found = cluster.get("Gateway", "default", "gw")
        listeners = {each["name"]: each for each in found["status"]["listeners"]}
        said = conditions(listeners["bad"])
        assert conditions(listeners["https"])["Programmed"][0] == "True"
        if name in SERVED:
            assert said["Programmed"] == ("True", "Programmed")
        else:
            assert said["ResolvedRefs"] == ("False", "InvalidCertificateRef")
            assert said["Programmed"][0] == "False"
        return said

    eventually(of_the_bad, "the listener with the odd certificate says so")
    cluster.apply(yaml.safe_dump(gateway()))
    neighbours.are_served()


# --- bad ones of other kinds, in a namespace of their own -----------------------------------------------------------

TENANT = "tenant"
TLS_PASS_PORT = 8444


def theirs(kind: str, name: str, spec: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": API, "kind": kind, "metadata": {"name": name, "namespace": TENANT}, "spec": spec}


def in_tenant(obj: dict[str, Any]) -> dict[str, Any]:
    return {**obj, "metadata": {**obj["metadata"], "namespace": TENANT}}


def a_set(*listeners: dict[str, Any], name: str = "bad") -> dict[str, Any]:
    return theirs("ListenerSet", name, {"parentRef": PARENT, "listeners": list(listeners)})


def a_grpc_route(*rules: dict[str, Any], hosts: tuple[str, ...] = (HOST,)) -> dict[str, Any]:
    return theirs("GRPCRoute", "bad", {"parentRefs": [PARENT], "hostnames": list(hosts), "rules": list(rules)})


def a_tls_route(*hosts: str, backend: dict[str, Any] | None = None) -> dict[str, Any]:
    refs = [backend or {"name": "thing", "port": 8080}]
    return theirs(
        "TLSRoute", "bad", {"parentRefs": [PARENT], "hostnames": list(hosts), "rules": [{"backendRefs": refs}]}
    )


def a_policy(**validation: Any) -> list[dict[str, Any]]:
    """A policy for a Service, and a route that sends requests to it."""
    target = {"group": "", "kind": "Service", "name": "thing"}
    policy = theirs("BackendTLSPolicy", "bad", {"targetRefs": [target], "validation": validation})
    using = route("uses-it", {"backendRefs": [{"name": "thing", "port": 8080}]}, hosts=("tenant.example.com",))
    using["spec"]["parentRefs"] = [PARENT]
    return [policy, in_tenant(using)]


def authority(text: str) -> dict[str, Any]:
    metadata = {"name": "ca", "namespace": TENANT}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"ca.crt": text}}


PARENT = {"name": "gw", "namespace": "default"}
CA_REF = [{"group": "", "kind": "ConfigMap", "name": "ca"}]
FOREIGN_SECRET = {"certificateRefs": [{"name": "made", "namespace": "default"}]}

TENANTS: dict[str, list[dict[str, Any]]] = {
    "set-of-the-same-hostname": [a_set(https("mine", HOST, "bad"))],
    "set-of-another-protocol": [
        a_set(listener("mine", PORT, "TCP"), listener("tls", PORT, "TLS", hostname=HOST, tls={"mode": "Passthrough"}))
    ],
    "set-with-a-foreign-secret": [
        a_set(listener("mine", TLS_PORT, "HTTPS", hostname="a.example.com", tls=FOREIGN_SECRET))
    ],
    "set-with-odd-certificates": [
        *(in_tenant(secret(name, pair)) for name, pair in odd_certificates().items()),
        a_set(*(https(name, f"{name}.tenant.example.com", name) for name in odd_certificates())),
    ],
    "sets-of-many": [
        *(in_tenant(secret(name, pair)) for name, pair in odd_certificates().items()),
        *(
            a_set(
                *(https(f"l{at}", f"h{at}-{number}.tenant.example.com", "with-ed25519") for at in range(57)),
                *(https(name, f"{name}-{number}.tenant.example.com", name) for name in odd_certificates()),
                name=f"bad-{number}",
            )
            for number in range(2)
        ),
    ],
    "grpc-route-of-a-taken-hostname": [a_grpc_route({})],
    "grpc-route-with-odd-matches": [
        a_grpc_route(
            {"matches": [{"method": {"type": "RegularExpression", "service": "a(", "method": "b)"}}]},
            {"matches": [{"method": {"type": "RegularExpression", "service": "[^\\x{D800}]"}}]},
            {"matches": [{"headers": [{"name": "x", "type": "RegularExpression", "value": "é["}]}]},
            hosts=("grpc.tenant.example.com",),
        )
    ],
    "tls-route-of-a-terminated-name": [a_tls_route(HOST)],
    "tls-route-of-a-taken-name": [a_tls_route("pass.example.com", "*.example.com")],
    "tls-route-of-many-names": [a_tls_route(*(f"{'a.' * n}tenant.example.com" for n in range(1, 17)))],
    "tls-route-to-a-foreign-backend": [
        a_tls_route("mine.tenant.example.com", backend={"name": "one", "namespace": "default", "port": 8080})
    ],
    "policy-without-an-authority": a_policy(hostname="x.example.com", caCertificateRefs=CA_REF),
    "policy-with-a-broken-authority": [
        authority("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        *a_policy(hostname="x.example.com", caCertificateRefs=CA_REF),
    ],
    "policy-with-odd-names": a_policy(
        hostname="x.example.com",
        wellKnownCACertificates="System",
        subjectAltNames=[
            {"type": "URI", "uri": "spiffe://%00/[^]" + "a" * 200},
            {"type": "Hostname", "hostname": "*.a.b"},
        ],
    ),
}
"""By a name for it, what a tenant writes."""


@pytest.fixture(scope="module")
def tenant(neighbours: Neighbours) -> Neighbours:
    """A namespace of somebody else, with a Service; the Gateway takes its routes and sets."""
    passing = listener("pass", TLS_PASS_PORT, "TLS", hostname="*.example.com", tls={"mode": "Passthrough"})
    shared = gateway(passing)
    shared["spec"]["allowedListeners"] = {"namespaces": {"from": "All"}}
    good = a_tls_route("pass.example.com")
    good["metadata"] = {"name": "good", "namespace": "default"}
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "thing", "namespace": TENANT}}
    service["spec"] = {"selector": {"app": "thing"}, "ports": [{"port": 8080}]}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": TENANT}}
    neighbours.edge.cluster.apply(yaml.safe_dump_all([namespace, service, shared, good]))
    neighbours.are_served()
    return neighbours


@pytest.mark.parametrize("name", TENANTS)
def test_what_a_tenant_writes_beside_good_routes(tenant: Neighbours, name: str) -> None:
    cluster = tenant.edge.cluster
    for obj in TENANTS[name]:
        cluster.apply(yaml.safe_dump(obj))
    tenant.are_served()
    written = [(obj["kind"], obj["metadata"]["name"]) for obj in TENANTS[name]]

    def said() -> dict[str, dict[str, tuple[str, str]]]:
        """Of each, what it says of itself, once that is about the newest version."""
        found = {}
        for kind, own in written:
            status = cluster.get(kind, TENANT, own).get("status", {})
            for holder in (*status.get("parents", ()), *status.get("ancestors", ()), status):
                if "conditions" in holder:
                    found[kind] = conditions(holder)
        assert found
        return found

    status = eventually(said, f"{name} says what became of it")
    if name in REFUSED:
        kind, type_, reason = REFUSED[name]
        eventually(lambda: said()[kind][type_] == ("False", reason), f"{type_} {reason}: {status}")
    good = cluster.get("TLSRoute", "default", "good")["status"]["parents"][0]
    assert conditions(good)["Accepted"][0] == "True"
    for kind, own in written:
        cluster.delete(kind, TENANT, own)
    tenant.are_served()


REFUSED = {
    "set-of-the-same-hostname": ("ListenerSet", "Accepted", "ListenersNotValid"),
    "set-of-another-protocol": ("ListenerSet", "Accepted", "ListenersNotValid"),
    "set-with-a-foreign-secret": ("ListenerSet", "Accepted", "ListenersNotValid"),
    "grpc-route-of-a-taken-hostname": ("GRPCRoute", "Accepted", "HostnameConflict"),
    "grpc-route-with-odd-matches": ("GRPCRoute", "Accepted", "UnsupportedValue"),
    "tls-route-to-a-foreign-backend": ("TLSRoute", "ResolvedRefs", "RefNotPermitted"),
    "policy-without-an-authority": ("BackendTLSPolicy", "Accepted", "NoValidCACertificate"),
    "policy-with-a-broken-authority": ("BackendTLSPolicy", "Accepted", "NoValidCACertificate"),
}
"""By a name, the kind, and the condition that is False, with its reason."""


def everything_bad() -> str:
    routes = [route(name, *rules) for name, rules in BAD.items()]
    certificates = odd_certificates()
    secrets = [secret(name, pair) for name, pair in certificates.items()]
    listeners = [https(name, f"{name}.example.com", name) for name in certificates]
    return str(yaml.safe_dump_all([*routes, *secrets, gateway(*listeners)]))


def test_everything_bad_at_once_and_both_start_again(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(f"{APPS}---\n{yaml.safe_dump(route('good', rule('one')))}")
    (tmp_path / "bad.yaml").write_text(everything_bad())
    arguments = ("up", tmp_path / "good.yaml", tmp_path / "bad.yaml", "--no-watch", "--data-dir", tmp_path / "data")
    for attempt in range(2):
        process = Edge(*arguments, directory=tmp_path)
        try:
            neighbours = Neighbours(process.serving())
            neighbours.are_served()
            envoys = process.envoys()
            for pid in envoys:
                os.kill(pid, signal.SIGKILL)
            eventually(lambda process=process, old=envoys: set(process.envoys()) - set(old), "a new Envoy")  # type: ignore[misc]
            eventually(lambda n=neighbours: {n.ask(url) for url in n.urls} == {"one"}, "served by it")  # type: ignore[misc]
            neighbours.are_served()
            if attempt == 0:
                process.process.kill()
                process.process.wait(10)
        finally:
            process.close()
