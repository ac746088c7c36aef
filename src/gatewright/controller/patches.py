"""What a status should become: ours laid over what is there, so that what others wrote stays.

Pure: nothing here writes. Conditions keep their time for as long as they keep their status.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from collections.abc import Collection as AbstractCollection
from typing import Any, NamedTuple, TypeAlias, TypeVar

import msgspec

from gatewright.model.gateway import Gateway, GatewayClass, ListenerSet, ListenerStatus
from gatewright.model.gateway.shared import PolicyAncestorStatus, RouteParentStatus
from gatewright.model.meta import Condition, Object
from gatewright.resolve.classes import ResolvedClass
from gatewright.resolve.statuses import ResolvedGatewayStatus, ResolvedListenerSetStatus

_CONDITIONS = 8  # at most, of any object (Gateway API)
_PARENTS = 32  # of a route
_ANCESTORS = 16  # of a policy

_SOMETIMES = frozenset({"DefaultGateway", "InsecureFrontendValidationMode"})
"""Types of ours that an object has only while they hold."""

Entry = TypeVar("Entry", RouteParentStatus, PolicyAncestorStatus)


class Wanted(NamedTuple):
    """The status that an object should have; `left_out` counts entries of ours for which others leave no room."""

    status: Any
    left_out: int = 0


class Overlay(NamedTuple):
    """Lays statuses of `controllers` over those that are there. `now` is the time of what changes (RFC 3339)."""

    controllers: AbstractCollection[str]
    now: str

    def conditions(self, actual: Iterable[Condition], desired: Iterable[Condition]) -> tuple[Condition, ...]:
        """Ours with their times, and nothing else."""
        before = {condition.type: condition for condition in actual}
        return tuple(
            msgspec.structs.replace(
                condition,
                last_transition_time=found.last_transition_time
                if (found := before.get(condition.type)) and found.status == condition.status
                else self.now,
            )
            for condition in desired
        )

    def with_others(self, actual: tuple[Condition, ...], desired: tuple[Condition, ...]) -> tuple[Condition, ...]:
        """Ours, then those of types that aren't ours."""
        ours = {condition.type for condition in desired} | _SOMETIMES
        others = tuple(condition for condition in actual if condition.type not in ours)
        return (*self.conditions(actual, desired)[: _CONDITIONS - len(others)], *others)

    def listeners(
        self, actual: tuple[ListenerStatus, ...], desired: tuple[ListenerStatus, ...]
    ) -> tuple[ListenerStatus, ...]:
        """The listeners' statuses, which are all ours."""
        before = {listener.name: listener.conditions for listener in actual}
        return tuple(
            msgspec.structs.replace(
                listener, conditions=self.conditions(before.get(listener.name, ()), listener.conditions)
            )
            for listener in desired
        )

    def entries(
        self,
        actual: tuple[Entry, ...],
        desired: tuple[Entry, ...],
        subject: Callable[[Entry], Any],
        at_most: int,
    ) -> tuple[tuple[Entry, ...], int]:
        """Other controllers' entries as they are, then ours as far as there is room; and how many of ours are not."""
        others = tuple(entry for entry in actual if entry.controller_name not in self.controllers)
        before = {
            (subject(entry), entry.controller_name): entry.conditions
            for entry in actual
            if entry.controller_name in self.controllers
        }
        ours = tuple(
            msgspec.structs.replace(
                entry,
                conditions=self.conditions(before.get((subject(entry), entry.controller_name), ()), entry.conditions),
            )
            for entry in desired[: max(0, at_most - len(others))]
        )
        return others + ours, len(desired) - len(ours)


Lay: TypeAlias = Callable[[Overlay, Any, Any], Wanted | None]
"""From an object and what resolution says of it (or None) to its status; None where it is none of our business."""


def class_status(overlay: Overlay, actual: GatewayClass, desired: ResolvedClass | None) -> Wanted | None:
    """A GatewayClass's."""
    if desired is None:
        return None
    return Wanted(
        msgspec.structs.replace(
            actual.status,
            conditions=overlay.with_others(actual.status.conditions, desired.conditions),
            supported_features=desired.supported_features,
        )
    )


def gateway_status(overlay: Overlay, actual: Gateway, desired: ResolvedGatewayStatus | None) -> Wanted | None:
    """A Gateway's."""
    if desired is None:
        return None
    return Wanted(
        msgspec.structs.replace(
            actual.status,
            addresses=desired.addresses,
            conditions=overlay.with_others(actual.status.conditions, desired.conditions),
            listeners=overlay.listeners(actual.status.listeners, desired.listeners),
            attached_listener_sets=desired.attached_listener_sets,
        )
    )


def listener_set_status(
    overlay: Overlay, actual: ListenerSet, desired: ResolvedListenerSetStatus | None
) -> Wanted | None:
    """A ListenerSet's."""
    if desired is None:
        return None
    return Wanted(
        msgspec.structs.replace(
            actual.status,
            conditions=overlay.with_others(actual.status.conditions, desired.conditions),
            listeners=overlay.listeners(actual.status.listeners, desired.listeners),
        )
    )


def route_status(overlay: Overlay, actual: Any, desired: Any) -> Wanted | None:
    """A route's of any kind; `desired` has parents. Without it, what we said before goes."""
    parents, left_out = overlay.entries(
        actual.status.parents, desired.parents if desired else (), lambda entry: entry.parent_ref, _PARENTS
    )
    return Wanted(msgspec.structs.replace(actual.status, parents=parents), left_out)


def policy_status(overlay: Overlay, actual: Any, desired: Any) -> Wanted | None:
    """A policy's of any kind; `desired` has ancestors. Without it, what we said before goes."""
    ancestors, left_out = overlay.entries(
        actual.status.ancestors, desired.ancestors if desired else (), lambda entry: entry.ancestor_ref, _ANCESTORS
    )
    return Wanted(msgspec.structs.replace(actual.status, ancestors=ancestors), left_out)


@functools.cache
def _fields(type_: type[msgspec.Struct]) -> tuple[tuple[str, str], ...]:
    """The fields of a struct with their names in JSON; kept, since msgspec reads the annotations anew each time."""
    return tuple((field.name, field.encode_name) for field in msgspec.structs.fields(type_))


def patch(obj: Object, wanted: msgspec.Struct) -> dict[str, Any] | None:
    """The merge patch that makes `wanted` an object's status, or None where it is.

    The version makes a write from stale state fail instead of undoing somebody's change.
    """
    actual = obj.status  # type: ignore[attr-defined]
    status = {
        encoded: msgspec.to_builtins(getattr(wanted, name))
        for name, encoded in _fields(type(wanted))
        if getattr(wanted, name) != getattr(actual, name)
    }
    return {"metadata": {"resourceVersion": obj.metadata.resource_version}, "status": status} if status else None
