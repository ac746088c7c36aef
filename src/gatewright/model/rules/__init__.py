"""The CEL rules of the kinds' CustomResourceDefinitions, as Python, with the official messages.

Of the Gateway API those of the experimental channel, of which the standard channel's are a part. The one difference:
the standard channel tells parentRefs to the same parent apart by sectionName alone, and its message does not speak of
ports.
"""

from __future__ import annotations

from typing import Any, Final

from gatewright.model import gateway as gw
from gatewright.model import kinds
from gatewright.model.awsgateway import ListenerRuleConfiguration, LoadBalancerConfiguration
from gatewright.model.causes import Cause
from gatewright.model.codec import to_builtins
from gatewright.model.edgebinding import EdgeBinding
from gatewright.model.ingressclassparams import IngressClassParams
from gatewright.model.meta import Object
from gatewright.model.rules import awsgateway, backends, edgebinding, gateways, httproute, routes
from gatewright.model.rules.engine import Rule, Rules, RuleSet, TransitionRule
from gatewright.model.schema import openapi_schema
from gatewright.model.validation import apply_defaults

__all__ = ["RULES", "Rule", "RuleSet", "Rules", "TransitionRule", "has_rules", "violations"]

RULES: Final[dict[type[Object], RuleSet]] = {
    gw.GatewayClass: RuleSet(gateways.GATEWAY_CLASS),
    gw.Gateway: RuleSet(gateways.GATEWAY),
    gw.ListenerSet: RuleSet(gateways.LISTENER_SET),
    gw.HTTPRoute: RuleSet(httproute.HTTP_ROUTE),
    gw.GRPCRoute: RuleSet(routes.GRPC_ROUTE),
    gw.TCPRoute: RuleSet(routes.TCP_ROUTE),
    gw.TLSRoute: RuleSet(routes.TLS_ROUTE),
    gw.UDPRoute: RuleSet(routes.UDP_ROUTE),
    gw.BackendTLSPolicy: RuleSet(backends.BACKEND_TLS_POLICY),
    gw.XBackend: RuleSet(backends.X_BACKEND),
    gw.XBackendTrafficPolicy: RuleSet(backends.X_BACKEND_TRAFFIC_POLICY),
    gw.XMesh: RuleSet(backends.X_MESH),
    EdgeBinding: RuleSet(edgebinding.EDGE_BINDING),
    LoadBalancerConfiguration: RuleSet(awsgateway.LOAD_BALANCER_CONFIGURATION),
    ListenerRuleConfiguration: RuleSet(awsgateway.LISTENER_RULE_CONFIGURATION),
    IngressClassParams: RuleSet(awsgateway.INGRESS_CLASS_PARAMS),
}
"""The rules by kind. A kind without rules (ReferenceGrant) is not listed."""


def violations(
    obj: dict[str, Any] | Object, old: dict[str, Any] | Object | None = None, *, filled: bool = False
) -> list[Cause]:
    """The rules of its kind that `obj` breaks, after defaults; none for a kind without rules.

    Give the object that an update replaces as `old`, and rules on the change are applied too. As on the API server,
    validate against the schema first: where a value has another shape than the schema's, its rules say nothing.
    `filled` says that `obj` has its defaults already.
    """
    plain = _plain(obj)
    kind = kinds.find(plain.get("apiVersion", ""), plain.get("kind", ""))
    if kind is None or kind.type is None or (rules := RULES.get(kind.type)) is None:
        return []
    schema = openapi_schema(kind.type)
    complete = plain if filled else apply_defaults(schema, plain)
    if old is None:
        return rules.violations(complete)
    return rules.violations(complete, apply_defaults(schema, _plain(old)))


def has_rules(obj: dict[str, Any]) -> bool:
    """Whether its kind has any rules."""
    kind = kinds.find(obj.get("apiVersion", ""), obj.get("kind", ""))
    return kind is not None and kind.type in RULES


def _plain(obj: dict[str, Any] | Object) -> dict[str, Any]:
    return obj if isinstance(obj, dict) else to_builtins(obj)
