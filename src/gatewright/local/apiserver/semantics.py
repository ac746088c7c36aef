"""What must hold for objects of built-in kinds beyond their types: required fields, references within, immutability."""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Callable
from typing import Any

from gatewright.local.apiserver.names import check_labels, label, label_1035, label_value, qualified_name, subdomain
from gatewright.local.apiserver.podspecs import (
    check_containers,
    check_deployment,
    check_job,
    check_pod,
    check_port_name,
    check_port_number,
    check_workload,
)
from gatewright.local.apiserver.store import Json
from gatewright.model.causes import Cause, duplicate, invalid, not_supported, required

IMMUTABLE = "field is immutable"
_DATA_KEY = re.compile(r"[-._a-zA-Z0-9]+")
_DATA_KEY_TEXT = (
    "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or "
    "'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
)
_SIZE_LIMIT = 1024 * 1024


def check_builtin(qualified: str, obj: Json, old: Json | None) -> list[Cause]:
    """What is wrong with an object of a built-in kind; `old` is what it replaces, None when it is new."""
    found: list[Cause] = []
    check = _CHECKS.get(qualified)
    if check is not None:
        check(obj, found)
    if old is not None:
        for path in _IMMUTABLE.get(qualified, ()):
            _check_unchanged(path, obj, old, found)
        if qualified in ("secrets", "configmaps") and old.get("immutable"):
            _check_frozen(obj, old, found)
        if qualified == "pods":
            _check_pod_update(obj, old, found)
    return found


_IMMUTABLE: dict[str, tuple[str, ...]] = {
    "deployments.apps": ("spec.selector",),
    "replicasets.apps": ("spec.selector",),
    "daemonsets.apps": ("spec.selector",),
    "statefulsets.apps": ("spec.selector", "spec.serviceName", "spec.podManagementPolicy"),
    "jobs.batch": ("spec.selector", "spec.template"),
    "secrets": ("type",),
    "endpointslices.discovery.k8s.io": ("addressType",),
    "rolebindings.rbac.authorization.k8s.io": ("roleRef",),
    "clusterrolebindings.rbac.authorization.k8s.io": ("roleRef",),
    "ingressclasses.networking.k8s.io": ("spec.controller",),
    "storageclasses.storage.k8s.io": ("provisioner", "parameters"),
}


def _at(obj: Any, path: str) -> Any:
    for step in path.split("."):
        obj = obj.get(step) if isinstance(obj, dict) else None
    return obj


def _check_unchanged(path: str, obj: Json, old: Json, found: list[Cause]) -> None:
    value = _at(obj, path)
    if value != _at(old, path):
        found.append(invalid(path, value, IMMUTABLE))


def _check_frozen(obj: Json, old: Json, found: list[Cause]) -> None:
    detail = "Forbidden: field is immutable when `immutable` is set"
    if not obj.get("immutable"):
        found.append(Cause("FieldValueForbidden", detail, "immutable"))
    changed = [key for key in ("data", "binaryData") if (obj.get(key) or {}) != (old.get(key) or {})]
    found += [Cause("FieldValueForbidden", detail, key) for key in changed]


def _check_pod_update(obj: Json, old: Json, found: list[Cause]) -> None:
    """Of a pod's spec only the images, deadlines and added tolerations may change."""

    def fixed(pod: Json) -> Json:
        spec = {key: value for key, value in pod.get("spec", {}).items() if key not in _POD_MUTABLE}
        for key in ("containers", "initContainers"):
            if key in spec:
                spec[key] = [{k: v for k, v in c.items() if k not in ("image", "resources")} for c in spec[key]]
        return spec

    new_spec, old_spec = fixed(obj), fixed(old)
    if not old_spec.get("nodeName"):
        new_spec.pop("nodeName", None)
        old_spec.pop("nodeName", None)
    if new_spec != old_spec:
        message = (
            "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,"
            "`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to "
            "existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously "
            "negative)"
        )
        found.append(Cause("FieldValueForbidden", message, "spec"))


