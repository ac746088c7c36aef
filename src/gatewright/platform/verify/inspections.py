"""Everything that is looked at, in the order of the report: from clients inwards, layer by layer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from gatewright.platform.report import Check
from gatewright.platform.targets import Architecture, Target
from gatewright.platform.verify import (
    applications,
    azure,
    balancers,
    certificates,
    control,
    endpoints,
    isolation,
    placement,
    statuses,
    webacl,
)
from gatewright.platform.verify.view import View

_CHAINED: Final = frozenset({Architecture.CHAINED})
_DIRECT: Final = frozenset({Architecture.DIRECT})
_AWS: Final = frozenset({Target.AWS, Target.LOCAL})
_AZURE: Final = frozenset({Target.AZURE})
_BOTH: Final = ("cluster", "aws")


class Inspection(NamedTuple):
    """Makes the checks of the ids in `order`. Where it can't, the first one says so, of `subject` and `expected`."""

    order: tuple[str, ...]
    subject: str
    expected: str
    look: Callable[[View], Awaitable[list[Check]]]
    needs: tuple[str, ...] = ("cluster",)
    architectures: frozenset[Architecture] = frozenset(Architecture)
    targets: frozenset[Target] = frozenset(Target)

    @property
    def ids(self) -> frozenset[str]:
        """The ids of its checks."""
        return frozenset(self.order)


INSPECTIONS: Final[tuple[Inspection, ...]] = (
    Inspection(("dns",), "the platform's names", "lead to the load balancer", endpoints.dns),
    Inspection(("endpoint", "redirect"), "the routes", "answer at the names that clients use", endpoints.endpoints),
    Inspection(
        ("certificate", "tls-version"), "the load balancer in front", "shows a sound certificate", certificates.front
    ),
    Inspection(("acm",), "certificates of AWS", "are issued and renewed", certificates.acm, _BOTH, targets=_AWS),
    Inspection(
        ("backend-certificate",),
        "the Gateways",
        "show the load balancer a sound certificate",
        certificates.gateways,
        architectures=_CHAINED,
    ),
    Inspection(("load-balancer",), "the Gateways", "have the fixed address", azure.gateway_address, targets=_AZURE),
    Inspection(("load-balancer",), "the Gateways", "have load balancers", balancers.load_balancers, targets=_AWS),
    Inspection(
        ("application-gateway", "target-health"),
        "the Application Gateway",
        "runs, with healthy backends",
        azure.application_gateway,
        targets=_AZURE,
    ),
    Inspection(("target-health",), "the targets", "are healthy", balancers.targets, _BOTH, targets=_AWS),
    Inspection(
        ("web-acl",), "the load balancer in front", "has a web ACL that blocks", webacl.web_acl, _BOTH, targets=_AWS
    ),
    Inspection(
        ("access-logs",), "the load balancer in front", "writes access logs", balancers.access_logs, _BOTH, targets=_AWS
    ),
    Inspection(("status",), "the objects' statuses", "tell of nothing bad", statuses.statuses),
    Inspection(("deletion",), "deleted objects", "are gone", statuses.deletions),
    Inspection(("application",), "Applications", "are Synced and Healthy", applications.applications),
    Inspection(("argocd",), "Argo CD", "is available and answers", applications.argocd),
    Inspection(("controller",), "the controller", "runs, leads and makes no errors", control.controller),
    Inspection(("node",), "the nodes", "are of two kinds, and ready", placement.nodes),
    Inspection(("placement",), "the pods", "are where they belong, and ready", placement.pods),
    Inspection(("isolation",), "the applications' pods", "can't be reached around the Gateway", isolation.bypass),
    Inspection(
        ("mesh", "mutual-tls", "authorization"),
        "the applications' namespaces",
        "take mutual TLS from the Gateway only",
        isolation.mesh,
        architectures=_CHAINED,
    ),
    Inspection(
        ("network-policy",),
        "the applications' namespaces",
        "let the load balancer in only",
        isolation.network_policies,
        architectures=_DIRECT,
    ),
)

_OWN: Final = (id_ for inspection in INSPECTIONS for id_ in inspection.order)
IDS: Final = ("cluster", "aws", *dict.fromkeys(_OWN))
"""The ids of all checks, in the order of the report."""
