"""Whether somebody may connect to a pod: NetworkPolicies, and what Istio's ztunnel heeds in the ambient mesh. Pure.

A connection within the mesh arrives at the pod's port 15008 as far as a NetworkPolicy sees it
(https://istio.io/latest/docs/ambient/usage/networkpolicy/).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, NamedTuple

from gatewright.model.istio import (
    MODE_LABEL,
    ROOT_NAMESPACE,
    AuthorizationPolicy,
    Operation,
    PeerAuthentication,
    Rule,
    Source,
    WorkloadSelector,
)
from gatewright.model.networkpolicy import NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort

TUNNEL_PORT: Final = 15008
_TRUST_DOMAIN = "cluster.local"


class Workload(NamedTuple):
    """Who connects, or is connected to: a pod, or a Gateway's proxy."""

    namespace: str
    service_account: str
    labels: Mapping[str, str]
    namespace_labels: Mapping[str, str]
    ports: Mapping[str, int] = {}
    """Numbers of named ports."""

    @property
    def in_mesh(self) -> bool:
        """Whether a ztunnel stands before it."""
        mode = self.labels.get(MODE_LABEL)
        return mode == "ambient" or (mode != "none" and self.namespace_labels.get(MODE_LABEL) == "ambient")

    @property
    def principal(self) -> str:
        """Its identity in the mesh."""
        return f"{_TRUST_DOMAIN}/ns/{self.namespace}/sa/{self.service_account}"


class Peer(NamedTuple):
    """Where a connection comes from. Several workloads where it can't be told which of them it is."""

    address: str
    workloads: tuple[Workload, ...] = ()


class Policies(NamedTuple):
    """All that a cluster has."""

    network: Collection[NetworkPolicy] = ()
    authentication: Collection[PeerAuthentication] = ()
    authorization: Collection[AuthorizationPolicy] = ()


def refusal(peer: Peer, pod: Workload, port: int, policies: Policies) -> str:
    """Why a peer may not connect to a pod's port; empty where it may."""
    if not peer.workloads:
        return _refusal(peer.address, None, pod, port, policies)
    found = [_refusal(peer.address, each, pod, port, policies) for each in peer.workloads]
    return "" if "" in found else found[0]


def _refusal(address: str, client: Workload | None, pod: Workload, port: int, policies: Policies) -> str:
    tunnelled = pod.in_mesh and client is not None and client.in_mesh
    if not _let_in(address, client, pod, TUNNEL_PORT if tunnelled else port, policies.network):
        return "no NetworkPolicy lets it in"
    if not pod.in_mesh:
        return ""
    if not tunnelled and mutual_tls(pod, port, policies.authentication) == "STRICT":
        return "PeerAuthentication is STRICT, and the connection comes from outside the mesh"
    return _unauthorized(address, client if tunnelled else None, pod, port, policies.authorization)


# --- NetworkPolicy ---------------------------------------------------------------------------------------------------


def _let_in(address: str, client: Workload | None, pod: Workload, port: int, policies: Iterable[NetworkPolicy]) -> bool:
    limiting = [
        policy.spec
        for policy in policies
        if policy.namespace == pod.namespace
        and policy.spec.limits_ingress
        and policy.spec.pod_selector.matches(dict(pod.labels))
    ]
    return not limiting or any(
        (not rule.from_ or any(_is_peer(each, address, client, pod) for each in rule.from_))
        and (not rule.ports or any(_is_port(each, port, pod) for each in rule.ports))
        for spec in limiting
        for rule in spec.ingress
    )


def _is_peer(peer: NetworkPolicyPeer, address: str, client: Workload | None, pod: Workload) -> bool:
    if peer.ip_block:
        return _within(address, [peer.ip_block.cidr]) and not _within(address, peer.ip_block.except_)
    if client is None:
        return False
    if peer.namespace_selector is None:
        if client.namespace != pod.namespace:
            return False
    elif not peer.namespace_selector.matches(dict(client.namespace_labels)):
        return False
    return peer.pod_selector is None or peer.pod_selector.matches(dict(client.labels))


def _is_port(wanted: NetworkPolicyPort, port: int, pod: Workload) -> bool:
    if wanted.protocol != "TCP":
        return False
    if wanted.port is None:
        return True
    first = pod.ports.get(wanted.port) if isinstance(wanted.port, str) else wanted.port
    return first is not None and first <= port <= (wanted.end_port or first)


# --- ztunnel ---------------------------------------------------------------------------------------------------------


def mutual_tls(pod: Workload, port: int, policies: Iterable[PeerAuthentication]) -> str:
    """The mode at a pod's port: the most specific policy that says one; of equal ones the oldest, else PERMISSIVE."""
    ranked = sorted(
        (
            (_specificity(policy.spec.selector, policy.namespace), policy)
            for policy in policies
            if policy.namespace in (pod.namespace, ROOT_NAMESPACE) and _selects(policy.spec.selector, pod)
        ),
        key=lambda each: (each[0], each[1].metadata.creation_timestamp or "", each[1].name),
    )
    for _, policy in ranked:
        by_port = policy.spec.port_level_mtls.get(str(port)) if policy.spec.selector else None
        for found in (by_port, policy.spec.mtls):
            if found and found.mode != "UNSET":
                return found.mode
    return "PERMISSIVE"


