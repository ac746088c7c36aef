"""The scale subresource: a Deployment's (or a custom resource's) replicas as an `autoscaling/v1` Scale."""

from __future__ import annotations

from gatewright.local.apiserver.errors import bad_request, invalid
from gatewright.local.apiserver.resources import Resource
from gatewright.local.apiserver.store import Json
from gatewright.model.causes import Cause


def selector_text(selector: Json | None) -> str:
    """A `LabelSelector` object in the text form that `labelSelector` parameters have."""
    if not selector:
        return ""
    if "matchLabels" not in selector and "matchExpressions" not in selector:
        return ",".join(f"{key}={value}" for key, value in sorted(selector.items()))
    parts = [f"{key}={value}" for key, value in sorted((selector.get("matchLabels") or {}).items())]
    for expression in selector.get("matchExpressions") or []:
        key, values = expression["key"], ",".join(expression.get("values") or [])
        match expression["operator"]:
            case "In":
                parts.append(f"{key} in ({values})")
            case "NotIn":
                parts.append(f"{key} notin ({values})")
            case "Exists":
                parts.append(key)
            case "DoesNotExist":
                parts.append(f"!{key}")
    return ",".join(parts)


def scale_of(resource: Resource, obj: Json) -> Json:
    """The `Scale` object of a scalable one."""
    metadata = obj["metadata"]
    kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    status: Json = {"replicas": obj.get("status", {}).get("replicas", 0)}
    selector = selector_text(obj.get("spec", {}).get("selector"))
    if selector:
        status["selector"] = selector
    return {
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": {key: metadata[key] for key in kept if key in metadata},
        "spec": {"replicas": obj.get("spec", {}).get("replicas", 1 if resource.custom else 0)},
        "status": status,
    }


def rescaled(resource: Resource, obj: Json, scale: Json) -> Json:
    """The object with the replicas that the `Scale` asks for; 422 for a number that makes no sense."""
    spec = scale.get("spec")
    replicas = (spec if isinstance(spec, dict) else {}).get("replicas", 0)
    if not isinstance(replicas, int) or isinstance(replicas, bool):
        raise bad_request('Scale in version "v1" cannot be handled as a Scale: spec.replicas must be an integer')
    if replicas < 0:
        cause = Cause(
            "FieldValueInvalid", f"Invalid value: {replicas}: must be greater than or equal to 0", "spec.replicas"
        )
        raise invalid(resource, obj["metadata"]["name"], [cause])
    return {**obj, "spec": {**obj.get("spec", {}), "replicas": replicas}}
