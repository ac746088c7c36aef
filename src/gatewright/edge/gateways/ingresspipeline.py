"""From Ingresses of class alb to the stacks of their groups, and what each Ingress is told, as derived collections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

from msgspec import Struct

from gatewright.aws.gateways import LoadBalancers, Owner, Surroundings, load_balancers
from gatewright.aws.ingress import (
    CertificateWish,
    Ingresses,
    IngressGroup,
    IngressSources,
    Member,
    resolve_ingresses,
)
from gatewright.aws.ingress.annotations import field
from gatewright.aws.ingress.support import PREFIX
from gatewright.aws.records.certificates import WantedCertificate
from gatewright.aws.records.names import is_record_name
from gatewright.edge.gateways.outcomes import Provisioned, refusals
from gatewright.flow import Collection, Context
from gatewright.model.meta import Key
from gatewright.resolve import Inputs
from gatewright.resolve.inputs import ObjectId
from gatewright.topology import PortKey, RefusalKey

_MOST_TOLD: Final = 50
"""Of an Ingress one by one."""

_FIELDS: Final = {
    "loadBalancerSubnets": "subnets",
    "loadBalancerSubnetsSelector": "subnets",
    "securityGroups": "security-groups",
    "mutualAuthentication.trustStore": "mutual-authentication",
    "ipAddressType": "ip-address-type",
    "targetGroupAttributes": "target-group-attributes",
}
"""Fields of the configuration kinds, as messages name them, and the annotations that say the same."""

_SECRETS: Final = "tls.certificateRefs"


@dataclass(frozen=True)
class IngressSide:
    """The Ingresses of class alb. Whoever makes it keeps `sources` up to date."""

    sources: IngressSources
    ingresses: Ingresses
    balancers: LoadBalancers
    certificates: Collection[tuple[str, ObjectId], WantedCertificate]
    """What is to be requested, by host name and the Ingress that asks for it."""
    kind: Literal["ingress"] = "ingress"


def ingress_side(
    inputs: Inputs,
    surroundings: Surroundings,
    *,
    cluster: str,
    tags: Mapping[str, str] | None = None,
    sources: IngressSources | None = None,
) -> IngressSide:
    """What the Ingresses in `sources` ask of AWS. `tags` are put on everything that is made."""
    sources = sources or IngressSources(inputs.flow)
    found = resolve_ingresses(inputs, sources)

    def owner(ctx: Context, key: Key, _: IngressGroup) -> Owner:
        blocked = ctx.get(found.blocked, key)
        return Owner(problem="; ".join(blocked or ()))

    balancers = load_balancers(
        inputs,
        found.topology,
        inputs.flow.derive("owners of ingress groups", found.groups, owner),
        surroundings,
        kind="ingress",
        cluster=cluster,
        settings=found.settings,
        target_groups=found.target_groups,
        rule_settings=found.rule_settings,
        tags=tags,
    )
    wishes = inputs.flow.derive_many("certificates wished for by ingresses", found.certificate_wishes, _wanted)
    return IngressSide(sources, found, balancers, wishes)


def _wanted(_: Context, key: Key, wish: CertificateWish) -> dict[tuple[str, ObjectId], WantedCertificate]:
    """One for each host, as for listeners."""
    asker: ObjectId = ("Ingress", key)
    return {
        (host, asker): WantedCertificate(host, (asker,), "" if is_record_name(host) else f"{host}: no name of DNS")
        for host in wish.hosts
    }


class IngressOutcome(Struct, frozen=True):
    """What came of an Ingress: the host name that it is served at, and what is told of it (reason and message)."""

    hostname: str = ""
    warnings: frozenset[tuple[str, str]] = frozenset()
    news: frozenset[tuple[str, str]] = frozenset()


def outcomes(
    inputs: Inputs, side: IngressSide, provisioned: Collection[Key, Provisioned]
) -> Collection[Key, IngressOutcome]:
    """By Ingress. What is said of a group as a whole is said of each of its Ingresses."""
    balancers, found = side.balancers, side.ingresses
    named = inputs.flow.derive(
        "problems of ingress ports", balancers.ports, lambda _, port, problem: _named(port, problem)
    )
    problems_of_ports = named.index(lambda port, _: [port.gateway])

    def resolve(ctx: Context, key: Key, member: Member) -> IngressOutcome:
        told = {("InvalidConfiguration", text) for text in (ctx.get(found.problems, key) or ())[:_MOST_TOLD]}
        group = member.group
        if group is None:
            return IngressOutcome(warnings=frozenset(told))
        state = ctx.get(provisioned, group) or Provisioned()
        told |= {("NotProvisioned", _own_words(text)) for text in ctx.get(balancers.blocked, group) or ()}
        remarks = (*(ctx.get(balancers.remarks, group) or ()), *state.remarks)
        told |= {("ServedWithout", _own_words(text)) for text in remarks}
        told |= {("PortNotServed", text) for text in ctx.lookup(problems_of_ports, group)}
        told |= {("FailedDeployModel", state.problem)} if state.problem else set()
        by_aws = refusals(group, state.left_out)
        refused = RefusalKey("Ingress", key, group)
        for refusal in (*(ctx.get(balancers.refusals, refused) or ()), *by_aws.get(refused, ())):
            told.add(("ServedWithout" if refusal.rule is None else "RuleLeftOut", refusal.message))
        ready = bool(state.dns_name) and state.state != "provisioning"
        news = {("SuccessfullyReconciled", f"{state.described} at {state.dns_name}")} if ready else set()
        return IngressOutcome(state.dns_name if ready else "", frozenset(told), frozenset(news))

    return inputs.flow.derive("outcomes of ingresses", found.members, resolve)


def _named(port: PortKey, problem: str) -> str | None:
    return f"port {port.port}: {_own_words(problem)}" if problem else None


def _own_words(text: str) -> str:
    """A message with the annotation of an Ingress where it names a field of a configuration kind."""
    name, colon, rest = text.partition(":")
    if name == _SECRETS:
        remedy = f"name its ARN in {PREFIX}certificate-arn, or hosts in spec.rules or spec.tls"
        return f"spec.tls:{rest.partition('; ')[0]}; {remedy}" if "found none" in rest else f"spec.tls:{rest}"
    return f"{field(_FIELDS[name])}:{rest}" if colon and name in _FIELDS else text
