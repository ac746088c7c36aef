"""Which filter chain a TLS connection gets, as a matcher on its server name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from envoy.config.listener.v3 import listener_pb2
from envoy.extensions.matching.common_inputs.network.v3 import network_inputs_pb2
from google.protobuf import wrappers_pb2
from xds.type.matcher.v3 import domain_pb2, matcher_pb2


def choose_by_server_name(listener: listener_pb2.Listener, chains: Mapping[str, str]) -> bytes:
    """The listener, serialized, with a matcher that leads each server name to the chain of that name.

    An exact name goes before wildcards, the longest of them first, and those before "*", which is for every TLS
    connection that is left. What matches nothing is closed.
    """
    exact = {name: chain for name, chain in chains.items() if not name.startswith("*")}
    wildcards = {name: chain for name, chain in chains.items() if name.startswith("*.")}
    matcher = listener.filter_chain_matcher
    if exact:
        _by_server_name(matcher)
        entries = b"".join([_entry(name, chain) for name, chain in exact.items()])
        matcher.matcher_tree.exact_match_map.MergeFromString(entries)
        matcher = matcher.on_no_match.matcher if wildcards or "*" in chains else matcher
    if wildcards:
        _by_server_name(matcher)
        domains = domain_pb2.ServerNameMatcher()
        for name, chain in wildcards.items():
            domains.domain_matchers.add(domains=[name], on_match=_chain(chain))
        matcher.matcher_tree.custom_match.name = "server names"
        matcher.matcher_tree.custom_match.typed_config.Pack(domains)
        matcher = matcher.on_no_match.matcher if "*" in chains else matcher
    if "*" in chains:
        tree = matcher.matcher_tree
        tree.input.name = "transport"
        tree.input.typed_config.Pack(network_inputs_pb2.TransportProtocolInput())
        tree.exact_match_map.map["tls"].CopyFrom(_chain(chains["*"]))
    return bytes(listener.SerializeToString(deterministic=True))


def _by_server_name(matcher: matcher_pb2.Matcher) -> None:
    matcher.matcher_tree.input.name = "server name"
    matcher.matcher_tree.input.typed_config.Pack(network_inputs_pb2.ServerNameInput())


@lru_cache(maxsize=1 << 16)
def _entry(name: str, chain: str) -> bytes:
    """A record of a map of matches; records can be joined."""
    entries = matcher_pb2.Matcher.MatcherTree.MatchMap()
    entries.map[name].CopyFrom(_chain(chain))
    return bytes(entries.SerializeToString())


def _chain(name: str) -> matcher_pb2.Matcher.OnMatch:
    found = matcher_pb2.Matcher.OnMatch()
    found.action.name = "chain"
    found.action.typed_config.Pack(wrappers_pb2.StringValue(value=name))
    return found
