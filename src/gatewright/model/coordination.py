"""What controllers read of coordination.k8s.io/v1."""

from __future__ import annotations

from gatewright.model.meta import Model, Object, always


class LeaseSpec(Model):
    """Who holds a lease and for how long. Times are RFC 3339 with microseconds."""

    holder_identity: str | None = None
    lease_duration_seconds: int | None = None
    acquire_time: str | None = None
    renew_time: str | None = None
    lease_transitions: int | None = None


class Lease(Object):
    """A lease, by which replicas elect a leader."""

    api_version: str = always("coordination.k8s.io/v1")
    kind: str = always("Lease")
    spec: LeaseSpec = LeaseSpec()
