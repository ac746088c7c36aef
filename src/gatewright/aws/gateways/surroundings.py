"""What load balancers depend on besides the topology: sources that whoever watches AWS and the cluster writes."""

from __future__ import annotations

from gatewright.aws.certificates import AcmCertificate
from gatewright.aws.gateways.frames import Owner
from gatewright.aws.gateways.subnets import Standing
from gatewright.aws.network import Network
from gatewright.aws.stack.desired import StackKey
from gatewright.flow import Collection, Context, Flow, Index, Source
from gatewright.model.core import Node, Pod
from gatewright.model.meta import Key
from gatewright.resolve.gateways import ResolvedGateway
from gatewright.resolve.inputs import Inputs

NETWORK = "network"
"""The only key of `Surroundings.network`."""

CERTIFICATES, TRUST_STORES = "certificates", "trust stores"
"""The keys of `Surroundings.unread`."""


class Surroundings:
    """The sources; one of these serves load balancers of every kind.

    Nothing is made before there is a network. `interfaces` are security groups by address (`read_interfaces`), `nodes`
    and `pods` those of the cluster; of pods only such with a readiness gate of ours matter. `trust_stores` are ARNs by
    name. `standing` is where load balancers stand in AWS already, and their names: it keeps them so.

    `unread` says why something of AWS couldn't be read yet, so that what isn't known isn't taken for what isn't there:
    a load balancer that needs it is blocked, instead of losing a listener whose certificate can't be seen.
    """

    def __init__(self, flow: Flow) -> None:
        self.network: Source[str, Network] = flow.source("network")
        self.interfaces: Source[str, tuple[str, ...]] = flow.source("network interfaces")
        self.certificates: Source[str, AcmCertificate] = flow.source("certificates of ACM")
        self.trust_stores: Source[str, str] = flow.source("trust stores")
        self.nodes: Source[Key, Node] = flow.source("nodes")
        self.pods: Source[Key, Pod] = flow.source("pods")
        self.pods_by_address: Index[str, Key, Pod] = self.pods.index(lambda _, pod: _addresses(pod))
        self.unread: Source[str, str] = flow.source("what of AWS is not known")
        self.standing: Source[StackKey, Standing] = flow.source("where load balancers stand")


def _addresses(pod: Pod) -> set[str]:
    return {address for address in (pod.status.pod_ip, *(each.ip for each in pod.status.pod_ips)) if address}


def gateway_owners(inputs: Inputs, gateways: Collection[Key, ResolvedGateway]) -> Collection[Key, Owner]:
    """What load balancers of Gateways are made for."""
    written = inputs.written(inputs.gateways)

    def owner(ctx: Context, key: Key, resolved: ResolvedGateway) -> Owner | None:
        gateway = ctx.get(written, key)
        if gateway is None:
            return None
        return Owner(
            uid=gateway.metadata.uid,
            problem=resolved.problem[1] if resolved.problem else "",
            addresses=tuple(each.value for each in gateway.spec.addresses if each.value),
        )

    return inputs.flow.derive("owners of load balancers", gateways, owner)
