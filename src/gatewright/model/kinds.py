"""Every kind that we know: its names, scope, versions and, where we read it, its type."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Final

from gatewright.model import (
    apps,
    awsgateway,
    coordination,
    core,
    discovery,
    edgebinding,
    ingressclassparams,
    networking,
    targetgroupbinding,
)
from gatewright.model import gateway as gw
from gatewright.model.meta import Object


@dataclasses.dataclass(frozen=True, slots=True)
class Kind:
    """One kind of the API. `version` is the preferred one; all of `served_versions` have the same schema."""

    group: str
    version: str
    kind: str
    plural: str
    singular: str
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    namespaced: bool = True
    has_status: bool = True
    type: type[Object] | None = None
    served_versions: tuple[str, ...] = ()
    deprecated_versions: tuple[str, ...] = ()

    @property
    def api_version(self) -> str:
        """`group/version`, or just the version for the core group."""
        return self.api_version_of(self.version)

    @property
    def api_versions(self) -> tuple[str, ...]:
        """The `apiVersion` of every served version, the preferred one first."""
        return tuple(self.api_version_of(version) for version in self.served_versions)

    @property
    def list_kind(self) -> str:
        """The kind of a list of these."""
        return f"{self.kind}List"

    def api_version_of(self, version: str) -> str:
        """The `apiVersion` of `version`."""
        return f"{self.group}/{version}" if self.group else version

    def __str__(self) -> str:
        return f"{self.kind}.{self.version}.{self.group}" if self.group else self.kind


def _group(group: str, version: str, *kinds: Kind) -> Iterator[Kind]:
    for kind in kinds:
        also = tuple(v for v in kind.served_versions if v != version)
        yield dataclasses.replace(kind, group=group, version=version, served_versions=(version, *also))


def _kind(
    kind: str,
    plural: str,
    *short_names: str,
    type: type[Object] | None = None,  # noqa: A002
    also: tuple[str, ...] = (),
    deprecated: tuple[str, ...] = (),
    categories: tuple[str, ...] = (),
    namespaced: bool = True,
    status: bool = True,
    singular: str = "",
) -> Kind:
    return Kind(
        group="",
        version="",
        kind=kind,
        plural=plural,
        singular=singular or kind.lower(),
        short_names=short_names,
        categories=categories,
        namespaced=namespaced,
        has_status=status,
        type=type,
        served_versions=also,
        deprecated_versions=deprecated,
    )


_ALL: Final = ("all",)
_API: Final = ("api-extensions",)
_GW: Final = ("gateway-api",)

KINDS: Final[tuple[Kind, ...]] = (
    *_group(
        "",
        "v1",
        _kind("Namespace", "namespaces", "ns", type=core.Namespace, namespaced=False),
        _kind("Service", "services", "svc", type=core.Service, categories=_ALL),
        _kind("Secret", "secrets", type=core.Secret, status=False),
        _kind("ConfigMap", "configmaps", "cm", type=core.ConfigMap, status=False),
        _kind("Pod", "pods", "po", type=core.Pod, categories=_ALL),
        _kind("Node", "nodes", "no", type=core.Node, namespaced=False),
        _kind("Event", "events", "ev", type=core.Event, status=False),
        _kind("ServiceAccount", "serviceaccounts", "sa", type=core.ServiceAccount, status=False),
        _kind("Endpoints", "endpoints", "ep", status=False),
        _kind("ResourceQuota", "resourcequotas", "quota"),
        _kind("LimitRange", "limitranges", "limits", status=False),
    ),
    *_group(
        "apps",
        "v1",
        _kind("Deployment", "deployments", "deploy", type=apps.Deployment, categories=_ALL),
        _kind("ReplicaSet", "replicasets", "rs", type=apps.ReplicaSet, categories=_ALL),
        _kind("StatefulSet", "statefulsets", "sts", type=apps.StatefulSet, categories=_ALL),
        _kind("DaemonSet", "daemonsets", "ds", type=apps.DaemonSet, categories=_ALL),
    ),
    *_group(
        "batch",
        "v1",
        _kind("Job", "jobs", categories=_ALL),
        _kind("CronJob", "cronjobs", "cj", categories=_ALL),
    ),
    *_group(
        "autoscaling",
        "v2",
        _kind("HorizontalPodAutoscaler", "horizontalpodautoscalers", "hpa", categories=_ALL),
    ),
    *_group("policy", "v1", _kind("PodDisruptionBudget", "poddisruptionbudgets", "pdb")),
    *_group(
        "discovery.k8s.io",
        "v1",
        _kind("EndpointSlice", "endpointslices", type=discovery.EndpointSlice, status=False),
    ),
    *_group("coordination.k8s.io", "v1", _kind("Lease", "leases", type=coordination.Lease, status=False)),
    *_group("events.k8s.io", "v1", _kind("Event", "events", "ev", status=False)),
    *_group(
        "rbac.authorization.k8s.io",
        "v1",
        _kind("Role", "roles", status=False),
        _kind("RoleBinding", "rolebindings", status=False),
        _kind("ClusterRole", "clusterroles", namespaced=False, status=False),
        _kind("ClusterRoleBinding", "clusterrolebindings", namespaced=False, status=False),
    ),
    *_group(
        "networking.k8s.io",
        "v1",
        _kind("Ingress", "ingresses", "ing", type=networking.Ingress),
        _kind("IngressClass", "ingressclasses", type=networking.IngressClass, namespaced=False, status=False),
        _kind("NetworkPolicy", "networkpolicies", "netpol", status=False),
    ),
    *_group(
        "apiextensions.k8s.io",
        "v1",
        _kind(
            "CustomResourceDefinition",
            "customresourcedefinitions",
            "crd",
            "crds",
            categories=_API,
            namespaced=False,
        ),
    ),
    *_group(
        "admissionregistration.k8s.io",
        "v1",
        _kind("ValidatingAdmissionPolicy", "validatingadmissionpolicies", categories=_API, namespaced=False),
        _kind(
            "ValidatingAdmissionPolicyBinding",
            "validatingadmissionpolicybindings",
            categories=_API,
            namespaced=False,
            status=False,
        ),
        _kind(
            "ValidatingWebhookConfiguration",
            "validatingwebhookconfigurations",
            categories=_API,
            namespaced=False,
            status=False,
        ),
        _kind(
            "MutatingWebhookConfiguration",
            "mutatingwebhookconfigurations",
            categories=_API,
            namespaced=False,
            status=False,
        ),
    ),
    *_group(
        "apiregistration.k8s.io",
        "v1",
        _kind("APIService", "apiservices", categories=_API, namespaced=False),
    ),
    *_group(
        gw.GROUP,
        "v1",
        _kind(
            "GatewayClass",
            "gatewayclasses",
            "gc",
            type=gw.GatewayClass,
            also=("v1beta1",),
            categories=_GW,
            namespaced=False,
        ),
        _kind("Gateway", "gateways", "gtw", type=gw.Gateway, also=("v1beta1",), categories=_GW),
        _kind("HTTPRoute", "httproutes", type=gw.HTTPRoute, also=("v1beta1",), categories=_GW),
        _kind("GRPCRoute", "grpcroutes", type=gw.GRPCRoute, categories=_GW),
        _kind(
            "TCPRoute",
            "tcproutes",
            type=gw.TCPRoute,
            also=("v1alpha2",),
            deprecated=("v1alpha2",),
            categories=_GW,
        ),
        _kind(
            "TLSRoute",
            "tlsroutes",
            type=gw.TLSRoute,
            also=("v1alpha3", "v1alpha2"),
            deprecated=("v1alpha3", "v1alpha2"),
            categories=_GW,
        ),
        _kind(
            "UDPRoute",
            "udproutes",
            type=gw.UDPRoute,
            also=("v1alpha2",),
            deprecated=("v1alpha2",),
            categories=_GW,
        ),
        _kind("ListenerSet", "listenersets", "lset", type=gw.ListenerSet, categories=_GW),
        _kind(
            "ReferenceGrant",
            "referencegrants",
            "refgrant",
            type=gw.ReferenceGrant,
            also=("v1beta1",),
            categories=_GW,
            status=False,
        ),
        _kind(
            "BackendTLSPolicy",
            "backendtlspolicies",
            "btlspolicy",
            type=gw.BackendTLSPolicy,
            also=("v1alpha3",),
            deprecated=("v1alpha3",),
            categories=_GW,
        ),
    ),
    *_group(
        gw.EXPERIMENTAL_GROUP,
        "v1alpha1",
        _kind("XBackend", "xbackends", "xbackend", type=gw.XBackend, categories=_GW),
        _kind(
            "XBackendTrafficPolicy",
            "xbackendtrafficpolicies",
            "xbtrafficpolicy",
            type=gw.XBackendTrafficPolicy,
            categories=_GW,
        ),
        _kind("XMesh", "xmeshes", "mesh", type=gw.XMesh, categories=_GW, namespaced=False),
    ),
    *_group(
        edgebinding.GROUP,
        "v1alpha1",
        _kind("EdgeBinding", "edgebindings", "eb", type=edgebinding.EdgeBinding, categories=("gatewright",)),
    ),
    *_group(
        awsgateway.GROUP,
        "v1",
        *(
            _kind(type_.__name__, f"{type_.__name__.lower()}s", type=type_, also=("v1beta1",), deprecated=("v1beta1",))
            for type_ in (
                awsgateway.LoadBalancerConfiguration,
                awsgateway.TargetGroupConfiguration,
                awsgateway.ListenerRuleConfiguration,
            )
        ),
    ),
    *_group(
        ingressclassparams.GROUP,
        "v1beta1",
        _kind(
            "IngressClassParams",
            "ingressclassparams",
            type=ingressclassparams.IngressClassParams,
            namespaced=False,
            status=False,
            singular="ingressclassparam",
        ),
        _kind(
            "TargetGroupBinding",
            "targetgroupbindings",
            type=targetgroupbinding.TargetGroupBinding,
            also=("v1alpha1",),
        ),
    ),
)

_BY_TYPE: Final = {kind.type: kind for kind in KINDS if kind.type is not None}
_BY_NAME: Final = {(version, kind.kind): kind for kind in KINDS for version in kind.api_versions}


def kind_of(type_: type[Object]) -> Kind:
    """The kind whose objects `type_` holds. Raises KeyError when it is none of ours."""
    return _BY_TYPE[type_]


def find(api_version: str, kind: str) -> Kind | None:
    """The kind that a manifest's `apiVersion` and `kind` name, or None."""
    return _BY_NAME.get((api_version, kind))
