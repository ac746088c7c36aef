"""The columns of built-in kinds, and how each row's cells follow from the object."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from gatewright.local.apiserver.scale import selector_text
from gatewright.local.apiserver.store import Json

Age = Callable[[str | None], str]


class Column(NamedTuple):
    """One column; those of priority 1 are shown by `-o wide`."""

    name: str
    type: str = "string"
    priority: int = 0


class Printer(NamedTuple):
    """The columns behind the name, and what makes their cells."""

    columns: tuple[Column, ...]
    cells: Callable[[Json, Age], list[Any]]


def _columns(*names: str, wide: tuple[str, ...] = (), numbers: frozenset[str] = frozenset()) -> tuple[Column, ...]:
    def typed(name: str) -> str:
        return "integer" if name in numbers else "string"

    return (*(Column(name, typed(name)) for name in names), *(Column(name, typed(name), 1) for name in wide))


def _created(obj: Json, age: Age) -> str:
    return age(obj["metadata"].get("creationTimestamp"))


def _containers(spec: Json) -> tuple[str, str]:
    containers = spec.get("containers") or []
    return (
        ",".join(container.get("name", "") for container in containers),
        ",".join(container.get("image", "") for container in containers),
    )


def _template(obj: Json) -> tuple[str, str]:
    return _containers(obj.get("spec", {}).get("template", {}).get("spec", {}))


def _selector(obj: Json) -> str:
    return selector_text(obj.get("spec", {}).get("selector")) or "<none>"


def _pod_reason(obj: Json) -> str:
    """The STATUS column: the phase, or what holds the pod up."""
    status = obj.get("status", {})
    reason: str = status.get("reason") or status.get("phase") or "Unknown"
    running = False
    for container in reversed(status.get("containerStatuses") or []):
        state = container.get("state") or {}
        waiting, ended = state.get("waiting") or {}, state.get("terminated")
        if waiting.get("reason"):
            reason = waiting["reason"]
        elif ended is not None:
            signal = ended.get("signal")
            reason = ended.get("reason") or (f"Signal:{signal}" if signal else f"ExitCode:{ended.get('exitCode', 0)}")
        elif container.get("ready") and state.get("running") is not None:
            running = True
    if reason == "Completed" and running:
        ready = any(c.get("type") == "Ready" and c.get("status") == "True" for c in status.get("conditions") or [])
        reason = "Running" if ready else "NotReady"
    if "deletionTimestamp" in obj["metadata"]:
        return "Terminating"
    return reason


def _pod(obj: Json, age: Age) -> list[Any]:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    states = status.get("containerStatuses") or []
    ready = sum(1 for state in states if state.get("ready"))
    gates = spec.get("readinessGates") or []
    true = {c["type"] for c in status.get("conditions") or [] if c.get("status") == "True"}
    passed = sum(1 for gate in gates if gate.get("conditionType") in true)
    return [
        f"{ready}/{len(spec.get('containers') or [])}",
        _pod_reason(obj),
        str(sum(state.get("restartCount", 0) for state in states)),
        _created(obj, age),
        status.get("podIP") or "<none>",
        spec.get("nodeName") or "<none>",
        status.get("nominatedNodeName") or "<none>",
        f"{passed}/{len(gates)}" if gates else "<none>",
    ]


def _deployment(obj: Json, age: Age) -> list[Any]:
    status = obj.get("status", {})
    names, images = _template(obj)
    return [
        f"{status.get('readyReplicas', 0)}/{obj.get('spec', {}).get('replicas', 0)}",
        status.get("updatedReplicas", 0),
        status.get("availableReplicas", 0),
        _created(obj, age),
        names,
        images,
        _selector(obj),
    ]


def _replica_set(obj: Json, age: Age) -> list[Any]:
    status = obj.get("status", {})
    names, images = _template(obj)
    return [
        obj.get("spec", {}).get("replicas", 0),
        status.get("replicas", 0),
        status.get("readyReplicas", 0),
        _created(obj, age),
        names,
        images,
        _selector(obj),
    ]


def _stateful_set(obj: Json, age: Age) -> list[Any]:
    ready = f"{obj.get('status', {}).get('readyReplicas', 0)}/{obj.get('spec', {}).get('replicas', 0)}"
    return [ready, _created(obj, age), *_template(obj)]


def _daemon_set(obj: Json, age: Age) -> list[Any]:
    status = obj.get("status", {})
    keys = (
        "desiredNumberScheduled",
        "currentNumberScheduled",
        "numberReady",
        "updatedNumberScheduled",
        "numberAvailable",
    )
    nodes = selector_text(obj.get("spec", {}).get("template", {}).get("spec", {}).get("nodeSelector")) or "<none>"
    names, images = _template(obj)
    return [*(status.get(key, 0) for key in keys), nodes, _created(obj, age), names, images, _selector(obj)]


def _service(obj: Json, age: Age) -> list[Any]:
    spec = obj.get("spec", {})
    ports = [
        f"{port['port']}:{port['nodePort']}/{port.get('protocol', 'TCP')}"
        if port.get("nodePort")
        else f"{port['port']}/{port.get('protocol', 'TCP')}"
        for port in spec.get("ports") or []
    ]
    return [
        spec.get("type", "ClusterIP"),
        spec.get("clusterIP") or "<none>",
        _external(obj),
        ",".join(ports) or "<none>",
        _created(obj, age),
        selector_text(spec.get("selector")) or "<none>",
    ]


def _external(obj: Json) -> str:
    spec = obj.get("spec", {})
    given = spec.get("externalIPs") or []
    match spec.get("type"):
        case "ExternalName":
            return str(spec.get("externalName", ""))
        case "LoadBalancer":
            ingress = (obj.get("status", {}).get("loadBalancer") or {}).get("ingress") or []
            addresses = [entry.get("ip") or entry.get("hostname") or "" for entry in ingress]
            return ",".join([*filter(None, addresses), *given]) or "<pending>"
    return ",".join(given) or "<none>"


def _node(obj: Json, age: Age) -> list[Any]:
    status, metadata = obj.get("status", {}), obj["metadata"]
    ready = next((c for c in status.get("conditions") or [] if c.get("type") == "Ready"), None)
    texts = ["Unknown" if ready is None else "Ready" if ready.get("status") == "True" else "NotReady"]
    if obj.get("spec", {}).get("unschedulable"):
        texts.append("SchedulingDisabled")
    prefix = "node-role.kubernetes.io/"
    roles = sorted(label.removeprefix(prefix) for label in metadata.get("labels") or {} if label.startswith(prefix))
    addresses = {address["type"]: address["address"] for address in reversed(status.get("addresses") or [])}
    info = status.get("nodeInfo") or {}
    return [
        ",".join(texts),
        ",".join(roles) or "<none>",
        _created(obj, age),
        info.get("kubeletVersion", ""),
        addresses.get("InternalIP", "<none>"),
        addresses.get("ExternalIP", "<none>"),
        info.get("osImage") or "<unknown>",
        info.get("kernelVersion") or "<unknown>",
        info.get("containerRuntimeVersion") or "<unknown>",
    ]


def _event(obj: Json, age: Age) -> list[Any]:
    involved, source = obj.get("involvedObject") or {}, obj.get("source") or {}
    first = obj.get("firstTimestamp") or obj.get("eventTime") or obj["metadata"].get("creationTimestamp")
    series = obj.get("series") or {}
    last = series.get("lastObservedTime") or obj.get("lastTimestamp") or first
    target = f"{involved.get('kind', '').lower()}/{involved.get('name', '')}"
    origin = source.get("component") or obj.get("reportingComponent", "")
    if source.get("host"):
        origin += f", {source['host']}"
    return [
        age(last),
        obj.get("type", ""),
        obj.get("reason", ""),
        target,
        involved.get("fieldPath", ""),
        origin,
        (obj.get("message") or "").strip(),
        age(first),
        series.get("count") or obj.get("count") or 1,
        obj["metadata"]["name"],
    ]


def _shortened(items: list[str], most: int = 3) -> str:
    if not items:
        return "<none>"
    if len(items) > most:
        return ",".join(items[:most]) + f" + {len(items) - most} more..."
    return ",".join(items)


def _endpoints(obj: Json, age: Age) -> list[Any]:
    listed = []
    for subset in obj.get("subsets") or []:
        ports = [port.get("port") for port in subset.get("ports") or []]
        for address in subset.get("addresses") or []:
            listed += [f"{address['ip']}:{port}" for port in ports] or [address["ip"]]
    return [_shortened(listed), _created(obj, age)]


def _endpoint_slice(obj: Json, age: Age) -> list[Any]:
    ports = [str(port["port"]) if port.get("port") else "*" for port in obj.get("ports") or []]
    addresses = [address for endpoint in obj.get("endpoints") or [] for address in endpoint.get("addresses") or []]
    none = "<unset>"
    return [
        obj.get("addressType", ""),
        _shortened(ports) if ports else none,
        _shortened(addresses) if addresses else none,
        _created(obj, age),
    ]


def _job(obj: Json, age: Age) -> list[Any]:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    true = {c["type"] for c in status.get("conditions") or [] if c.get("status") == "True"}
    state = next((name for name in ("Complete", "Failed", "Suspended") if name in true), "Running")
    names, images = _template(obj)
    return [
        state,
        f"{status.get('succeeded', 0)}/{spec.get('completions', 1)}",
        age(status["startTime"]) if status.get("startTime") else "",
        _created(obj, age),
        names,
        images,
        _selector(obj),
    ]


def _cron_job(obj: Json, age: Age) -> list[Any]:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    names, images = _containers(spec.get("jobTemplate", {}).get("spec", {}).get("template", {}).get("spec", {}))
    last = status.get("lastScheduleTime")
    return [
        spec.get("schedule", ""),
        spec.get("timeZone", "<none>"),
        "True" if spec.get("suspend") else "False",
        len(status.get("active") or []),
        age(last) if last else "<none>",
        _created(obj, age),
        names,
        images,
        "<none>",
    ]


def _ingress(obj: Json, age: Age) -> list[Any]:
    spec = obj.get("spec", {})
    hosts = [rule["host"] for rule in spec.get("rules") or [] if rule.get("host")]
    addresses = (obj.get("status", {}).get("loadBalancer") or {}).get("ingress") or []
    return [
        spec.get("ingressClassName", "<none>"),
        _shortened(hosts) if hosts else "*",
        ",".join(entry.get("ip") or entry.get("hostname") or "" for entry in addresses),
        "80, 443" if spec.get("tls") else "80",
        _created(obj, age),
    ]


def _budget(obj: Json, age: Age) -> list[Any]:
    spec = obj.get("spec", {})
    return [
        str(spec.get("minAvailable", "N/A")),
        str(spec.get("maxUnavailable", "N/A")),
        obj.get("status", {}).get("disruptionsAllowed", 0),
        _created(obj, age),
    ]


def _autoscaler(obj: Json, age: Age) -> list[Any]:
    spec, status = obj.get("spec", {}), obj.get("status", {})
    reference = spec.get("scaleTargetRef") or {}
    return [
        f"{reference.get('kind', '')}/{reference.get('name', '')}",
        "<unknown>" if spec.get("metrics") else "<none>",
        spec.get("minReplicas", "<unset>"),
        spec.get("maxReplicas", 0),
        status.get("currentReplicas", 0),
        _created(obj, age),
    ]


def _binding(obj: Json, age: Age) -> list[Any]:
    reference = obj.get("roleRef") or {}
    subjects = obj.get("subjects") or []

    def named(kind: str) -> str:
        return ", ".join(subject.get("name", "") for subject in subjects if subject.get("kind") == kind)

    accounts = ", ".join(
        f"{subject.get('namespace', '')}/{subject.get('name', '')}"
        for subject in subjects
        if subject.get("kind") == "ServiceAccount"
    )
    role = f"{reference.get('kind', '')}/{reference.get('name', '')}"
    return [role, _created(obj, age), named("User"), named("Group"), accounts]


def _api_service(obj: Json, age: Age) -> list[Any]:
    service = obj.get("spec", {}).get("service")
    true = {c["type"] for c in obj.get("status", {}).get("conditions") or [] if c.get("status") == "True"}
    where = f"{service.get('namespace', '')}/{service.get('name', '')}" if service else "Local"
    return [where, "True" if "Available" in true else "False", _created(obj, age)]


def _created_at(obj: Json, age: Age) -> list[Any]:
    return [obj["metadata"].get("creationTimestamp")]


_WORKLOAD = ("Containers", "Images", "Selector")
_BINDING = Printer(_columns("Role", "Age", wide=("Users", "Groups", "ServiceAccounts")), _binding)
_ROLE = Printer((Column("Created At", "date"),), _created_at)

PRINTERS: dict[str, Printer] = {
    "namespaces": Printer(
        _columns("Status", "Age"), lambda obj, age: [obj.get("status", {}).get("phase", ""), _created(obj, age)]
    ),
    "pods": Printer(
        _columns("Ready", "Status", "Restarts", "Age", wide=("IP", "Node", "Nominated Node", "Readiness Gates")),
        _pod,
    ),
    "services": Printer(_columns("Type", "Cluster-IP", "External-IP", "Port(s)", "Age", wide=("Selector",)), _service),
    "secrets": Printer(
        _columns("Type", "Data", "Age", numbers=frozenset({"Data"})),
        lambda obj, age: [obj.get("type", ""), len(obj.get("data") or {}), _created(obj, age)],
    ),
    "configmaps": Printer(
        _columns("Data", "Age", numbers=frozenset({"Data"})),
        lambda obj, age: [len(obj.get("data") or {}) + len(obj.get("binaryData") or {}), _created(obj, age)],
    ),
    "nodes": Printer(
        _columns(
            "Status",
            "Roles",
            "Age",
            "Version",
            wide=("Internal-IP", "External-IP", "OS-Image", "Kernel-Version", "Container-Runtime"),
        ),
        _node,
    ),
    "events": Printer(
        (
            Column("Last Seen"),
            Column("Type"),
            Column("Reason"),
            Column("Object"),
            Column("Subobject", priority=1),
            Column("Source", priority=1),
            Column("Message"),
            Column("First Seen", priority=1),
            Column("Count", "integer", 1),
            Column("Name", priority=1),
        ),
        _event,
    ),
    "serviceaccounts": Printer(
        _columns("Secrets", "Age", numbers=frozenset({"Secrets"})),
        lambda obj, age: [len(obj.get("secrets") or []), _created(obj, age)],
    ),
    "endpoints": Printer(_columns("Endpoints", "Age"), _endpoints),
    "deployments.apps": Printer(
        _columns(
            "Ready", "Up-to-date", "Available", "Age", wide=_WORKLOAD, numbers=frozenset({"Up-to-date", "Available"})
        ),
        _deployment,
    ),
    "replicasets.apps": Printer(
        _columns(
            "Desired", "Current", "Ready", "Age", wide=_WORKLOAD, numbers=frozenset({"Desired", "Current", "Ready"})
        ),
        _replica_set,
    ),
    "replicationcontrollers": Printer(_columns("Desired", "Current", "Ready", "Age", wide=_WORKLOAD), _replica_set),
    "statefulsets.apps": Printer(_columns("Ready", "Age", wide=("Containers", "Images")), _stateful_set),
    "daemonsets.apps": Printer(
        _columns("Desired", "Current", "Ready", "Up-to-date", "Available", "Node Selector", "Age", wide=_WORKLOAD),
        _daemon_set,
    ),
    "jobs.batch": Printer(_columns("Status", "Completions", "Duration", "Age", wide=_WORKLOAD), _job),
    "cronjobs.batch": Printer(
        _columns("Schedule", "Timezone", "Suspend", "Active", "Last Schedule", "Age", wide=_WORKLOAD), _cron_job
    ),
    "endpointslices.discovery.k8s.io": Printer(_columns("AddressType", "Ports", "Endpoints", "Age"), _endpoint_slice),
    "leases.coordination.k8s.io": Printer(
        _columns("Holder", "Age"),
        lambda obj, age: [obj.get("spec", {}).get("holderIdentity", ""), _created(obj, age)],
    ),
    "ingresses.networking.k8s.io": Printer(_columns("Class", "Hosts", "Address", "Ports", "Age"), _ingress),
    "ingressclasses.networking.k8s.io": Printer(
        _columns("Controller", "Parameters", "Age"),
        lambda obj, age: [obj.get("spec", {}).get("controller", ""), "<none>", _created(obj, age)],
    ),
    "networkpolicies.networking.k8s.io": Printer(
        _columns("Pod-Selector", "Age"),
        lambda obj, age: [selector_text(obj.get("spec", {}).get("podSelector")) or "<none>", _created(obj, age)],
    ),
    "poddisruptionbudgets.policy": Printer(
        _columns("Min Available", "Max Unavailable", "Allowed Disruptions", "Age"), _budget
    ),
    "horizontalpodautoscalers.autoscaling": Printer(
        _columns("Reference", "Targets", "MinPods", "MaxPods", "Replicas", "Age"), _autoscaler
    ),
    "roles.rbac.authorization.k8s.io": _ROLE,
    "clusterroles.rbac.authorization.k8s.io": _ROLE,
    "rolebindings.rbac.authorization.k8s.io": _BINDING,
    "clusterrolebindings.rbac.authorization.k8s.io": _BINDING,
    "apiservices.apiregistration.k8s.io": Printer(_columns("Service", "Available", "Age"), _api_service),
    "customresourcedefinitions.apiextensions.k8s.io": _ROLE,
}
PRINTERS["events.events.k8s.io"] = PRINTERS["events"]
