"""From a cluster's objects to the stacks of its Gateways, as derived collections: what plans and loops start from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from gatewright.aws.configuration import Configurations
from gatewright.aws.configuration.loadbalancers import load_balancer_settings
from gatewright.aws.configuration.rules import rule_settings
from gatewright.aws.configuration.settings import LoadBalancerSettings
from gatewright.aws.configuration.targetgroups import TargetGroupSettingsLookup
from gatewright.aws.configuration.verdicts import verdicts
from gatewright.aws.dialects import ALB, ALB_CONTROLLER, NLB, NLB_CONTROLLER
from gatewright.aws.gateways import LoadBalancers, Surroundings, gateway_owners, load_balancers
from gatewright.edge.gateways.ingresspipeline import IngressSide, ingress_side
from gatewright.edge.gateways.mirrors import mirror
from gatewright.flow import Collection
from gatewright.model.meta import Key
from gatewright.resolve import Inputs, Resolution, resolve


@dataclass(frozen=True)
class Side:
    """The Gateways of one class of load balancers."""

    kind: Literal["alb", "nlb"]
    controller: str
    resolution: Resolution
    settings: Collection[Key, LoadBalancerSettings]
    balancers: LoadBalancers


class Pipeline:
    """What the Gateways in `inputs` and the objects in `configurations` ask of AWS, given its `surroundings`.

    Whoever makes it keeps the three of them up to date. What is said of the configuration kinds goes into
    `inputs.verdicts`, since routes and Gateways that name them need it.
    """

    def __init__(
        self,
        inputs: Inputs,
        *,
        cluster: str,
        configurations: Configurations | None = None,
        surroundings: Surroundings | None = None,
        tags: Mapping[str, str] | None = None,
        default_target_type: Literal["ip", "instance"] = "ip",
        ingresses: bool = True,
        trust_store_bucket: str = "",
    ) -> None:
        """`tags` are put on everything that is made. `ingresses`: whether Ingresses of class alb are served, too.

        `trust_store_bucket` is a bucket of S3 for the authorities of client certificates.
        """
        self.trust_store_bucket = trust_store_bucket
        self.cluster = cluster
        self.inputs = inputs
        self.configurations = configurations or Configurations(inputs.flow)
        self.surroundings = surroundings or Surroundings(inputs.flow)
        self.alb = self._side("alb", ALB_CONTROLLER, tags or {}, default_target_type)
        self.nlb = self._side("nlb", NLB_CONTROLLER, tags or {}, default_target_type)
        self.ingress: IngressSide | None = None
        if ingresses:
            self.ingress = ingress_side(inputs, self.surroundings, cluster=cluster, tags=tags)
        mirror(verdicts(inputs, self.configurations), inputs.verdicts)

    @property
    def sides(self) -> tuple[Side, Side]:
        """Both."""
        return self.alb, self.nlb

    def _side(
        self,
        kind: Literal["alb", "nlb"],
        controller: str,
        tags: Mapping[str, str],
        default_target_type: Literal["ip", "instance"],
    ) -> Side:
        inputs = self.inputs
        resolution = resolve(inputs, {controller}, ALB if kind == "alb" else NLB)
        settings = load_balancer_settings(inputs, self.configurations, resolution.gateways)
        balancers = load_balancers(
            inputs,
            resolution.topology,
            gateway_owners(inputs, resolution.gateways),
            self.surroundings,
            kind=kind,
            cluster=self.cluster,
            settings=settings,
            target_groups=TargetGroupSettingsLookup(
                inputs, self.configurations, resolution.gateways, default_target_type=default_target_type
            ),
            rule_settings=rule_settings(inputs, self.configurations),
            tags=tags,
            trust_store_bucket=self.trust_store_bucket,
        )
        return Side(kind, controller, resolution, settings, balancers)
