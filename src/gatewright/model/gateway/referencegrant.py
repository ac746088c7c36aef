"""ReferenceGrant: which kinds of other namespaces may refer to objects of this one."""

from __future__ import annotations

from typing import Annotated

import msgspec

from gatewright.model.constraints import items
from gatewright.model.gateway.shared import API_VERSION, Group, KindName, NamespaceName, ObjectName
from gatewright.model.meta import Model, Object, always


class ReferenceGrantFrom(Model):
    """Who may refer: a kind in a namespace."""

    group: Group
    kind: KindName
    namespace: NamespaceName


class ReferenceGrantTo(Model):
    """What may be referred to: a kind, or one object of it."""

    group: Group
    kind: KindName
    name: ObjectName | None = None


class ReferenceGrantSpec(Model):
    """Each of `from_` may refer to each of `to`."""

    from_: Annotated[tuple[ReferenceGrantFrom, ...], items(at_least=1, at_most=16, kind="atomic")] = msgspec.field(
        name="from"
    )
    to: Annotated[tuple[ReferenceGrantTo, ...], items(at_least=1, at_most=16, kind="atomic")]


class ReferenceGrant(Object):
    """A grant, in the namespace of what is referred to."""

    api_version: str = always(API_VERSION)
    kind: str = always("ReferenceGrant")
    spec: ReferenceGrantSpec
