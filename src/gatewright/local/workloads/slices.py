"""Which EndpointSlices a Service should have (discovery.k8s.io/v1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from gatewright.local.workloads.names import short_hash
from gatewright.model import core, discovery
from gatewright.model.discovery import MANAGED_BY_LABEL, SERVICE_NAME_LABEL
from gatewright.model.meta import Key, ObjectMeta, OwnerReference

MANAGER = "endpointslice-controller.k8s.io"
HEADLESS_LABEL = "service.kubernetes.io/headless"
MAX_ENDPOINTS = 1000
"""How many endpoints a slice may have (the API's own limit)."""

RealPort = Callable[[core.Pod, int, str], int | None]
"""The port that really listens for a port and transport (`TCP`, `UDP`) of a pod, or None when there is none to name."""

ZoneOf = Callable[[str], str | None]
"""The availability zone of a node, by its name."""


class Backend(NamedTuple):
    """A process of the user's own that takes a Service's traffic.

    `port` narrows it to one port of the Service, by number or name; None is all of them. `host` may be a name.
    """

    namespace: str
    service: str
    port: int | str | None
    host: str
    host_port: int

    def takes(self, port: core.ServicePort) -> bool:
        """Whether traffic to this port of the Service goes to the process."""
        return self.port is None or self.port in (port.port, port.name)


class Override(NamedTuple):
    """Where a backend's process is: an address of `family` (`IPv4`, `IPv6`) and a port."""

    family: str
    address: str
    port: int


class _Group(NamedTuple):
    family: str
    ports: tuple[discovery.EndpointPort, ...]


def endpoint_slices(
    service: core.Service,
    pods: Iterable[core.Pod],
    real_port: RealPort,
    overrides: Mapping[int, Override],
    zone_of: ZoneOf = lambda _: None,
) -> list[discovery.EndpointSlice]:
    """The slices of a Service whose selector matches `pods`; `overrides` gives the ports, by number, that go elsewhere.

    Pods whose ports resolve alike share a slice. A Service without endpoints has one empty slice.
    """
    groups: dict[_Group, list[discovery.Endpoint]] = {}
    for pod in sorted(pods, key=lambda pod: pod.name):
        if pod.status.phase in ("Failed", "Succeeded") or not pod.status.pod_ip:
            continue
        ports = tuple(_ports(service, pod, real_port, overrides))
        if ports or not service.spec.ports:
            groups.setdefault(_Group("IPv4", ports), []).append(endpoint(service, pod, zone_of(pod.spec.node_name)))
    for port in service.spec.ports:
        elsewhere = overrides.get(port.port)
        if elsewhere:
            group = _Group(elsewhere.family, (_port(port, elsewhere.port),))
            ready = discovery.EndpointConditions(ready=True, serving=True, terminating=False)
            groups.setdefault(group, []).append(discovery.Endpoint(addresses=(elsewhere.address,), conditions=ready))
    if not groups:
        groups[_Group("IPv4", ())] = []
    slices: list[discovery.EndpointSlice] = []
    for group, endpoints in sorted(groups.items(), key=lambda item: repr(item[0])):
        for start in range(0, max(1, len(endpoints)), MAX_ENDPOINTS):
            chunk = tuple(endpoints[start : start + MAX_ENDPOINTS])
            slices.append(_slice(service, len(slices), group, chunk))
    return slices


def endpoint(service: core.Service, pod: core.Pod, zone: str | None = None) -> discovery.Endpoint:
    """A pod as an endpoint: ready unless it is terminating, or is not ready and the Service wants only ready ones."""
    serving = is_ready(pod)
    terminating = pod.deleting
    hostname = pod.spec.hostname if pod.spec.hostname and pod.spec.subdomain == service.name else None
    return discovery.Endpoint(
        addresses=(pod.status.pod_ip,),
        conditions=discovery.EndpointConditions(
            ready=service.spec.publish_not_ready_addresses or (serving and not terminating),
            serving=serving,
            terminating=terminating,
        ),
        hostname=hostname,
        node_name=pod.spec.node_name or None,
        zone=zone,
        target_ref=core.ObjectReference(kind="Pod", namespace=pod.namespace, name=pod.name, uid=pod.metadata.uid),
    )


def is_ready(pod: core.Pod) -> bool:
    """Whether the pod's `Ready` condition is True."""
    return any(condition.type == "Ready" and condition.status == "True" for condition in pod.status.conditions)


def target_number(port: core.ServicePort, pod: core.Pod) -> int | None:
    """The number of the pod's port that a Service's port names; None when the pod has no port of that name."""
    if isinstance(port.target_port, str):
        if port.target_port.isdecimal():
            return int(port.target_port)
        for container in (*pod.spec.containers, *pod.spec.init_containers):
            for candidate in container.ports:
                if candidate.name == port.target_port and candidate.protocol == port.protocol:
                    return candidate.container_port
        return None
    return port.target_port or port.port


def _ports(
    service: core.Service, pod: core.Pod, real_port: RealPort, overrides: Mapping[int, Override]
) -> Iterable[discovery.EndpointPort]:
    for port in service.spec.ports:
        if port.port in overrides:
            continue
        number = target_number(port, pod)
        real = None if number is None else real_port(pod, number, port.protocol)
        if real is not None:
            yield _port(port, real)


def _port(port: core.ServicePort, number: int) -> discovery.EndpointPort:
    return discovery.EndpointPort(name=port.name, port=number, protocol=port.protocol, app_protocol=port.app_protocol)


def _slice(
    service: core.Service, ordinal: int, group: _Group, endpoints: tuple[discovery.Endpoint, ...]
) -> discovery.EndpointSlice:
    labels = {**service.metadata.labels, SERVICE_NAME_LABEL: service.name, MANAGED_BY_LABEL: MANAGER}
    if service.spec.cluster_ip == "None":
        labels[HEADLESS_LABEL] = ""
    # The address type of a slice can't be changed, so that it is a part of the name.
    family = () if group.family == "IPv4" else (group.family,)
    owner = OwnerReference(
        api_version="v1",
        kind="Service",
        name=service.name,
        uid=service.metadata.uid,
        controller=True,
        block_owner_deletion=True,
    )
    return discovery.EndpointSlice(
        metadata=ObjectMeta(
            name=f"{service.name}-{short_hash(service.metadata.uid, ordinal, *family, length=5)}",
            namespace=service.namespace,
            labels=labels,
            owner_references=(owner,),
        ),
        address_type=group.family,
        endpoints=endpoints,
        ports=group.ports,
    )


def key_of_service(found: discovery.EndpointSlice) -> Key | None:
    """The Service whose slice this is, when it is one of those that are written here."""
    if found.metadata.labels.get(MANAGED_BY_LABEL) != MANAGER or not found.service_name:
        return None
    return Key(found.namespace, found.service_name)
