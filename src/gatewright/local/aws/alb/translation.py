"""All that follows for Envoy from the ALBs of a state."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, Protocol

import structlog
from envoy.config.accesslog.v3.accesslog_pb2 import AccessLog
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import HttpFilter
from msgspec import Struct

from gatewright.envoy.resources import LISTENER, Ref, Resource
from gatewright.flow import Collection, Context
from gatewright.local.aws import waf
from gatewright.local.aws.alb.actions import Entry, Group
from gatewright.local.aws.alb.listeners import Surroundings, listener_name, node_listener
from gatewright.local.aws.alb.tables import RuleRoutes, order, rule_routes, table
from gatewright.local.aws.state import CloudState, Forward, Listener, LoadBalancer, Node, Redirect, Rule, Socket
from gatewright.local.aws.tls import usable_certificates

_log = structlog.get_logger(__name__)


class Clusters(Protocol):
    """Knows the clusters of target groups."""

    def ref(self, ctx: Context, load_balancer: str, group: str) -> Ref | None:
        """Names the cluster of an ALB's target group, by ARNs; None where there is no such group."""


class AlbResources(Struct, frozen=True):
    """What Envoy gets. The secrets that the listeners name in their `parts` come from `tls.secrets`."""

    listeners: Collection[str, Resource]
    route_configurations: Collection[str, Resource]


class _Place(NamedTuple):
    """Where a rule is."""

    load_balancer: str
    protocol: str
    port: int


LogsOf = Callable[[Context, LoadBalancer, Listener, Node], tuple[AccessLog, ...]]
"""The access logs of a listener's node."""


def translate(
    state: CloudState, clusters: Clusters, *, pace: float = 1.0, logs_of: LogsOf = lambda *_: ()
) -> AlbResources:
    """Derive the resources of all ALBs. A listener that can't be served (without a certificate) has none.

    `pace` is how many times faster than the real one the clock of the emulated cloud runs.
    """
    translation = _Translation(state, clusters, pace, logs_of)
    return AlbResources(translation.listeners, translation.tables)


class _Translation:
    def __init__(self, state: CloudState, clusters: Clusters, pace: float, logs_of: LogsOf) -> None:
        flow = state.flow
        self._state, self._clusters, self._pace, self._logs_of = state, clusters, pace, logs_of
        self._by_balancer = state.listeners.index(
            lambda _, listener: [listener.load_balancer], name="listeners by load balancer"
        )
        self._acls = flow.derive("filters of web ACLs", state.associations, self._acl)
        self._ports = flow.derive("open ports of load balancers", state.load_balancers, self._open_ports)
        # What rules depend on is little of their listener and load balancer, so that they don't follow each change.
        self._kinds = flow.derive("kinds of load balancers", state.load_balancers, lambda _, __, found: found.type)
        self._places = flow.derive("places of rules", state.listeners, self._place)
        self._rules = flow.derive("rules of ALBs", state.rules, self._rule)
        self._by_listener = self._rules.index(lambda _, rule: [rule.listener], order=lambda _, rule: order(rule))
        self.listeners: Collection[str, Resource] = flow.derive_many(
            "listeners of ALBs", state.listeners, self._listeners
        )
        self.tables: Collection[str, Resource] = flow.derive_many("routes of ALBs", state.listeners, self._table)

    def _acl(self, ctx: Context, arn: str, acl: str) -> tuple[HttpFilter, ...] | None:
        balancer, document = ctx.get(self._state.load_balancers, arn), ctx.get(self._state.web_acls, acl)
        if balancer is None or document is None:
            return None
        fail_open = balancer.attributes.get("waf.fail_open.enabled") == "true"
        return waf.translate(document, pace=self._pace, fail_open=fail_open).filters

    def _open_ports(self, ctx: Context, arn: str, balancer: LoadBalancer) -> dict[int, int]:
        """By port of its listeners, the one that is really open, at the first of its nodes."""
        ports: dict[int, int] = {}
        for listener in ctx.lookup(self._by_balancer, arn):
            for node in balancer.nodes:
                bound = ctx.get(self._state.sockets, Socket(node.address, listener.port, "TCP"))
                if bound:
                    ports.setdefault(listener.port, bound.port)
        return ports

    def _place(self, ctx: Context, _: str, listener: Listener) -> _Place | None:
        if ctx.get(self._kinds, listener.load_balancer) != "application":
            return None
        return _Place(listener.load_balancer, listener.protocol, listener.port)

    def _rule(self, ctx: Context, _: str, rule: Rule) -> RuleRoutes | None:
        place = ctx.get(self._places, rule.listener)
        if place is None:
            return None
        groups = []
        if isinstance(rule.action, Forward):
            for arn, weight in rule.action.groups:
                group = ctx.get(self._state.target_groups, arn)
                cluster = self._clusters.ref(ctx, place.load_balancer, arn)
                if group and cluster:
                    groups.append(Group(group, weight, cluster))
        ports = ctx.get(self._ports, place.load_balancer) if isinstance(rule.action, Redirect) else None
        return rule_routes(rule, Entry(place.protocol, place.port, ports or {}), groups)

    def _balancer(self, ctx: Context, listener: Listener) -> LoadBalancer | None:
        found = ctx.get(self._state.load_balancers, listener.load_balancer)
        return found if found and found.type == "application" else None

    def _listeners(self, ctx: Context, _: str, listener: Listener) -> Mapping[str, Resource]:
        balancer = self._balancer(ctx, listener)
        if balancer is None:
            return {}
        certificates = usable_certificates(ctx, self._state, listener.certificates)
        if listener.protocol == "HTTPS" and not certificates:
            _log.warning("a listener has no certificate that can be used; it isn't opened", listener=listener.arn)
            return {}
        filters = ctx.get(self._acls, balancer.arn) or ()
        found = {}
        for node in balancer.nodes:
            bound = ctx.get(self._state.sockets, Socket(node.address, listener.port, "TCP"))
            if bound:
                surroundings = Surroundings(filters, self._logs_of(ctx, balancer, listener, node))
                made = node_listener(balancer, listener, node, bound, certificates, surroundings)
                found[made.name] = made
        return found

    def _table(self, ctx: Context, arn: str, listener: Listener) -> Mapping[str, Resource]:
        balancer = self._balancer(ctx, listener)
        if balancer is None or (listener.mutual_tls == "verify" and not listener.authorities):
            return {}
        within = [Ref(LISTENER, listener_name(listener, node)) for node in balancer.nodes]
        made = table(balancer, listener, ctx.lookup(self._by_listener, arn), within)
        return {made.name: made}
