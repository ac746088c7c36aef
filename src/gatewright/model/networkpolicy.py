"""NetworkPolicy (networking.k8s.io/v1), as far as it says who may connect to a pod."""

from __future__ import annotations

import msgspec

from gatewright.model.meta import LabelSelector, Model, Object, always


class IPBlock(Model):
    """Addresses of a CIDR, without those of the exceptions."""

    cidr: str
    except_: tuple[str, ...] = msgspec.field(default=(), name="except")


class NetworkPolicyPeer(Model):
    """Addresses, or pods: by their labels and those of their namespaces."""

    pod_selector: LabelSelector | None = None
    namespace_selector: LabelSelector | None = None
    ip_block: IPBlock | None = None


class NetworkPolicyPort(Model):
    """A port of the pod by number or name, or a range of numbers; none is all of them."""

    protocol: str = "TCP"
    port: int | str | None = None
    end_port: int | None = None


class NetworkPolicyIngressRule(Model):
    """Who may connect to which ports; an empty list is everybody, or every port."""

    from_: tuple[NetworkPolicyPeer, ...] = msgspec.field(default=(), name="from")
    ports: tuple[NetworkPolicyPort, ...] = ()


class NetworkPolicySpec(Model):
    """Which pods it is about, and what is let in."""

    pod_selector: LabelSelector = LabelSelector()
    ingress: tuple[NetworkPolicyIngressRule, ...] = ()
    policy_types: tuple[str, ...] = ()

    @property
    def limits_ingress(self) -> bool:
        """Whether it is about connections to the pods: by default each policy is."""
        return not self.policy_types or "Ingress" in self.policy_types


class NetworkPolicy(Object):
    """Who may connect to pods of its namespace."""

    api_version: str = always("networking.k8s.io/v1")
    kind: str = always("NetworkPolicy")
    spec: NetworkPolicySpec = NetworkPolicySpec()
