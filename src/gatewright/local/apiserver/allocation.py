"""What the API hands out to Services: cluster addresses and node ports."""

from __future__ import annotations

import ipaddress
import random

from gatewright.local.apiserver.store import Json, Store

CLUSTER_NETWORK = ipaddress.IPv4Network("10.96.0.0/12")
NODE_PORTS = range(30000, 32768)
_RESERVED = 10


def allocate(store: Store, service: Json, old: Json | None) -> None:
    """Give a Service its cluster address and node ports, in place. What the one it replaces had is kept."""
    spec = service["spec"]
    if spec.get("type") == "ExternalName":
        return
    if old is not None:
        _keep(spec, old.get("spec", {}))
    others = [record.obj.get("spec", {}) for record in store.table("services").records()]
    if not spec.get("clusterIP"):
        spec["clusterIP"] = (spec.get("clusterIPs") or [""])[0] or _free_address(others)
    spec.setdefault("clusterIPs", [spec["clusterIP"]])
    spec.setdefault("ipFamilies", ["IPv6" if ":" in spec["clusterIP"] else "IPv4"])
    spec.setdefault("ipFamilyPolicy", "SingleStack")
    if spec["type"] == "NodePort" or (
        spec["type"] == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts", True)
    ):
        used = {port.get("nodePort") for other in others for port in other.get("ports") or []}
        used |= {port.get("nodePort") for port in spec.get("ports") or []}
        for port in spec.get("ports") or []:
            if not port.get("nodePort"):
                port["nodePort"] = random.choice([free for free in NODE_PORTS if free not in used])  # noqa: S311
                used.add(port["nodePort"])


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


def _free_address(others: list[Json]) -> str:
    used = {other.get("clusterIP") for other in others}
    size = CLUSTER_NETWORK.num_addresses
    start = random.randrange(_RESERVED, size - 1)  # noqa: S311
    for step in range(size):
        offset = _RESERVED + (start - _RESERVED + step) % (size - 1 - _RESERVED)
        address = str(CLUSTER_NETWORK[offset])
        if address not in used:
            return address
    raise RuntimeError("the cluster network is used up")
