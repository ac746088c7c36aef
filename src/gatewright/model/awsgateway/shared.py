"""What the configuration kinds of `gateway.k8s.aws` share."""

from __future__ import annotations

from typing import Annotated, Final

from gatewright.model.constraints import integer
from gatewright.model.meta import Model

GROUP: Final = "gateway.k8s.aws"
API_VERSION: Final = f"{GROUP}/v1"

Generation = Annotated[int, integer("int64")]
Tags = dict[str, str]


class Attribute(Model):
    """One attribute of a load balancer, a listener or a target group, as AWS names it."""

    key: str
    value: str


class ConfigurationStatus(Model):
    """Which generation of the configuration is in force, where a Gateway and where a GatewayClass uses it."""

    observed_gateway_configuration_generation: Generation | None = None
    observed_gateway_class_configuration_generation: Generation | None = None
