"""GatewayClass: which Gateways are ours, and what is said of their class (Gateway API, GatewayClass)."""

from __future__ import annotations

from collections.abc import Collection as AbstractCollection
from collections.abc import Mapping

from msgspec import Struct

from gatewright.flow import Collection, Context
from gatewright.model.gateway import GatewayClass
from gatewright.model.gateway.gatewayclass import SupportedFeature
from gatewright.model.gateway.shared import LocalObjectReference, ObjectReference
from gatewright.model.meta import Condition, Key
from gatewright.resolve.conditions import condition
from gatewright.resolve.dialects import Dialect
from gatewright.resolve.features import BUNDLE
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


def resolve_classes(
    inputs: Inputs, controllers: AbstractCollection[str], dialect: Dialect
) -> Collection[Key, ResolvedClass]:
    """The classes of `controllers`."""

    def resolve(ctx: Context, key: Key, gateway_class: GatewayClass) -> ResolvedClass | None:
        spec = gateway_class.spec
        if spec.controller_name not in controllers:
            return None
        reason, message = "Accepted", "the class is served"
        if spec.parameters_ref is not None:
            problem = parameters_problem(
                ctx, inputs, spec.parameters_ref, spec.parameters_ref.namespace or "", dialect.class_parameters
            )
            if problem:
                reason, message = "InvalidParameters", f"spec.parametersRef: {problem}"
        accepted = condition("Accepted", reason == "Accepted", reason, message, gateway_class.metadata.generation)
        features = tuple(SupportedFeature(name=name) for name in dialect.features)
        version = _supported_version(dict(ctx.items(inputs.bundle_versions)), gateway_class.metadata.generation)
        return ResolvedClass(key.name, spec.controller_name, (accepted, *version), features)

    return inputs.flow.derive("classes", inputs.written(inputs.gateway_classes), resolve)


def parameters_problem(
    ctx: Context,
    inputs: Inputs,
    ref: ObjectReference | LocalObjectReference,
    namespace: str,
    kinds: tuple[tuple[str, str], ...],
) -> str:
    """Why the parameters that a class or a Gateway names can't be used, or nothing; it may name those of `kinds`."""
    if not kinds:
        return f"{ref.kind} {ref.name}: the class takes no parameters; remove the reference"
    if (ref.group, ref.kind) not in kinds:
        expected = " or ".join(f"{kind}.{group}" if group else f"a {kind}" for group, kind in kinds)
        return f"found {ref.kind}.{ref.group or 'core'}, expected {expected}"
    key = Key(namespace, ref.name)
    if not ref.group:
        return "" if ctx.get(inputs.config_maps, key) else f"{ref.kind} {key} does not exist"
    verdict = ctx.get(inputs.verdicts, (ref.kind, key))
    if verdict is None:
        return f"{ref.kind} {key} does not exist"
    return f"{ref.kind} {key}: {verdict.problem}" if verdict.problem else ""


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
