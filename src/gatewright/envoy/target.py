"""A Topology served by an Envoy, and what Envoy says about it handed back."""

from __future__ import annotations

import asyncio
from collections.abc import Collection as Names
from collections.abc import Iterable, Mapping

import structlog

from gatewright.envoy.ads import AdsServer
from gatewright.envoy.delivery import Delivery, Observer
from gatewright.envoy.listeners import Binding
from gatewright.envoy.probe import PROBE, Probe
from gatewright.envoy.resources import (
    CLUSTER,
    FILTER_CHAIN,
    LISTENER,
    ROUTES,
    SCOPE,
    SECRET,
    VIRTUAL_HOST,
    Ref,
    Resource,
)
from gatewright.envoy.routes import Route
from gatewright.envoy.syntax import readable
from gatewright.envoy.translation import translate
from gatewright.flow import Change, Collection, Flow, Source
from gatewright.model.meta import Key
from gatewright.topology import HostKey, PortKey, PortState, Rejection, RuleKey, Topology

_log = structlog.get_logger(__name__)

_LISTENER_RETRY = 2.0


class EnvoyTarget(Observer):
    """Derives the xDS resources of a Topology, and writes back what Envoy refused and which ports it serves.

    `rejections` is keyed by an object's kind and key; `ports` has a state for each bound port. Both are written on the
    event loop that delivers. Give `resources` to an `AdsServer` whose observer is this target, and the server to
    `attach`.
    """

    def __init__(
        self,
        flow: Flow,
        topology: Topology,
        bindings: Collection[Key, Binding],
        rejections: Source[tuple[str, Key], Rejection],
        ports: Source[PortKey, PortState],
    ) -> None:
        translation = translate(flow, topology, bindings)
        self._flow = flow
        self._translation = translation
        self._rejections = rejections
        self._states = ports
        self._probe = Probe(flow)
        self._server: AdsServer | None = None
        self._delivery: Delivery | None = None
        self._accepted: dict[str, tuple[Route, ...]] = {}  # virtual host -> the routes that Envoy has
        self._told: dict[Ref, str] = {}  # what was logged last about a refused resource
        self._searches: dict[str, asyncio.Task[None]] = {}
        self._unserved: set[PortKey] = set(translation.ports.keys())
        self._opened_with: dict[PortKey, frozenset[Ref]] = {}  # what a port waited for when it was served last
        self._retry: asyncio.TimerHandle | None = None
        resources = translation.resources
        self.resources: Mapping[str, Collection[str, Resource]] = {
            **resources,
            LISTENER: flow.merge("listeners and the probe", resources[LISTENER], self._probe.listeners),
            ROUTES: flow.merge("routing tables and the probe", resources[ROUTES], self._probe.tables),
        }
        self._hosts_by_table = resources[VIRTUAL_HOST].index(lambda _, host: host.within, name="hosts by table")
        translation.ports.subscribe(self._ports_changed)
        resources[LISTENER].subscribe(self._listeners_changed)
        translation.routes.subscribe(self._routes_changed)
        resources[CLUSTER].subscribe(self._clusters_changed)
        self._reject_problems(translation.routes.values())

    def attach(self, server: AdsServer) -> None:
        """Tell which server delivers the resources."""
        self._server, self._delivery = server, server.delivery

    @property
    def is_searching(self) -> bool:
        """Whether it is being found out which rules Envoy refuses."""
        return bool(self._searches)

    def close(self) -> None:
        """Stop asking Envoy about rules and trying refused listeners again."""
        for task in self._searches.values():
            task.cancel()
        if self._retry:
            self._retry.cancel()

    # --- what Envoy says ---------------------------------------------------------------------------------------------

    def connected(self, connected: bool) -> None:
        """Without Envoy no port is served."""
        if connected:
            return
        self._unserved = set(self._translation.ports.keys())
        self._opened_with.clear()
        with self._flow.batch():
            for port in self._unserved:
                self._states.set(port, PortState(False, "Envoy is not running; it is being started again"))

    def acknowledged(self, type_url: str, names: Names[str]) -> None:
        """Remember the routes of accepted virtual hosts; see whether more ports are served now."""
        delivery = self._delivery
        if delivery is None:
            return
        if self._told:
            for name in names:
                self._told.pop(Ref(type_url, name), None)
        if type_url in (SCOPE, VIRTUAL_HOST):
            for name in names:
                held = delivery.held(Ref(type_url, name))
                if held is None:
                    self._accepted.pop(name, None)
                else:
                    self._accepted[name] = held.parts
        elif type_url == ROUTES and PROBE in names:
            held = delivery.held(Ref(ROUTES, PROBE))
            if held:
                self._probe.answered(held, None)
        if type_url != CLUSTER and self._unserved:
            self._check_ports()

    def refused(self, type_url: str, resource: Resource, message: str) -> None:
        """Find the objects to blame, and say why a port is not served."""
        if type_url == ROUTES and resource.name == PROBE:
            self._probe.answered(resource, message)
            return
        ref, message = Ref(type_url, resource.name), readable(message)
        if self._told.get(ref) != message:  # a listener that is tried again is refused again
            self._told[ref] = message
            _log.warning("envoy refused a resource", resource=str(ref), message=message)
        if type_url in (SCOPE, VIRTUAL_HOST):
            self._blame(resource, message)
        elif type_url == LISTENER:
            self._unserved.update(port for port, name in self._translation.ports.items() if name == resource.name)
            self._check_ports()
            self._retry_later()
        elif type_url == CLUSTER:
            self._blame_origin(resource, message)
        elif type_url in (SECRET, FILTER_CHAIN):
            if "trusted CA" not in message:  # those aren't of the certificates' objects
                self._blame_origin(resource, message)
            self._check_ports()
        else:
            self._check_ports()

    # --- rules -------------------------------------------------------------------------------------------------------

    def _blame(self, refused: Resource, message: str) -> None:
        """The rules that Envoy hasn't accepted before are candidates; more than one are asked about one by one."""
        accepted = {route.record for route in self._accepted.get(refused.name, ())}
        candidates = [route for route in refused.parts if route.record not in accepted]
        if len(candidates) == 1:
            self._reject([(candidates[0], message)])
            return
        if not candidates:
            _log.error("envoy refused a virtual host for none of its rules", resource=refused.name, message=message)
            return
        before = self._searches.get(refused.name)
        if before:
            before.cancel()
        task = asyncio.get_running_loop().create_task(self._search(refused.name, candidates, message))
        self._searches[refused.name] = task

    async def _search(self, name: str, candidates: list[Route], message: str) -> None:
        try:
            guilty = await self._probe.guilty(candidates)
            if not guilty:
                _log.error("envoy refused a virtual host for none of its rules", resource=name, message=message)
            self._reject(guilty)
        finally:
            if self._searches.get(name) is asyncio.current_task():
                del self._searches[name]
            if self._server:
                self._server.stir()

    def _reject(self, guilty: Iterable[tuple[Route, str]]) -> None:
        with self._flow.batch():
            for route, message in guilty:
                origin, words = route.rule.origin, readable(message)
                _log.warning("a rule is refused", object=str(origin), field=origin.field, message=words)
                self._rejections.set((origin.kind, origin.key), Rejection(origin.version, words))

    def _reject_problems(self, routes: Iterable[Route]) -> None:
        problems = [(route, route.problem) for route in routes if route.problem]
        if problems:
            self._reject(problems)

    def _routes_changed(self, changes: list[Change[tuple[HostKey, RuleKey], Route]]) -> None:
        routes = [change.new for change in changes if change.new]
        for route in routes:
            origin = route.rule.origin
            rejection = self._rejections.get((origin.kind, origin.key))
            if rejection and rejection.version != origin.version:
                self._rejections.delete((origin.kind, origin.key))
        self._reject_problems(routes)

    # --- clusters ----------------------------------------------------------------------------------------------------

    def _blame_origin(self, refused: Resource, message: str) -> None:
        for origin in refused.parts:
            _log.warning("an object is refused", object=str(origin), message=message)
            self._rejections.set((origin.kind, origin.key), Rejection(origin.version, readable(message)))

    def _clusters_changed(self, changes: list[Change[str, Resource]]) -> None:
        for cluster in [change.new for change in changes if change.new and change.new.parts]:
            for origin in cluster.parts:
                rejection = self._rejections.get((origin.kind, origin.key))
                if rejection and rejection.version != origin.version:
                    self._rejections.delete((origin.kind, origin.key))
            refusal = self._delivery.refusal(Ref(CLUSTER, cluster.name)) if self._delivery else None
            if refusal:  # the object has changed, but what was refused in it hasn't
                self._blame_origin(cluster, refusal.message)

    # --- ports -------------------------------------------------------------------------------------------------------

    def _ports_changed(self, changes: list[Change[PortKey, str]]) -> None:
        for change in changes:
            if change.new is None:
                self._unserved.discard(change.key)
                self._opened_with.pop(change.key, None)
                self._states.delete(change.key)
            else:
                self._unserved.add(change.key)

    def _listeners_changed(self, changes: list[Change[str, Resource]]) -> None:
        names = {change.key for change in changes}
        self._unserved.update(port for port, name in self._translation.ports.items() if name in names)

    def _check_ports(self) -> None:
        with self._flow.batch():
            for port in tuple(self._unserved):
                state = self._state(port)
                if state is None:
                    continue
                if state.serving:
                    self._unserved.discard(port)
                self._states.set(port, state)

    def _state(self, port: PortKey) -> PortState | None:
        """None while Envoy hasn't answered yet."""
        delivery, name = self._delivery, self._translation.ports.get(port)
        if delivery is None or name is None:
            return None
        ref = Ref(LISTENER, name)
        refusal = delivery.refusal(ref)
        if refusal:
            return PortState(False, readable(refusal.message))
        listener = delivery.held(ref)
        if listener is None or not delivery.holds(ref):
            return None
        opened_with = self._opened_with.get(port, frozenset())
        for awaited in listener.parts:
            if awaited in opened_with:
                continue
            refusal = delivery.refusal(awaited)
            if refusal:
                return PortState(False, readable(refusal.message))
            if not delivery.holds(awaited):
                return None
            if awaited.type == ROUTES and not delivery.contents(awaited) and self._awaits_hosts(awaited):
                return None
        self._opened_with[port] = frozenset(listener.parts)
        return PortState(True)

    def _awaits_hosts(self, table: Ref) -> bool:
        return self._hosts_by_table.count(table) > 0

    def _retry_later(self) -> None:
        """An address that is in use may become free."""
        if self._retry is None:
            self._retry = asyncio.get_running_loop().call_later(_LISTENER_RETRY, self._retry_listeners)

    def _retry_listeners(self) -> None:
        self._retry = None
        if self._server:
            for name in tuple(self.resources[LISTENER].keys()):
                self._server.retry(Ref(LISTENER, name))
