"""BackendTLSPolicy: how to speak TLS to a Service's ports, and whom to trust there (Gateway API, GEP-1897)."""

from __future__ import annotations

from typing import NamedTuple

from msgspec import Struct

from gatewright.flow import Collection, Context, Index
from gatewright.model.gateway import BackendTLSPolicy
from gatewright.model.gateway.shared import ParentReference, PolicyAncestorStatus
from gatewright.model.meta import Condition, Key
from gatewright.resolve.authorities import read_authorities
from gatewright.resolve.conditions import Reason, condition, together
from gatewright.resolve.dialects import Dialect
from gatewright.resolve.gateways import ResolvedGateway
from gatewright.resolve.inputs import Inputs, origin
from gatewright.topology import BackendTLS, Origin, SubjectName


class ResolvedPolicy(Struct, frozen=True):
    """A policy in itself, whatever others its targets have. `tls` is None where it is not valid.

    `accepted` and `resolved_refs` are the conditions' reasons and messages; each holds where its reason is the
    condition's own name.
    """

    key: Key
    tls: BackendTLS | None
    accepted: Reason
    resolved_refs: Reason


class ResolvedPolicyStatus(Struct, frozen=True):
    """A policy's status as it should be: an entry for each Gateway of ours that sends requests to a target."""

    ancestors: tuple[PolicyAncestorStatus, ...]


class ServiceUser(NamedTuple):
    """A Gateway of ours whose routes lead to a Service. `heeds` is False for routes that send bytes as they are."""

    service: Key
    gateway: Key
    heeds: bool


def resolve_policies(inputs: Inputs, dialect: Dialect) -> Collection[Key, ResolvedPolicy]:
    """Every BackendTLSPolicy."""

    def resolve(ctx: Context, key: Key, policy: BackendTLSPolicy) -> ResolvedPolicy:
        validation = policy.spec.validation
        where = "spec.validation"
        source = origin(policy)
        authorities: bytes | None = None
        accepted: Reason = ("Accepted", "the policy is valid")
        resolved_refs: Reason = ("ResolvedRefs", "every reference is resolved")
        if validation.ca_certificate_refs:
            refs, field = validation.ca_certificate_refs, f"{where}.caCertificateRefs"
            found = read_authorities(ctx, inputs, (policy.kind, key), refs, field, "InvalidKind")
            source = Origin(source.kind, key, "+".join([source.version, *found.versions]), where)
            authorities = found.pem
            resolved_refs = together(found.problems) or resolved_refs
            if not found.bundles:
                accepted = ("NoValidCACertificate", resolved_refs[1])
        elif validation.well_known_ca_certificates != "System":
            text = validation.well_known_ca_certificates or "none"
            accepted = ("Invalid", f"{where}.wellKnownCACertificates: found {text}, expected System")
        names = tuple(
            SubjectName("Hostname", name.hostname or "")
            if name.type == "Hostname"
            else SubjectName("URI", name.uri or "")
            for name in validation.subject_alt_names
        ) or (SubjectName("Hostname", validation.hostname),)
        rejection = ctx.get(inputs.rejections, (source.kind, key)) if dialect.heeds_rejections else None
        if accepted[0] == "Accepted" and rejection and rejection.version == source.version:
            accepted = ("Invalid", f"the proxy refused the policy: {rejection.message}")
        if accepted[0] == "Accepted" and policy.spec.options:
            accepted = ("Accepted", f"{accepted[1]}; served without spec.options: no option is known")
        valid = accepted[0] == "Accepted"
        tls = BackendTLS(validation.hostname, names, authorities, source) if valid else None
        return ResolvedPolicy(key, tls, accepted, resolved_refs)

    return inputs.flow.derive("resolved policies", inputs.written(inputs.backend_tls_policies), resolve)


def policy_of(ctx: Context, inputs: Inputs, service: Key, port: str) -> BackendTLSPolicy | None:
    """The policy that counts for the port named `port` of a Service.

    One that names the port goes before one for the whole Service; then the oldest counts, then the first by name.
    """
    policies = ctx.lookup(inputs.policies_by_service, service)
    own = (policy for policy in policies if port and port in _sections(policy, service))
    return next(own, None) or next((policy for policy in policies if None in _sections(policy, service)), None)


