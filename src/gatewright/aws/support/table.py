"""The whole support table, kind by kind."""

from __future__ import annotations

from typing import Final

from gatewright.aws.configuration.support import ROWS as CONFIGURATION
from gatewright.aws.ingress.support import ROWS as INGRESS
from gatewright.aws.support.gateways import ROWS as GATEWAYS
from gatewright.aws.support.routes import GRPC_ROUTE, HTTP_ROUTE, LISTENER_RULE_LIMITS
from gatewright.aws.support.row import Row

ROWS: Final[tuple[Row, ...]] = (
    *GATEWAYS,
    *HTTP_ROUTE,
    *GRPC_ROUTE,
    *CONFIGURATION,
    *LISTENER_RULE_LIMITS,
    *INGRESS,
)

KINDS: Final = (
    "GatewayClass",
    "Gateway",
    "ListenerSet",
    "HTTPRoute",
    "GRPCRoute",
    "TLSRoute",
    "TCPRoute",
    "UDPRoute",
    "BackendTLSPolicy",
    "Service",
    "LoadBalancerConfiguration",
    "TargetGroupConfiguration",
    "ListenerRuleConfiguration",
    "Ingress",
)
"""In the order of the page."""


def rows_of(kind: str) -> list[Row]:
    """The rows of a kind, those of a field together, what is served first."""
    found = [row for row in ROWS if row.kind == kind]
    first = {row.field: place for place, row in reversed(list(enumerate(found)))}
    return sorted(found, key=lambda row: (first[row.field], row.support == "no"))
