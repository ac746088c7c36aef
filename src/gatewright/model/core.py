"""What controllers read of the core group (v1). Slim: fields that nothing reads are not modelled."""

from __future__ import annotations

import msgspec

from gatewright.model.meta import Model, Object, always


class PlainCondition(Model):
    """A condition of a built-in kind, whose reason and times may be absent."""

    type: str
    status: str
    reason: str = ""
    message: str = ""
    last_transition_time: str = ""
    observed_generation: int = 0


class NamespaceStatus(Model):
    """Where a namespace is in its life: `Active` or `Terminating`."""

    phase: str = "Active"


class Namespace(Object):
    """A namespace."""

    api_version: str = always("v1")
    kind: str = always("Namespace")
    status: NamespaceStatus = NamespaceStatus()


class ServicePort(Model):
    """One port of a Service. `target_port` of None means `port`."""

    port: int
    name: str = ""
    protocol: str = "TCP"
    app_protocol: str | None = None
    target_port: int | str | None = None
    node_port: int = 0


class ServiceSpec(Model):
    """A Service's desired state. `cluster_ip` is `None` (the string) for a headless one."""

    type: str = "ClusterIP"
    ports: tuple[ServicePort, ...] = ()
    selector: dict[str, str] = msgspec.field(default_factory=dict)
    cluster_ip: str = msgspec.field(default="", name="clusterIP")
    cluster_ips: tuple[str, ...] = msgspec.field(default=(), name="clusterIPs")
    external_name: str = ""
    external_ips: tuple[str, ...] = msgspec.field(default=(), name="externalIPs")
    load_balancer_ip: str = msgspec.field(default="", name="loadBalancerIP")
    load_balancer_class: str | None = None
    load_balancer_source_ranges: tuple[str, ...] = ()
    external_traffic_policy: str = ""
    health_check_node_port: int = 0
    ip_families: tuple[str, ...] = ()
    publish_not_ready_addresses: bool = False
    session_affinity: str = "None"


class PortStatus(Model):
    """A load balancer's port, or the error it has."""

    port: int
    protocol: str = "TCP"
    error: str | None = None


class LoadBalancerIngress(Model):
    """One address of a load balancer: an IP or a host name."""

    ip: str = ""
    hostname: str = ""
    ip_mode: str | None = None
    ports: tuple[PortStatus, ...] = ()


class LoadBalancerStatus(Model):
    """The addresses of a Service's load balancer."""

    ingress: tuple[LoadBalancerIngress, ...] = ()


class ServiceStatus(Model):
    """A Service's observed state."""

    load_balancer: LoadBalancerStatus = LoadBalancerStatus()
    conditions: tuple[PlainCondition, ...] = ()


class Service(Object):
    """A Service."""

    api_version: str = always("v1")
    kind: str = always("Service")
    spec: ServiceSpec = ServiceSpec()
    status: ServiceStatus = ServiceStatus()


class Secret(Object):
    """A Secret. `data` is decoded from base64; its values never show in the representation."""

    api_version: str = always("v1")
    kind: str = always("Secret")
    type: str = "Opaque"
    data: dict[str, bytes] = msgspec.field(default_factory=dict)
    string_data: dict[str, str] = msgspec.field(default_factory=dict)
    immutable: bool = False

    def __repr__(self) -> str:
        return f"Secret({self.key}, type={self.type!r}, keys={sorted({*self.data, *self.string_data})})"

    def value(self, key: str) -> bytes | None:
        """The value of `key`; `stringData`, which only manifests carry, wins as it does on the API server."""
        if key in self.string_data:
            return self.string_data[key].encode()
        return self.data.get(key)


class ConfigMap(Object):
    """A ConfigMap. `binary_data` is decoded from base64."""

    api_version: str = always("v1")
    kind: str = always("ConfigMap")
    data: dict[str, str] = msgspec.field(default_factory=dict)
    binary_data: dict[str, bytes] = msgspec.field(default_factory=dict)
    immutable: bool = False


class ServiceAccount(Object):
    """A ServiceAccount; its annotations name a cloud identity."""

    api_version: str = always("v1")
    kind: str = always("ServiceAccount")


class ObjectFieldSelector(Model):
    """A field of the pod itself, for an environment variable."""

    field_path: str
    api_version: str = "v1"


class KeySelector(Model):
    """A key of a ConfigMap or Secret."""

    key: str
    name: str = ""
    optional: bool = False


class EnvVarSource(Model):
    """Where an environment variable's value comes from."""

    field_ref: ObjectFieldSelector | None = None
    config_map_key_ref: KeySelector | None = None
    secret_key_ref: KeySelector | None = None


class EnvVar(Model):
    """One environment variable of a container."""

    name: str
    value: str = ""
    value_from: EnvVarSource | None = None


class ContainerPort(Model):
    """A port that a container listens on."""

    container_port: int
    name: str = ""
    protocol: str = "TCP"
    host_port: int = 0


class HttpHeader(Model):
    """A header that a probe sends."""

    name: str
    value: str


class HttpGetAction(Model):
    """A probe by HTTP GET. `port` is a number or a port's name."""

    port: int | str
    path: str = "/"
    host: str = ""
    scheme: str = "HTTP"
    http_headers: tuple[HttpHeader, ...] = ()


