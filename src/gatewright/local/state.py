"""A picture of a running edge that people and programs can read: Gateways, listeners, addresses, URLs."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from gatewright.edge.chain import Hop
from gatewright.envoy.listeners import Binding
from gatewright.flow import Collection
from gatewright.model.gateway import ListenerStatus
from gatewright.model.meta import Condition, Key
from gatewright.resolve import Inputs, Resolution
from gatewright.resolve.gateways import ResolvedGateway, ResolvedListenerSet
from gatewright.resolve.listeners import ResolvedListener
from gatewright.topology import NO_SET, HostKey, ListenerKey, Match, Placement

_WELL_KNOWN = {"http": 80, "https": 443}


class _Camel(msgspec.Struct, frozen=True, rename="camel"):
    pass


class ConditionState(_Camel, frozen=True):
    """A condition, without its times."""

    type: str
    status: str
    reason: str
    message: str


class ListenerState(_Camel, frozen=True):
    """A listener. `bound_port` is the port really opened, which differs from `port` where that isn't allowed.

    `listener_set` is the namespace and name of the ListenerSet that it is from, empty for the Gateway's own.
    """

    name: str
    protocol: str
    port: int
    bound_port: int | None
    hostname: str
    url: str
    """Empty where nothing listens."""
    attached_routes: int
    conditions: tuple[ConditionState, ...]
    listener_set: str = ""


class GatewayState(_Camel, frozen=True):
    """A Gateway, with its own listeners and those of its ListenerSets. `addresses` begins with `address`."""

    namespace: str
    name: str
    class_name: str
    address: str
    listeners: tuple[ListenerState, ...]
    conditions: tuple[ConditionState, ...]
    addresses: tuple[str, ...] = ()


class AwsState(_Camel, frozen=True):
    """The emulated AWS, with the environment in which any AWS client finds it.

    `open_at` tells of each TCP socket of a load balancer, as `address:port`, where it is really open. `dns` is the
    address:port of a DNS server that knows the names of load balancers and what Route 53 holds.
    """

    endpoint_url: str
    region: str
    environment: dict[str, str]
    open_at: dict[str, str] = {}
    dns: str = ""


class EdgeState(_Camel, frozen=True):
    """The edge. `url` and `https_url` are its front-most entries: those of the ALB where there is one, which
    `gateway_url` and `gateway_https_url` are behind. Empty where there is none.

    `chain` is the way of a request, hop by hop.
    """

    gateways: tuple[GatewayState, ...]
    url: str
    https_url: str
    kubeconfig: str
    ca: str
    gateway_url: str = ""
    gateway_https_url: str = ""
    chain: tuple[Hop, ...] = ()
    aws: AwsState | None = None


class Trial(msgspec.Struct, frozen=True):
    """Something to try: a URL and a command that works in a shell, and what it leads to."""

    url: str
    command: str
    leads_to: str


def edge_state(
    inputs: Inputs,
    resolution: Resolution,
    bindings: Collection[Key, Binding],
    kubeconfig: Path,
    ca: Path,
) -> EdgeState:
    """The edge as it is now, Gateways in the order of their creation."""
    gateways = gateway_states(inputs, resolution, bindings)
    listeners = [listener for gateway in gateways for listener in gateway.listeners if listener.url]
    url = next((listener.url for listener in listeners if listener.protocol == "HTTP"), "")
    https_url = next((listener.url for listener in listeners if listener.protocol == "HTTPS"), "")
    return EdgeState(
        gateways=gateways,
        url=url,
        https_url=https_url,
        kubeconfig=str(kubeconfig),
        ca=str(ca),
        gateway_url=url,
        gateway_https_url=https_url,
    )


def gateway_states(
    inputs: Inputs, resolution: Resolution, bindings: Mapping[Key, Binding] | Collection[Key, Binding]
) -> tuple[GatewayState, ...]:
    """The Gateways of a resolution in the order of their creation, bound as `bindings` say."""
    sets: dict[Key, list[ResolvedListenerSet]] = {}
    for _, listener_set in sorted(resolution.listener_sets.items()):
        sets.setdefault(listener_set.gateway, []).append(listener_set)
    return tuple(
        _gateway(inputs, resolution, gateway, sets.get(gateway.key, ()), bindings.get(gateway.key))
        for gateway in _in_order(inputs, resolution)
    )


def trials(state: EdgeState, resolution: Resolution, most: int = 12) -> list[Trial]:
    """Requests that the routes answer as they are now: one for each rule that a plain GET can reach, and a connection
    for each TCP, TLS or UDP listener that leads to a backend.

    What is served in the clear is shown over TLS once, as an example.
    """
    found: dict[str, Trial] = {}
    shown: set[tuple[Key, str, Match]] = set()
    in_front = state.https_url if state.https_url != state.gateway_https_url else ""
    by_listener: dict[ListenerKey, list[HostKey]] = {}
    for host in sorted({*resolution.topology.hosts, *resolution.topology.streams_by_host.keys()}):
        by_listener.setdefault(host.listener, []).append(host)
    for gateway in state.gateways:
        key = Key(gateway.namespace, gateway.name)
        for listener in sorted(gateway.listeners, key=lambda listener: (listener.protocol == "HTTP") == bool(in_front)):
            hosts = by_listener.get(_listener_key(key, listener), []) if listener.url else []
            for connection in _connections(state, resolution, listener, hosts):
                found.setdefault(connection.command, connection)
            example = 1
            for placement in _placements(resolution, hosts):
                trial = _trial(state, listener, placement, in_front)
                known = (key, placement.host.hostname, placement.rule.match)
                if trial is None or (known in shown and (listener.protocol == "HTTP" or not example)):
                    continue
                example -= known in shown
                shown.add(known)
                found.setdefault(trial.command, trial)
                if len(found) >= most:
                    return list(found.values())
    return list(found.values())[:most]


def _listener_key(gateway: Key, listener: ListenerState) -> ListenerKey:
    namespace, _, name = listener.listener_set.partition("/")
    return ListenerKey(gateway, listener.name, Key(namespace, name))


def _placements(resolution: Resolution, hosts: Iterable[HostKey]) -> Iterable[Placement]:
    by_host = resolution.topology.placements_by_host
    return (placement for host in hosts for placement in by_host.lookup(host))


def _connections(
    state: EdgeState, resolution: Resolution, listener: ListenerState, hosts: Iterable[HostKey]
) -> Iterator[Trial]:
    """What one can type into, for each stream."""
    for host in hosts:
        streams = resolution.topology.streams_by_host.lookup(host)
        leads_to = (
            ", ".join(share.backend.address for share in streams[0].stream.backends if share.backend) if streams else ""
        )
        if not leads_to:
            continue
        address, port = _address(listener)
        if listener.protocol == "TLS":
            name = host.hostname.replace("*", "any", 1) if host.hostname != "*" else "any.example.com"
            served = resolution.topology.listeners.get(host.listener)
            options = ["-CAfile", state.ca] if served and served.certificates else []
            words = ["openssl", "s_client", "-connect", f"{address}:{port}", "-servername", name, *options]
        else:
            words = ["nc", *(["-u"] if listener.protocol == "UDP" else []), address.strip("[]"), str(port)]
        yield Trial(listener.url, shlex.join(words), leads_to)


def _address(listener: ListenerState) -> tuple[str, int]:
    """The host of the listener's URL, an IPv6 address in brackets, and its port."""
    location = listener.url.partition("://")[2]
    host = location.rpartition(":")[0] if location.rpartition(":")[2].isdecimal() else location
    return host, listener.bound_port or listener.port


