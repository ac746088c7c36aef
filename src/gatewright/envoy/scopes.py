"""Exact hosts as scopes (SRDS), so that a change to one costs Envoy one, however many there are.

Envoy builds a whole routing table anew when one of its virtual hosts changes. So each exact host has a routing table of
its own, inside a scope whose key is the hostname; all wildcard hosts of a listener share one table, in the scope
`OTHERS`. How a request finds its scope:

1. Before anything else Envoy copies the Host into `HOST_HEADER`. The key is its part before the first colon.
2. Where a scope has that key, that is all. Each has a last route that answers 404, so no request leaves it: an exact
   host hides the wildcard ones even from requests that no rule of it matches.
3. Elsewhere a Lua filter, which the scopes of exact hosts switch off, tries the name in lower case, and then moves the
   request into the scope `OTHERS`. The router's table there takes the Host itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_components_pb2, scoped_route_pb2
from envoy.extensions.filters.http.lua.v3 import lua_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2
from envoy.extensions.http.early_header_mutation.header_mutation.v3 import header_mutation_pb2

from gatewright.envoy.clusters import ADS
from gatewright.envoy.resources import Ref, Resource, resource
from gatewright.envoy.routes import Route
from gatewright.envoy.tables import HOST_HEADER, new_table

OTHERS = "_others"
"""The key of the scope of all hosts that have none of their own; no hostname has an underscore."""

_AUTHORITY = "xdstp:///envoy.config.route.v3.ScopedRouteConfiguration"
_FILTER = "others"
_MOVE_TO_OTHERS = f"""
function envoy_on_request(handle)
  local headers = handle:headers()
  local host = headers:get("{HOST_HEADER}")
  if host then
    local lower = host:lower()
    if lower ~= host then
      headers:replace("{HOST_HEADER}", lower)
      handle:clearRouteCache()
      handle:metadata() -- finds the route again
      if handle:streamInfo():routeName() ~= "" then
        return
      end
    end
  end
  headers:replace("{HOST_HEADER}", "{OTHERS}")
  handle:clearRouteCache()
end
"""
# Field numbers (envoy.config.route.v3).
_SCOPE_TABLE, _TABLE_NAME, _TABLE_HOSTS = 5, 1, 2


def choose_scope(manager: http_connection_manager_pb2.HttpConnectionManager, table: str) -> None:
    """Make a connection manager route by the scopes of `table`. Its first filter moves requests between them."""
    scopes = manager.scoped_routes
    scopes.name = table
    key = scopes.scope_key_builder.fragments.add().header_value_extractor
    key.name, key.element_separator, key.index = HOST_HEADER, ":", 0
    scopes.rds_config_source.CopyFrom(ADS)
    scopes.scoped_rds.scoped_rds_config_source.CopyFrom(ADS)
    scopes.scoped_rds.srds_resources_locator = scope_name(table, "*")

    early = header_mutation_pb2.HeaderMutation()
    early.mutations.add(remove=HOST_HEADER)  # a client's own would stay where there is no Host to copy
    copied = early.mutations.add().append
    copied.append_action = base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
    copied.header.key, copied.header.value = HOST_HEADER, "%REQ(:authority)%"
    manager.early_header_mutation_extensions.add(name="host").typed_config.Pack(early)

    lua = lua_pb2.Lua()
    lua.default_source_code.inline_string = _MOVE_TO_OTHERS
    manager.http_filters.add(name=_FILTER).typed_config.Pack(lua)


def scope_name(table: str, hostname: str) -> str:
    """The resource name of a scope; with "*" for the hostname, of the collection of them."""
    return f"{_AUTHORITY}/{table}/{hostname}"


def is_exact(hostname: str) -> bool:
    """Whether a hostname has a scope of its own."""
    return not hostname.startswith("*")


def others_scope(table: str, listener: Ref) -> Resource:
    """The scope of a listener's wildcard hosts: it refers to their routing table."""
    name = scope_name(table, OTHERS)
    message = scoped_route_pb2.ScopedRouteConfiguration(name=name, route_configuration_name=table)
    message.key.fragments.add(string_key=OTHERS)
    return resource(name, message.SerializeToString(), within=(listener,))


def host_scope(hostname: str, table: str, listener: Ref, routes: Sequence[Route]) -> Resource:
    """An exact host with its routes in order of precedence; what none of them matches gets 404."""
    name = scope_name(table, hostname)
    scope = scoped_route_pb2.ScopedRouteConfiguration(name=name)
    scope.key.fragments.add(string_key=hostname)
    host = route_components_pb2.VirtualHost(name=f"{table}/{hostname}", domains=["*"]).SerializeToString()
    hosts = _field(_TABLE_HOSTS, b"".join([host, *[route.record for route in routes], _no_rule()]))
    body = scope.SerializeToString() + _field(_SCOPE_TABLE, _table_without_hosts(table) + hosts)
    needs = frozenset[Ref]().union(*[route.needs for route in routes])
    return resource(name, body, needs=needs, within=(listener,), parts=tuple(routes), variant=_renamed)


def _renamed(body: bytes, number: int) -> bytes:
    """The scope with another name for its routing table: of a field that occurs twice, the last one holds."""
    return body + _field(_SCOPE_TABLE, _field(_TABLE_NAME, str(number).encode()))


@lru_cache
def _table_without_hosts(table: str) -> bytes:
    message = new_table(table)
    message.typed_per_filter_config[_FILTER].Pack(route_components_pb2.FilterConfig(disabled=True))
    return bytes(message.SerializeToString())


@lru_cache
def _no_rule() -> bytes:
    """As a record of a virtual host: the route that answers what no other matches."""
    message = route_components_pb2.Route(name="none")
    message.match.prefix = ""
    message.direct_response.status = 404
    return bytes(route_components_pb2.VirtualHost(routes=[message]).SerializeToString())


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field of a serialized message, to be joined to its others."""
    size = len(content)
    head = bytearray([number << 3 | 2])
    while size > 127:
        head.append(size & 127 | 128)
        size >>= 7
    head.append(size)
    return bytes(head) + content
