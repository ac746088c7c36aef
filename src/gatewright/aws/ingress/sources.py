"""What Ingresses of class alb are resolved from, besides what Gateways are."""

from __future__ import annotations

from typing import Any

from gatewright.flow import Flow, Source
from gatewright.model.ingressclassparams import IngressClassParams
from gatewright.model.meta import Key, Object
from gatewright.model.networking import Ingress, IngressClass


class IngressSources:
    """The sources besides `resolve.Inputs`; each holds the cluster's objects by key.

    `web_acls` and `target_groups` are ARNs by name, as far as names were looked up in AWS; "" where there is none of
    the name. What to look up is said by `Ingresses.names`.
    """

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self.ingresses: Source[Key, Ingress] = flow.source("ingresses")
        self.classes: Source[Key, IngressClass] = flow.source("ingress classes")
        self.parameters: Source[Key, IngressClassParams] = flow.source("ingress class params")
        self.web_acls: Source[str, str] = flow.source("web ACLs by name")
        self.target_groups: Source[str, str] = flow.source("target groups by name")
        self.target_group_tags: Source[str, dict[str, str]] = flow.source("tags of target groups by name or ARN")
        self.by_type: dict[type[Object], Source[Key, Any]] = {
            Ingress: self.ingresses,
            IngressClass: self.classes,
            IngressClassParams: self.parameters,
        }
        """The source of each kind of object: what has to be watched."""
