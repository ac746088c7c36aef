"""A cluster with Ingresses, made of manifests, and what it comes to."""

from __future__ import annotations

import functools
from datetime import UTC, datetime
from typing import Any

import msgspec
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gatewright.aws.configuration.settings import LoadBalancerSettings, RuleSettings, TargetGroupSettings
from gatewright.aws.ingress import Ingresses, IngressSources, resolve_ingresses
from gatewright.aws.stack.desired import ClientSecret
from gatewright.flow import Flow
from gatewright.model.codec import decode
from gatewright.model.core import Namespace, Secret, Service
from gatewright.model.discovery import EndpointSlice
from gatewright.model.ingressclassparams import IngressClassParams
from gatewright.model.meta import Key, Object
from gatewright.model.networking import Ingress, IngressClass
from gatewright.resolve import Inputs
from gatewright.topology import HostKey, Match, Placement, RuleKey

PREFIX = "alb.ingress.kubernetes.io/"
TYPES: dict[str, type[Object]] = {
    type_.__name__: type_
    for type_ in (Ingress, IngressClass, IngressClassParams, Service, Secret, Namespace, EndpointSlice)
}


class World:
    """Manifests in, load balancers out."""

    def __init__(self, manifests: str = "") -> None:
        self.inputs = Inputs(Flow())
        self.sources = IngressSources(self.inputs.flow)
        self.ingresses: Ingresses = resolve_ingresses(self.inputs, self.sources)
        self.apply("apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}")
        self.apply("kind: IngressClass\nmetadata: {name: alb}\nspec: {controller: ingress.k8s.aws/alb}")
        self.apply(manifests)

    def apply(self, manifests: str) -> None:
        with self.inputs.flow.batch():
            for document in yaml.safe_load_all(manifests):
                if document and "names" in document:
                    self.sources.web_acls.replace(document["names"].get("webACLs", {}))
                    self.sources.target_groups.replace(document["names"].get("targetGroups", {}))
                elif document:
                    self.put(document)
        broken = [found for found in self.inputs.flow._collections if found.errors]
        assert not broken, broken[0].errors

    def put(self, document: dict[str, Any]) -> None:
        """One object; Secrets annotated `hosts` get a certificate for them."""
        document["metadata"] = {
            "generation": 1,
            "resourceVersion": "1",
            "creationTimestamp": "2026-01-01T00:00:00Z",
        } | document["metadata"]
        hosts = document["metadata"].get("annotations", {}).get("hosts")
        if hosts:
            chain, key = key_pair(hosts)
            document["stringData"] = {"tls.crt": chain, "tls.key": key}
        obj = decode(TYPES[document["kind"]], document)
        source = (self.inputs.by_type | self.sources.by_type)[type(obj)]
        source.set(obj.key, obj)

    def settings(self, group: str) -> LoadBalancerSettings:
        return self.ingresses.settings[key_of(group)]

    def problems(self, ingress: str) -> tuple[str, ...]:
        return self.ingresses.problems.get(key_of(ingress)) or ()

    def rules(self, group: str, listener: str) -> list[tuple[str, RuleSettings, Placement]]:
        """Of one listener in order: host, settings and placement."""
        found = [
            placement
            for (host, _), placement in self.ingresses.topology.placements.items()
            if host.listener.gateway == key_of(group) and host.listener.name == listener
        ]
        found.sort(key=lambda placement: placement.rule.precedence)
        return [(placement.host.hostname, self.of_rule(placement), placement) for placement in found]

    def of_rule(self, placement: Placement) -> RuleSettings:
        extension = placement.rule.filters[0]
        return self.ingresses.rule_settings[extension.key]  # type: ignore[union-attr]

    def target_group(self, ingress: str, service: str) -> TargetGroupSettings:
        """That of the only port of a Service behind an Ingress."""
        key = key_of(ingress)
        found = {
            backend: placement.rule.key
            for placement in self.ingresses.topology.placements.values()
            for backend in placement.rule.targets
            if placement.rule.key.route == key and backend.service == service
        }
        ((backend, rule),) = found.items()
        return self.ingresses.target_groups(_Reader(), key, backend, rule)  # type: ignore[arg-type]


class _Reader:
    """Reads collections outside of a deriving function."""

    def get(self, collection: Any, key: Any) -> Any:
        return collection.get(key)


def key_of(name: str) -> Key:
    namespace, _, name = name.rpartition("/")
    return Key(namespace, name)