class TcpSocketAction(Model):
    """A probe that opens a connection."""

    port: int | str
    host: str = ""


class GrpcAction(Model):
    """A probe by the gRPC health service."""

    port: int
    service: str = ""


class ExecAction(Model):
    """A probe that runs a command in the container."""

    command: tuple[str, ...] = ()


class Probe(Model):
    """A container's probe. Seconds and counts default as the API server's."""

    http_get: HttpGetAction | None = None
    tcp_socket: TcpSocketAction | None = None
    grpc: GrpcAction | None = None
    exec: ExecAction | None = None
    initial_delay_seconds: int = 0
    period_seconds: int = 10
    timeout_seconds: int = 1
    success_threshold: int = 1
    failure_threshold: int = 3


class Container(Model):
    """A container of a pod."""

    name: str
    image: str = ""
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: tuple[EnvVar, ...] = ()
    ports: tuple[ContainerPort, ...] = ()
    readiness_probe: Probe | None = None
    liveness_probe: Probe | None = None
    startup_probe: Probe | None = None
    restart_policy: str | None = None


class PodReadinessGate(Model):
    """A condition that must be True before the pod is ready."""

    condition_type: str


class PodSpec(Model):
    """A pod's desired state."""

    containers: tuple[Container, ...] = ()
    init_containers: tuple[Container, ...] = ()
    readiness_gates: tuple[PodReadinessGate, ...] = ()
    node_name: str = ""
    node_selector: dict[str, str] = msgspec.field(default_factory=dict)
    service_account_name: str = ""
    restart_policy: str = "Always"
    host_network: bool = False
    hostname: str = ""
    subdomain: str = ""
    termination_grace_period_seconds: int = 30


class PodIP(Model):
    """One address of a pod."""

    ip: str = ""


class ContainerStateRunning(Model):
    """A container that runs."""

    started_at: str = ""


class ContainerStateWaiting(Model):
    """A container that does not run yet, and why."""

    reason: str = ""
    message: str = ""


class ContainerStateTerminated(Model):
    """A container that ended, and how."""

    exit_code: int
    reason: str = ""
    message: str = ""
    started_at: str = ""
    finished_at: str = ""


class ContainerState(Model):
    """A container's state: exactly one of the three."""

    waiting: ContainerStateWaiting | None = None
    running: ContainerStateRunning | None = None
    terminated: ContainerStateTerminated | None = None


class ContainerStatus(Model, omit_defaults=False):
    """What was observed of a container."""

    name: str
    ready: bool = False
    restart_count: int = 0
    image: str = ""
    image_id: str = msgspec.field(default="", name="imageID")
    container_id: str = msgspec.field(default="", name="containerID")
    started: bool = False
    state: ContainerState = ContainerState()


class PodStatus(Model):
    """A pod's observed state."""

    phase: str = "Pending"
    reason: str = ""
    message: str = ""
    pod_ip: str = msgspec.field(default="", name="podIP")
    pod_ips: tuple[PodIP, ...] = msgspec.field(default=(), name="podIPs")
    host_ip: str = msgspec.field(default="", name="hostIP")
    start_time: str = ""
    qos_class: str = ""
    conditions: tuple[PlainCondition, ...] = ()
    init_container_statuses: tuple[ContainerStatus, ...] = ()
    container_statuses: tuple[ContainerStatus, ...] = ()


class Pod(Object):
    """A pod."""

    api_version: str = always("v1")
    kind: str = always("Pod")
    spec: PodSpec = PodSpec()
    status: PodStatus = PodStatus()


class TemplateMeta(Model):
    """The metadata that a template gives its pods."""

    name: str = ""
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    annotations: dict[str, str] = msgspec.field(default_factory=dict)


class PodTemplateSpec(Model):
    """The pods that a workload makes."""

    metadata: TemplateMeta = TemplateMeta()
    spec: PodSpec = PodSpec()


class NodeAddress(Model):
    """An address of a node, with its type (`InternalIP`, `Hostname`, ...)."""

    type: str
    address: str


class NodeSpec(Model):
    """A node's desired state. `provider_id` names the cloud's instance."""

    provider_id: str = msgspec.field(default="", name="providerID")
    pod_cidr: str = msgspec.field(default="", name="podCIDR")
    unschedulable: bool = False


class NodeStatus(Model):
    """A node's observed state."""

    addresses: tuple[NodeAddress, ...] = ()
    conditions: tuple[PlainCondition, ...] = ()


class Node(Object):
    """A node."""

    api_version: str = always("v1")
    kind: str = always("Node")
    spec: NodeSpec = NodeSpec()
    status: NodeStatus = NodeStatus()


class ObjectReference(Model):
    """Names any object."""

    api_version: str = ""
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    resource_version: str = ""
    field_path: str = ""


class EventSource(Model):
    """The component that reported an event."""

    component: str = ""
    host: str = ""


class Event(Object):
    """An event, as core/v1 words it."""

    api_version: str = always("v1")
    kind: str = always("Event")
    involved_object: ObjectReference = ObjectReference()
    reason: str = ""
    message: str = ""
    type: str = ""
    source: EventSource = EventSource()
    first_timestamp: str | None = None
    last_timestamp: str | None = None
    event_time: str | None = None
    count: int = 0
    action: str = ""
    reporting_component: str = ""
    reporting_instance: str = ""