_POD_MUTABLE = frozenset(
    {"activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "schedulingGates", "ephemeralContainers"}
)


# Services and endpoints


def _check_service(obj: Json, found: list[Cause]) -> None:
    spec = obj.get("spec", {})
    type_ = spec.get("type", "ClusterIP")
    ports: list[Json] = spec.get("ports") or []
    headless = spec.get("clusterIP") == "None"
    if not ports and not headless and type_ != "ExternalName":
        found.append(required("spec.ports"))
    if type_ == "ExternalName":
        name = spec.get("externalName", "")
        if not name:
            found.append(required("spec.externalName"))
        else:
            found += [invalid("spec.externalName", name, text) for text in subdomain(name.rstrip("."))]
    if headless and type_ in ("NodePort", "LoadBalancer"):
        found.append(invalid("spec.clusterIPs[0]", "None", f"may not be set to 'None' for {type_} services"))
    for index, address in enumerate(spec.get("clusterIPs") or []):
        if address != "None" and not _is_address(address):
            text = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
            found.append(invalid(f"spec.clusterIPs[{index}]", address, text))
    names: set[str] = set()
    seen: set[tuple[Any, Any]] = set()
    node_ports: set[tuple[Any, Any]] = set()
    for index, port in enumerate(ports):
        _check_service_port(port, f"spec.ports[{index}]", len(ports) > 1, names, found)
        key = (port.get("protocol"), port.get("port"))
        if key in seen:
            found.append(duplicate(f"spec.ports[{index}]", {"protocol": key[0], "port": key[1]}))
        seen.add(key)
        node_port = (port.get("protocol"), port.get("nodePort"))
        if port.get("nodePort"):
            if type_ not in ("NodePort", "LoadBalancer"):
                message = "Forbidden: may not be used when `type` is '" + type_ + "'"
                found.append(Cause("FieldValueForbidden", message, f"spec.ports[{index}].nodePort"))
            elif node_port in node_ports:
                found.append(duplicate(f"spec.ports[{index}].nodePort", port["nodePort"]))
            elif not 30000 <= port["nodePort"] <= 32767:
                text = "provided port is not in the valid range. The range of valid ports is 30000-32767"
                found.append(invalid(f"spec.ports[{index}].nodePort", port["nodePort"], text))
            node_ports.add(node_port)
    found += check_labels(spec.get("selector"), "spec.selector")


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _check_service_port(port: Json, field: str, named: bool, names: set[str], found: list[Cause]) -> None:
    name = port.get("name", "")
    if named and not name:
        found.append(required(f"{field}.name"))
    elif name:
        found += [invalid(f"{field}.name", name, text) for text in label(name)]
        if name in names:
            found.append(duplicate(f"{field}.name", name))
        names.add(name)
    check_port_number(port.get("port", 0), f"{field}.port", found)
    target = port.get("targetPort")
    if isinstance(target, int):
        check_port_number(target, f"{field}.targetPort", found)
    elif target:
        check_port_name(target, f"{field}.targetPort", found)


def _endpoint_problem(type_: str, text: str) -> str:
    """Why an endpoint can't have this address, or nothing (ValidateNonSpecialIP; pods live on loopback here)."""
    if not _is_address(text) or "%" in text or (":" in text) != (type_ == "IPv6"):
        return f"must be a valid {type_} address"
    address = ipaddress.ip_address(text)
    if address.is_unspecified:
        return f"may not be unspecified ({text})"
    if address.is_link_local:
        return "may not be in the link-local range (169.254.0.0/16, fe80::/10)"
    if any(address in network for network in _LINK_LOCAL_MULTICAST):
        return "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"
    return ""


_LINK_LOCAL_MULTICAST = (ipaddress.ip_network("224.0.0.0/24"), ipaddress.ip_network("ff02::/16"))


def _check_endpoint_slice(obj: Json, found: list[Cause]) -> None:
    type_ = obj.get("addressType")
    if not type_:
        found.append(required("addressType"))
    for index, endpoint in enumerate(obj.get("endpoints") or []):
        field = f"endpoints[{index}].addresses"
        addresses = endpoint.get("addresses") or []
        if not addresses:
            found.append(required(field, "must contain at least 1 address"))
        for inner, address in enumerate(addresses):
            if type_ in ("IPv4", "IPv6") and (text := _endpoint_problem(type_, address)):
                found.append(invalid(f"{field}[{inner}]", address, text))
    names: set[str] = set()
    for index, port in enumerate(obj.get("ports") or []):
        name = port.get("name", "")
        if name:
            found += [invalid(f"ports[{index}].name", name, text) for text in label(name)]
        if name in names:
            found.append(duplicate(f"ports[{index}].name", name))
        names.add(name)


# Configuration


def _check_config_map(obj: Json, found: list[Cause]) -> None:
    size = 0
    for key in ("data", "binaryData"):
        for name, value in (obj.get(key) or {}).items():
            _check_key(name, key, found)
            size += len(value)
    if size > _SIZE_LIMIT:
        found.append(Cause("FieldValueTooLong", f"Too long: may not be more than {_SIZE_LIMIT} bytes", ""))
    both = (obj.get("data") or {}).keys() & (obj.get("binaryData") or {}).keys()
    found += [invalid(f"data[{name}]", name, "duplicate of key present in binaryData") for name in sorted(both)]


def _check_key(name: str, key: str, found: list[Cause]) -> None:
    field = f"{key}[{name}]"
    if len(name) > 253:
        found.append(invalid(field, name, "must be no more than 253 bytes"))
    if _DATA_KEY.fullmatch(name) is None:
        found.append(invalid(field, name, _DATA_KEY_TEXT))
    elif name in (".", ".."):
        found.append(invalid(field, name, f"must not be '{name}'"))


_SECRET_NEEDS: dict[str, tuple[str, ...]] = {
    "kubernetes.io/tls": ("tls.crt", "tls.key"),
    "kubernetes.io/dockercfg": (".dockercfg",),
    "kubernetes.io/dockerconfigjson": (".dockerconfigjson",),
    "kubernetes.io/ssh-auth": ("ssh-privatekey",),
}


def _check_secret(obj: Json, found: list[Cause]) -> None:
    data: dict[str, str] = obj.get("data") or {}
    for name in data:
        _check_key(name, "data", found)
    needed = _SECRET_NEEDS.get(obj.get("type", ""), ())
    found += [required(f"data[{name}]") for name in needed if name not in data]
    if sum(len(base64.b64decode(value)) for value in data.values()) > _SIZE_LIMIT:
        found.append(Cause("FieldValueTooLong", f"Too long: may not be more than {_SIZE_LIMIT} bytes", "data"))


def _check_ingress(obj: Json, found: list[Cause]) -> None:
    spec = obj.get("spec", {})
    if not spec.get("rules") and "defaultBackend" not in spec:
        found.append(invalid("spec", [], "either `defaultBackend` or `rules` must be specified"))
    if "defaultBackend" in spec:
        _check_ingress_backend(spec["defaultBackend"], "spec.defaultBackend", found)
    for index, rule in enumerate(spec.get("rules") or []):
        http = rule.get("http")
        if http is None:
            continue
        field = f"spec.rules[{index}].http.paths"
        if not http.get("paths"):
            found.append(required(field))
        for inner, path in enumerate(http.get("paths") or []):
            type_, text = path.get("pathType"), path.get("path", "")
            if not type_:
                found.append(required(f"{field}[{inner}].pathType", "pathType must be specified"))
            elif type_ in ("Exact", "Prefix") and not text.startswith("/"):
                found.append(invalid(f"{field}[{inner}].path", text, "must be an absolute path"))
            _check_ingress_backend(path.get("backend", {}), f"{field}[{inner}].backend", found)


def _check_ingress_backend(backend: Json, field: str, found: list[Cause]) -> None:
    service = backend.get("service")
    if service is None:
        if "resource" not in backend:
            found.append(required(field, "cannot set both resource and service backends"))
        return
    if not service.get("name"):
        found.append(required(f"{field}.service.name"))
    else:
        found += [invalid(f"{field}.service.name", service["name"], text) for text in label_1035(service["name"])]
    port = service.get("port") or {}
    if not port.get("name") and not port.get("number"):
        found.append(required(f"{field}.service", "port name or number is required"))
    elif port.get("number"):
        check_port_number(port["number"], f"{field}.service.port.number", found)


def _check_lease(obj: Json, found: list[Cause]) -> None:
    seconds = obj.get("spec", {}).get("leaseDurationSeconds")
    if seconds is not None and seconds <= 0:
        found.append(invalid("spec.leaseDurationSeconds", seconds, "must be greater than 0"))
    transitions = obj.get("spec", {}).get("leaseTransitions")
    if transitions is not None and transitions < 0:
        found.append(invalid("spec.leaseTransitions", transitions, "must be greater than or equal to 0"))


def _check_role_binding(obj: Json, found: list[Cause]) -> None:
    reference = obj.get("roleRef") or {}
    if reference.get("kind") not in ("Role", "ClusterRole"):
        found.append(not_supported("roleRef.kind", reference.get("kind", ""), ["ClusterRole", "Role"]))
    if not reference.get("name"):
        found.append(required("roleRef.name"))
    for index, subject in enumerate(obj.get("subjects") or []):
        if not subject.get("name"):
            found.append(required(f"subjects[{index}].name"))


def _check_autoscaler(obj: Json, found: list[Cause]) -> None:
    spec = obj.get("spec", {})
    if spec.get("maxReplicas", 0) < 1:
        found.append(invalid("spec.maxReplicas", spec.get("maxReplicas", 0), "must be greater than 0"))
    elif spec["maxReplicas"] < spec.get("minReplicas", 1):
        text = "must be greater than or equal to `minReplicas`"
        found.append(invalid("spec.maxReplicas", spec["maxReplicas"], text))
    if not spec.get("scaleTargetRef", {}).get("name"):
        found.append(required("spec.scaleTargetRef.name"))


def _check_node(obj: Json, found: list[Cause]) -> None:
    for index, taint in enumerate(obj.get("spec", {}).get("taints") or []):
        field = f"spec.taints[{index}]"
        found += [invalid(f"{field}.key", taint.get("key", ""), text) for text in qualified_name(taint.get("key", ""))]
        found += [invalid(f"{field}.value", taint["value"], t) for t in label_value(taint.get("value", ""))]


_CHECKS: dict[str, Callable[[Json, list[Cause]], None]] = {
    "pods": check_pod,
    "services": _check_service,
    "secrets": _check_secret,
    "configmaps": _check_config_map,
    "nodes": _check_node,
    "replicationcontrollers": lambda obj, found: check_containers(
        obj.get("spec", {}).get("template", {}).get("spec", {}), "spec.template.spec", found
    ),
    "deployments.apps": check_deployment,
    "replicasets.apps": check_workload,
    "statefulsets.apps": check_workload,
    "daemonsets.apps": check_workload,
    "jobs.batch": check_job,
    "endpointslices.discovery.k8s.io": _check_endpoint_slice,
    "ingresses.networking.k8s.io": _check_ingress,
    "leases.coordination.k8s.io": _check_lease,
    "rolebindings.rbac.authorization.k8s.io": _check_role_binding,
    "clusterrolebindings.rbac.authorization.k8s.io": _check_role_binding,
    "horizontalpodautoscalers.autoscaling": _check_autoscaler,
}
