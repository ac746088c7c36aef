"""PeerAuthentication and AuthorizationPolicy (security.istio.io/v1), as far as Istio's ztunnel heeds them.

That is layer 4: https://istio.io/latest/docs/ambient/usage/l4-policy/. The rest of a rule is kept as it is.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from gatewright.model.meta import Model, Object, always

GROUP: Final = "security.istio.io"
ROOT_NAMESPACE: Final = "istio-system"
"""Whose policies are those of the whole mesh."""
MODE_LABEL: Final = "istio.io/dataplane-mode"
"""On a namespace or pod; `ambient` is in the mesh, `none` on a pod is out of it."""


class WorkloadSelector(Model):
    """Pods by their labels."""

    match_labels: dict[str, str] = msgspec.field(default_factory=dict)


class MutualTLS(Model):
    """Whether connections have to be mTLS: UNSET, DISABLE, PERMISSIVE, STRICT."""

    mode: str = "UNSET"


class PeerAuthenticationSpec(Model):
    """For which pods, and by which port something else."""

    selector: WorkloadSelector | None = None
    mtls: MutualTLS = MutualTLS()
    port_level_mtls: dict[str, MutualTLS] = msgspec.field(default_factory=dict)


class PeerAuthentication(Object):
    """Whether pods take connections that come from outside the mesh."""

    api_version: str = always(f"{GROUP}/v1")
    kind: str = always("PeerAuthentication")
    spec: PeerAuthenticationSpec = PeerAuthenticationSpec()


class Source(Model):
    """Who connects; each field that is there has to hold. `principals` are `TRUST_DOMAIN/ns/NAMESPACE/sa/NAME`."""

    principals: tuple[str, ...] = ()
    not_principals: tuple[str, ...] = ()
    namespaces: tuple[str, ...] = ()
    not_namespaces: tuple[str, ...] = ()
    service_accounts: tuple[str, ...] = ()
    not_service_accounts: tuple[str, ...] = ()
    ip_blocks: tuple[str, ...] = ()
    not_ip_blocks: tuple[str, ...] = ()
    request_principals: tuple[str, ...] = ()
    not_request_principals: tuple[str, ...] = ()
    remote_ip_blocks: tuple[str, ...] = ()
    not_remote_ip_blocks: tuple[str, ...] = ()


class From(Model):
    """One source."""

    source: Source = Source()


class Operation(Model):
    """What is asked for; all but ports are matters of HTTP."""

    ports: tuple[str, ...] = ()
    not_ports: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    not_hosts: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    not_methods: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    not_paths: tuple[str, ...] = ()


class To(Model):
    """One operation."""

    operation: Operation = Operation()


class Rule(Model):
    """One of the sources, one of the operations and every condition; an empty list is any."""

    from_: tuple[From, ...] = msgspec.field(default=(), name="from")
    to: tuple[To, ...] = ()
    when: tuple[dict[str, Any], ...] = ()


class AuthorizationPolicySpec(Model):
    """For which pods; with `target_refs` it is for a waypoint or a Gateway instead."""

    selector: WorkloadSelector | None = None
    target_ref: dict[str, Any] | None = None
    target_refs: tuple[dict[str, Any], ...] = ()
    action: str = "ALLOW"
    rules: tuple[Rule, ...] = ()


class AuthorizationPolicy(Object):
    """Who may connect to pods."""

    api_version: str = always(f"{GROUP}/v1")
    kind: str = always("AuthorizationPolicy")
    spec: AuthorizationPolicySpec = AuthorizationPolicySpec()
