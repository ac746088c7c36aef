"""Whether a target group's own health check would be answered as it expects, by a Gateway's routes as they are. Pure.

What AWS sends (Elastic Load Balancing user guides, "Health checks for your target groups" and "Troubleshoot"): GET (for
gRPC POST), without a server name in the TLS handshake, and with a Host that is an address: an ALB the target's own and
the port that is checked, an NLB its node's and the listener's port. So neither a listener nor a route that is limited
to a hostname ever gets it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from msgspec import Struct

from gatewright.aws.views import TargetGroup
from gatewright.explain import (
    Answered,
    Closed,
    Outcome,
    PassedOn,
    Redirected,
    Refused,
    Request,
    Result,
    Sent,
    Split,
    answer,
    describe,
)
from gatewright.model.meta import Key
from gatewright.resolve.listeners import ResolvedListener
from gatewright.topology import Listener, Topology

_EXAMPLE = "10.0.0.10"
"""Stands for a target's address while there is none. No hostname of a route or listener is an address."""

_BALANCED = ("HTTP", "HTTPS")
READY = "/healthz/ready"
"""Where a proxy says on its status port whether it is ready (Istio)."""

_GRPC_CODES = {400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14}
"""What a proxy's own answer is to a gRPC client (gRPC, "HTTP to gRPC Status Code Mapping"); any other is UNKNOWN, 2."""


class Verdict(Struct, frozen=True):
    """A condition's status, reason and message."""

    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str


def health_check_routable(
    topology: Topology,
    gateway: Key,
    port: int,
    group: TargetGroup,
    *,
    address: str = "",
    traffic_port: int | None = None,
    ports: Mapping[int, int] | None = None,
    status_port: int | None = None,
) -> Verdict:
    """Would the health check of `group` be answered as expected on a target that is the Gateway's `port`?

    `address` and `traffic_port` are a target's, which the Host header has; the latter is `port` unless it is given.
    `ports` leads from every port that is open on targets to the one of the Gateway's Services; without it they are the
    same. What isn't a listener's port is somebody else's to answer; `status_port` is the Services' port on which the
    proxy says by itself whether it is ready (Istio's 15021).
    """
    check = group.health_check
    if group.target_type == "alb":
        why = f"target group {group.name} is checked through the rules of a load balancer of its own"
        return Verdict("Unknown", "LoadBalancerInBetween", why)
    if not check.enabled:
        return Verdict("True", "NotChecked", f"target group {group.name} has no health checks")
    checked, where = port, traffic_port or port
    if check.port != "traffic-port":
        where = int(check.port)
        found = where if ports is None else ports.get(where)
        if found is None:
            fix = f"set it to traffic-port, or to one of {_list(ports or ())}"
            why = f"the health check of target group {group.name} goes to port {where}, which is open on no target"
            return Verdict("False", "NoListener", f"{why}; {fix}")
        checked = found
    elif ports and traffic_port and where not in ports:
        why = f"targets of target group {group.name} are on port {where}, which the Gateway's Services don't open"
        return Verdict("False", "NoListener", f"{why}; set spec.port to one of {_list(ports)}")
    served = [one for one in topology.listeners.values() if one.key.gateway == gateway and one.port == checked]
    if not served and checked == status_port and check.path == READY:
        why = f"GET {READY} on port {where} is answered by the proxy itself, whatever its routes are"
        return Verdict("True", "StatusPort", why)
    if not served and checked != port and ports is not None:
        why = f"the health check goes to port {where}, which belongs to no listener of Gateway {gateway}"
        return Verdict("Unknown", "NotAListener", f"{why}: what answers there decides")
    if check.protocol not in _BALANCED:
        return _connection(topology, gateway, checked, group)
    host = f"{address or _EXAMPLE}:{where}"
    grpc = group.protocol_version == "GRPC"
    request = Request(
        host,
        check.path or "/",
        "POST" if grpc else "GET",
        "https" if check.protocol == "HTTPS" else "http",
        headers=(("user-agent", "ELB-HealthChecker/2.0"), *((("content-type", "application/grpc"),) if grpc else ())),
    )
    outcome = answer(topology, gateway, checked, request)
    return _Judge(gateway, checked, group, request, outcome, served).verdict()


