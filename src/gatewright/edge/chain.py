"""The chain from the client to the pods as a tree: each hop with its address and how it fares. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

from msgspec import Struct

from gatewright.aws.views import TargetHealth
from gatewright.edge.binding.targets import STATUS_PORT
from gatewright.edge.front import Front, FrontBalancer, FrontListener
from gatewright.model.core import Service
from gatewright.model.gateway.shared import GATEWAY_NAME
from gatewright.model.meta import Condition, Key
from gatewright.resolve import Inputs, Resolution
from gatewright.resolve.conditions import failing
from gatewright.resolve.listeners import RESOLVED
from gatewright.topology import BackendKey, HostKey, ListenerKey

MOST = 20
"""How many routes of a listener are shown, so that a tree of thousands stays readable."""

Health = Literal["good", "bad", "unknown"]


class Hop(Struct, frozen=True, rename="camel"):
    """One hop. `kind` is what it is in the field's words: `ALB`, `target group`, `Gateway`, `HTTPRoute`, `pod`, ...

    `health` is unknown where nothing is known to be wrong and nothing was checked. `text` says more, empty where there
    is nothing to say.
    """

    kind: str
    name: str
    address: str = ""
    health: Health = "unknown"
    text: str = ""
    hops: tuple[Hop, ...] = ()


def chain(front: Front, inputs: Inputs, resolution: Resolution, balanced: Iterable[Resolution] = ()) -> tuple[Hop, ...]:
    """Everything that clients can reach, front-most first: each load balancer or Gateway that nothing is in front of.

    A load balancer behind another one, and a Gateway behind a load balancer, are shown where they are reached. Those in
    `balanced` are load balancers themselves: they are shown as such, or as Gateways while they are none.
    """
    return tuple(_Chain(front, inputs, resolution, tuple(balanced)).roots())


class _Chain:
    def __init__(self, front: Front, inputs: Inputs, resolution: Resolution, balanced: tuple[Resolution, ...]) -> None:
        self._balanced = {str(key) for each in balanced for key in each.gateways}
        self._front = front
        self._inputs = inputs
        self._resolution = resolution
        self._by_address = {address: each for each in front.balancers for address in each.addresses}
        self._by_arn = {each.balancer.arn: each for each in front.balancers}
        self._hosts: dict[ListenerKey, list[HostKey]] = {}
        for host in sorted({*resolution.topology.hosts, *resolution.topology.streams_by_host.keys()}):
            self._hosts.setdefault(host.listener, []).append(host)
        self._shown: set[Key] = set()

    def roots(self) -> Iterator[Hop]:
        if self._front.problem:
            yield Hop("AWS", "can't be asked", health="bad", text=self._front.problem)
        behind = {
            arn
            for each in self._front.balancers
            for listener in each.listeners
            for group in listener.groups
            for arn in self._balancers_of(group)
            if arn != each.balancer.arn
        }
        for each in self._front.balancers:
            if each.balancer.arn not in behind:
                yield self._balancer(each, None, ())
        for key in sorted(self._resolution.gateways):
            if key not in self._shown:
                yield self._gateway(key, None)
        there = {each.gateway for each in self._front.balancers}
        for name in sorted(self._balanced - there):
            wrong = self._wrong_with(name)
            yield Hop("Gateway", name, health="bad" if wrong else "unknown", text=wrong or "has no load balancer")

    def _wrong_with(self, gateway: str) -> str:
        """What the status of a Gateway that is a load balancer says is wrong."""
        namespace, _, name = gateway.partition("/")
        found = self._inputs.gateways.get(Key(namespace, name))
        if found is None:
            return f"Gateway {gateway} does not exist"
        listeners = (_failing(listener.conditions) for listener in found.status.listeners)
        return _failing(found.status.conditions) or next(filter(None, listeners), "")

    def _balancers_of(self, group: str) -> set[str]:
        """The load balancers that are targets of a target group."""
        ids = [health.target.id for health in self._front.health.get(group, ())]
        found = [self._by_address.get(id_) or self._by_arn.get(id_) for id_ in ids]
        return {each.balancer.arn for each in found if each}

    # --- load balancers -----------------------------------------------------------------------------------------------

    def _balancer(self, each: FrontBalancer, ports: frozenset[int] | None, above: tuple[str, ...]) -> Hop:
        """`ports` are those that are reached, None for all; `above` are the load balancers on the way here."""
        balancer = each.balancer
        kind = "ALB" if balancer.type == "application" else "NLB"
        hops: list[Hop] = []
        if each.web_acl:
            hops.append(Hop("web ACL", each.web_acl))
        way = (*above, balancer.arn)
        reached = [listener for listener in each.listeners if ports is None or listener.listener.port in ports]
        hops += [self._listener(listener, each, way) for listener in reached]
        others = [listener for listener in each.listeners if listener not in reached]
        if others:
            names = ", ".join(f"{other.listener.protocol} {other.listener.port}" for other in others)
            hops.append(Hop("listeners", names, text="not reached this way"))
        for port in sorted((ports or frozenset()) - {listener.listener.port for listener in each.listeners}):
            hops.append(Hop("listener", f"port {port}", health="bad", text="is no listener: connections are refused"))
        state = balancer.state
        health: Health = "good" if state == "active" else "bad" if state == "failed" else "unknown"
        text = f"{balancer.scheme}, {state}"
        if each.gateway:
            wrong = self._wrong_with(each.gateway)
            health = "bad" if wrong else health
            text = "; ".join(part for part in (f"{text}, Gateway {each.gateway}", wrong) if part)
        return Hop(kind, balancer.name, ", ".join(each.addresses) or balancer.dns_name, health, text, tuple(hops))

    def _listener(self, found: FrontListener, each: FrontBalancer, way: tuple[str, ...]) -> Hop:
        listener = found.listener
        rules = f"{found.rules} rule{'' if found.rules == 1 else 's'}" if found.rules else ""
        text = ", ".join(part for part in (rules, found.answer) if part)
        hops = tuple(self._group(arn, each, listener.port, way) for arn in found.groups)
        return Hop("listener", f"{listener.protocol} {listener.port}", health=_worst(hops), text=text, hops=hops)

    def _group(self, arn: str, each: FrontBalancer, port: int, way: tuple[str, ...]) -> Hop:
        group = self._front.groups.get(arn)
        if group is None:
            return Hop("target group", arn, health="bad", text="is gone")
        health = self._front.health.get(arn, ())
        hops = [_target(target) for target in health]
        healthy = sum(target.state == "healthy" for target in health)
        text = f"{group.protocol}, {healthy} of {len(health)} healthy"
        if group.health_check.path:
            text += f", checks {group.health_check.protocol} {group.health_check.path}"
        hops += self._beyond(health, each, port, way)
        state: Health = "bad" if not health or healthy < len(health) else "good"
        if health and not healthy and any(target.state == "unhealthy" for target in health):
            text += "; all are sent to, since none is healthy"
        elif not health:
            text = f"{group.protocol}, no target is registered: requests are answered 503"
            if each.balancer.type == "network":
                text = f"{group.protocol}, no target is registered: connections are closed"
        return Hop("target group", group.name, "", state, text, tuple(hops))

    def _beyond(
        self, health: Iterable[TargetHealth], each: FrontBalancer, port: int, way: tuple[str, ...]
    ) -> Iterator[Hop]:
        """What the targets are: another load balancer, or a Gateway's pods."""
        ports: dict[str, set[int]] = {}
        for target in health:
            beyond = self._by_address.get(target.target.id) or self._by_arn.get(target.target.id)
            if beyond:
                ports.setdefault(beyond.balancer.arn, set()).add(target.target.port)
        for arn, reached in sorted(ports.items()):
            if arn not in way:
                yield self._balancer(self._by_arn[arn], frozenset(reached), way)
        if ports:
            return
        service = self._service(each)
        if service is not None:
            gateway = Key(service.namespace, service.metadata.labels.get(GATEWAY_NAME, ""))
            if gateway in self._resolution.gateways:
                yield self._gateway(gateway, port)
            else:
                yield Hop("Service", str(service.key))
            return
        addresses = {target.target.id for target in health}
        for key in sorted(self._resolution.gateways):
            if addresses & self._addresses(key):
                yield self._gateway(key, None)

    def _service(self, each: FrontBalancer) -> Service | None:
        namespace, _, name = each.service.partition("/")
        return self._inputs.services.get(Key(namespace, name)) if name else None

    def _services_of(self, gateway: Key) -> list[Service]:
        """The Services that a Gateway's controller made for it."""
        return [
            service
            for key, service in self._inputs.services.items()
            if key.namespace == gateway.namespace and service.metadata.labels.get(GATEWAY_NAME) == gateway.name
        ]

    def _addresses(self, gateway: Key) -> set[str]:
        """The addresses behind a Gateway's Services."""
        return {
            address
            for service in self._services_of(gateway)
            for slice_ in self._inputs.slices_by_service.lookup(service.key)
            for endpoint in slice_.endpoints
            for address in endpoint.addresses
        }

    # --- the cluster --------------------------------------------------------------------------------------------------

    def _gateway(self, key: Key, port: int | None) -> Hop:
        self._shown.add(key)
        # Where the listeners are is for us to resolve; how they fare is in the objects, whoever serves them.
        gateway, status = self._resolution.gateways[key], self._inputs.gateways[key].status
        conditions = {listener.name: listener.conditions for listener in status.listeners}
        found = [(listener, conditions.get(listener.name, ())) for listener in gateway.listeners]
        for set_key, listener_set in sorted(self._resolution.listener_sets.items()):
            if listener_set.gateway == key:
                reported = self._inputs.listener_sets[set_key].status
                known = {listener.name: listener.conditions for listener in reported.listeners}
                found += [(listener, known.get(listener.name, ())) for listener in listener_set.listeners]
        reached = [(listener, wrong) for listener, wrong in found if port is None or listener.entry.spec.port == port]
        hops = [
            self._gateway_listener(listener.key, listener.entry.spec.protocol, listener.entry.spec.port, wrong)
            for listener, wrong in reached
        ]
        if port is not None and not hops and self._is_status_port(key, port):
            hops.append(Hop("status port", str(port), health="good", text="says whether the proxy is ready"))
        elif port is not None and not hops:
            hops.append(Hop("listener", f"port {port}", health="bad", text="the Gateway has no listener on this port"))
        failing = _failing(status.conditions)
        addresses = ", ".join(sorted(self._addresses(key)))
        return Hop("Gateway", str(key), addresses, "bad" if failing else "good", failing, tuple(hops))

    def _is_status_port(self, gateway: Key, port: int) -> bool:
        """Whether a port is the one that Istio's gateways have besides their listeners."""
        return any(
            (each.port, each.name) == (port, STATUS_PORT)
            for service in self._services_of(gateway)
            for each in service.spec.ports
        )

    def _gateway_listener(self, key: ListenerKey, protocol: str, port: int, conditions: Iterable[Condition]) -> Hop:
        conditions = tuple(conditions)
        failing = "; ".join(part for part in (_failing(conditions), _remark(conditions)) if part)
        routes: dict[tuple[str, str], set[BackendKey | None]] = {}
        for host in self._hosts.get(key, ()):
            for placement in self._resolution.topology.placements_by_host.lookup(host):
                rule = placement.rule
                backends = routes.setdefault((rule.key.kind, str(rule.key.route)), set())
                backends.update(share.backend for share in rule.backends)
            for stream in self._resolution.topology.streams_by_host.lookup(host):
                backends = routes.setdefault((stream.stream.key.kind, str(stream.stream.key.route)), set())
                backends.update(share.backend for share in stream.stream.backends)
        hops = [
            Hop(kind, name, health=_worst(below), hops=below)
            for (kind, name), backends in sorted(routes.items())[:MOST]
            for below in [self._backends(backends)]
        ]
        if len(routes) > MOST:
            hops.append(Hop("routes", f"and {len(routes) - MOST} more"))
        text = failing or ("" if routes else "no route is attached: requests are answered 404")
        health: Health = "bad" if failing or not routes else "good"
        set_name = "" if not key.listener_set.name else f"{key.listener_set}/"
        return Hop("listener", f"{set_name}{key.name}", f"{protocol} {port}", health, text, tuple(hops))

    def _backends(self, backends: Iterable[BackendKey | None]) -> tuple[Hop, ...]:
        hops = []
        for backend in sorted(backends, key=str):
            if backend is None:
                hops.append(Hop("Service", "none", health="bad", text="a reference leads nowhere: answered 500"))
                continue
            endpoints = self._resolution.topology.endpoints.get(backend)
            found = endpoints.endpoints if endpoints else ()
            pods = tuple(
                Hop("pod", "", f"{endpoint.address}:{endpoint.port}", "good", "draining" if endpoint.draining else "")
                for endpoint in found
            )
            text = "" if pods else "has no endpoint: requests are answered 503"
            hops.append(Hop("Service", backend.address, "", "good" if pods else "bad", text, pods))
        return tuple(hops)