def _specificity(selector: WorkloadSelector | None, namespace: str) -> int:
    return 0 if selector and selector.match_labels else 2 if namespace == ROOT_NAMESPACE else 1


def _selects(selector: WorkloadSelector | None, pod: Workload) -> bool:
    return selector is None or selector.match_labels.items() <= pod.labels.items()


def _unauthorized(
    address: str, client: Workload | None, pod: Workload, port: int, policies: Iterable[AuthorizationPolicy]
) -> str:
    applying = [
        policy
        for policy in policies
        if policy.namespace in (pod.namespace, ROOT_NAMESPACE)
        and not policy.spec.target_refs
        and policy.spec.target_ref is None
        and _selects(policy.spec.selector, pod)
    ]
    for policy in applying:
        # What it says of HTTP can't be seen here, so a denial is taken without it: rather too much than too little.
        if policy.spec.action == "DENY" and any(
            _holds(rule, policy.namespace, address, client, port) for rule in policy.spec.rules
        ):
            return f"AuthorizationPolicy {policy.key} denies it"
    allowing = [policy for policy in applying if policy.spec.action == "ALLOW"]
    if not allowing or any(
        not _speaks_http(rule) and _holds(rule, policy.namespace, address, client, port)
        for policy in allowing
        for rule in policy.spec.rules
    ):
        return ""
    return f"no AuthorizationPolicy allows it, of {', '.join(str(policy.key) for policy in allowing)}"


def _speaks_http(rule: Rule) -> bool:
    """Whether ztunnel can't tell if the rule holds; one that allows doesn't count then."""
    operations = (to.operation for to in rule.to)
    sources = (each.source for each in rule.from_)
    return (
        any((o.hosts, o.not_hosts, o.methods, o.not_methods, o.paths, o.not_paths) != ((),) * 6 for o in operations)
        or any(
            (s.request_principals, s.not_request_principals, s.remote_ip_blocks, s.not_remote_ip_blocks) != ((),) * 4
            for s in sources
        )
        or any(condition.get("key") not in (_PORT, *_OF_SOURCE) for condition in rule.when)
    )


def _holds(rule: Rule, namespace: str, address: str, client: Workload | None, port: int) -> bool:
    """Whether a rule holds, of a policy in `namespace`."""
    return (
        (not rule.from_ or any(_is_source(each.source, namespace, address, client) for each in rule.from_))
        and (not rule.to or any(_is_operation(each.operation, port) for each in rule.to))
        and all(_meets(condition, namespace, address, client, port) for condition in rule.when)
    )


_PORT: Final = "destination.port"
_OF_SOURCE: Final = {"source.ip": "ip_blocks", "source.namespace": "namespaces", "source.principal": "principals"}


def _meets(condition: Mapping[str, Any], namespace: str, address: str, client: Workload | None, port: int) -> bool:
    """Whether a condition is met. One that can't be seen here is, as denials are taken without it."""
    key, values = condition.get("key", ""), tuple(condition.get("values") or ())
    others = tuple(condition.get("notValues") or ())
    if key == _PORT:
        return _is_operation(Operation(ports=values, not_ports=others), port)
    field = _OF_SOURCE.get(key)
    if field is None:
        return True
    return _is_source(Source(**{field: values, f"not_{field}": others}), namespace, address, client)


def _is_source(source: Source, own: str, address: str, client: Workload | None) -> bool:
    principal = client.principal if client else ""
    namespace = client.namespace if client else ""
    account = f"{client.namespace}/{client.service_account}" if client else ""
    return all(
        (
            not source.principals or _matches(principal, source.principals),
            not _matches(principal, source.not_principals),
            not source.namespaces or _matches(namespace, source.namespaces),
            not _matches(namespace, source.not_namespaces),
            not source.service_accounts or account in _accounts(source.service_accounts, own),
            not account or account not in _accounts(source.not_service_accounts, own),
            not source.ip_blocks or _within(address, source.ip_blocks),
            not _within(address, source.not_ip_blocks),
        )
    )


def _accounts(names: Iterable[str], own: str) -> set[str]:
    """ServiceAccounts with their namespaces; without one it is the policy's."""
    return {name if "/" in name else f"{own}/{name}" for name in names}


def _is_operation(operation: Operation, port: int) -> bool:
    return (not operation.ports or str(port) in operation.ports) and str(port) not in operation.not_ports


def _matches(value: str, patterns: Iterable[str]) -> bool:
    """Istio's: exact, `prefix*`, `*suffix`, or `*` for any that isn't empty."""
    if not value:
        return False
    return any(
        pattern in ("*", value)
        or (pattern.endswith("*") and value.startswith(pattern[:-1]))
        or (pattern.startswith("*") and value.endswith(pattern[1:]))
        for pattern in patterns
    )


def _within(address: str, blocks: Iterable[str]) -> bool:
    try:
        number = ipaddress.ip_address(address)
        return any(number in ipaddress.ip_network(block, strict=False) for block in blocks)
    except ValueError:
        return False
