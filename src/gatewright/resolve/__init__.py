"""From Kubernetes objects to the topology and to what every object's status says.

Pure: it reads the sources of `Inputs` and derives; it does no I/O and knows no proxy and no cloud. One module a
question; docs/architecture.md lists them.
"""

from __future__ import annotations

from collections.abc import Collection as AbstractCollection
from dataclasses import dataclass

from gatewright.flow import Collection, Context
from gatewright.model.meta import Key
from gatewright.resolve.admission import admissions, gateway_terms
from gatewright.resolve.backends import resolve_backends, resolve_endpoints
from gatewright.resolve.certificates import out_of_date, read_key_pairs
from gatewright.resolve.classes import ResolvedClass, resolve_classes
from gatewright.resolve.conflicts import claims
from gatewright.resolve.dialects import PROXY, Dialect
from gatewright.resolve.entries import listener_entries
from gatewright.resolve.frontends import resolve_frontends
from gatewright.resolve.gateways import (
    ResolvedGateway,
    ResolvedListenerSet,
    resolve_gateways,
    resolve_listener_sets,
)
from gatewright.resolve.inputs import Addresses, Inputs
from gatewright.resolve.listeners import ResolvedListener, resolve_listeners
from gatewright.resolve.misdirection import misdirected_hosts
from gatewright.resolve.parents import resolve_parents
from gatewright.resolve.policies import ResolvedPolicyStatus, ServiceUser, policy_statuses, resolve_policies
from gatewright.resolve.routes import ResolvedRoute, resolve_routes, tell_waiting
from gatewright.resolve.statuses import (
    Counts,
    ResolvedGatewayStatus,
    ResolvedListenerSetStatus,
    gateway_statuses,
    listener_set_statuses,
)
from gatewright.resolve.streams import holders, place
from gatewright.topology import (
    Certificate,
    HostKey,
    Listener,
    ListenerKey,
    Placement,
    PortKey,
    RuleKey,
    StreamPlacement,
    Topology,
)

__all__ = ["PROXY", "Addresses", "Dialect", "Inputs", "Resolution", "resolve"]


@dataclass(frozen=True)
class Resolution:
    """Everything that is derived from the inputs."""

    topology: Topology
    classes: Collection[Key, ResolvedClass]
    gateways: Collection[Key, ResolvedGateway]
    gateway_statuses: Collection[Key, ResolvedGatewayStatus]
    listeners: Collection[ListenerKey, ResolvedListener]
    """Every listener of our Gateways and of the ListenerSets that they admit, served or not."""
    listener_sets: Collection[Key, ResolvedListenerSet]
    listener_set_statuses: Collection[Key, ResolvedListenerSetStatus]
    ports: Collection[PortKey, PortKey]
    """Every port that some served listener needs."""
    http_routes: Collection[Key, ResolvedRoute]
    grpc_routes: Collection[Key, ResolvedRoute]
    tls_routes: Collection[Key, ResolvedRoute]
    tcp_routes: Collection[Key, ResolvedRoute]
    udp_routes: Collection[Key, ResolvedRoute]
    backend_tls_policies: Collection[Key, ResolvedPolicyStatus]


