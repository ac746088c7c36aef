"""Nodes whose pods are stood in for: the one of the workloads' own, and what all of them say of themselves."""

from __future__ import annotations

import platform
from typing import Any, Final

from gatewright.local.workloads.names import timestamp
from gatewright.local.workloads.templates import Node

NODE: Final = "gatewright"
"""The node of the workloads' own, which takes every pod."""
HOST_IP: Final = "127.0.0.1"
STAND_IN: Final = "gatewright.dev/stand-in"
"""The annotation of a node whose pods are stood in for; pods of other nodes are left alone."""
ZONE: Final = "topology.kubernetes.io/zone"
_VERSION: Final = "v1.33.0"


def host_of(node: Node) -> str | None:
    """The address of a node whose pods are stood in for; None for any other."""
    if STAND_IN not in node.metadata.annotations:
        return None
    return next((each.address for each in node.status.addresses if each.type == "InternalIP"), HOST_IP)


def own_node() -> dict[str, Any]:
    """The node of the workloads' own."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": NODE,
            "labels": {
                "kubernetes.io/hostname": NODE,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": architecture(),
            },
            "annotations": {STAND_IN: "pods of this node are stood in for on loopback"},
        },
        "spec": {"providerID": f"gatewright://{NODE}"},
    }


def own_status() -> dict[str, Any]:
    """Its status."""
    room = {"cpu": "16", "memory": "64Gi", "pods": "10000", "ephemeral-storage": "100Gi"}
    return {
        "addresses": [{"type": "InternalIP", "address": HOST_IP}, {"type": "Hostname", "address": NODE}],
        "capacity": room,
        "allocatable": room,
        **health(_VERSION),
    }


def health(version: str, **info: str) -> dict[str, Any]:
    """The part of a status that a kubelet of this version writes of itself: it is well, and ready."""
    now = timestamp()
    fine = {
        "MemoryPressure": ("False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
        "DiskPressure": ("False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
        "PIDPressure": ("False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
        "Ready": ("True", "KubeletReady", "gatewright stands in for a kubelet"),
    }
    return {
        "conditions": [
            {
                "type": name,
                "status": status,
                "reason": reason,
                "message": message,
                "lastHeartbeatTime": now,
                "lastTransitionTime": now,
            }
            for name, (status, reason, message) in fine.items()
        ],
        "nodeInfo": {
            "machineID": "",
            "systemUUID": "",
            "bootID": "",
            "kernelVersion": platform.release(),
            "osImage": platform.platform(terse=True),
            "containerRuntimeVersion": "gatewright://stand-in",
            "kubeletVersion": version,
            "kubeProxyVersion": "",
            "operatingSystem": "linux",
            "architecture": architecture(),
            **info,
        },
    }


def architecture() -> str:
    """This machine's, as Kubernetes names it."""
    machine = platform.machine().lower()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
