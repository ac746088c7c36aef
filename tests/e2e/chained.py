"""An edge with AWS in front, as users have it: the chain ALB, NLB, Gateway, seen from outside."""

from __future__ import annotations

import json
import re
import socket
import ssl
import subprocess
import urllib.request
from typing import Any

import boto3
from cryptography import x509
from tests.e2e.edge_process import _KINDS, GATEWRIGHT, Edge

_KINDS["EdgeBinding"] = ("/apis/gatewright.dev/v1alpha1", "edgebindings")
BINDING = ("EdgeBinding", "istio-ingress", "shared-gateway")


class ChainedEdge(Edge):
    """`gatewright up` with an emulated AWS. `url` and `https_url` are the ALB's."""

    def serving(self) -> ChainedEdge:
        super().serving()
        self.gateway_url, self.gateway_https_url = self.url, self.https_url
        self.environment = dict(re.findall(r"export (AWS_\w+)=(\S+)", self.out))
        (balancer,) = self.client("elbv2").describe_load_balancers(Names=["platform"])["LoadBalancers"]
        self.alb = self.addresses(balancer)
        (first, *_) = self.alb
        self.url = "http://{}:{}".format(*self.open_at(first, 80))
        self.https_url = "https://{}:{}".format(*self.open_at(first, 443))
        return self

    def client(self, service: str) -> Any:
        return boto3.session.Session(
            aws_access_key_id=self.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=self.environment["AWS_SECRET_ACCESS_KEY"],
            region_name=self.environment["AWS_REGION"],
        ).client(
            service,  # type: ignore[call-overload, unused-ignore]
            endpoint_url=self.environment["AWS_ENDPOINT_URL"],
        )

    def addresses(self, balancer: dict[str, Any]) -> list[str]:
        """The private addresses of a load balancer's nodes."""
        description = f"ELB {balancer['LoadBalancerArn'].partition(':loadbalancer/')[2]}"
        found = self.client("ec2").describe_network_interfaces(
            Filters=[{"Name": "description", "Values": [description]}]
        )
        return sorted(interface["PrivateIpAddress"] for interface in found["NetworkInterfaces"])

    def nlb(self) -> dict[str, Any]:
        """The NLB of the shared Gateway's Service."""
        found = self.client("elbv2").describe_load_balancers()["LoadBalancers"]
        balancers = [dict(each) for each in found if each["Type"] == "network"]
        assert len(balancers) == 1, balancers
        return balancers[0]

    def target_group(self, name: str = "shared-gateway") -> str:
        found = self.client("elbv2").describe_target_groups(Names=[name])["TargetGroups"]
        return str(found[0]["TargetGroupArn"])

    def health(self, name: str = "shared-gateway") -> dict[str, tuple[str, str]]:
        """State and reason of each target, by address and port."""
        found = self.client("elbv2").describe_target_health(TargetGroupArn=self.target_group(name))
        return {
            f"{each['Target']['Id']}:{each['Target']['Port']}": (
                each["TargetHealth"]["State"],
                each["TargetHealth"].get("Reason", ""),
            )
            for each in found["TargetHealthDescriptions"]
        }

    def states(self) -> set[tuple[str, str]]:
        return set(self.health().values())

    def binding(self) -> dict[str, tuple[str, str]]:
        """The conditions of the example's EdgeBinding: status and message by type."""
        found = self.cluster.get(*BINDING)["status"]["conditions"]
        return {each["type"]: (each["status"], each["message"]) for each in found}

    def chain(self, *options: str) -> str:
        """What `gatewright chain` prints."""
        command = [str(GATEWRIGHT), "chain", "--kubeconfig", str(self.cluster.kubeconfig), *options]
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, check=True)
        return done.stdout

    def hops(self) -> Any:
        return json.loads(self.chain("-o", "json"))

    def calls(self, service: str, operation: str) -> int:
        """How many such calls AWS has had."""
        return int(self._page("calls")["calls"].get(service, {}).get(operation, 0))

    def open_at(self, address: str, port: int) -> tuple[str, int]:
        """Where a load balancer really listens, which differs where a port may not be bound."""
        (bound,) = [
            each["bound"]
            for each in self._page("sockets")
            if (each["address"], each["port"], each["transport"]) == (address, port, "TCP")
        ]
        return bound["address"], bound["port"]

    def _page(self, name: str) -> Any:
        url = f"{self.environment['AWS_ENDPOINT_URL']}/_gatewright/{name}"
        with urllib.request.urlopen(url, timeout=60) as answer:
            return json.loads(answer.read())

    def faults(self, **fault: Any) -> None:
        """Make calls of the AWS API fail."""
        request = urllib.request.Request(
            f"{self.environment['AWS_ENDPOINT_URL']}/_gatewright/faults",
            json.dumps(fault).encode(),
            {"Content-Type": "application/json"},
            method="POST",
        )
        urllib.request.urlopen(request, timeout=60).close()


def certificate_at(host: str, port: int, server_name: str | None = None) -> x509.Certificate:
    """The certificate that a server shows."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection((host, port), timeout=60) as plain,
        context.wrap_socket(plain, server_hostname=server_name) as session,
    ):
        shown = session.getpeercert(binary_form=True)
    assert shown
    return x509.load_der_x509_certificate(shown)
