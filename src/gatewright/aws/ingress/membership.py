"""Which Ingresses are of class alb, and which of them share a load balancer (Ingress groups)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from gatewright.aws.ingress.annotations import Annotations, field, shown, strays
from gatewright.aws.ingress.sources import IngressSources
from gatewright.flow import Collection, Context
from gatewright.model.ingressclassparams import GROUP, IngressClassParams, IngressClassParamsSpec
from gatewright.model.meta import Key
from gatewright.model.networking import CLASS_ANNOTATION, DEFAULT_CLASS_ANNOTATION, Ingress, IngressClass
from gatewright.resolve.inputs import Inputs, seniority

CONTROLLER: Final = "ingress.k8s.aws/alb"
"""The controller of an IngressClass whose Ingresses are application load balancers."""

CLASS: Final = "alb"
"""What an Ingress's older annotation for the class says."""

_GROUP_NAME: Final = re.compile(r"([a-z0-9][-a-z0-9.]*)?[a-z0-9]")
_LONGEST_GROUP_NAME: Final = 63
_ORDERS: Final = (-1000, 1000)


class Member(Struct, frozen=True):
    """An Ingress that is ours. `group` is None where it has no load balancer, and `problems` say why.

    A group that is named has the key ("", name); an Ingress by itself has its own. `params` are those of its class.
    """

    key: Key
    ingress: Ingress
    group: Key | None
    order: int = 0
    class_name: str = ""
    params: IngressClassParamsSpec = IngressClassParamsSpec()
    problems: tuple[str, ...] = ()

    @property
    def seniority(self) -> tuple[str, str]:
        """Sorts members, the oldest first."""
        return seniority(self.ingress)

    @property
    def place(self) -> tuple[int, str]:
        """Sorts members by the order of their rules (AWS Load Balancer Controller, group.order)."""
        return self.order, str(self.key)

    def annotations(self) -> Annotations:
        """Its annotations, to be read."""
        return Annotations(("", self.ingress.metadata.annotations))


class IngressGroup(Struct, frozen=True):
    """Ingresses that share a load balancer, in the order of their rules."""

    key: Key
    members: tuple[Key, ...]


def members(inputs: Inputs, sources: IngressSources) -> Collection[Key, Member]:
    """The Ingresses that are ours, except those in deletion."""
    defaults = sources.classes.index(
        lambda _, found: [True] if found.metadata.annotations.get(DEFAULT_CLASS_ANNOTATION) == "true" else [],
        order=lambda _, found: seniority(found),
    )

    def resolve(ctx: Context, key: Key, ingress: Ingress) -> Member | None:
        if ingress.deleting:
            return None
        annotation = ingress.metadata.annotations.get(CLASS_ANNOTATION)
        if annotation is not None:
            return _member(ingress, None, None) if annotation == CLASS else None
        name = ingress.spec.ingress_class_name
        found = _newest(ctx.lookup(defaults, True)) if name is None else ctx.get(sources.classes, Key("", name))
        if found is None or found.spec.controller != CONTROLLER:
            return None
        params, problem = _params(ctx, inputs, sources, found, ingress)
        if problem:
            return Member(key=key, ingress=ingress, group=None, class_name=found.name, problems=(problem,))
        return _member(ingress, found, params)

    return inputs.flow.derive("ALB ingresses", inputs.written(sources.ingresses), resolve)


def groups(inputs: Inputs, members: Collection[Key, Member]) -> Collection[Key, IngressGroup]:
    """Every group that has a member."""
    by_group = members.index(
        lambda _, member: [member.group] if member.group else [], order=lambda _, member: member.place
    )

    def resolve(ctx: Context, key: Key, _: Key) -> IngressGroup:
        return IngressGroup(key, tuple(member.key for member in ctx.lookup(by_group, key)))

    return inputs.flow.derive("ingress groups", inputs.flow.distinct("named ingress groups", by_group), resolve)


def _newest(defaults: Sequence[IngressClass]) -> IngressClass | None:
    """Of several default classes the newest, then the first by name, as the API server chooses."""
    newest = max((found.metadata.creation_timestamp for found in defaults), default="")
    return next((found for found in defaults if found.metadata.creation_timestamp == newest), None)


def _params(
    ctx: Context, inputs: Inputs, sources: IngressSources, found: IngressClass, ingress: Ingress
) -> tuple[IngressClassParams | None, str]:
    """The parameters of a class, and why the Ingress can't be served by it."""
    ref = found.spec.parameters
    where = f"IngressClass {found.name}: spec.parameters"
    if ref is None:
        return None, ""
    if (ref.api_group or "", ref.kind) != (GROUP, "IngressClassParams"):
        return None, f"{where}: found {ref.kind}.{ref.api_group or 'core'}; expected IngressClassParams.{GROUP}"
    params = ctx.get(sources.parameters, Key("", ref.name))
    if params is None:
        return None, f"{where}: IngressClassParams {ref.name} does not exist; create it or drop the reference"
    selector = params.spec.namespace_selector
    if selector is not None:
        namespace = ctx.get(inputs.namespaces, Key("", ingress.namespace))
        if not selector.matches(namespace.metadata.labels if namespace else {}):
            return None, (
                f"IngressClassParams {ref.name}: spec.namespaceSelector doesn't select namespace {ingress.namespace}; "
                "use another class, or label the namespace"
            )
    return params, ""


def _member(ingress: Ingress, found: IngressClass | None, params: IngressClassParams | None) -> Member:
    reader = Annotations(("", ingress.metadata.annotations))
    spec = params.spec if params else IngressClassParamsSpec()
    problems = list(strays(ingress.metadata.annotations))
    group: Key | None = ingress.key
    name = spec.group.name if spec.group else reader.raw("group.name")
    if name is not None:
        group = Key("", name)
        if not _GROUP_NAME.fullmatch(name) or len(name) > _LONGEST_GROUP_NAME:
            where = (
                f"IngressClassParams {params.name}: spec.group.name" if spec.group and params else field("group.name")
            )
            problems.append(
                f"{where}: found {shown(name) or 'nothing'}; expected at most {_LONGEST_GROUP_NAME} lower case "
                "letters, digits, - and ., the first and the last a letter or digit; correct the name"
            )
            group = None
    order = reader.number("group.order", *_ORDERS)
    return Member(
        key=ingress.key,
        ingress=ingress,
        group=group,
        order=order or 0,
        class_name=found.name if found else "",
        params=spec,
        problems=(*problems, *reader.problems),
    )
