"""A cluster's API with a platform's objects as somebody would find them: written as they are, run by nobody."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from typing import Any

import msgspec
import yaml

from gatewright.cluster import Client, NotFound
from gatewright.cluster.client import path_of
from gatewright.local.argocd.definitions import definitions
from gatewright.model.kinds import Kind, find
from gatewright.model.meta import Key
from gatewright.platform.outputs import Outputs
from gatewright.platform.report import Check, Outcome, Report
from gatewright.platform.targets import Architecture, Settings, Target
from gatewright.platform.verify import Surroundings, verify

OUTPUTS = Outputs(name="platform", region="eu-west-1", architecture="chained", cluster_name="platform")

_PLURALS = {
    "Application": "applications",
    "AppProject": "appprojects",
    "PeerAuthentication": "peerauthentications",
    "AuthorizationPolicy": "authorizationpolicies",
}

EDGE = """
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: istio}
spec: {controllerName: istio.io/gateway-controller}
---
apiVersion: v1
kind: Namespace
metadata: {name: edge}
---
apiVersion: v1
kind: Namespace
metadata: {name: tenant-a, labels: {istio.io/dataplane-mode: ambient}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: shared-gateway, namespace: edge}
spec:
  gatewayClassName: istio
  listeners:
    - {name: http, port: 80, protocol: HTTP, allowedRoutes: {namespaces: {from: All}}}
---
apiVersion: v1
kind: Service
metadata: {name: app1, namespace: tenant-a}
spec: {selector: {app: app1}, ports: [{port: 8080}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: app1, namespace: tenant-a}
spec:
  parentRefs: [{name: shared-gateway, namespace: edge}]
  rules: [{matches: [{path: {value: /app1}}], backendRefs: [{name: app1, port: 8080}]}]
"""
"""A Gateway, and the route of one application to it."""


class Told:
    """The API of a cluster whose objects a test writes, with their statuses."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def define(self) -> None:
        """The kinds of Argo CD and Istio."""
        for definition in definitions():
            await self.client.apply(definition, field_manager="test")

    async def write(self, *texts: str) -> None:
        """Create the objects of YAML documents, or replace those that there are, statuses included."""
        for text in texts:
            for obj in yaml.safe_load_all(text):
                if obj:
                    await self.put(obj)

    async def put(self, obj: dict[str, Any]) -> None:
        """Create an object with its status, in the place of one of its name."""
        kind = _kind(obj)
        metadata = obj["metadata"]
        key = Key(metadata.get("namespace", ""), metadata["name"])
        with contextlib.suppress(NotFound):
            await self.client.request("DELETE", path_of(kind, key), {"gracePeriodSeconds": "0"})
        await self.client.create({name: value for name, value in obj.items() if name != "status"}, kind)
        if obj.get("status") and kind.has_status:
            await self.client.request(
                "PATCH",
                path_of(kind, key, "status"),
                body=msgspec.json.encode({"status": obj["status"]}),
                content_type="application/merge-patch+json",
            )
        elif obj.get("status"):
            await self.client.request(
                "PATCH",
                path_of(kind, key),
                body=msgspec.json.encode({"status": obj["status"]}),
                content_type="application/merge-patch+json",
            )

    async def verify(self, *only: str, outputs: Outputs | None = OUTPUTS, **more: Any) -> Report:
        """What is found."""
        architecture = more.pop("architecture", Architecture.CHAINED)
        settings = Settings(target=more.pop("target", Target.AWS), architecture=architecture)
        surroundings = Surroundings(settings=settings, client=self.client, outputs=outputs, **more)
        return await verify(surroundings, only=only, timeout=120.0)


def _kind(obj: dict[str, Any]) -> Kind:
    found = find(obj["apiVersion"], obj["kind"])
    if found:
        return found
    group, _, version = obj["apiVersion"].rpartition("/")
    plural = _PLURALS[obj["kind"]]
    # Argo CD's Applications have no status subresource.
    return Kind(
        group=group, version=version, kind=obj["kind"], plural=plural, singular=obj["kind"].lower(), has_status=False
    )


def failures(report: Report) -> dict[str, Check]:
    """What failed, by subject."""
    return {check.subject: check for check in report.checks if check.outcome is Outcome.FAILED}


def outcomes(report: Report, *, ids: Collection[str] = ()) -> dict[str, str]:
    """How each check ended, by subject."""
    return {check.subject: check.outcome.value for check in report.checks if not ids or check.id in ids}


def pod(namespace: str, name: str, node: str = "", **more: Any) -> dict[str, Any]:
    """A pod that runs on a node and is ready, with further fields of its spec, its labels and its status."""
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}], **more.pop("status", {})}
    metadata = {"namespace": namespace, "name": name, "labels": more.pop("labels", {})}
    owners = more.pop("owners", None)
    if owners:
        metadata["ownerReferences"] = owners
    container = {"name": "app", "image": "example.com/app", "ports": [{"containerPort": 8080}]}
    spec = {"containers": [container], **({"nodeName": node} if node else {}), **more}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status}


def node(name: str, role: str = "", *, tainted: bool = False, ready: bool = True) -> dict[str, Any]:
    """A node of a node group."""
    taints = [{"key": "CriticalAddonsOnly", "value": "true", "effect": "NoSchedule"}] if tainted else []
    labels = {"eks.amazonaws.com/nodegroup": f"{role or 'other'}-nodes", **({"role": role} if role else {})}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": labels},
        "spec": {"taints": taints},
        "status": {"conditions": [{"type": "Ready", "status": "True" if ready else "False"}]},
    }
