"""A Kubernetes client: typed reads and writes, and watches that keep flow collections equal to the cluster."""

from gatewright.cluster.client import Client
from gatewright.cluster.errors import (
    AlreadyExists,
    ApiError,
    ClusterError,
    Conflict,
    Gone,
    Invalid,
    NotFound,
    Unreachable,
)
from gatewright.cluster.reconcile import Reconciler, end
from gatewright.cluster.reflector import Reflector, Reflectors

__all__ = [
    "AlreadyExists",
    "ApiError",
    "Client",
    "ClusterError",
    "Conflict",
    "Gone",
    "Invalid",
    "NotFound",
    "Reconciler",
    "Reflector",
    "Reflectors",
    "Unreachable",
    "end",
]
