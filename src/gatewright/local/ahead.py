"""What an edge has before the rest of it is even imported: its addresses, and the emulated AWS.

That is a process of its own, which takes longest of all parts to start: it imports while this one does.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AsyncExitStack
from ipaddress import IPv4Network

from gatewright.local.aws.process import AwsProcess
from gatewright.local.block import Block
from gatewright.local.manifests import Manifests

CLUSTER = "gatewright"
_ELSEWHERE = "10.0.0.0/16"
"""The VPC's addresses where the system has no loopback addresses to spare."""
_ANNOTATIONS = "service.beta.kubernetes.io/aws-load-balancer-"
_CLASSES = "service.k8s.aws/"
_GROUPS = ("gateway.k8s.aws/", "elbv2.k8s.aws/")
_CONTROLLERS = ("gateway.k8s.aws/", "ingress.k8s.aws/")
LOAD_BALANCER_CLASSES = {"aws-alb": "gateway.k8s.aws/alb", "aws-nlb": "gateway.k8s.aws/nlb"}
"""The GatewayClasses that a local edge with an AWS offers, with their controllers, unless files bring their own."""
_INGRESS_CLASS = "alb"


class EdgeError(Exception):
    """The edge can't start; the text says why and what to do."""


class Ahead:
    """A claimed block of addresses and, with `aws`, an emulated AWS that starts (`async with`; doesn't wait for it).

    The clocks of the AWS run `pace` times as fast as they say. Without `seed` its account is empty.
    """

    def __init__(self, *, aws: bool = False, pace: float = 1.0, seed: bool = True) -> None:
        self.pace = pace
        self._seed = seed
        self.aws: AwsProcess | None = None
        self.on_exit: Callable[[int], None] | None = None
        """Called when the emulated AWS ends by itself, with its exit status."""
        self.on_remark: Callable[[str], None] | None = None
        """Called with what the emulated AWS can't do as AWS would, in a sentence."""
        self._wanted = aws
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Ahead:
        async with AsyncExitStack() as stack:
            self.block = stack.enter_context(contextlib.closing(Block()))
            if self._wanted:
                self.aws = AwsProcess(
                    self.network,
                    pace=self.pace,
                    cluster=CLUSTER,
                    seed=self._seed,
                    on_exit=self._ended,
                    on_remark=self._remarked,
                )
                try:
                    await self.aws.start()
                except OSError as error:
                    raise EdgeError(f"the emulated AWS can't start: {error}") from error
                stack.push_async_exit(self.aws)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def network(self) -> IPv4Network:
        """Of the VPC: a /16."""
        return IPv4Network(_ELSEWHERE) if self.block.shared else self.block.network

    def _remarked(self, text: str) -> None:
        if self.on_remark:
            self.on_remark(text)

    def _ended(self, status: int) -> None:
        if self.on_exit:
            self.on_exit(status)


def asks_for_aws(manifests: Manifests) -> bool:
    """Whether anything in the manifests is for AWS: an edge description, an EdgeBinding, a load balancer of AWS's."""
    return manifests.front is not None or any(
        manifest.kind == "EdgeBinding" or _annotated(manifest.content) or _is_load_balancer(manifest.content)
        for manifest in manifests.objects
    )


def _is_load_balancer(content: dict[str, object]) -> bool:
    """Whether an object is, names or configures a class of load balancers of AWS, by which Gateways are such."""
    spec, kind = content.get("spec"), content.get("kind")
    spec = spec if isinstance(spec, dict) else {}
    if str(content.get("apiVersion", "")).startswith(_GROUPS):
        return True
    if kind in ("GatewayClass", "IngressClass"):
        return str(spec.get("controllerName") or spec.get("controller") or "").startswith(_CONTROLLERS)
    if kind == "Gateway":
        return spec.get("gatewayClassName") in LOAD_BALANCER_CLASSES
    return kind == "Ingress" and _ingress_class(content, spec) == _INGRESS_CLASS


def _ingress_class(content: dict[str, object], spec: dict[str, object]) -> object:
    metadata = content.get("metadata")
    annotations = metadata.get("annotations") if isinstance(metadata, dict) else None
    old = annotations.get("kubernetes.io/ingress.class") if isinstance(annotations, dict) else None
    return spec.get("ingressClassName") or old


def offered_classes(manifests: Manifests) -> dict[str, str]:
    """The GatewayClasses of load balancers that an edge offers beside those of the manifests: controllers by name."""
    specs = [manifest.content.get("spec") for manifest in manifests.objects if manifest.kind == "GatewayClass"]
    given = {spec.get("controllerName") for spec in specs if isinstance(spec, dict)}
    return {name: controller for name, controller in LOAD_BALANCER_CLASSES.items() if controller not in given}


def offered_ingress_classes(manifests: Manifests) -> dict[str, str]:
    """The IngressClasses that an edge offers where the manifests have Ingresses and no class: controllers by name."""
    kinds = {manifest.kind for manifest in manifests.objects}
    return {_INGRESS_CLASS: "ingress.k8s.aws/alb"} if "Ingress" in kinds and "IngressClass" not in kinds else {}


def _annotated(content: dict[str, object]) -> bool:
    spec = content.get("spec")
    spec = spec if isinstance(spec, dict) else {}
    infrastructure = spec.get("infrastructure")
    places = [content.get("metadata"), infrastructure]
    marks = [place.get("annotations") for place in places if isinstance(place, dict)]
    names = [str(name) for found in marks if isinstance(found, dict) for name in found]
    return any(name.startswith(_ANNOTATIONS) for name in names) or str(spec.get("loadBalancerClass", "")).startswith(
        _CLASSES
    )
