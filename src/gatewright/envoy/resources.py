"""xDS resources as immutable values, and what the delivery must know about their types.

How Envoy treats the types over delta ADS (Envoy 1.40):

- Listeners and clusters are wildcard subscriptions: the server pushes, and must say what is removed.
- Filter chains (FCDS) are asked for by name when a listener's matcher leads to one that isn't in the listener. Such a
  listener is replaced as a whole when its matcher changes, and the connections of the old one are ended in good order
  within the drain time; others are changed in place, and keep their connections. (With a chain of its own it would be
  changed in place, too, but 1.40 then frees chains that are gone while their connections are still in use.)
- Route configurations, endpoints and secrets are asked for by name when a listener or cluster refers to them, and
  dropped by Envoy itself with the last reference.
- Scopes (SRDS) are asked for as a collection, `<collection>/*`, and belong to it by their name. A listener waits for
  the first response with any of its collection. An update costs Envoy what is in it, whatever the number of scopes.
  Where a response with several is refused, Envoy keeps in mind some of them as taken without using them, and passes
  over them when it gets the same bytes again.
- Virtual hosts (VHDS) are named `<route configuration>/<hostname>`, and Envoy gives each to the route configuration
  whose name is the part before the last slash. It subscribes once, without names, whatever the number of route
  configurations; a virtual host that arrives before its route configuration is lost. With each update Envoy builds
  the whole route configuration anew: about 10 microseconds a virtual host or route that is in it.
- Envoy acknowledges a cluster while it still waits for the cluster's endpoints, and a listener while it still waits for
  its routes and secrets. A cluster is usable when its endpoints are acknowledged too.
- Where a cluster's endpoints or secrets come later than that, Envoy acknowledges no cluster any more until they have
  come, or have been said to be gone, or 15 seconds have passed. So what a cluster asks for must be answered, wanted or
  not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Any, NamedTuple

from msgspec import Struct

_PREFIX = "type.googleapis.com/envoy."
CLUSTER = f"{_PREFIX}config.cluster.v3.Cluster"
ENDPOINTS = f"{_PREFIX}config.endpoint.v3.ClusterLoadAssignment"
SECRET = f"{_PREFIX}extensions.transport_sockets.tls.v3.Secret"
LISTENER = f"{_PREFIX}config.listener.v3.Listener"
FILTER_CHAIN = f"{_PREFIX}config.listener.v3.FilterChain"
SCOPE = f"{_PREFIX}config.route.v3.ScopedRouteConfiguration"
ROUTES = f"{_PREFIX}config.route.v3.RouteConfiguration"
VIRTUAL_HOST = f"{_PREFIX}config.route.v3.VirtualHost"

TYPES = (CLUSTER, ENDPOINTS, SECRET, LISTENER, FILTER_CHAIN, SCOPE, ROUTES, VIRTUAL_HOST)
"""In the order in which Envoy should learn of them."""

PUSHED = frozenset({CLUSTER, LISTENER, VIRTUAL_HOST})
"""Sent without being asked for by name; removals are sent as well."""

GATHERED = frozenset({SCOPE})
"""Asked for as a collection, see `collection_of`; removals are sent as well, by themselves."""

ROOTS = frozenset({CLUSTER, LISTENER})
"""Envoy waits for a first response of these, even an empty one, before it goes on."""

AWAITED = frozenset({ENDPOINTS, SECRET})
"""What a cluster asks for, and all others with it wait for. It is answered even when nobody wants it."""

COMPLETED_BY = {CLUSTER: ENDPOINTS}
"""A resource of the first type is usable once the one of the second type with the same name is acknowledged."""


class Ref(NamedTuple):
    """Names one resource."""

    type: str
    name: str

    def __str__(self) -> str:
        return f"{self.type.rpartition('.')[2]} {self.name}"


class Resource(Struct, frozen=True):
    """One xDS resource, serialized.

    `needs` are resources that must be usable before Envoy gets this one, and that must not go before it has gone.
    `within` are the resources of which any one makes Envoy take this one; without any of them it can't be delivered.
    `variant` makes of the body and a number one that means the same, for a type of which Envoy ignores repetitions.
    `parts` is for whoever made the resource: what it was made of. Two resources of one `version` are the same to Envoy.
    """

    name: str
    version: str
    body: bytes
    needs: frozenset[Ref] = frozenset()
    within: tuple[Ref, ...] = ()
    parts: tuple[Any, ...] = ()
    variant: Callable[[bytes, int], bytes] | None = None

    def __repr__(self) -> str:
        return f"Resource({self.name!r}, {self.version!r}, {len(self.body)} bytes)"  # a body may hold a private key


def resource(
    name: str,
    body: bytes,
    *,
    needs: Iterable[Ref] = (),
    within: tuple[Ref, ...] = (),
    parts: tuple[Any, ...] = (),
    variant: Callable[[bytes, int], bytes] | None = None,
) -> Resource:
    """A resource whose version follows from its content."""
    return Resource(name, blake2b(body, digest_size=8).hexdigest(), body, frozenset(needs), within, parts, variant)


def collection_of(name: str) -> str:
    """The collection that a gathered resource is in, as Envoy asks for it."""
    return f"{name.rpartition('/')[0]}/*"
