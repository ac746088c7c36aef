"""Gateways that are load balancers: from the topology and the settings to whole stacks in AWS (pure).

`load_balancers` derives them. One module a question: `subnets`, `inbound` (who may come in), `access` (what targets let
in), `servercertificates`, `albs` and `nlbs` (listeners), `targetgroups`, `targets`, `health`, `names` (names and tags).
"""

from gatewright.aws.gateways.access import AccessPiece, SharedAccess, shared_access
from gatewright.aws.gateways.frames import Owner
from gatewright.aws.gateways.loadbalancers import LoadBalancers, load_balancers
from gatewright.aws.gateways.subnets import Standing
from gatewright.aws.gateways.surroundings import (
    CERTIFICATES,
    NETWORK,
    TRUST_STORES,
    Surroundings,
    gateway_owners,
)
from gatewright.aws.gateways.targets import READINESS_GATE

__all__ = [
    "CERTIFICATES",
    "NETWORK",
    "READINESS_GATE",
    "TRUST_STORES",
    "AccessPiece",
    "LoadBalancers",
    "Owner",
    "SharedAccess",
    "Standing",
    "Surroundings",
    "gateway_owners",
    "load_balancers",
    "shared_access",
]
