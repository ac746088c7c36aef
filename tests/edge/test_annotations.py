"""No annotation is passed over in silence: it has an effect, or a problem names it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.edge.nlb_cases import ANNOTATION, a_service

from gatewright.edge.nlb.annotations import Settings, is_ours, read
from gatewright.model.codec import decode
from gatewright.model.core import Service

SOUND = {
    "access-log-enabled": "true",
    "additional-resource-tags": "a=b",
    "alpn-policy": "HTTP2Only",
    "attributes": "load_balancing.cross_zone.enabled=true",
    "backend-protocol": "ssl",
    "cross-zone-load-balancing-enabled": "true",
    "eip-allocations": "eipalloc-1",
    "enable-tcp-udp-listener": "true",
    "healthcheck-healthy-threshold": "2",
    "healthcheck-interval": "15",
    "healthcheck-path": "/ready",
    "healthcheck-port": "8080",
    "healthcheck-protocol": "HTTP",
    "healthcheck-success-codes": "200,301-302",
    "healthcheck-timeout": "5",
    "healthcheck-unhealthy-threshold": "2",
    "internal": "false",
    "ip-address-type": "dualstack",
    "listener-attributes.TCP-80": "tcp.idle_timeout.seconds=60",
    "name": "mine",
    "nlb-target-type": "instance",
    "private-ipv4-addresses": "10.0.0.9",
    "proxy-protocol": "*",
    "proxy-protocol-per-target-group": "http",
    "scheme": "internet-facing",
    "security-groups": "sg-1",
    "ssl-cert": "arn:aws:acm:us-east-1:1:certificate/1",
    "ssl-negotiation-policy": "ELBSecurityPolicy-TLS13-1-2-2021-06",
    "ssl-ports": "443",
    "subnets": "subnet-1",
    "target-group-attributes": "preserve_client_ip.enabled=true",
    "target-node-labels": "a=b",
}
"""A value for each annotation of the AWS controller that has an effect here, other than its default."""

UNSUPPORTED = (
    "eip-allocations-discovery-tags",
    "enable-icmp-for-path-mtu-discovery",
    "enable-prefix-for-ipv6-source-nat",
    "inbound-sg-rules-on-private-link-traffic",
    "ipv6-addresses",
    "manage-backend-security-group-rules",
    "minimum-load-balancer-capacity",
    "multi-cluster-target-group",
    "quic-enabled-ports",
    "security-group-prefix-lists",
    "source-nat-ipv6-prefixes",
)

PLAIN, _ = read(a_service())


@pytest.mark.parametrize("name", SOUND)
def test_it_has_an_effect(name: str) -> None:
    settings, _ = read(a_service({name: SOUND[name]}))
    assert settings != PLAIN


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_what_is_not_supported_is_told(name: str) -> None:
    settings, problems = read(a_service({name: "true"}))
    assert settings == PLAIN
    [problem] = problems
    assert problem.field == f"metadata.annotations[{ANNOTATION}{name}]"
    assert not problem.fatal


@given(st.sampled_from(sorted(SOUND)), st.text(min_size=1))
def test_any_value_has_an_effect_or_is_told(name: str, value: str) -> None:
    settings, problems = read(a_service({name: value}))
    told = any(f"[{ANNOTATION}{name}]" in problem.field for problem in problems)
    without_effect = settings == PLAIN
    says_nothing = not value.replace(",", " ").split()
    says_the_default = value.strip() in ("false", "internal", "ipv4", "tcp", "ip", "true")
    assert told or not without_effect or says_nothing or says_the_default


@given(st.dictionaries(st.sampled_from(sorted(SOUND)), st.sampled_from([*SOUND.values(), "x", ""]), max_size=6))
def test_reading_never_fails(annotations: dict[str, str]) -> None:
    settings, problems = read(a_service(annotations))
    assert isinstance(settings, Settings)
    for problem in problems:
        assert problem.field
        assert problem.found
        assert problem.expected
        assert problem.remedy


@pytest.mark.parametrize(
    ("spec", "annotations", "ours"),
    [
        ({}, {"type": "external"}, True),
        ({}, {"type": "nlb-ip"}, True),
        ({}, {"type": "nlb"}, False),
        ({}, {}, False),
        ({"loadBalancerClass": "service.k8s.aws/nlb"}, {}, True),
        ({"loadBalancerClass": "example.com/other"}, {"type": "external"}, False),
        ({"type": "ClusterIP"}, {"type": "external"}, False),
    ],
)
def test_which_services_are_the_aws_controllers(spec: dict[str, str], annotations: dict[str, str], ours: bool) -> None:
    named = {f"{ANNOTATION}{key}": value for key, value in annotations.items()}
    metadata = {"namespace": "shop", "name": "web", "annotations": named}
    service = decode(Service, {"metadata": metadata, "spec": {"type": "LoadBalancer", "ports": [{"port": 80}], **spec}})
    assert is_ours(service) is ours


def test_the_older_annotation_yields_to_the_newer() -> None:
    settings, _ = read(a_service({"internal": "false", "scheme": "internal"}))
    assert settings.scheme == "internal"
    settings, _ = read(a_service({"attributes": "load_balancing.cross_zone.enabled=false"}))
    assert settings.attributes == {"load_balancing.cross_zone.enabled": "false"}


def test_ranges_of_the_spec_go_before_the_annotations() -> None:
    annotation = {"service.beta.kubernetes.io/load-balancer-source-ranges": "10.1.0.0/16"}
    assert read(a_service(annotation))[0].source_ranges == ("10.1.0.0/16",)
    both = a_service(annotation, loadBalancerSourceRanges=["10.2.0.0/16"])
    assert read(both)[0].source_ranges == ("10.2.0.0/16",)
