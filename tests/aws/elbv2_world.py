"""The emulated ELBv2 API behind a real HTTP endpoint, without any traffic: fresh for each test, known through boto3."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network
from typing import Any

import pytest

from gatewright.local.aws import elbv2, network

# isort: split

from botocore.exceptions import ClientError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gatewright.local.aws.backends import LOCK, forget
from gatewright.local.aws.endpoint import Clients
from gatewright.local.aws.seed import seed
from gatewright.local.aws.server import ApiServer
from gatewright.local.aws.state import CloudState

NETWORK = IPv4Network("10.0.0.0/16")


class World:
    """A seeded account; what the tests say most often is a method."""

    def __init__(self, clients: Clients, carries_traffic: bool) -> None:
        self._clients = clients
        self.state = CloudState()
        with LOCK:
            forget()
            network.install()
            elbv2.install(self.state, carries_traffic=carries_traffic)
            self.seeded = seed(NETWORK)
        self.elb: Any = clients.client("elbv2")

    def client(self, service: str) -> Any:
        return self._clients.client(service)

    def load_balancer(self, name: str = "edge", kind: str = "application", **settings: Any) -> str:
        """The ARN of a new one."""
        if "SubnetMappings" not in settings:
            settings.setdefault("Subnets", self.seeded.public)
        made = self.elb.create_load_balancer(Name=name, Type=kind, **settings)
        return str(made["LoadBalancers"][0]["LoadBalancerArn"])

    def group(self, name: str = "pods", protocol: str = "HTTP", **settings: Any) -> str:
        """The ARN of a new target group, of addresses unless told otherwise."""
        settings = {"Port": 80, "VpcId": self.seeded.vpc, "TargetType": "ip", **settings}
        made = self.elb.create_target_group(Name=name, Protocol=protocol, **settings)
        return str(made["TargetGroups"][0]["TargetGroupArn"])

    def listener(
        self, load_balancer: str, group: str | None = None, port: int = 80, protocol: str = "HTTP", **settings: Any
    ) -> str:
        """The ARN of a new listener that forwards to `group`, or answers 404."""
        settings.setdefault("DefaultActions", [forward(group)] if group else [fixed_response(404)])
        made = self.elb.create_listener(LoadBalancerArn=load_balancer, Port=port, Protocol=protocol, **settings)
        return str(made["Listeners"][0]["ListenerArn"])

    def rule(
        self, listener: str, priority: int, conditions: list[Any], actions: list[Any] | None = None, **settings: Any
    ) -> str:
        """The ARN of a new rule, which answers 200 unless told otherwise."""
        made = self.elb.create_rule(
            ListenerArn=listener,
            Priority=priority,
            Conditions=conditions,
            Actions=actions or [fixed_response(200)],
            **settings,
        )
        return str(made["Rules"][0]["RuleArn"])

    def certificate(self, name: str = "app.example.com") -> str:
        """The ARN of a new certificate of ACM."""
        chain, key = certificate(name)
        return str(self.client("acm").import_certificate(Certificate=chain, PrivateKey=key)["CertificateArn"])

    def health(self, group: str, *targets: dict[str, Any]) -> dict[tuple[str, int], tuple[str, str, str]]:
        """By id and port: state, reason and description."""
        answer = self.elb.describe_target_health(TargetGroupArn=group, **({"Targets": targets} if targets else {}))
        return {
            (one["Target"]["Id"], one["Target"].get("Port", 0)): (
                one["TargetHealth"]["State"],
                one["TargetHealth"].get("Reason", ""),
                one["TargetHealth"].get("Description", ""),
            )
            for one in answer["TargetHealthDescriptions"]
        }


@pytest.fixture(scope="session")
def api() -> Iterator[Clients]:
    """The server and its clients, one for all tests of a process: making a client takes longer than a test."""
    server = ApiServer(lambda service: None)
    server.start()
    yield Clients(server.url)
    server.stop()


@pytest.fixture
def world(api: Clients) -> Iterator[World]:
    """A fresh account without a data plane."""
    yield World(api, carries_traffic=False)
    forget()


@pytest.fixture
def serving_world(api: Clients) -> Iterator[World]:
    """A fresh account whose data plane the test plays, by `state.served`."""
    yield World(api, carries_traffic=True)
    forget()


def refusal(call: Callable[..., Any], **parameters: Any) -> tuple[str, str]:
    """Code and message with which a call is refused."""
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    error = caught.value.response["Error"]
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return str(error["Code"]), str(error["Message"])


def forward(*groups: str) -> dict[str, Any]:
    if len(groups) == 1:
        return {"Type": "forward", "TargetGroupArn": groups[0]}
    return {"Type": "forward", "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": one} for one in groups]}}


def fixed_response(status: int) -> dict[str, Any]:
    return {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": str(status)}}


def redirect(**settings: str) -> dict[str, Any]:
    return {"Type": "redirect", "RedirectConfig": {"StatusCode": "HTTP_301", **settings}}


def path(*values: str) -> dict[str, Any]:
    return {"Field": "path-pattern", "PathPatternConfig": {"Values": list(values)}}


def host(*values: str) -> dict[str, Any]:
    return {"Field": "host-header", "HostHeaderConfig": {"Values": list(values)}}


def certificate(name: str) -> tuple[bytes, bytes]:
    """A self-signed certificate and its key, as PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM), key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
