"""What a ConfigMap lays over the objects that Istio makes for a Gateway (`spec.infrastructure.parametersRef`). Pure.

Istio documentation, Kubernetes Gateway API, Automated Deployment: the ConfigMap has a strategic merge patch for each
kind of object. Here there is a Service only; the proxy of a local edge has neither a Deployment nor what goes with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import yaml

from gatewright.local.apiserver.builtin import kind_schema
from gatewright.local.apiserver.errors import StatusError
from gatewright.local.apiserver.strategic import strategic_merge
from gatewright.model.core import ConfigMap

SERVICE: Final = "service"
_KNOWN = ("deployment", SERVICE, "serviceAccount", "horizontalPodAutoscaler", "podDisruptionBudget")
_OURS = ("name", "namespace", "ownerReferences", "finalizers")


class OverlayError(Exception):
    """A ConfigMap that Istio wouldn't take; the text names it, its key, what was found and what was expected."""


def laid_over(service: dict[str, Any], parameters: ConfigMap) -> dict[str, Any]:
    """The Service with the ConfigMap's `service` laid over it. Raises OverlayError."""
    where = f"ConfigMap {parameters.key}"
    unknown = sorted(parameters.data.keys() - set(_KNOWN))
    if unknown:
        raise OverlayError(f"{where}: found key {', '.join(unknown)}, expected some of {', '.join(_KNOWN)}")
    overlay = {key: _mapping(f"{where}, {key}", text) for key, text in parameters.data.items()}.get(SERVICE)
    if not overlay:
        return service
    where = f"{where}, {SERVICE}"
    try:
        merged = strategic_merge(kind_schema("", "v1", "Service") or {}, service, overlay)
    except StatusError as error:
        raise OverlayError(f"{where}: {error}") from error
    changed = [field for field in _OURS if merged["metadata"].get(field) != service["metadata"].get(field)]
    if changed or (merged["apiVersion"], merged["kind"]) != (service["apiVersion"], service["kind"]):
        fields = ", ".join(f"metadata.{field}" for field in changed) or "apiVersion or kind"
        raise OverlayError(f"{where}: found another {fields}, expected the Gateway's own")
    return merged


def unheeded(parameters: ConfigMap) -> Iterable[str]:
    """What of a ConfigMap has no effect here, in words."""
    others = [key for key in _KNOWN if key in parameters.data and key != SERVICE]
    if others:
        yield f"served without {', '.join(others)} of ConfigMap {parameters.name}: one proxy serves all Gateways here"


def _mapping(where: str, text: str) -> dict[str, Any]:
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise OverlayError(f"{where}: found no YAML: {error}") from error
    if not isinstance(found, dict):
        raise OverlayError(f"{where}: found {type(found).__name__}, expected an object")
    return found