def _target(health: TargetHealth) -> Hop:
    target = health.target
    text = " ".join(part for part in (health.state, health.reason) if part)
    if health.description:
        text += f": {health.description}"
    state: Health = "good" if health.state == "healthy" else "bad" if health.state == "unhealthy" else "unknown"
    id_ = target.id if not target.id.startswith("arn:") else target.id.rpartition(":loadbalancer/")[2]
    return Hop("target", "", f"{id_}:{target.port}", state, text)


def _failing(conditions: Iterable[Condition]) -> str:
    """What the conditions say is wrong; empty where nothing is."""
    return "; ".join(f"{c.type}={c.status} {c.reason}: {c.message}" for c in failing(conditions)[:1])


def _remark(conditions: Iterable[Condition]) -> str:
    """What is said of a certificate that is served although clients that check it will refuse it."""
    messages = [c.message for c in conditions if c.type == "ResolvedRefs" and c.message.startswith(f"{RESOLVED}; ")]
    return "; ".join(message.removeprefix(f"{RESOLVED}; ") for message in messages)


def _worst(hops: Iterable[Hop]) -> Health:
    found = {hop.health for hop in hops}
    return "bad" if "bad" in found else "good" if "good" in found else "unknown"


def lines(hops: Iterable[Hop], mark: Callable[[Hop, str], str] = lambda _, text: text) -> Iterator[str]:
    """The tree as lines, from the client on; `mark` may put colour on the text of a hop."""
    yield "client"
    yield from _below(tuple(hops), "", mark)


def _below(hops: tuple[Hop, ...], indent: str, mark: Callable[[Hop, str], str]) -> Iterator[str]:
    for number, hop in enumerate(hops):
        last = number == len(hops) - 1
        yield f"{indent}{'└─ ' if last else '├─ '}{mark(hop, words(hop))}"
        yield from _below(hop.hops, indent + ("   " if last else "│  "), mark)


def words(hop: Hop) -> str:
    """A hop as one line."""
    head = " ".join(part for part in (hop.kind, hop.name, hop.address) if part)
    return f"{head}: {hop.text}" if hop.text else head
