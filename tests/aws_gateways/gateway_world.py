"""Gateways that are load balancers: everything between a cluster's objects and stacks, for tests."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from gatewright.aws.certificates import AcmCertificate
from gatewright.aws.configuration import Configurations
from gatewright.aws.configuration.loadbalancers import load_balancer_settings
from gatewright.aws.configuration.rules import rule_settings
from gatewright.aws.configuration.targetgroups import TargetGroupSettingsLookup
from gatewright.aws.configuration.verdicts import verdicts
from gatewright.aws.dialects import ALB, ALB_CONTROLLER, NLB, NLB_CONTROLLER
from gatewright.aws.gateways import (
    NETWORK,
    LoadBalancers,
    Standing,
    Surroundings,
    gateway_owners,
    load_balancers,
)
from gatewright.aws.network import Network, SecurityGroup, Subnet
from gatewright.aws.stack.desired import StackKey
from gatewright.flow import Flow
from gatewright.model.codec import decode
from gatewright.model.core import Node, Pod, PodStatus
from gatewright.model.meta import Key, Object
from gatewright.resolve import Inputs, Resolution, resolve
from gatewright.resolve.inputs import NOW

CLUSTER = "prod"
_OURS = {f"kubernetes.io/cluster/{CLUSTER}": "shared"}
_INTERNAL = {"kubernetes.io/role/internal-elb": "1", **_OURS}
_PUBLIC = {"kubernetes.io/role/elb": "1", **_OURS}
VPC = Network(
    vpc="vpc-1",
    ranges=("10.0.0.0/16",),
    subnets=(
        Subnet("subnet-pra", "us-east-1a", "10.0.0.0/18", {**_INTERNAL, "Name": "private-a"}, public=False),
        Subnet("subnet-prb", "us-east-1b", "10.0.128.0/17", {**_INTERNAL, "Name": "private-b"}, public=False),
        Subnet("subnet-pua", "us-east-1a", "10.0.64.0/20", {**_PUBLIC, "Name": "public-a"}, public=True),
        Subnet("subnet-pub", "us-east-1b", "10.0.80.0/20", {**_PUBLIC, "Name": "public-b"}, public=True),
    ),
    security_groups=(
        SecurityGroup("sg-front", {"Name": "front"}),
        SecurityGroup("sg-node", {"Name": "node", f"kubernetes.io/cluster/{CLUSTER}": "owned"}),
        SecurityGroup("sg-other", {"Name": "other"}),
    ),
    allocations={"198.51.100.1": "eipalloc-1", "198.51.100.2": "eipalloc-2"},
)


class World:
    """The objects of a cluster and what surrounds it, and the load balancers that they come to."""

    def __init__(self, network: Network | None = VPC, bucket: str = "") -> None:
        self.flow = Flow()
        self.inputs = Inputs(self.flow)
        self.configurations = Configurations(self.flow)
        self.surroundings = Surroundings(self.flow)
        self.sources: dict[type[Object], Any] = {
            **self.inputs.by_type,
            **self.configurations.by_type,
            Node: self.surroundings.nodes,
            Pod: self.surroundings.pods,
        }
        self.types = {type_.__name__: type_ for type_ in self.sources}
        self._bucket = bucket
        self.alb, self.albs = self._side("alb")
        self.nlb, self.nlbs = self._side("nlb")
        self._verdicts = verdicts(self.inputs, self.configurations)
        if network:
            self.surroundings.network.set(NETWORK, network)

    def _side(self, kind: Any) -> tuple[Resolution, LoadBalancers]:
        controller, dialect = (ALB_CONTROLLER, ALB) if kind == "alb" else (NLB_CONTROLLER, NLB)
        resolution = resolve(self.inputs, {controller}, dialect)
        return resolution, load_balancers(
            self.inputs,
            resolution.topology,
            gateway_owners(self.inputs, resolution.gateways),
            self.surroundings,
            kind=kind,
            cluster=CLUSTER,
            settings=load_balancer_settings(self.inputs, self.configurations, resolution.gateways),
            target_groups=TargetGroupSettingsLookup(self.inputs, self.configurations, resolution.gateways),
            rule_settings=rule_settings(self.inputs, self.configurations),
            trust_store_bucket=self._bucket,
        )

    def load(self, text: str) -> None:
        """Add the objects of some documents of YAML; one with `surroundings` is what AWS holds."""
        with self.flow.batch():
            for document in yaml.safe_load_all(text):
                if document:
                    self.add(document)
        self.judge()

    def add(self, document: dict[str, Any]) -> None:
        """Add one document, without judging the configuration kinds anew."""
        if "surroundings" in document:
            self.surround(document["surroundings"])
            return
        metadata = {"generation": 1, "resourceVersion": "1", "uid": f"uid-{document['metadata']['name']}"}
        document = {**document, "metadata": metadata | document["metadata"]}
        fill(document)
        obj = decode(self.types[document["kind"]], document)
        self.sources[type(obj)].set(obj.key, obj)

    def judge(self) -> None:
        """What is said of the configuration kinds is what their users start from."""
        self.inputs.verdicts.replace(dict(self._verdicts.items()))

    def surround(self, said: dict[str, Any]) -> None:
        """What AWS holds, and the time."""
        if "now" in said:
            self.inputs.clock.set(NOW, datetime.fromisoformat(said["now"]))
        if "network" in said:
            changed = {**msgspec.to_builtins(self.surroundings.network.get(NETWORK)), **said["network"]}
            self.surroundings.network.set(NETWORK, msgspec.convert(changed, Network))
        for arn, fields in said.get("certificates", {}).items():
            self.surroundings.certificates.set(arn, msgspec.convert({"arn": arn, **fields}, AcmCertificate))
        for address, groups in said.get("interfaces", {}).items():
            self.surroundings.interfaces.set(address, tuple(groups))
            self.surroundings.pods.set(Key("pods", address), Pod(status=PodStatus(pod_ip=address)))
        for name, arn in said.get("trustStores", {}).items():
            self.surroundings.trust_stores.set(name, arn)
        for what, why in said.get("unread", {}).items():
            self.surroundings.unread.set(what, why)
        for kind, by_owner in said.get("standing", {}).items():
            for owner, standing in by_owner.items():
                key = StackKey(CLUSTER, kind, owner)
                self.surroundings.standing.set(key, msgspec.convert(standing, Standing))

    def errors(self) -> list[Any]:
        """What any function stumbled over."""
        return [collection.errors for collection in self.flow._collections if collection.errors]


def fill(document: dict[str, Any]) -> None:
    """Give a Secret annotated `test` a key pair: `generate`, `expired` or `ed25519`; a ConfigMap a certificate."""
    wanted = document["metadata"].get("annotations", {}).get("test")
    if wanted:
        chain, private_key = key_pair(wanted)
        if document["kind"] == "ConfigMap":
            document["data"] = {"ca.crt": chain}
            return
        document["stringData"] = {"tls.crt": chain, "tls.key": private_key}


@functools.cache
def key_pair(kind: str = "generate") -> tuple[str, str]:
    private: Any = (
        ed25519.Ed25519PrivateKey.generate() if kind == "ed25519" else ec.generate_private_key(ec.SECP256R1())
    )
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2021 if kind == "expired" else 2040, 1, 1, tzinfo=UTC))
        .sign(private, None if kind == "ed25519" else hashes.SHA256())
    )
    return (
        certificate.public_bytes(Encoding.PEM).decode(),
        private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
    )


# --- pictures --------------------------------------------------------------------------------------------------------


def picture(world: World) -> dict[str, Any]:
    """All that comes of a world, for people to read."""
    found: dict[str, Any] = {}
    for balancers in (world.albs, world.nlbs):
        for key in sorted({*balancers.stacks.keys(), *balancers.blocked.keys(), *balancers.remarks.keys()}):
            entry: dict[str, Any] = {}
            if key in balancers.blocked:
                entry["blocked"] = list(balancers.blocked[key])
            if key in balancers.remarks:
                entry["remarks"] = list(balancers.remarks[key])
            ports = {
                f"{port.port}{'/udp' if port.transport == 'UDP' else ''}": problem
                for port, problem in sorted(balancers.ports.items())
                if port.gateway == key and problem
            }
            if ports:
                entry["not served"] = ports
            if key in balancers.stacks:
                entry["stack"] = stack_picture(balancers.stacks[key])
            if key in balancers.access and balancers.access[key].ingress:
                entry["let in"] = {
                    group: [plain(rule) for rule in sorted(rules)]
                    for group, rules in balancers.access[key].ingress.items()
                }
            found[str(key)] = entry
        for refused, refusals in sorted(balancers.refusals.items()):
            told = [
                ("left out" if each.rule is not None else "served without")
                + (f": rule {each.rule}: " if each.rule is not None else ": ")
                + each.message
                for each in refusals
            ]
            found.setdefault("routes", {})[f"{refused.kind} {refused.route} on {refused.gateway}"] = told
    return found


def stack_picture(stack: Any) -> dict[str, Any]:
    """A stack without what is said elsewhere: ownership tags, keys, defaults."""
    owned = stack.key.tags
    every = [stack.load_balancer, *stack.listeners, *stack.target_groups, *stack.security_groups]
    every += [*stack.certificates, *stack.trust_stores]
    assert all(owned.items() <= each.tags.items() for each in every)
    found = plain(stack)
    for name in ("id", "cluster", "kind"):
        del found[name]
    for name in ("listeners", "target_groups", "security_groups", "certificates", "trust_stores"):
        for each in found.get(name, ()):
            each["tags"] = {k: v for k, v in each["tags"].items() if k not in owned and k != stack.key.resource_tag}
            for rule in each.get("rules", ()):
                rule.pop("origins", None)
                rule["tags"] = {k: v for k, v in rule.get("tags", {}).items() if k not in owned}
    for each in found.get("certificates", ()):
        each["fingerprint"], each["chain"], each["private_key"] = "…", "…", "…"
    for wanted, each in zip(stack.trust_stores, found.get("trust_stores", ()), strict=False):
        count = wanted.bundle.count(b"BEGIN CERTIFICATE")
        each["fingerprint"], each["bundle"] = "…", f"certificates: {count}"
    for each in found.get("target_groups", ()):
        targets = ({"port": 0, "zone": ""} | target for target in each.get("targets", ()))
        each["targets"] = sorted(f"{t['id']}:{t['port']}" + (f" in {t['zone']}" if t["zone"] else "") for t in targets)
    pruned: dict[str, Any] = prune(found)
    return pruned


def plain(value: Any) -> Any:
    return prune(msgspec.to_builtins(value))


def prune(value: Any) -> Any:
    """Without what is empty."""
    if isinstance(value, dict):
        pruned = {key: prune(each) for key, each in value.items()}
        return {key: each for key, each in pruned.items() if each not in ("", None, [], {}, ())}
    if isinstance(value, list | tuple):
        return [prune(each) for each in value]
    return value


def gateway(*listeners: dict[str, Any], name: str = "edge", kind: str = "alb", **spec: Any) -> dict[str, Any]:
    """A Gateway of the class `alb` or `nlb` in namespace `infra`, whose listeners take routes of every namespace."""
    open_to_all = {"allowedRoutes": {"namespaces": {"from": "All"}}}
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"namespace": "infra", "name": name},
        "spec": {"gatewayClassName": kind, "listeners": [open_to_all | each for each in listeners], **spec},
    }


def texts(values: Iterable[Any]) -> str:
    return "\n".join(map(str, values))


EDGE = Key("infra", "edge")
