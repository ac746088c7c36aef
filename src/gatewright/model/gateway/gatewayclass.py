"""GatewayClass: which controller serves the Gateways that name it."""

from __future__ import annotations

from typing import Annotated

from gatewright.model.constraints import items, text
from gatewright.model.gateway.shared import API_VERSION, ControllerName, ObjectReference, pending
from gatewright.model.meta import Conditions, Model, Object, always


class GatewayClassSpec(Model):
    """A GatewayClass's desired state. `controller_name` never changes."""

    controller_name: ControllerName
    parameters_ref: ObjectReference | None = None
    description: Annotated[str, text(max_length=64)] | None = None


class SupportedFeature(Model):
    """A conformance feature that the class's controller supports."""

    name: str


class GatewayClassStatus(Model):
    """A GatewayClass's observed state."""

    conditions: Conditions = (pending("Accepted"),)
    supported_features: Annotated[tuple[SupportedFeature, ...], items(at_most=64, keys=("name",))] = ()


class GatewayClass(Object):
    """A class of Gateways; cluster-scoped."""

    api_version: str = always(API_VERSION)
    kind: str = always("GatewayClass")
    spec: GatewayClassSpec
    status: GatewayClassStatus = GatewayClassStatus()