def traffic_mismatch(topology: Topology, gateway: Key, port: int, group: TargetGroup) -> str:
    """Why requests that a target group sends to the Gateway's `port` fail whatever its health checks say; or nothing.

    A target group of protocol HTTPS is checked by HTTP unless told otherwise, so this can be wrong by itself.
    """
    served = [one for one in topology.listeners.values() if one.key.gateway == gateway and one.port == port]
    encrypted = {one.protocol in ("HTTPS", "TLS") for one in served if one.protocol != "TCP"}
    sends = {"HTTP": False, "HTTPS": True, "TLS": True}.get(group.protocol)
    if sends is None or not encrypted or sends in encrypted:
        return ""
    names = ", ".join(sorted(one.key.name for one in served))
    speaks, other = ("plain HTTP", "HTTP") if sends else ("TLS", "HTTPS")
    why = f"target group {group.name} sends {group.protocol}, and listener {names} on port {port} speaks {speaks}"
    return f"{why}; set spec.port to a listener of the same protocol, or use a target group of protocol {other}"


def unserved(listeners: Iterable[ResolvedListener], gateway: Key, port: int) -> str:
    """Which listeners on the Gateway's `port` are there and not served, and why; empty where there are none."""
    found = []
    for listener in sorted(listeners, key=lambda each: each.key):
        if listener.key.gateway == gateway and listener.entry.spec.port == port and listener.served is None:
            wrong = [c for c in listener.conditions if (c.status == "True") == (c.type == "Conflicted")]
            why = f": {wrong[0].message}" if wrong else ""
            found.append(f"listener {listener.name} on port {port} is not served{why}")
    return "; ".join(found)


def _connection(topology: Topology, gateway: Key, port: int, group: TargetGroup) -> Verdict:
    """A check that only connects."""
    schemes: tuple[Literal["https", "http"], ...] = ("https", "http")
    outcomes = [answer(topology, gateway, port, Request(_EXAMPLE, scheme=scheme)).result for scheme in schemes]
    refused = outcomes[0]
    if isinstance(refused, Refused):
        fix = f"add a listener on port {port} to the Gateway, or set spec.port to one that it has"
        return Verdict("False", "NoListener", f"{refused.why}; {fix}")
    why = f"target group {group.name} checks by connecting only, which says nothing of the routes"
    return Verdict("True", "ConnectionOnly", why)