def resolve(inputs: Inputs, controllers: AbstractCollection[str], dialect: Dialect = PROXY) -> Resolution:
    """Derive the topology and the statuses for the Gateways whose class names one of `controllers`.

    `dialect` is what those classes take; classes of another dialect are another call on the same inputs.
    """
    flow = inputs.flow
    classes = resolve_classes(inputs, controllers, dialect)
    key_pairs = read_key_pairs(inputs, dialect)
    terms = gateway_terms(inputs, classes, dialect)
    admitted = admissions(inputs, terms)
    entries = listener_entries(inputs, terms, admitted)
    resolved_listeners = resolve_listeners(
        inputs,
        entries,
        terms,
        claims(inputs, entries),
        key_pairs,
        out_of_date(inputs, key_pairs),
        resolve_frontends(inputs, terms),
        dialect,
    )
    gateways = resolve_gateways(inputs, terms, resolved_listeners, key_pairs)
    listener_sets = resolve_listener_sets(inputs, admitted, resolved_listeners)
    parents = resolve_parents(inputs, gateways, listener_sets, resolved_listeners)
    listeners = flow.derive("listeners", resolved_listeners, lambda _, __, listener: listener.served)
    client_certificates = flow.derive("client certificates", gateways, lambda _, __, found: found.client_certificate)

    certificate_keys = flow.merge(
        "secrets in use",
        flow.distinct("served secrets", listeners.index(lambda _, listener: listener.certificates)),
        flow.distinct("shown secrets", client_certificates.index(lambda _, secret: [secret])),
    )

    def certificate(ctx: Context, key: Key, _: Key) -> Certificate | None:
        pair = ctx.get(key_pairs, key)
        return pair.certificate if pair else None

    certificates = flow.derive("certificates", certificate_keys, certificate)

    routes = resolve_routes(inputs, parents, dialect)
    attached = flow.merge(
        "attached routes",
        *(flow.derive_many(f"attached {kind} routes", of, _attached) for kind, of in routes.every_kind.items()),
    )
    placements = flow.merge(
        "placements",
        *(flow.derive_many(f"placed {kind} routes", of, _placements) for kind, of in routes.of_requests.items()),
    )
    by_host = placements.index(lambda key, _: [key[0]], order=lambda _, placement: placement.rule.precedence)
    listener_hosts = flow.derive_many("listener hosts", listeners, _own_host)
    hosts = flow.merge("hosts", listener_hosts, flow.distinct("placed hosts", by_host))

    def placed(ctx: Context, _: Key, route: ResolvedRoute) -> dict[tuple[HostKey, RuleKey], StreamPlacement]:
        found = place(ctx, listeners, route.streams, route.hosts)
        return {(placement.host, placement.stream.key): placement for placement in found}

    streams = flow.merge(
        "streams",
        *(flow.derive_many(f"placed {kind} routes", of, placed) for kind, of in routes.of_connections.items()),
    )
    streams_by_host = streams.index(lambda key, _: [key[0]], order=lambda _, placement: placement.stream.precedence)
    held = holders(flow, streams_by_host)
    told = {kind: tell_waiting(inputs, kind, of, held) for kind, of in routes.of_connections.items()}
    policies = resolve_policies(inputs, dialect)
    wanted = flow.merge(
        "wanted backends",
        *(
            flow.distinct(f"backends of {kind} routes", of.index(lambda _, route: route.targets))
            for kind, of in routes.of_requests.items()
        ),
        flow.distinct("backends of streams", streams.index(lambda _, placement: placement.stream.targets)),
    )
    backends = resolve_backends(inputs, policies, wanted)
    topology = Topology(
        listeners=listeners,
        certificates=certificates,
        hosts=hosts,
        misdirected=misdirected_hosts(inputs, parents),
        placements=placements,
        placements_by_host=by_host,
        streams=streams,
        streams_by_host=streams_by_host,
        client_certificates=client_certificates,
        backends=backends,
        endpoints=resolve_endpoints(inputs, backends),
    )
    users = flow.merge(
        "users of services",
        *(flow.distinct(f"users among {kind} routes", of.index(_users)) for kind, of in routes.of_requests.items()),
        flow.distinct("users among streams", streams.index(_stream_users)),
    )
    ports = flow.distinct("served ports", listeners.index(lambda _, listener: [listener.port_key]))
    counts = Counts(
        routes=attached.index(lambda key, _: [key[0]]),
        listener_sets=listener_sets.index(lambda _, found: [found.gateway] if found.accepted else []),
        ports=ports.index(lambda port, _: [port.gateway]),
    )
    return Resolution(
        topology=topology,
        classes=classes,
        gateways=gateways,
        gateway_statuses=gateway_statuses(inputs, gateways, counts, dialect),
        listeners=resolved_listeners,
        listener_sets=listener_sets,
        listener_set_statuses=listener_set_statuses(inputs, listener_sets, counts, dialect),
        ports=ports,
        http_routes=routes.http,
        grpc_routes=routes.grpc,
        tls_routes=told["tls"],
        tcp_routes=told["tcp"],
        udp_routes=told["udp"],
        backend_tls_policies=policy_statuses(
            inputs, policies, gateways, users.index(lambda user, _: [user.service]), dialect
        ),
    )


def _own_host(_: Context, key: ListenerKey, listener: Listener) -> dict[HostKey, HostKey]:
    host = HostKey(key, listener.hostname)
    return {host: host} if listener.protocol in ("HTTP", "HTTPS") else {}


def _attached(_: Context, __: Key, route: ResolvedRoute) -> dict[tuple[ListenerKey, str, Key], bool]:
    return {(listener, route.kind, route.key): True for listener in route.listeners}


def _placements(_: Context, __: Key, route: ResolvedRoute) -> dict[tuple[HostKey, RuleKey], Placement]:
    return {(placement.host, placement.rule.key): placement for placement in route.placements}


def _users(_: Key, route: ResolvedRoute) -> set[ServiceUser]:
    gateways = {host.listener.gateway for host in route.hosts}
    services = {Key(backend.namespace, backend.service) for backend in route.targets}
    return {ServiceUser(service, gateway, heeds=True) for service in services for gateway in gateways}


def _stream_users(_: tuple[HostKey, RuleKey], placement: StreamPlacement) -> set[ServiceUser]:
    gateway = placement.host.listener.gateway
    return {
        ServiceUser(Key(backend.namespace, backend.service), gateway, heeds=backend.use == "stream")
        for backend in placement.stream.targets
    }
