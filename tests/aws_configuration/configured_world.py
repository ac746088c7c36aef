"""Clusters of text: manifests go in, what is asked of AWS comes out."""

from __future__ import annotations

from typing import Any

import yaml

from gatewright.aws.configuration import Configurations
from gatewright.aws.configuration.loadbalancers import load_balancer_settings
from gatewright.aws.configuration.rules import rule_settings
from gatewright.aws.configuration.settings import LoadBalancerSettings, TargetGroupSettings
from gatewright.aws.configuration.statuses import configuration_statuses
from gatewright.aws.configuration.targetgroups import TargetGroupSettingsLookup
from gatewright.aws.configuration.verdicts import verdicts
from gatewright.aws.dialects import ALB, ALB_CONTROLLER, NLB, NLB_CONTROLLER
from gatewright.flow import Context, Flow
from gatewright.model import kinds
from gatewright.model.codec import decode
from gatewright.model.meta import Key
from gatewright.resolve import Inputs, resolve
from gatewright.topology import BackendKey, RuleKey

GATEWAYS = """
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: alb}
spec:
  controllerName: gateway.k8s.aws/alb
  parametersRef: {group: gateway.k8s.aws, kind: LoadBalancerConfiguration, name: all, namespace: infra}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: nlb}
spec: {controllerName: gateway.k8s.aws/nlb}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: web, namespace: shop, generation: 1}
spec:
  gatewayClassName: alb
  infrastructure:
    labels: {team: shop}
    parametersRef: {group: gateway.k8s.aws, kind: LoadBalancerConfiguration, name: web}
  listeners: [{name: http, port: 80, protocol: HTTP}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: mail, namespace: shop, generation: 1}
spec:
  gatewayClassName: nlb
  infrastructure:
    parametersRef: {group: gateway.k8s.aws, kind: LoadBalancerConfiguration, name: web}
  listeners: [{name: smtp, port: 25, protocol: TCP}]
"""

WEB, MAIL = Key("shop", "web"), Key("shop", "mail")


class World:
    """What the configurations of a cluster come to."""

    def __init__(self, *manifests: str) -> None:
        self.inputs = Inputs(Flow())
        self.configurations = Configurations(self.inputs.flow)
        alb = resolve(self.inputs, {ALB_CONTROLLER}, ALB)
        nlb = resolve(self.inputs, {NLB_CONTROLLER}, NLB)
        flow = self.inputs.flow
        gateways = flow.merge("gateways of AWS", alb.gateways, nlb.gateways)
        classes = flow.merge("classes of AWS", alb.classes, nlb.classes)
        self.settings = load_balancer_settings(self.inputs, self.configurations, gateways)
        self.rules = rule_settings(self.inputs, self.configurations)
        self.verdicts = verdicts(self.inputs, self.configurations)
        self.statuses = configuration_statuses(self.inputs, self.configurations, classes, gateways)
        self._lookup = TargetGroupSettingsLookup(self.inputs, self.configurations, gateways)
        self._asked = flow.source("asked")
        self.runs = 0
        self._answers = flow.derive("answers", self._asked, self._answer)
        self.apply(GATEWAYS, *manifests)

    def _answer(self, ctx: Context, key: tuple[Key, BackendKey, RuleKey], _: bool) -> TargetGroupSettings:
        self.runs += 1
        return self._lookup(ctx, *key)

    def apply(self, *manifests: str) -> None:
        """Put the objects into the sources."""
        with self.inputs.flow.batch():
            for document in (found for text in manifests for found in yaml.safe_load_all(text) if found):
                kind = kinds.find(document["apiVersion"], document["kind"])
                assert kind is not None
                assert kind.type is not None
                obj = decode(kind.type, document)
                sources: dict[Any, Any] = {**self.inputs.by_type, **self.configurations.by_type}
                sources[kind.type].set(obj.key, obj)

    def of(self, gateway: Key) -> LoadBalancerSettings:
        """The settings of a Gateway's load balancer."""
        return self.settings[gateway]

    def target_group(self, service: str, route: str = "HTTPRoute/shop/web", gateway: Key = WEB) -> TargetGroupSettings:
        """The settings of a Service's target group for a route."""
        namespace, name = service.split("/")
        kind, route_namespace, route_name = route.split("/")
        key = (gateway, BackendKey(namespace, name, 80), RuleKey(kind, Key(route_namespace, route_name), 0, 0))
        self._asked.set(key, True)
        return self._answers[key]

    def problem(self, kind: str, name: str, namespace: str = "shop") -> str:
        """The verdict on an object."""
        return self.verdicts[kind, Key(namespace, name)].problem


def configuration(kind: str, name: str, spec: dict[str, Any], namespace: str = "shop", **metadata: Any) -> str:
    """The manifest of an object of the configuration kinds."""
    found: str = yaml.safe_dump(
        {
            "apiVersion": "gateway.k8s.aws/v1",
            "kind": kind,
            "metadata": {"name": name, "namespace": namespace, "generation": 1, **metadata},
            "spec": spec,
        }
    )
    return found + "---\n"


def of_gateway(**spec: Any) -> str:
    """The LoadBalancerConfiguration that both Gateways name."""
    return configuration("LoadBalancerConfiguration", "web", spec)


def of_class(**spec: Any) -> str:
    """The one that the class alb names."""
    return configuration("LoadBalancerConfiguration", "all", spec, "infra")
