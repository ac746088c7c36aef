"""ListenerSet: listeners that a namespace adds to a Gateway."""

from __future__ import annotations

from gatewright.model.gateway.listeners import Listeners, ListenerStatuses
from gatewright.model.gateway.shared import (
    API_VERSION,
    GROUP,
    Group,
    KindName,
    NamespaceName,
    ObjectName,
    pending,
)
from gatewright.model.meta import Conditions, Model, Object, always


class ParentGatewayReference(Model):
    """Names the Gateway that gets the listeners. No namespace means the ListenerSet's own."""

    name: ObjectName
    group: Group = GROUP
    kind: KindName = "Gateway"
    namespace: NamespaceName | None = None


class ListenerSetSpec(Model):
    """A ListenerSet's desired state."""

    parent_ref: ParentGatewayReference
    listeners: Listeners


class ListenerSetStatus(Model):
    """A ListenerSet's observed state."""

    conditions: Conditions = (pending("Accepted"), pending("Programmed"))
    listeners: ListenerStatuses = ()


class ListenerSet(Object):
    """A ListenerSet."""

    api_version: str = always(API_VERSION)
    kind: str = always("ListenerSet")
    spec: ListenerSetSpec
    status: ListenerSetStatus = ListenerSetStatus()