def _trial(state: EdgeState, listener: ListenerState, placement: Placement, in_front: str) -> Trial | None:
    """`in_front` is the URL of what a plain HTTPS request comes through to a Gateway's HTTPS listener, if anything."""
    rule, match = placement.rule, placement.rule.match
    if rule.key.kind != "HTTPRoute":
        return None
    if match.path.type == "RegularExpression" or match.method not in (None, "GET") or match.query_params:
        return None
    if any(header.type != "Exact" for header in match.headers):
        return None
    host, options, base = placement.host.hostname, [], listener.url
    if host == "*" and listener.protocol == "HTTPS":
        base = in_front or base
    if host != "*":
        name = host.replace("*.", "any.", 1)
        address, port = _address(listener)
        scheme = base.partition("://")[0]
        base = f"{scheme}://{name}" + ("" if _WELL_KNOWN[scheme] == port else f":{port}")
        options += ["--resolve", f"{name}:{port}:{address}"]
    if base.startswith("https:"):
        options += ["--cacert", state.ca]
    options += [word for header in match.headers for word in ("-H", f"{header.name}: {header.value}")]
    url = base + match.path.value
    backends = ", ".join(share.backend.address for share in rule.backends if share.backend)
    return Trial(url, shlex.join(["curl", *options, url]), backends or str(rule.origin))


