"""What must hold for pods and for what makes them: containers, probes, selectors, strategies."""

from __future__ import annotations

import re
from typing import Any

from gatewright.local.apiserver.names import check_labels, label, qualified_name
from gatewright.local.apiserver.selectors import match_labels
from gatewright.local.apiserver.store import Json
from gatewright.model.causes import Cause, duplicate, invalid, not_supported, required

_ENV_TEXT = "a valid environment variable name must consist only of printable ASCII characters other than '='"
_PORT_NAME = re.compile(r"[-a-z0-9]{1,15}")


def check_port_number(value: Any, field: str, found: list[Cause]) -> None:
    """A port's number."""
    if not 1 <= value <= 65535:
        found.append(invalid(field, value, "must be between 1 and 65535, inclusive"))


def check_port_name(name: str, field: str, found: list[Cause]) -> None:
    """A port's name."""
    if len(name) > 15:
        found.append(invalid(field, name, "must be no more than 15 bytes"))
    elif _PORT_NAME.fullmatch(name) is None or name.startswith("-") or name.endswith("-") or "--" in name:
        found.append(invalid(field, name, "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)"))
    elif not re.search("[a-z]", name):
        found.append(invalid(field, name, "must contain at least one letter (a-z)"))


def check_containers(spec: Json, path: str, found: list[Cause]) -> None:
    """A pod's specification at `path`."""
    volumes: set[str] = set()
    for index, volume in enumerate(spec.get("volumes") or []):
        name = volume.get("name", "")
        field = f"{path}.volumes[{index}].name"
        if not name:
            found.append(required(field))
        else:
            found += [invalid(field, name, text) for text in label(name)]
            if name in volumes:
                found.append(duplicate(field, name))
        volumes.add(name)
    names: set[str] = set()
    if not spec.get("containers"):
        found.append(required(f"{path}.containers"))
    for key in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(key) or []):
            field = f"{path}.{key}[{index}]"
            name = container.get("name", "")
            if not name:
                found.append(required(f"{field}.name"))
            else:
                found += [invalid(f"{field}.name", name, text) for text in label(name)]
                if name in names:
                    found.append(duplicate(f"{field}.name", name))
            names.add(name)
            if not container.get("image"):
                found.append(required(f"{field}.image"))
            elif container["image"].strip() != container["image"]:
                found.append(
                    invalid(f"{field}.image", container["image"], "must not have leading or trailing whitespace")
                )
            _check_container(container, field, volumes, found)


def _check_container(container: Json, field: str, volumes: set[str], found: list[Cause]) -> None:
    names: set[str] = set()
    for index, port in enumerate(container.get("ports") or []):
        inner = f"{field}.ports[{index}]"
        if not port.get("containerPort"):
            found.append(required(f"{inner}.containerPort"))
        else:
            check_port_number(port["containerPort"], f"{inner}.containerPort", found)
        if port.get("name"):
            check_port_name(port["name"], f"{inner}.name", found)
            if port["name"] in names:
                found.append(duplicate(f"{inner}.name", port["name"]))
            names.add(port["name"])
    for index, variable in enumerate(container.get("env") or []):
        inner = f"{field}.env[{index}]"
        name = variable.get("name", "")
        if not name:
            found.append(required(f"{inner}.name"))
        elif "=" in name or not name.isprintable() or not name.isascii():
            found.append(invalid(f"{inner}.name", name, _ENV_TEXT))
        if variable.get("value") and variable.get("valueFrom"):
            found.append(invalid(f"{inner}.valueFrom", "", "may not be specified when `value` is not empty"))
    for index, mount in enumerate(container.get("volumeMounts") or []):
        inner = f"{field}.volumeMounts[{index}]"
        if not mount.get("name"):
            found.append(required(f"{inner}.name"))
        elif mount["name"] not in volumes:
            found.append(Cause("FieldValueNotFound", f'Not found: "{mount["name"]}"', f"{inner}.name"))
        if not mount.get("mountPath"):
            found.append(required(f"{inner}.mountPath"))
    for key in ("livenessProbe", "readinessProbe", "startupProbe"):
        probe = container.get(key)
        if probe is not None:
            _check_probe(probe, f"{field}.{key}", found)


