"""The HTTP filters that routes turn on, in the order in which requests pass them.

All are in every chain, and do nothing by themselves. Whether a filter is created for a request is decided by the route
that the request has at first: in the scope of an exact host that is its route, so there filters are off unless the
route configures them. A request that is moved between scopes (see `scopes`) has no route before that, so the filters
are created for it, and look for their configuration in the route that it has then. Therefore they are few: what can be
put together for each route is made by one filter, when a request comes to a route that wants it.
"""

from __future__ import annotations

from collections.abc import Iterable

from envoy.config.route.v3 import route_components_pb2, route_pb2
from envoy.extensions.common.matching.v3 import extension_matcher_pb2
from envoy.extensions.filters.http.composite.v3 import composite_pb2
from envoy.extensions.filters.http.cors.v3 import cors_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2
from google.protobuf.message import Message

HOST_HEADER = "x-gatewright-host"
"""Tells Envoy which scope a request is in; set within Envoy, whatever the client sends, and never forwarded."""

CORS = "cors"
"""Configured with a route's policy: Envoy's filter takes it from nowhere else."""

MORE = "more"
"""Configured with the filters of a route that all others have no use for, see `more`."""


def add_filters(manager: http_connection_manager_pb2.HttpConnectionManager) -> None:
    """Append the filters, and the router as the last one, to a connection manager's."""
    manager.http_filters.add(name=CORS).typed_config.Pack(cors_pb2.Cors())
    chosen = extension_matcher_pb2.ExtensionWithMatcher()
    chosen.extension_config.name = MORE
    chosen.extension_config.typed_config.Pack(composite_pb2.Composite())
    manager.http_filters.add(name=MORE).typed_config.Pack(chosen)
    manager.http_filters.add(name="router").typed_config.Pack(router_pb2.Router())


def more(filters: Iterable[Message]) -> extension_matcher_pb2.ExtensionWithMatcherPerRoute:
    """The configuration of `MORE` for a route whose requests pass `filters` (messages that configure HTTP filters).

    Only the last one may make a request wait: when it goes on, it goes past all that come after.
    """
    action = composite_pb2.ExecuteFilterAction()
    for filter_ in filters:
        action.filter_chain.typed_config.add(name=filter_.DESCRIPTOR.name).typed_config.Pack(filter_)
    message = extension_matcher_pb2.ExtensionWithMatcherPerRoute()
    always = message.xds_matcher.on_no_match.action
    always.name = "pass"
    always.typed_config.Pack(action)
    return message


def switch_off(table: route_pb2.RouteConfiguration, names: Iterable[str]) -> None:
    """Leave filters out for requests to a table, except to its routes that configure them."""
    for name in names:
        table.typed_per_filter_config[name].Pack(route_components_pb2.FilterConfig(disabled=True))
