"""Events about pods."""

from __future__ import annotations

from typing import Any

from gatewright.local.workloads.names import timestamp
from gatewright.model import core


def pod_event(
    pod: core.Pod, reason: str, message: str, *, component: str, host: str = "", kind: str = "Warning"
) -> dict[str, Any]:
    """An event about a pod; `component` on `host` reports it, and `kind` is `Warning` or `Normal`."""
    now = timestamp()
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"{pod.name}.", "namespace": pod.namespace},
        "involvedObject": {
            "apiVersion": "v1",
            "kind": "Pod",
            "namespace": pod.namespace,
            "name": pod.name,
            "uid": pod.metadata.uid,
        },
        "type": kind,
        "reason": reason,
        "message": message,
        "source": {"component": component, "host": host},
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
        "reportingComponent": component,
        "reportingInstance": host,
    }
