"""What the API hands out to Services: cluster addresses and node ports."""

from __future__ import annotations

import ipaddress
import random
from collections import Counter

from gatewright.local.apiserver.store import Change, Json, Record, Store

CLUSTER_NETWORK = ipaddress.IPv4Network("10.96.0.0/12")
NODE_PORTS = range(30000, 32768)
_RESERVED = 10


class Allocator:
    """Knows which addresses and node ports the stored Services have, and gives out others."""

    def __init__(self, store: Store) -> None:
        self._addresses: Counter[str] = Counter()
        self._node_ports: Counter[int] = Counter()
        for record in store.table("services").records():
            self._count(record, 1)
        store.observe(self._notice)

    def _notice(self, change: Change) -> None:
        if change.resource != "services":
            return
        if change.event.previous is not None:
            self._count(change.event.previous, -1)
        if change.event.type != "DELETED":
            self._count(change.event.record, 1)

    def _count(self, service: Record, by: int) -> None:
        spec = service.obj.get("spec", {})
        ports = (port.get("nodePort") for port in spec.get("ports") or [])
        for counter, values in ((self._addresses, (spec.get("clusterIP"),)), (self._node_ports, ports)):
            for value in values:
                if value:
                    counter[value] += by
                    if not counter[value]:
                        del counter[value]

    def allocate(self, service: Json, old: Json | None) -> None:
        """Give a Service its cluster address and node ports, in place. What the one it replaces had is kept."""
        spec = service["spec"]
        if spec.get("type") == "ExternalName":
            return
        if old is not None:
            _keep(spec, old.get("spec", {}))
        if not spec.get("clusterIP"):
            spec["clusterIP"] = (spec.get("clusterIPs") or [""])[0] or self._free_address()
        spec.setdefault("clusterIPs", [spec["clusterIP"]])
        spec.setdefault("ipFamilies", ["IPv6" if ":" in spec["clusterIP"] else "IPv4"])
        spec.setdefault("ipFamilyPolicy", "SingleStack")
        if spec["type"] == "NodePort" or (
            spec["type"] == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts", True)
        ):
            used = self._node_ports.keys() | {port.get("nodePort") for port in spec.get("ports") or []}
            for port in spec.get("ports") or []:
                if not port.get("nodePort"):
                    port["nodePort"] = random.choice([free for free in NODE_PORTS if free not in used])  # noqa: S311
                    used.add(port["nodePort"])

    def _free_address(self) -> str:
        size = CLUSTER_NETWORK.num_addresses
        start = random.randrange(_RESERVED, size - 1)  # noqa: S311
        for step in range(size):
            offset = _RESERVED + (start - _RESERVED + step) % (size - 1 - _RESERVED)
            address = str(CLUSTER_NETWORK[offset])
            if address not in self._addresses:
                return address
        raise RuntimeError("the cluster network is used up")


def _keep(spec: Json, old: Json) -> None:
    if old.get("type") != "ExternalName" and not spec.get("clusterIP"):
        for key in ("clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"):
            if key in old:
                spec.setdefault(key, old[key])
    if spec.get("type") in ("NodePort", "LoadBalancer"):
        known = {(port.get("protocol"), port.get("port")): port.get("nodePort") for port in old.get("ports") or []}
        for port in spec.get("ports") or []:
            node_port = known.get((port.get("protocol"), port.get("port")))
            if node_port and not port.get("nodePort"):
                port["nodePort"] = node_port