def _in_order(inputs: Inputs, resolution: Resolution) -> list[ResolvedGateway]:
    def created(gateway: ResolvedGateway) -> tuple[str, Key]:
        return inputs.gateways[gateway.key].metadata.creation_timestamp, gateway.key

    return sorted(resolution.gateways.values(), key=created)


def _gateway(
    inputs: Inputs,
    resolution: Resolution,
    gateway: ResolvedGateway,
    sets: Iterable[ResolvedListenerSet],
    binding: Binding | None,
) -> GatewayState:
    status = resolution.gateway_statuses[gateway.key]
    listeners = [*_listeners(gateway.listeners, status.listeners, binding)]
    for listener_set in sets:
        reported = resolution.listener_set_statuses[listener_set.key]
        listeners += _listeners(listener_set.listeners, reported.listeners, binding)
    return GatewayState(
        namespace=gateway.key.namespace,
        name=gateway.key.name,
        class_name=inputs.gateways[gateway.key].spec.gateway_class_name,
        address=binding.host if binding else "",
        listeners=tuple(listeners),
        conditions=_conditions(status.conditions),
        addresses=tuple(each.host for each in (binding, *binding.others)) if binding else (),
    )


def _listeners(
    listeners: Iterable[ResolvedListener], statuses: Iterable[ListenerStatus], binding: Binding | None
) -> Iterator[ListenerState]:
    reported = {status.name: status for status in statuses}
    return (_listener(listener, reported[listener.name], binding) for listener in listeners)


def _listener(listener: ResolvedListener, status: ListenerStatus, binding: Binding | None) -> ListenerState:
    bound = binding.bound(listener.entry.port_key) if binding else None
    programmed = any(c.type == "Programmed" and c.status == "True" for c in status.conditions)
    url = ""
    if binding and bound and programmed:
        scheme = listener.entry.spec.protocol.lower()
        host = f"[{binding.host}]" if ":" in binding.host else binding.host
        url = f"{scheme}://{host}" + ("" if _WELL_KNOWN.get(scheme) == bound else f":{bound}")
    return ListenerState(
        name=listener.name,
        protocol=listener.entry.spec.protocol,
        port=listener.entry.spec.port,
        bound_port=bound,
        hostname=listener.entry.hostname,
        url=url,
        attached_routes=status.attached_routes,
        conditions=_conditions(status.conditions),
        listener_set="" if listener.key.listener_set == NO_SET else str(listener.key.listener_set),
    )


def _conditions(conditions: Iterable[Condition]) -> tuple[ConditionState, ...]:
    return tuple(ConditionState(c.type, c.status, c.reason, c.message) for c in conditions)
