"""What the API fills in for built-in kinds where a manifest says nothing."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

from gatewright.local.apiserver.store import Json


def apply_builtin_defaults(qualified: str, obj: Json) -> None:
    """Fill in the defaults of a built-in kind, in place."""
    fill = _DEFAULTS.get(qualified)
    if fill is not None:
        fill(obj)


def _set(obj: Json, **values: Any) -> None:
    for key, value in values.items():
        obj.setdefault(key, value)


def _each(obj: Json, key: str) -> list[Json]:
    return [item for item in obj.get(key) or [] if isinstance(item, dict)]


def _pull_policy(image: str) -> str:
    if "@" in image:
        return "IfNotPresent"
    _, _, tag = image.rsplit("/", 1)[-1].partition(":")
    return "Always" if tag in ("", "latest") else "IfNotPresent"


def _probe(probe: Json) -> None:
    _set(probe, timeoutSeconds=1, periodSeconds=10, successThreshold=1, failureThreshold=3)
    _action(probe)


def _action(action: Json) -> None:
    if "httpGet" in action:
        _set(action["httpGet"], path="/", scheme="HTTP")
    if "grpc" in action:
        _set(action["grpc"], service="")


def _container(container: Json) -> None:
    _set(
        container,
        imagePullPolicy=_pull_policy(container.get("image", "")),
        terminationMessagePath="/dev/termination-log",
        terminationMessagePolicy="File",
        resources={},
    )
    for port in _each(container, "ports"):
        _set(port, protocol="TCP")
    for key in ("livenessProbe", "readinessProbe", "startupProbe"):
        if key in container:
            _probe(container[key])
    for hook in (container.get("lifecycle") or {}).values():
        if isinstance(hook, dict):
            _action(hook)
    for variable in _each(container, "env"):
        reference = (variable.get("valueFrom") or {}).get("fieldRef")
        if reference:
            _set(reference, apiVersion="v1")
    limits = container["resources"].get("limits")
    if limits:
        container["resources"]["requests"] = {**limits, **container["resources"].get("requests", {})}


def _pod_spec(spec: Json) -> None:
    _set(
        spec,
        restartPolicy="Always",
        dnsPolicy="ClusterFirst",
        terminationGracePeriodSeconds=30,
        securityContext={},
        schedulerName="default-scheduler",
    )
    for key in ("containers", "initContainers"):
        for container in _each(spec, key):
            _container(container)
    for volume in _each(spec, "volumes"):
        for key in ("secret", "configMap", "projected", "downwardAPI"):
            if key in volume:
                _set(volume[key], defaultMode=420)
        if "hostPath" in volume:
            _set(volume["hostPath"], type="")
    if "serviceAccountName" in spec:
        _set(spec, serviceAccount=spec["serviceAccountName"])


def _template(obj: Json) -> None:
    template = obj["spec"].setdefault("template", {})
    template.setdefault("metadata", {})
    _pod_spec(template.setdefault("spec", {}))


def _pod(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    _set(
        spec, enableServiceLinks=True, serviceAccountName="default", priority=0, preemptionPolicy="PreemptLowerPriority"
    )
    _pod_spec(spec)
    status = obj.setdefault("status", {})
    _set(status, phase="Pending", qosClass=_quality(spec))


def _quality(spec: Json) -> str:
    resources = [container.get("resources", {}) for container in _each(spec, "containers")]
    if not any(part.get("requests") or part.get("limits") for part in resources):
        return "BestEffort"
    guaranteed = all(
        part.get("limits", {}).keys() >= {"cpu", "memory"} and part.get("limits") == part.get("requests")
        for part in resources
    )
    return "Guaranteed" if guaranteed else "Burstable"


def _deployment(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    _set(spec, replicas=1, revisionHistoryLimit=10, progressDeadlineSeconds=600)
    strategy = spec.setdefault("strategy", {})
    _set(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _set(strategy.setdefault("rollingUpdate", {}), maxUnavailable="25%", maxSurge="25%")
    _template(obj)


def _replica_set(obj: Json) -> None:
    _set(obj.setdefault("spec", {}), replicas=1)
    _template(obj)


def _stateful_set(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    _set(spec, replicas=1, revisionHistoryLimit=10, podManagementPolicy="OrderedReady")
    strategy = spec.setdefault("updateStrategy", {})
    _set(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _set(strategy.setdefault("rollingUpdate", {}), partition=0)
    _template(obj)


def _daemon_set(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    _set(spec, revisionHistoryLimit=10)
    strategy = spec.setdefault("updateStrategy", {})
    _set(strategy, type="RollingUpdate")
    if strategy["type"] == "RollingUpdate":
        _set(strategy.setdefault("rollingUpdate", {}), maxUnavailable=1, maxSurge=0)
    _template(obj)


def _job(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    _set(spec, parallelism=1, completions=1, backoffLimit=6, completionMode="NonIndexed", suspend=False)
    _set(spec, podReplacementPolicy="TerminatingOrFailed", manualSelector=False)
    _template(obj)
    if not spec["manualSelector"] and "selector" not in spec:
        uid, name = obj["metadata"].get("uid", ""), obj["metadata"].get("name", "")
        labels = spec["template"]["metadata"].setdefault("labels", {})
        _set(labels, **{"batch.kubernetes.io/controller-uid": uid, "batch.kubernetes.io/job-name": name})
        _set(labels, **{"controller-uid": uid, "job-name": name})
        spec["selector"] = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}


def _cron_job(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    _set(spec, concurrencyPolicy="Allow", suspend=False, successfulJobsHistoryLimit=3, failedJobsHistoryLimit=1)
    template = spec.setdefault("jobTemplate", {})
    template.setdefault("metadata", {})
    template.setdefault("spec", {})
    _template(template)


def _service(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    _set(spec, sessionAffinity="None", type="ClusterIP")
    for port in _each(spec, "ports"):
        _set(port, protocol="TCP")
        if not port.get("targetPort") and "port" in port:
            port["targetPort"] = port["port"]
    if spec["sessionAffinity"] == "ClientIP":
        client = spec.setdefault("sessionAffinityConfig", {}).setdefault("clientIP", {})
        _set(client, timeoutSeconds=10800)
    if spec["type"] in ("NodePort", "LoadBalancer"):
        _set(spec, externalTrafficPolicy="Cluster")
    if spec["type"] == "LoadBalancer":
        _set(spec, allocateLoadBalancerNodePorts=True)
    if spec["type"] != "ExternalName":
        _set(spec, internalTrafficPolicy="Cluster")
    obj.setdefault("status", {}).setdefault("loadBalancer", {})


def _secret(obj: Json) -> None:
    _set(obj, type="Opaque")
    texts = obj.pop("stringData", None)
    if texts:
        data = obj.setdefault("data", {})
        data.update({key: base64.b64encode(value.encode()).decode() for key, value in texts.items()})


def _endpoint_slice(obj: Json) -> None:
    for port in _each(obj, "ports"):
        _set(port, name="", protocol="TCP")
    obj.setdefault("endpoints", [])
    obj.setdefault("ports", [])


def _endpoints(obj: Json) -> None:
    for subset in _each(obj, "subsets"):
        for port in _each(subset, "ports"):
            _set(port, protocol="TCP")


def _autoscaler(obj: Json) -> None:
    _set(obj.setdefault("spec", {}), minReplicas=1)


def _network_policy(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    for key in ("ingress", "egress"):
        for rule in _each(spec, key):
            for port in _each(rule, "ports"):
                _set(port, protocol="TCP")
    _set(spec, policyTypes=["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])


def _binding(obj: Json) -> None:
    group = "rbac.authorization.k8s.io"
    if "roleRef" in obj:
        _set(obj["roleRef"], apiGroup=group)
    for subject in _each(obj, "subjects"):
        if subject.get("kind") in ("User", "Group"):
            _set(subject, apiGroup=group)


def _webhooks(obj: Json) -> None:
    for webhook in _each(obj, "webhooks"):
        _set(webhook, failurePolicy="Fail", matchPolicy="Equivalent", timeoutSeconds=10)
        _set(webhook, namespaceSelector={}, objectSelector={})
        service = (webhook.get("clientConfig") or {}).get("service")
        if service:
            _set(service, port=443)
        for rule in _each(webhook, "rules"):
            _set(rule, scope="*")


def _mutating_webhooks(obj: Json) -> None:
    _webhooks(obj)
    for webhook in _each(obj, "webhooks"):
        _set(webhook, reinvocationPolicy="Never")


def _admission_policy(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    _set(spec, failurePolicy="Fail")
    constraints = spec.get("matchConstraints")
    if constraints is not None:
        _set(constraints, matchPolicy="Equivalent", namespaceSelector={}, objectSelector={})
        for rule in _each(constraints, "resourceRules"):
            _set(rule, scope="*")


def _claim(obj: Json) -> None:
    _set(obj.setdefault("spec", {}), volumeMode="Filesystem")
    obj.setdefault("status", {}).setdefault("phase", "Pending")


def _storage_class(obj: Json) -> None:
    _set(obj, reclaimPolicy="Delete", volumeBindingMode="Immediate")


def _definition(obj: Json) -> None:
    spec = obj.setdefault("spec", {})
    names = spec.setdefault("names", {})
    kind = names.get("kind", "")
    if isinstance(kind, str) and kind:
        _set(names, singular=kind.lower(), listKind=f"{kind}List")
    _set(spec, conversion={"strategy": "None"})


_DEFAULTS: dict[str, Callable[[Json], None]] = {
    "pods": _pod,
    "services": _service,
    "secrets": _secret,
    "endpoints": _endpoints,
    "persistentvolumeclaims": _claim,
    "replicationcontrollers": _replica_set,
    "deployments.apps": _deployment,
    "replicasets.apps": _replica_set,
    "statefulsets.apps": _stateful_set,
    "daemonsets.apps": _daemon_set,
    "jobs.batch": _job,
    "cronjobs.batch": _cron_job,
    "endpointslices.discovery.k8s.io": _endpoint_slice,
    "horizontalpodautoscalers.autoscaling": _autoscaler,
    "networkpolicies.networking.k8s.io": _network_policy,
    "rolebindings.rbac.authorization.k8s.io": _binding,
    "clusterrolebindings.rbac.authorization.k8s.io": _binding,
    "validatingwebhookconfigurations.admissionregistration.k8s.io": _webhooks,
    "mutatingwebhookconfigurations.admissionregistration.k8s.io": _mutating_webhooks,
    "validatingadmissionpolicies.admissionregistration.k8s.io": _admission_policy,
    "storageclasses.storage.k8s.io": _storage_class,
    "customresourcedefinitions.apiextensions.k8s.io": _definition,
}