def ingress(annotations: dict[str, Any] | None = None, *, name: str = "web", **more: Any) -> str:
    """An Ingress in namespace `shop` with one path to Service `app`; annotations without their prefix."""
    spec = {
        "ingressClassName": "alb",
        "rules": [{"http": {"paths": [{"path": "/", "pathType": "Prefix", "backend": backend("app")}]}}],
    }
    metadata = {
        "namespace": "shop",
        "name": name,
        "annotations": {PREFIX + key: value for key, value in (annotations or {}).items()},
    } | more.pop("metadata", {})
    return yaml.dump({"kind": "Ingress", "metadata": metadata, "spec": spec | more})


def backend(name: str, port: int | str = 80) -> dict[str, Any]:
    return {"service": {"name": name, "port": {"number" if isinstance(port, int) else "name": port}}}


def service(annotations: dict[str, Any] | None = None, *, name: str = "app", **port: Any) -> str:
    """A Service with one port."""
    metadata = {
        "namespace": "shop",
        "name": name,
        "annotations": {PREFIX + key: value for key, value in (annotations or {}).items()},
    }
    ports = [{"name": "http", "port": 80, "targetPort": 8080, "nodePort": 30080} | port]
    return yaml.dump({"kind": "Service", "metadata": metadata, "spec": {"type": "NodePort", "ports": ports}})


def manifests(*documents: str) -> str:
    return "\n---\n".join(documents)


# --- out -------------------------------------------------------------------------------------------------------------


def picture(world: World) -> dict[str, Any]:
    """Everything that Ingresses come to, without what is as it is by default."""
    found = world.ingresses
    groups = {}
    for key, group in sorted(found.groups.items()):
        shown: dict[str, Any] = {"ingresses": [str(member) for member in group.members]}
        if blocked := found.blocked.get(key):
            shown["blocked"] = list(blocked)
        if settings := found.settings.get(key):
            shown["settings"] = differing(settings)
        shown["listeners"] = {}
        for listener in sorted(found.topology.listeners.values(), key=lambda listener: listener.port):
            if listener.key.gateway == key:
                secrets = (
                    {"secrets": [str(secret) for secret in listener.certificates]} if listener.certificates else {}
                )
                rules = [rule(world, *each) for each in world.rules(str(key), listener.key.name)]
                shown["listeners"][listener.key.name] = secrets | {"rules": rules}
        groups[str(key)] = shown
    targets = {
        f"{key} -> {backend.address}": differing(each.settings) for (key, backend), each in sorted(_targets(world))
    }
    return {
        name: value
        for name, value in {
            "groups": groups,
            "targetGroups": targets,
            "certificateWishes": {str(key): list(each.hosts) for key, each in sorted(found.certificate_wishes.items())},
            "problems": {str(key): list(each) for key, each in sorted(found.problems.items())},
        }.items()
        if value
    }


def _targets(world: World) -> Any:
    return world.ingresses.target_groups._found.items()


def rule(world: World, host: str, settings: RuleSettings, placement: Placement) -> dict[str, Any]:
    key: RuleKey = placement.rule.key
    shown: dict[str, Any] = {"of": f"{key.route} {key.rule}/{key.match}", "host": host, "match": match(placement)}
    shown |= differing(settings)
    if placement.rule.backends:
        shown["backends"] = {str(each.backend): each.weight for each in placement.rule.backends}
    return shown


def match(placement: Placement) -> str:
    found: Match = placement.rule.match
    return f"{found.path.type} {found.path.value}"


def differing(value: Any) -> Any:
    """A struct as plain data, without fields that have their default, and without secrets."""
    if isinstance(value, ClientSecret):
        return {"secret": str(value.secret), "client_id": value.client_id}
    if isinstance(value, msgspec.Struct):
        defaults = dict(zip(reversed(value.__struct_fields__), reversed(value.__struct_defaults__), strict=False))
        tag = value.__struct_config__.tag
        named = {"is": tag} if tag else {}
        return named | {
            name: differing(item)
            for name in value.__struct_fields__
            if (item := getattr(value, name)) != _default(defaults.get(name, msgspec.NODEFAULT))
        }
    if isinstance(value, Key):
        return str(value)
    if isinstance(value, dict):
        return {
            "-".join(map(str, key)) if isinstance(key, tuple) else key: differing(each) for key, each in value.items()
        }
    return [differing(each) for each in value] if isinstance(value, tuple | list) else value


def _default(default: Any) -> Any:
    factory = getattr(default, "factory", None)
    return factory() if factory else default


@functools.cache
def key_pair(hosts: str) -> tuple[str, str]:
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
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts.split(",")]), critical=False)
        .sign(private, hashes.SHA256())
    )
    return (
        certificate.public_bytes(serialization.Encoding.PEM).decode(),
        private.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode(),
    )


__all__ = ["HostKey", "World", "backend", "ingress", "key_of", "manifests", "picture", "service"]
