"""Routing tables (RDS): what all the virtual hosts of a listener have in common.

Virtual hosts are delivered apart from their table (VHDS). A table always has one that no request can name: as long as a
table waits for a first virtual host, so does its listener.
"""

from __future__ import annotations

from envoy.config.core.v3 import base_pb2
from envoy.config.route.v3 import route_components_pb2, route_pb2

from gatewright.envoy.chain import HOST_HEADER
from gatewright.envoy.clusters import ADS
from gatewright.envoy.resources import ROUTES, Ref, Resource, resource
from gatewright.envoy.retries import MAX_RETRIES

# What an upstream has not begun to work on is safe to try again: a pod that goes is no error to a client. Envoy takes
# the headers out before it forwards. A retry policy in each virtual host says the same, but doubles the time that
# Envoy needs to take in a change of one among thousands.
_RETRIES = (
    ("x-envoy-retry-on", "connect-failure,refused-stream,reset-before-request"),
    (MAX_RETRIES, "2"),
)


def new_table(name: str) -> route_pb2.RouteConfiguration:
    """A routing table without virtual hosts."""
    message = route_pb2.RouteConfiguration(name=name, ignore_port_in_host_matching=True)
    message.validate_clusters.value = False  # a share of traffic without a backend leads to a cluster that isn't there
    message.most_specific_header_mutations_wins = True  # a rule's own number of retries
    message.request_headers_to_remove.append(HOST_HEADER)
    for header, value in _RETRIES:
        option = message.request_headers_to_add.add(append_action=base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD)
        option.header.key, option.header.value = header, value
    return message


def routing_table(name: str, listener: Ref) -> Resource:
    """The table of a listener's wildcard hosts, which come separately."""
    message = new_table(name)
    message.vhds.config_source.CopyFrom(ADS)
    return resource(name, message.SerializeToString(), within=(listener,))


def placeholder(table: str) -> Resource:
    """The virtual host that each table has."""
    message = route_components_pb2.VirtualHost(name=f"{table}/-", domains=["/"])
    return resource(message.name, message.SerializeToString(), within=(Ref(ROUTES, table),))
