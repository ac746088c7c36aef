"""Who may connect to a pod, by NetworkPolicies and what ztunnel heeds."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from gatewright.local.isolation import Peer, Policies, Workload, mutual_tls, refusal
from gatewright.model.istio import AuthorizationPolicy, PeerAuthentication
from gatewright.model.networkpolicy import NetworkPolicy

AMBIENT = {"istio.io/dataplane-mode": "ambient", "team": "a"}
POD = Workload("team-a", "app", {"app": "one"}, AMBIENT, {"http": 8080})
PLAIN = Workload("team-a", "app", {"app": "one"}, {}, {"http": 8080})
GATEWAY = Workload("edge", "gw-istio", {"istio.io/dataplane-mode": "ambient"}, {"kind": "edge"})
OTHER = Workload("team-b", "app", {}, AMBIENT)
OUTSIDE = Peer("127.0.0.1")
OUT_OF_MESH = "PeerAuthentication is STRICT, and the connection comes from outside the mesh"


def authentication(mode: str, namespace: str = "istio-system", **spec: Any) -> PeerAuthentication:
    content = {"metadata": {"name": "p", "namespace": namespace}, "spec": {"mtls": {"mode": mode}, **spec}}
    return msgspec.convert(
        {"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication", **content}, PeerAuthentication
    )


def authorization(namespace: str = "team-a", name: str = "z", **spec: Any) -> AuthorizationPolicy:
    content = {"metadata": {"name": name, "namespace": namespace}, "spec": spec}
    return msgspec.convert(
        {"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy", **content}, AuthorizationPolicy
    )


def network(**spec: Any) -> NetworkPolicy:
    content = {"metadata": {"name": "n", "namespace": "team-a"}, "spec": spec}
    return msgspec.convert({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", **content}, NetworkPolicy)


def peer(*workloads: Workload) -> Peer:
    return Peer("127.64.0.251", workloads)


def test_without_policies_everybody_may() -> None:
    assert refusal(OUTSIDE, POD, 8080, Policies()) == ""
    assert refusal(OUTSIDE, PLAIN, 8080, Policies()) == ""


def test_strict_takes_only_the_mesh() -> None:
    policies = Policies(authentication=[authentication("STRICT")])
    assert refusal(OUTSIDE, POD, 8080, policies) == OUT_OF_MESH
    assert refusal(peer(PLAIN), POD, 8080, policies) == OUT_OF_MESH
    assert refusal(peer(GATEWAY), POD, 8080, policies) == ""
    assert refusal(OUTSIDE, PLAIN, 8080, policies) == ""  # no ztunnel stands before it


def test_a_pod_can_be_out_of_its_namespaces_mesh() -> None:
    strict = Policies(authentication=[authentication("STRICT")])
    out = POD._replace(labels={"istio.io/dataplane-mode": "none"})
    assert refusal(OUTSIDE, out, 8080, strict) == ""
    # By any other value it isn't: the plugin's selectors say `NotIn [none]`.
    assert refusal(OUTSIDE, POD._replace(labels={"istio.io/dataplane-mode": "off"}), 8080, strict)


ONE, TWO = ({"selector": {"matchLabels": {"app": app}}} for app in ("one", "two"))
AT_8080 = {"portLevelMtls": {"8080": {"mode": "PERMISSIVE"}}}


@pytest.mark.parametrize(
    ("found", "mode"),
    [
        ([], "PERMISSIVE"),
        ([authentication("UNSET")], "PERMISSIVE"),
        ([authentication("STRICT")], "STRICT"),
        ([authentication("STRICT"), authentication("DISABLE", "team-a")], "DISABLE"),
        ([authentication("STRICT", "team-b")], "PERMISSIVE"),
        ([authentication("DISABLE", "team-a"), authentication("STRICT", "team-a", **ONE)], "STRICT"),
        ([authentication("DISABLE", "team-a"), authentication("STRICT", "team-a", **TWO)], "DISABLE"),
        ([authentication("STRICT", "team-a", **ONE, **AT_8080)], "PERMISSIVE"),
    ],
)
def test_the_most_specific_mode_counts(found: list[PeerAuthentication], mode: str) -> None:
    assert mutual_tls(POD, 8080, found) == mode
    assert mutual_tls(POD, 8080, found[::-1]) == mode


def allow(*principals: str) -> dict[str, Any]:
    return {"rules": [{"from": [{"source": {"principals": list(principals)}}]}]}


@pytest.mark.parametrize(
    ("spec", "gateway", "other"),
    [
        ({}, False, False),  # allows nobody
        ({"rules": [{}]}, True, True),
        (allow("cluster.local/ns/edge/sa/gw-istio"), True, False),
        (allow("cluster.local/ns/edge/*"), True, False),
        (allow("*/sa/app"), False, True),
        (allow("*"), True, True),
        ({"rules": [{"from": [{"source": {"namespaces": ["edge"]}}]}]}, True, False),
        ({"rules": [{"from": [{"source": {"notNamespaces": ["edge"]}}]}]}, False, True),
        ({"rules": [{"from": [{"source": {"serviceAccounts": ["edge/gw-istio"]}}]}]}, True, False),
        ({"rules": [{"when": [{"key": "source.namespace", "values": ["edge"]}]}]}, True, False),
        ({"rules": [{"when": [{"key": "source.principal", "notValues": ["*/sa/gw-istio"]}]}]}, False, True),
        ({"rules": [{"when": [{"key": "source.ip", "values": ["203.0.113.0/24"]}]}]}, False, False),
        ({"rules": [{"when": [{"key": "destination.port", "values": ["8080"]}]}]}, True, True),
        ({"rules": [{"when": [{"key": "request.headers[x]", "values": ["y"]}]}]}, False, False),
        ({"action": "DENY", "rules": [{"when": [{"key": "request.headers[x]", "values": ["y"]}]}]}, False, False),
        ({"rules": [{"to": [{"operation": {"ports": ["8080"]}}]}]}, True, True),
        ({"rules": [{"to": [{"operation": {"ports": ["9090"]}}]}]}, False, False),
        ({"rules": [{"to": [{"operation": {"methods": ["GET"]}}]}]}, False, False),  # HTTP: ztunnel can't tell
        ({"action": "DENY", **allow("*/gw-istio")}, False, True),
        ({"action": "DENY", "rules": [{"to": [{"operation": {"paths": ["/admin"]}}]}]}, False, False),
        ({"selector": {"matchLabels": {"app": "two"}}}, True, True),
        ({"targetRefs": [{"kind": "Gateway", "name": "waypoint"}]}, True, True),
    ],
)
def test_authorization(spec: dict[str, Any], gateway: bool, other: bool) -> None:
    policies = Policies(authorization=[authorization(**spec)])
    assert (refusal(peer(GATEWAY), POD, 8080, policies) == "") is gateway
    assert (refusal(peer(OTHER), POD, 8080, policies) == "") is other
    # In the root namespace it is everybody's, in another one nobody else's.
    everywhere = Policies(authorization=[authorization("istio-system", **spec)])
    assert (refusal(peer(GATEWAY), POD, 8080, everywhere) == "") is gateway
    assert refusal(peer(GATEWAY), POD, 8080, Policies(authorization=[authorization("team-b", **spec)])) == ""


def test_a_service_account_without_a_namespace_is_of_the_policys_own() -> None:
    policies = Policies(
        authorization=[authorization(rules=[{"from": [{"source": {"serviceAccounts": ["gw-istio"]}}]}])]
    )
    neighbour = GATEWAY._replace(namespace="team-a")
    assert refusal(peer(neighbour), POD, 8080, policies) == ""
    assert refusal(peer(GATEWAY), POD, 8080, policies) != ""


def test_who_comes_in_the_clear_has_no_name() -> None:
    policies = Policies(authorization=[authorization(**allow("*"))])
    assert refusal(peer(PLAIN), POD, 8080, policies) == "no AuthorizationPolicy allows it, of team-a/z"


def test_one_of_several_that_share_an_address_is_enough() -> None:
    policies = Policies(authorization=[authorization(**allow("*/gw-istio"))])
    assert refusal(peer(OTHER, GATEWAY), POD, 8080, policies) == ""


@pytest.mark.parametrize(
    ("spec", "admitted"),
    [
        ({}, False),
        ({"policyTypes": ["Egress"]}, True),
        ({"podSelector": {"matchLabels": {"app": "two"}}}, True),
        ({"ingress": [{}]}, True),
        ({"ingress": [{"from": [{"ipBlock": {"cidr": "127.64.64.0/20"}}]}]}, True),
        ({"ingress": [{"from": [{"ipBlock": {"cidr": "127.64.64.0/20", "except": ["127.64.79.0/24"]}}]}]}, False),
        ({"ingress": [{"from": [{"namespaceSelector": {}}]}]}, False),
        ({"ingress": [{"ports": [{"port": 8080}]}]}, True),
        ({"ingress": [{"ports": [{"port": "http"}]}]}, True),
        ({"ingress": [{"ports": [{"port": 8000, "endPort": 8100}]}]}, True),
        ({"ingress": [{"ports": [{"port": 9090}]}]}, False),
        ({"ingress": [{"ports": [{"port": 8080, "protocol": "UDP"}]}]}, False),
    ],
)
def test_network_policies(spec: dict[str, Any], admitted: bool) -> None:
    balancer = Peer("127.64.79.254")
    assert (refusal(balancer, PLAIN, 8080, Policies(network=[network(**spec)])) == "") is admitted


def test_pods_are_told_apart_by_namespace_and_label() -> None:
    of_edge = {"ingress": [{"from": [{"namespaceSelector": {"matchLabels": {"kind": "edge"}}}]}]}
    policies = Policies(network=[network(**of_edge)])
    assert refusal(peer(GATEWAY), PLAIN, 8080, policies) == ""
    assert refusal(peer(OTHER), PLAIN, 8080, policies) == "no NetworkPolicy lets it in"
    own = Policies(network=[network(ingress=[{"from": [{"podSelector": {}}]}])])
    assert refusal(peer(PLAIN), PLAIN, 8080, own) == ""
    assert refusal(peer(GATEWAY), PLAIN, 8080, own) != ""


def test_a_network_policy_sees_the_tunnels_port() -> None:
    application, tunnel = (Policies(network=[network(ingress=[{"ports": [{"port": port}]}])]) for port in (8080, 15008))
    assert refusal(peer(GATEWAY), POD, 8080, application) == "no NetworkPolicy lets it in"
    assert refusal(peer(GATEWAY), POD, 8080, tunnel) == ""
    assert refusal(OUTSIDE, POD, 8080, application) == ""