class _Judge:
    """One check and what comes of it."""

    def __init__(
        self, gateway: Key, port: int, group: TargetGroup, request: Request, outcome: Outcome, served: list[Listener]
    ) -> None:
        self._gateway = gateway
        self._port = port
        self._group = group
        self._request = request
        self._outcome = outcome
        self._served = served
        self._expects = f"target group {group.name} expects {group.health_check.matcher or '200'}"
        self._what = f"{request.method} {request.path}"

    def verdict(self) -> Verdict:
        result, outcome = self._outcome.result, self._outcome
        if isinstance(result, Refused):
            fix = f"add a listener on port {self._port} to the Gateway, or set spec.port to one that it has"
            return Verdict("False", "NoListener", f"{result.why}; {fix}")
        if isinstance(result, Closed):
            return self._closed(result)
        if isinstance(result, PassedOn):
            return Verdict("True", "PassedOn", f"{result}: who is there answers {self._what}; {self._expects}")
        unexpected = self._unexpected(result)
        if not unexpected:
            if outcome.asks:
                return self._guarded()
            return Verdict("True", "Routable", self._fine(result))
        if outcome.rule is None and isinstance(result, Answered) and result.status == 404:
            return self._no_route()
        rule = describe(outcome.rule) if outcome.rule else f"listener {self._listener()}"
        share = "" if not isinstance(result, Split) else "for a part of the checks "
        fix = f"give {self._what} a rule that answers so for any hostname"
        text = unexpected if rule in unexpected else f"by {rule}: {unexpected}"
        return Verdict("False", "UnexpectedAnswer", f"{self._what} is answered {share}{text}; {self._expects}; {fix}")

    def _closed(self, closed: Closed) -> Verdict:
        name, check = self._group.name, self._group.health_check
        protocols = {listener.protocol for listener in self._served}
        encrypted = bool(protocols & {"HTTPS", "TLS"})
        at = f"listener {self._listener()} on port {self._port}"
        if encrypted != (self._request.scheme == "https"):
            speaks = "TLS" if encrypted else "plain HTTP"
            other = "HTTPS" if encrypted else "HTTP"
            fix = f"set the target group's protocol and health check protocol to {other}, or spec.port to a listener"
            kind = "HTTP" if encrypted else "HTTPS"
            why = f"target group {name} checks by {check.protocol}, and {at} speaks {speaks}"
            return Verdict("False", "ProtocolMismatch", f"{why}; {fix} of protocol {kind}")
        if encrypted and "client certificate" not in closed.why and "no route" not in closed.why:
            why = f"a load balancer names no server in the TLS handshake, and {closed.why}"
            fix = f"add a listener of protocol HTTPS without a hostname on port {self._port}"
            return Verdict("False", "HostnameLimited", f"{why}; {fix}")
        if "client certificate" in closed.why:
            fix = "a load balancer shows none: let the health check go to a port that wants none"
            return Verdict("False", "ClientCertificateRequired", f"{closed.why}; {fix}")
        return Verdict("False", "ConnectionClosed", f"the connection is closed: {closed.why}")

    def _no_route(self) -> Verdict:
        message = f"no HTTPRoute on listener {self._listener()} matches {self._what}; {self._expects}"
        misses = self._outcome.near_misses
        if misses:
            message += (
                f". Near: {'; '.join(map(str, misses[:3]))}, and the health check sends Host {self._request.host}"
            )
        else:
            message += f". Attach a route for {self._request.path} without hostnames"
        return Verdict("False", "RouteMissing", message)

    def _guarded(self) -> Verdict:
        asked = self._outcome.asks
        who = f"Service {asked.address}" if asked else "a service"
        rule = describe(self._outcome.rule) if self._outcome.rule else "the rule"
        why = f"{rule} asks {who} for leave first, and a health check has no credentials to show"
        return Verdict("Unknown", "Authorization", f"{why}; give {self._what} a rule without that filter")

    def _unexpected(self, result: Result) -> str:
        """What comes back that isn't expected; empty where all is as it should be, as far as is known."""
        if isinstance(result, Split):
            return next((found for _, share in result.shares if (found := self._unexpected(share))), "")
        if isinstance(result, Sent):
            return ""
        if isinstance(result, Answered | Redirected):
            return "" if self._expected(result.status) else str(result)
        return str(result)

    def _expected(self, status: int) -> bool:
        group = self._group
        code = _GRPC_CODES.get(status, 2) if group.protocol_version == "GRPC" else status
        return matches(group.health_check.matcher or "200", code)

    def _fine(self, result: Result) -> str:
        rule = f" by {describe(self._outcome.rule)}" if self._outcome.rule else ""
        if isinstance(result, Sent):
            return f"{self._what} goes to Service {result.backend.address}{rule}; {self._expects}"
        return f"{self._what} is answered{rule}: {result}; {self._expects}"

    def _listener(self) -> str:
        if self._outcome.listener:
            return self._outcome.listener.key.name
        return ", ".join(sorted(listener.key.name for listener in self._served)) or f"port {self._port}"


def matches(matcher: str, code: int) -> bool:
    """Whether a target group's matcher, as `200,202` or `200-299`, takes a code."""
    for part in matcher.split(","):
        low, _, high = part.strip().partition("-")
        if low.isdigit() and int(low) <= code <= int(high or low):
            return True
    return False


def _list(ports: object) -> str:
    return ", ".join(map(str, sorted(ports))) if isinstance(ports, Mapping) and ports else "the open ports"
