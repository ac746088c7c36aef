"""What the workloads know of the cluster: one source a kind, with the groupings that they ask for."""

from __future__ import annotations

from collections.abc import Iterable

from gatewright.cluster import Client, Reflector
from gatewright.flow import Flow, Source
from gatewright.local.workloads.environment import Lookup
from gatewright.local.workloads.names import controller_of
from gatewright.local.workloads.nodes import HOST_IP, NODE, ZONE, host_of
from gatewright.local.workloads.slices import key_of_service
from gatewright.local.workloads.templates import (
    DaemonSet,
    Deployment,
    Node,
    Pod,
    ReplicaSet,
    StatefulSet,
)
from gatewright.model import apps, core, discovery
from gatewright.model.kinds import kind_of
from gatewright.model.meta import Key


class State:
    """Everything that is watched.

    `node` is the one that every pod is on; when it is empty, nodes are watched, and a scheduler places pods on them.
    """

    def __init__(self, node: str = NODE) -> None:
        self.node = node
        flow = Flow()
        self.nodes: Source[Key, Node] = flow.source("nodes")
        self.deployments: Source[Key, Deployment] = flow.source("deployments")
        self.replica_sets: Source[Key, ReplicaSet] = flow.source("replicasets")
        self.stateful_sets: Source[Key, StatefulSet] = flow.source("statefulsets")
        self.daemon_sets: Source[Key, DaemonSet] = flow.source("daemonsets")
        self.pods: Source[Key, Pod] = flow.source("pods")
        self.services: Source[Key, core.Service] = flow.source("services")
        self.slices: Source[Key, discovery.EndpointSlice] = flow.source("endpointslices")
        self.config_maps: Source[Key, core.ConfigMap] = flow.source("configmaps")
        self.secrets: Source[Key, core.Secret] = flow.source("secrets")
        self.replica_sets_of = self.replica_sets.index(lambda _, obj: [controller_of(obj)])
        """ReplicaSets by their controller's uid."""
        self.pods_of = self.pods.index(lambda _, obj: [controller_of(obj)])
        """Pods by their controller's uid."""
        self.slices_of = self.slices.index(lambda _, obj: _optional(key_of_service(obj)))
        """The slices written here, by their Service."""
        self._pods_labelled = self.pods.index(
            lambda key, pod: [(key.namespace, *label) for label in pod.metadata.labels.items()]
        )
        self._services_selecting = self.services.index(
            lambda key, service: [(key.namespace, *min(service.spec.selector.items()))] if service.spec.selector else []
        )
        self.pods_on = self.pods.index(lambda _, pod: [pod.spec.node_name] if pod.spec.node_name else [])
        """Pods by the name of their node."""
        self.pods_in = self.pods.index(lambda key, _: [key.namespace])
        """Pods by namespace."""

    def reflectors(self, client: Client) -> list[Reflector[Deployment] | Reflector[Pod]]:
        """What keeps the sources equal to the cluster."""
        whole = (
            Reflector(client, Deployment, self.deployments, kind=kind_of(apps.Deployment)),
            Reflector(client, ReplicaSet, self.replica_sets, kind=kind_of(apps.ReplicaSet)),
            Reflector(client, StatefulSet, self.stateful_sets, kind=kind_of(apps.StatefulSet)),
            Reflector(client, DaemonSet, self.daemon_sets, kind=kind_of(apps.DaemonSet)),
            Reflector(client, Pod, self.pods, kind=kind_of(core.Pod)),
            Reflector(client, core.Service, self.services),
            Reflector(client, discovery.EndpointSlice, self.slices),
            Reflector(client, core.ConfigMap, self.config_maps),
            Reflector(client, core.Secret, self.secrets),
        )
        nodes = () if self.node else (Reflector(client, Node, self.nodes, kind=kind_of(core.Node)),)
        return [*whole, *nodes]

    def host_of(self, node: str) -> str | None:
        """The address of a node by its name; None for one whose pods aren't stood in for."""
        if self.node:
            return HOST_IP if node == self.node else None
        found = self.nodes.get(Key("", node))
        return host_of(found) if found else None

    def zone_of(self, node: str) -> str | None:
        """The availability zone of a node by its name; None where nobody says."""
        found = self.nodes.get(Key("", node))
        return found.metadata.labels.get(ZONE) if found else None

    @property
    def lookup(self) -> Lookup:
        """Where containers' variables come from."""
        return Lookup(self.config_maps.get, self.secrets.get)

    def selected_by(self, service: core.Service) -> list[Pod]:
        """The pods that a Service's selector matches; none without a selector."""
        selector = service.spec.selector
        if not selector or service.spec.type == "ExternalName":
            return []
        candidates = self._pods_labelled.lookup((service.namespace, *min(selector.items())))
        return [pod for pod in candidates if selector.items() <= pod.metadata.labels.items()]

    def services_of(self, pod: core.Pod) -> tuple[core.Service, ...]:
        """The Services that select a pod."""
        labels = pod.metadata.labels
        return tuple(
            service
            for label in labels.items()
            for service in self._services_selecting.lookup((pod.namespace, *label))
            if service.spec.selector.items() <= labels.items() and service.spec.type != "ExternalName"
        )


def _optional(key: Key | None) -> Iterable[Key]:
    return () if key is None else (key,)
