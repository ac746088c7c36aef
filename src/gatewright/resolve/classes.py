"""GatewayClass: which Gateways are ours, and what is said of their class (Gateway API, GatewayClass)."""

from __future__ import annotations

from collections.abc import Collection as AbstractCollection
from collections.abc import Mapping

from msgspec import Struct

from gatewright.flow import Collection, Context
from gatewright.model.gateway import GatewayClass
from gatewright.model.gateway.gatewayclass import SupportedFeature
from gatewright.model.meta import Condition, Key
from gatewright.resolve.conditions import condition
from gatewright.resolve.features import BUNDLE, FEATURES
from gatewright.resolve.inputs import Inputs


class ResolvedClass(Struct, frozen=True):
    """A GatewayClass that names one of our controllers."""

    name: str
    controller: str
    conditions: tuple[Condition, ...]
    supported_features: tuple[SupportedFeature, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether Gateways of this class are served."""
        return any(found.type == "Accepted" and found.status == "True" for found in self.conditions)


def resolve_classes(inputs: Inputs, controllers: AbstractCollection[str]) -> Collection[Key, ResolvedClass]:
    """The classes of `controllers`."""

    def resolve(ctx: Context, key: Key, gateway_class: GatewayClass) -> ResolvedClass | None:
        spec = gateway_class.spec
        if spec.controller_name not in controllers:
            return None
        reason, message = "Accepted", "the class is served"
        if spec.parameters_ref is not None:
            ref = spec.parameters_ref
            reason = "InvalidParameters"
            message = f"spec.parametersRef: {ref.kind} {ref.name}: the class takes no parameters; remove the reference"
        accepted = condition("Accepted", reason == "Accepted", reason, message, gateway_class.metadata.generation)
        features = tuple(SupportedFeature(name=name) for name in FEATURES)
        version = _supported_version(dict(ctx.items(inputs.bundle_versions)), gateway_class.metadata.generation)
        return ResolvedClass(key.name, spec.controller_name, (accepted, *version), features)

    return inputs.flow.derive("classes", inputs.written(inputs.gateway_classes), resolve)


def _supported_version(found: Mapping[str, str], generation: int) -> tuple[Condition, ...]:
    """Whether the cluster's definitions, by their names, are of a version that is known; the class is served anyhow."""
    if not found:
        return ()
    unknown = [f"{name} {version or 'without a version'}" for name, version in found.items() if not _known(version)]
    if not unknown:
        message = f"the definitions are of {', '.join(sorted(set(found.values())))}"
        return (condition("SupportedVersion", True, "SupportedVersion", message, generation),)
    message = f"found {', '.join(unknown)}; expected {BUNDLE} of all; what differs may be ignored"
    return (condition("SupportedVersion", False, "UnsupportedVersion", message, generation),)


def _known(version: str) -> bool:
    return version == BUNDLE or version.startswith(f"{BUNDLE}.")