def _sections(policy: BackendTLSPolicy, service: Key) -> set[str | None]:
    """What of a Service the policy is for: names of ports; None for all."""
    refs = policy.spec.target_refs
    return {ref.section_name for ref in refs if (ref.group, ref.kind, ref.name) == ("", "Service", service.name)}


def policy_statuses(
    inputs: Inputs,
    policies: Collection[Key, ResolvedPolicy],
    gateways: Collection[Key, ResolvedGateway],
    users: Index[Key, ServiceUser, ServiceUser],
    dialect: Dialect,
) -> Collection[Key, ResolvedPolicyStatus]:
    """The status of each policy with a target that a route of a Gateway of ours leads to; `users` are by Service."""

    def resolve(ctx: Context, key: Key, policy: BackendTLSPolicy) -> ResolvedPolicyStatus | None:
        resolved = ctx.get(policies, key)
        if resolved is None:
            return None
        targets = dict.fromkeys(
            Key(key.namespace, ref.name) for ref in policy.spec.target_refs if (ref.group, ref.kind) == ("", "Service")
        )
        used_by: dict[Key, list[ServiceUser]] = {}
        for target in targets:
            for user in ctx.lookup(users, target):
                used_by.setdefault(user.gateway, []).append(user)
        if not used_by:
            return None
        return ResolvedPolicyStatus(
            tuple(
                PolicyAncestorStatus(
                    ancestor_ref=ParentReference(name=gateway.key.name, namespace=gateway.key.namespace),
                    controller_name=gateway.controller,
                    conditions=_conditions(ctx, inputs, policy, used, resolved, dialect),
                )
                for gateway_key, used in sorted(used_by.items())
                if (gateway := ctx.get(gateways, gateway_key))
            )
        )

    return inputs.flow.derive("policy statuses", inputs.written(inputs.backend_tls_policies), resolve)


def _conditions(
    ctx: Context,
    inputs: Inputs,
    policy: BackendTLSPolicy,
    users: list[ServiceUser],
    resolved: ResolvedPolicy,
    dialect: Dialect,
) -> tuple[Condition, ...]:
    generation = policy.metadata.generation
    heeding = [user.service for user in users if user.heeds]
    others = ", ".join(str(user.service) for user in users if not user.heeds)
    said = f"what TCPRoutes, UDPRoutes and TLS that passes through bring reaches Service {others} without it"
    if not heeding:
        accepted = ("NotApplied", said)
    else:
        reason, message = _standing(ctx, inputs, policy, heeding, resolved.accepted)
        if reason == "Accepted" and not dialect.verifies_backends:
            reason = "NotVerified"
            message = (
                f"spec.validation: the {dialect.noun} speaks TLS to the Service, and verifies neither the certificate "
                "nor its names; where that matters, use a Gateway of a class that does"
            )
        accepted = (reason, f"{message}; {said}" if others else message)
    refs = resolved.resolved_refs
    return (
        condition("Accepted", accepted[0] == "Accepted", *accepted, generation),
        condition("ResolvedRefs", refs[0] == "ResolvedRefs", *refs, generation),
    )


def _standing(ctx: Context, inputs: Inputs, policy: BackendTLSPolicy, services: list[Key], accepted: Reason) -> Reason:
    """What the Accepted condition says, given the policies that others have made for the same targets."""
    lost: list[str] = []
    missing = [
        f"targetRefs[{index}]: found {ref.kind}.{ref.group or 'core'}, expected a Service"
        for index, ref in enumerate(policy.spec.target_refs)
        if (ref.group, ref.kind) != ("", "Service")
    ]
    won = False
    for key in services:
        service = ctx.get(inputs.services, key)
        ports = {port.name for port in service.spec.ports} if service else set()
        rivals = ctx.lookup(inputs.policies_by_service, key)
        for section in sorted(_sections(policy, key), key=str):
            target = f"Service {key}" + (f" port {section}" if section else "")
            if section is not None and section not in ports:
                missing.append(f"{target} does not exist")
                continue
            first = next(rival for rival in rivals if section in _sections(rival, key))
            if first.key == policy.key:
                won = True
            else:
                lost.append(f"{target} has BackendTLSPolicy {first.key}, which goes before")
    if won:
        return accepted[0], "; ".join([accepted[1], *lost, *missing])
    if lost:
        return "Conflicted", "; ".join([*lost, *missing])
    return "TargetNotFound", "; ".join(missing)
