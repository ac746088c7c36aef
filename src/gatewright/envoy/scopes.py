"""Exact hosts as scopes (SRDS), so that a change to one costs Envoy one, however many there are.

Envoy builds a whole routing table anew when one of its virtual hosts changes. So each exact host has a routing table of
its own, inside a scope whose key is the hostname; all wildcard hosts of a listener share one table, in the scope
`OTHERS`. How a request finds its scope:

1. Before anything else Envoy copies the Host into `HOST_HEADER`. The key is its part before the first colon.
2. Where a scope has that key, that is all. Each has a last route that answers 404, so no request leaves it: an exact
   host hides the wildcard ones even from requests that no rule of it matches.
3. Elsewhere a filter, which the scopes of exact hosts switch off, moves the request into the scope `OTHERS`. The table
   there takes the Host itself. The filter is the one that tags client addresses, here all with the same: of Envoy's own
   it is the one that sets a header and has the route found anew.
4. Where the Host has a capital letter, a Lua filter after that tries the name in lower case. Others don't enter Lua,
   which costs as much as all the rest of this.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_components_pb2, scoped_route_pb2
from envoy.extensions.common.matching.v3 import extension_matcher_pb2
from envoy.extensions.filters.common.matcher.action.v3 import skip_action_pb2
from envoy.extensions.filters.http.ip_tagging.v3 import ip_tagging_pb2
from envoy.extensions.filters.http.lua.v3 import lua_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2
from envoy.extensions.http.early_header_mutation.header_mutation.v3 import header_mutation_pb2
from envoy.type.matcher.v3 import http_inputs_pb2

from gatewright.envoy.chain import CORS, HOST_HEADER, MORE, switch_off
from gatewright.envoy.clusters import ADS
from gatewright.envoy.resources import Ref, Resource, resource
from gatewright.envoy.routes import Route, answer
from gatewright.envoy.tables import new_table

OTHERS = "_others"
"""The key of the scope of all hosts that have none of their own; no hostname has an underscore."""

_AUTHORITY = "xdstp:///envoy.config.route.v3.ScopedRouteConfiguration"
_MOVE, _LOWER = "others", "lower case"
_HAS_CAPITAL = ".*[A-Z].*"
_TRY_LOWER_CASE = f"""
function envoy_on_request(handle)
  local headers = handle:headers()
  local host = headers:get(":authority")
  headers:replace("{HOST_HEADER}", host:lower())
  handle:clearRouteCache()
  handle:metadata() -- finds the route again
  if handle:streamInfo():routeName() == "" then
    headers:replace("{HOST_HEADER}", "{OTHERS}")
    handle:clearRouteCache()
  end
end
"""
# Field numbers (envoy.config.route.v3).
_SCOPE_TABLE, _TABLE_NAME, _TABLE_HOSTS = 5, 1, 2


def choose_scope(manager: http_connection_manager_pb2.HttpConnectionManager, table: str) -> None:
    """Make a connection manager route by the scopes of `table`. Its first filters move requests between them."""
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

    move = ip_tagging_pb2.IPTagging(request_type="BOTH")
    everyone = move.ip_tags.add(ip_tag_name=OTHERS).ip_list
    everyone.add(address_prefix="0.0.0.0").prefix_len.value = 0  # noqa: S104 - nothing is bound to it
    everyone.add(address_prefix="::").prefix_len.value = 0
    move.ip_tag_header.header, move.ip_tag_header.action = HOST_HEADER, ip_tagging_pb2.IPTagging.IpTagHeader.SANITIZE
    manager.http_filters.add(name=_MOVE).typed_config.Pack(move)
    manager.http_filters.add(name=_LOWER).typed_config.Pack(_try_lower_case())


def _try_lower_case() -> extension_matcher_pb2.ExtensionWithMatcher:
    """The Lua filter, passed over where the Host has no capital letter."""
    message = extension_matcher_pb2.ExtensionWithMatcher()
    lua = lua_pb2.Lua()
    lua.default_source_code.inline_string = _TRY_LOWER_CASE
    message.extension_config.name = _LOWER
    message.extension_config.typed_config.Pack(lua)
    without = message.xds_matcher.matcher_list.matchers.add()
    capital = without.predicate.not_matcher.single_predicate
    capital.input.name = "host"
    capital.input.typed_config.Pack(http_inputs_pb2.HttpRequestHeaderMatchInput(header_name=":authority"))
    capital.value_match.safe_regex.google_re2.SetInParent()
    capital.value_match.safe_regex.regex = _HAS_CAPITAL
    without.on_match.action.name = "skip"
    without.on_match.action.typed_config.Pack(skip_action_pb2.SkipFilter())
    return message


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


def host_scope(hostname: str, table: str, listener: Ref, routes: Sequence[Route], otherwise: int = 404) -> Resource:
    """An exact host with its routes in order of precedence; what none of them matches gets the status `otherwise`."""
    name = scope_name(table, hostname)
    scope = scoped_route_pb2.ScopedRouteConfiguration(name=name)
    scope.key.fragments.add(string_key=hostname)
    host = route_components_pb2.VirtualHost(name=f"{table}/{hostname}", domains=["*"]).SerializeToString()
    hosts = _field(_TABLE_HOSTS, b"".join([host, *[route.record for route in routes], _no_rule(otherwise)]))
    body = scope.SerializeToString() + _field(_SCOPE_TABLE, _table_without_hosts(table) + hosts)
    needs = frozenset[Ref]().union(*[route.needs for route in routes])
    return resource(name, body, needs=needs, within=(listener,), parts=tuple(routes), variant=_renamed)


def _renamed(body: bytes, number: int) -> bytes:
    """The scope with another name for its routing table: of a field that occurs twice, the last one holds."""
    return body + _field(_SCOPE_TABLE, _field(_TABLE_NAME, str(number).encode()))


@lru_cache
def _table_without_hosts(table: str) -> bytes:
    message = new_table(table)
    switch_off(message, (_MOVE, _LOWER, CORS, MORE))
    return bytes(message.SerializeToString())


_no_rule = lru_cache(answer)


def _field(number: int, content: bytes) -> bytes:
    """A length-delimited field of a serialized message, to be joined to its others."""
    size = len(content)
    head = bytearray([number << 3 | 2])
    while size > 127:
        head.append(size & 127 | 128)
        size >>= 7
    head.append(size)
    return bytes(head) + content
