"""What controllers read of networking.k8s.io/v1: Ingresses and their classes."""

from __future__ import annotations

from gatewright.model.core import PortStatus
from gatewright.model.meta import Model, Object, always

DEFAULT_CLASS_ANNOTATION = "ingressclass.kubernetes.io/is-default-class"
"""On an IngressClass: `true` where Ingresses without a class are of this one."""

CLASS_ANNOTATION = "kubernetes.io/ingress.class"
"""On an Ingress, from before there was spec.ingressClassName."""


class ServiceBackendPort(Model):
    """A port of a Service, by name or by number."""

    name: str = ""
    number: int = 0


class IngressServiceBackend(Model):
    """A Service of the Ingress's namespace."""

    name: str = ""
    port: ServiceBackendPort = ServiceBackendPort()


class IngressResourceBackend(Model):
    """An object of the Ingress's namespace that only some controllers know."""

    api_group: str | None = None
    kind: str = ""
    name: str = ""


class IngressBackend(Model):
    """Where requests go: exactly one of the two."""

    service: IngressServiceBackend | None = None
    resource: IngressResourceBackend | None = None


class HTTPIngressPath(Model):
    """A path and its backend. `path_type` is `Exact`, `Prefix` or `ImplementationSpecific`."""

    path: str = ""
    path_type: str = "ImplementationSpecific"
    backend: IngressBackend = IngressBackend()


class HTTPIngressRuleValue(Model):
    """The paths of a host."""

    paths: tuple[HTTPIngressPath, ...] = ()


class IngressRule(Model):
    """A host, empty for any, and its paths."""

    host: str = ""
    http: HTTPIngressRuleValue | None = None


class IngressTLS(Model):
    """Hosts that are served with TLS, and the Secret that holds their certificate."""

    hosts: tuple[str, ...] = ()
    secret_name: str = ""


class IngressSpec(Model):
    """What an Ingress asks for."""

    ingress_class_name: str | None = None
    default_backend: IngressBackend | None = None
    tls: tuple[IngressTLS, ...] = ()
    rules: tuple[IngressRule, ...] = ()


class IngressLoadBalancerIngress(Model):
    """One address of an Ingress's load balancer: an IP or a host name."""

    ip: str = ""
    hostname: str = ""
    ports: tuple[PortStatus, ...] = ()


class IngressLoadBalancerStatus(Model):
    """The addresses of an Ingress's load balancer."""

    ingress: tuple[IngressLoadBalancerIngress, ...] = ()


class IngressStatus(Model):
    """An Ingress's observed state."""

    load_balancer: IngressLoadBalancerStatus = IngressLoadBalancerStatus()


class Ingress(Object):
    """Routes of HTTP requests to Services."""

    api_version: str = always("networking.k8s.io/v1")
    kind: str = always("Ingress")
    spec: IngressSpec = IngressSpec()
    status: IngressStatus = IngressStatus()


class IngressClassParametersReference(Model):
    """An object with a controller's own settings. `api_group` of None is the core group."""

    api_group: str | None = None
    kind: str = ""
    name: str = ""
    namespace: str | None = None
    scope: str = "Cluster"


class IngressClassSpec(Model):
    """Who serves Ingresses of the class, and with which settings."""

    controller: str = ""
    parameters: IngressClassParametersReference | None = None


class IngressClass(Object):
    """A class of Ingresses."""

    api_version: str = always("networking.k8s.io/v1")
    kind: str = always("IngressClass")
    spec: IngressClassSpec = IngressClassSpec()