def _check_probe(probe: Json, field: str, found: list[Cause]) -> None:
    actions = [key for key in ("exec", "httpGet", "tcpSocket", "grpc") if key in probe]
    if not actions:
        found.append(required(field, "must specify a handler type"))
    elif len(actions) > 1:
        found.append(
            Cause("FieldValueForbidden", "Forbidden: may not specify more than 1 handler type", f"{field}.{actions[1]}")
        )
    if actions and actions[0] in ("httpGet", "tcpSocket"):
        port = probe[actions[0]].get("port")
        if port is None or port == "":
            found.append(required(f"{field}.{actions[0]}.port"))
        elif isinstance(port, int):
            check_port_number(port, f"{field}.{actions[0]}.port", found)
    for key in ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"):
        _check_not_negative(probe.get(key, 0), f"{field}.{key}", found)


def _check_not_negative(value: int, field: str, found: list[Cause]) -> None:
    if value < 0:
        found.append(invalid(field, value, "must be greater than or equal to 0"))


def check_pod(obj: Json, found: list[Cause]) -> None:
    """A Pod."""
    check_containers(obj.get("spec", {}), "spec", found)


def _check_selector(selector: Json, field: str, found: list[Cause]) -> None:
    found += check_labels(selector.get("matchLabels"), f"{field}.matchLabels")
    for index, expression in enumerate(selector.get("matchExpressions") or []):
        inner = f"{field}.matchExpressions[{index}]"
        operator, values = expression.get("operator", ""), expression.get("values") or []
        if operator not in ("In", "NotIn", "Exists", "DoesNotExist"):
            found.append(invalid(f"{inner}.operator", operator, "not a valid selector operator"))
        elif operator in ("In", "NotIn") and not values:
            found.append(required(f"{inner}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
        elif operator in ("Exists", "DoesNotExist") and values:
            message = "Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            found.append(Cause("FieldValueForbidden", message, f"{inner}.values"))
        found += [
            invalid(f"{inner}.key", expression.get("key", ""), t) for t in qualified_name(expression.get("key", ""))
        ]


def check_workload(obj: Json, found: list[Cause]) -> None:
    """What every controller of pods that run for ever has: a selector and a template that it selects."""
    spec = obj.get("spec", {})
    selector, template = spec.get("selector"), spec.get("template", {})
    if not selector:
        found.append(required("spec.selector"))
    else:
        _check_selector(selector, "spec.selector", found)
    metadata = template.get("metadata", {})
    if selector and not match_labels(selector)({"metadata": metadata}):
        labels = metadata.get("labels") or {}
        found.append(invalid("spec.template.metadata.labels", labels, "`selector` does not match template `labels`"))
    found += check_labels(metadata.get("labels"), "spec.template.metadata.labels")
    _check_not_negative(spec.get("replicas", 0), "spec.replicas", found)
    check_containers(template.get("spec", {}), "spec.template.spec", found)
    policy = template.get("spec", {}).get("restartPolicy", "Always")
    if policy != "Always":
        found.append(not_supported("spec.template.spec.restartPolicy", policy, ["Always"]))


def check_deployment(obj: Json, found: list[Cause]) -> None:
    """A Deployment."""
    check_workload(obj, found)
    strategy = obj.get("spec", {}).get("strategy", {})
    rolling = strategy.get("rollingUpdate")
    if strategy.get("type") == "Recreate" and rolling is not None:
        message = "Forbidden: may not be specified when strategy `type` is 'Recreate'"
        found.append(Cause("FieldValueForbidden", message, "spec.strategy.rollingUpdate"))
    elif rolling is not None:
        field = "spec.strategy.rollingUpdate"
        for key in ("maxUnavailable", "maxSurge"):
            value = rolling.get(key, 0)
            if isinstance(value, int) and value < 0:
                found.append(invalid(f"{field}.{key}", value, "must be greater than or equal to 0"))
            elif isinstance(value, str) and re.fullmatch(r"[0-9]+%", value) is None:
                text = (
                    "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', "
                    "regex used for validation is '[0-9]+%')"
                )
                found.append(invalid(f"{field}.{key}", value, text))
        if all(rolling.get(key) in (0, "0%") for key in ("maxUnavailable", "maxSurge")):
            found.append(
                invalid(f"{field}.maxUnavailable", rolling["maxUnavailable"], "may not be 0 when `maxSurge` is 0")
            )


def check_job(obj: Json, found: list[Cause]) -> None:
    """A Job."""
    spec = obj.get("spec", {}).get("template", {}).get("spec", {})
    check_containers(spec, "spec.template.spec", found)
    if spec.get("restartPolicy") not in ("OnFailure", "Never"):
        found.append(required("spec.template.spec.restartPolicy", 'valid values: "OnFailure", "Never"'))
