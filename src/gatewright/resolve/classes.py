"""GatewayClass: which Gateways are ours, and what is said of their class (Gateway API, GatewayClass)."""

from __future__ import annotations

from collections.abc import Collection as AbstractCollection

from msgspec import Struct

from gatewright.flow import Collection, Context
from gatewright.model.gateway import GatewayClass
from gatewright.model.meta import Condition, Key
from gatewright.resolve.conditions import condition
from gatewright.resolve.inputs import Inputs


class ResolvedClass(Struct, frozen=True):
    """A GatewayClass that names one of our controllers."""

    name: str
    controller: str
    conditions: tuple[Condition, ...]

    @property
    def accepted(self) -> bool:
        """Whether Gateways of this class are served."""
        return all(condition.status == "True" for condition in self.conditions)


def resolve_classes(inputs: Inputs, controllers: AbstractCollection[str]) -> Collection[Key, ResolvedClass]:
    """The classes of `controllers`."""

    def resolve(_: Context, key: Key, gateway_class: GatewayClass) -> ResolvedClass | None:
        spec = gateway_class.spec
        if spec.controller_name not in controllers:
            return None
        reason, message = "Accepted", "the class is served"
        if spec.parameters_ref is not None:
            ref = spec.parameters_ref
            reason = "InvalidParameters"
            message = f"spec.parametersRef: {ref.kind} {ref.name}: the class takes no parameters; remove the reference"
        accepted = condition("Accepted", reason == "Accepted", reason, message, gateway_class.metadata.generation)
        return ResolvedClass(key.name, spec.controller_name, (accepted,))

    return inputs.flow.derive("classes", inputs.gateway_classes, resolve)
