"""A Gateway's status port: where load balancers ask whether the proxy is ready, without any route (Istio's 15021)."""

from __future__ import annotations

from collections.abc import Mapping

from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_components_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2

from gatewright.envoy.chain import add_filters
from gatewright.envoy.listeners import Binding
from gatewright.envoy.resources import Resource, resource
from gatewright.flow import Collection, Context, Flow
from gatewright.model.meta import Key

PATH = "/healthz/ready"


def status_listeners(flow: Flow, bindings: Collection[Key, Binding]) -> Collection[str, Resource]:
    """A listener for each Gateway whose binding has a status port; it answers `PATH` with 200, all else with 404."""

    def listener(_: Context, gateway: Key, binding: Binding) -> Mapping[str, Resource] | None:
        sockets = [(each.host, each.status_port) for each in (binding, *binding.others) if each.status_port]
        if not sockets:
            return None
        name = f"{gateway}/status"
        message = listener_pb2.Listener(name=name)
        for number, (host, port) in enumerate(sockets):
            address = (message.additional_addresses.add().address if number else message.address).socket_address
            address.address, address.port_value = host, port
        manager = http_connection_manager_pb2.HttpConnectionManager(stat_prefix="status")
        host_routes = manager.route_config.virtual_hosts.add(name="status", domains=["*"]).routes
        ready = route_components_pb2.RouteMatch(path=PATH)
        host_routes.add(match=ready).direct_response.status = 200
        host_routes.add(match=route_components_pb2.RouteMatch(prefix="/")).direct_response.status = 404
        add_filters(manager)
        message.filter_chains.add().filters.add(name="http").typed_config.Pack(manager)
        return {name: resource(name, message.SerializeToString())}

    return flow.derive_many("envoy status listeners", bindings, listener)
