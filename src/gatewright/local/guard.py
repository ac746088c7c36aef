"""Keeps from pods whom a cluster's policies keep from them, by where a connection comes from.

It stands in for the node's part of Istio's ambient mesh (ztunnel) and for the enforcement of NetworkPolicies. Nobody
proves who he is here: an address is the identity. That of the Gateways' proxy is all Gateways' of class `istio`, which
share it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import structlog

from gatewright.cluster import Client, Reflector, Reflectors
from gatewright.flow import Source
from gatewright.local.isolation import Peer, Policies, Workload, refusal
from gatewright.local.services import ISTIO
from gatewright.model.core import Pod
from gatewright.model.istio import GROUP, MODE_LABEL, AuthorizationPolicy, PeerAuthentication
from gatewright.model.kinds import Kind
from gatewright.model.meta import Key
from gatewright.model.networkpolicy import NetworkPolicy
from gatewright.resolve import Inputs, Resolution

_log = structlog.get_logger(__name__)

PEER_AUTHENTICATION = Kind(GROUP, "v1", "PeerAuthentication", "peerauthentications", "peerauthentication")
AUTHORIZATION_POLICY = Kind(GROUP, "v1", "AuthorizationPolicy", "authorizationpolicies", "authorizationpolicy")
_NETWORK_POLICY = Kind("networking.k8s.io", "v1", "NetworkPolicy", "networkpolicies", "networkpolicy")


class Guard:
    """Says who may connect to a pod, while it watches the cluster (`async with`).

    `proxy` is the address from which the Gateways' proxy connects, `node` that of the kubelet, which is let in always.
    """

    def __init__(self, client: Client, inputs: Inputs, resolution: Resolution, *, proxy: str, node: str) -> None:
        self._inputs = inputs
        self._resolution = resolution
        self._proxy = proxy
        self._node = node
        flow = inputs.flow
        pods: Source[Key, Pod] = flow.source("pods that are guarded")
        self._network: Source[Key, NetworkPolicy] = flow.source("network policies")
        self._authentication: Source[Key, PeerAuthentication] = flow.source("peer authentications")
        self._authorization: Source[Key, AuthorizationPolicy] = flow.source("authorization policies")
        self._followers: list[Callable[[], None]] = []
        for policies in (self._network, self._authentication, self._authorization, inputs.namespaces):
            policies.subscribe(self._changed)
        self._pods = pods.index(lambda _, pod: [pod.status.pod_ip] if pod.status.pod_ip else [], name="pods by address")
        watched: list[tuple[type[Any], Source[Key, Any], Kind | None]] = [
            (Pod, pods, None),
            (NetworkPolicy, self._network, _NETWORK_POLICY),
            (PeerAuthentication, self._authentication, PEER_AUTHENTICATION),
            (AuthorizationPolicy, self._authorization, AUTHORIZATION_POLICY),
        ]
        self._reflectors = Reflectors(*(Reflector(client, type_, source, kind=kind) for type_, source, kind in watched))

    async def __aenter__(self) -> Guard:
        await self._reflectors.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._reflectors.__aexit__()

    async def caught_up(self) -> None:
        """Return once it knows what the cluster holds at the time of the call."""
        await self._reflectors.caught_up()

    def admits(self, peer: str, address: str, port: int) -> bool:
        """Whether `peer` may connect to the pod at `address`, which isn't judged before it is known."""
        pod = self._workload(address)
        if pod is None or peer == self._node:
            return True
        workloads = self._gateways() if peer == self._proxy else tuple(filter(None, [self._workload(peer)]))
        policies = Policies(
            tuple(self._network.values()), tuple(self._authentication.values()), tuple(self._authorization.values())
        )
        why = refusal(Peer(peer, workloads), pod, port, policies)
        if why:
            _log.info("a connection was refused", peer=peer, pod=address, port=port, reason=why)
        return not why

    def subscribe(self, changed: Callable[[], None]) -> Callable[[], None]:
        """Be told when policies have changed, until what is returned is called."""
        self._followers.append(changed)
        return partial(self._followers.remove, changed)

    def _changed(self, _: object) -> None:
        for changed in tuple(self._followers):
            changed()

    def _workload(self, address: str) -> Workload | None:
        pod = next(iter(self._pods.lookup(address)), None)
        if pod is None:
            return None
        return Workload(
            pod.namespace,
            pod.spec.service_account_name or "default",
            pod.metadata.labels,
            self._namespace_labels(pod.namespace),
            {port.name: port.container_port for each in pod.spec.containers for port in each.ports if port.name},
        )

    def _gateways(self) -> tuple[Workload, ...]:
        return tuple(
            Workload(
                key.namespace,
                f"{key.name}-istio",
                {"gateway.networking.k8s.io/gateway-name": key.name, MODE_LABEL: "ambient"},
                self._namespace_labels(key.namespace),
            )
            for key, gateway in self._resolution.gateways.items()
            if gateway.controller == ISTIO
        )

    def _namespace_labels(self, namespace: str) -> dict[str, str]:
        found = self._inputs.namespaces.get(Key("", namespace))
        return found.metadata.labels if found else {}
