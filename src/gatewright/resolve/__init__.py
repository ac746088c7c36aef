"""From Kubernetes objects to the topology and to what every object's status says.

Pure: it reads the sources of `Inputs` and derives; it does no I/O and knows no proxy and no cloud. One module a
question: `classes`, `gateways` (listeners), `certificates`, `attachment` (parentRefs), `hostnames`, `grants`,
`matches`, `filters`, `backends`, `routes` (which puts a route together), `statuses`.
"""

from __future__ import annotations

from collections.abc import Collection as AbstractCollection
from dataclasses import dataclass

from gatewright.flow import Collection, Context
from gatewright.model.meta import Key
from gatewright.resolve.backends import resolve_backends, resolve_endpoints
from gatewright.resolve.certificates import read_key_pairs
from gatewright.resolve.classes import ResolvedClass, resolve_classes
from gatewright.resolve.gateways import ResolvedGateway, resolve_gateways
from gatewright.resolve.inputs import Addresses, Inputs
from gatewright.resolve.routes import ResolvedRoute, resolve_http_routes
from gatewright.resolve.statuses import ResolvedGatewayStatus, gateway_statuses
from gatewright.topology import Certificate, HostKey, Listener, ListenerKey, Placement, RuleKey, Topology

__all__ = ["Addresses", "Inputs", "Resolution", "resolve"]


@dataclass(frozen=True)
class Resolution:
    """Everything that is derived from the inputs."""

    topology: Topology
    classes: Collection[Key, ResolvedClass]
    gateways: Collection[Key, ResolvedGateway]
    gateway_statuses: Collection[Key, ResolvedGatewayStatus]
    http_routes: Collection[Key, ResolvedRoute]


def resolve(inputs: Inputs, controllers: AbstractCollection[str]) -> Resolution:
    """Derive the topology and the statuses for the Gateways whose class names one of `controllers`."""
    flow = inputs.flow
    classes = resolve_classes(inputs, controllers)
    key_pairs = read_key_pairs(inputs)
    gateways = resolve_gateways(inputs, classes, key_pairs)
    listeners = flow.derive_many("listeners", gateways, _served_listeners)

    certificate_keys = flow.distinct("served secrets", listeners.index(lambda _, listener: listener.certificates))

    def certificate(ctx: Context, key: Key, _: Key) -> Certificate | None:
        pair = ctx.get(key_pairs, key)
        return pair.certificate if pair else None

    certificates = flow.derive("certificates", certificate_keys, certificate)

    routes = resolve_http_routes(inputs, gateways)
    attached = flow.derive_many("attached routes", routes, _attached)
    placements = flow.derive_many("placements", routes, _placements)
    by_host = placements.index(lambda key, _: [key[0]], order=lambda _, placement: placement.rule.precedence)
    listener_hosts = flow.derive_many("listener hosts", listeners, _own_host)
    hosts = flow.merge("hosts", listener_hosts, flow.distinct("placed hosts", by_host))

    wanted = flow.distinct("wanted backends", routes.index(lambda _, route: route.backends))
    backends = resolve_backends(inputs, wanted)
    topology = Topology(
        listeners=listeners,
        certificates=certificates,
        hosts=hosts,
        placements=placements,
        placements_by_host=by_host,
        backends=backends,
        endpoints=resolve_endpoints(inputs, backends),
    )
    statuses = gateway_statuses(inputs, gateways, attached.index(lambda key, _: [key[0]]))
    return Resolution(topology, classes, gateways, statuses, routes)


def _served_listeners(_: Context, __: Key, gateway: ResolvedGateway) -> dict[ListenerKey, Listener]:
    return {listener.served.key: listener.served for listener in gateway.listeners if listener.served}


def _own_host(_: Context, key: ListenerKey, listener: Listener) -> dict[HostKey, HostKey]:
    host = HostKey(key, listener.hostname)
    return {host: host}


def _attached(_: Context, __: Key, route: ResolvedRoute) -> dict[tuple[ListenerKey, str, Key], bool]:
    return {(listener, route.kind, route.key): True for listener in route.listeners}


def _placements(_: Context, __: Key, route: ResolvedRoute) -> dict[tuple[HostKey, RuleKey], Placement]:
    return {(placement.host, placement.rule.key): placement for placement in route.placements}
