"""What a rule does with a request that it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gatewright.explain.locations import location, rewritten
from gatewright.explain.matching import answers_preflight
from gatewright.explain.outcome import Answered, Redirected, Sent, Split, describe
from gatewright.explain.request import Request
from gatewright.topology import (
    BackendKey,
    ExternalAuth,
    Filter,
    HostKey,
    Listener,
    Redirect,
    Rewrite,
    Rule,
    Topology,
    WeightedBackend,
)

REDIRECTS = (301, 302, 303, 307, 308)


def asked(topology: Topology, rule: Rule) -> BackendKey | None:
    """The authorization service that is asked about each request of a rule, if one can be."""
    shares = [share for share in rule.backends if share.weight > 0]
    filters = (*rule.filters, *(shares[0].filters if len(shares) == 1 else ()))
    auth = next((item for item in filters if isinstance(item, ExternalAuth)), None)
    return auth.backend if auth and not _problem(topology, auth.backend) else None


def result_of(
    topology: Topology,
    rule: Rule,
    request: Request,
    listener: Listener,
    host: HostKey,
    opened: Callable[[int, str | None], int],
) -> Sent | Redirected | Answered | Split:
    """What comes of a request that wins `rule`."""
    if answers_preflight(rule, request):
        return Answered(200, f"a preflight request, which the CORS filter of {describe(rule)} answers")
    if problem := _unservable(rule):
        return Answered(500, f"{describe(rule)} can't be served as it is: {problem}")
    if rule.session and len(rule.backends) > 1:
        alive = sum(s.weight for s in rule.backends if s.backend and not _problem(topology, s.backend))
        shares = list(rule.backends) if alive else []
    else:
        shares = [share for share in rule.backends if share.weight > 0]

    def result(filters: Sequence[Filter], share: WeightedBackend | None) -> Sent | Redirected | Answered:
        for item in filters:
            if isinstance(item, ExternalAuth) and (stopped := _authorization(topology, item)):
                return stopped
        for item in filters:
            if isinstance(item, Redirect):
                where = location(item, rule.match.path, request, listener, host, opened)
                return Redirected(item.status_code, where)
        return _forward(topology, rule, share, filters, request)

    if not shares:
        return result(rule.filters, None)
    found: dict[Sent | Redirected | Answered, int] = {}
    for share in shares:
        if share.weight > 0:
            each = result((*rule.filters, *share.filters), share)
            found[each] = found.get(each, 0) + share.weight
    if len(found) == 1:
        return next(iter(found))
    return Split(tuple((weight, each) for each, weight in found.items()))


def _unservable(rule: Rule) -> str:
    """Why a target has no way to serve a rule, as far as that follows from the rule alone."""
    if rule.session and len(rule.backends) > 1 and any(share.filters for share in rule.backends):
        return "session persistence over several backendRefs with filters of their own"
    for share in [None, *rule.backends]:
        filters = (*rule.filters, *(share.filters if share and share.weight > 0 else ()))
        if sum(isinstance(item, ExternalAuth) for item in filters) > 1:
            return "several ExternalAuth filters for one request"
        for item in filters:
            if isinstance(item, Redirect) and item.status_code not in REDIRECTS:
                return f"its redirect has the statusCode {item.status_code}"
            modifier = item.path if isinstance(item, Redirect | Rewrite) else None
            if modifier and modifier.type == "ReplacePrefixMatch" and rule.match.path.type != "PathPrefix":
                return f"ReplacePrefixMatch needs a PathPrefix match, found {rule.match.path.type}"
    return ""


def _problem(topology: Topology, key: BackendKey) -> str:
    """Why nothing may be sent to a backend."""
    backend = topology.backends.get(key)
    return f"Service {key.address} doesn't exist" if backend is None else backend.problem


def _authorization(topology: Topology, auth: ExternalAuth) -> Answered | None:
    """What comes where the authorization service can't be asked; None where it decides."""
    if problem := _problem(topology, auth.backend):
        return Answered(500, f"its authorization service can't be asked: {problem}")
    endpoints = topology.endpoints.get(auth.backend)
    if not endpoints or not endpoints.endpoints:
        return Answered(403, f"its authorization service {auth.backend.address} has no ready endpoint")
    return None


def _forward(
    topology: Topology, rule: Rule, share: WeightedBackend | None, filters: Sequence[Filter], request: Request
) -> Sent | Answered:
    no_backend = 503 if rule.key.kind == "GRPCRoute" else 500
    if share is None:
        return Answered(no_backend, f"{describe(rule)} has no backend with a weight")
    if share.backend is None:
        why = "a backendRef is refused or leads nowhere: see ResolvedRefs in its status"
        return Answered(no_backend, f"{describe(rule)}: {why}")
    if problem := _problem(topology, share.backend):
        return Answered(no_backend, f"{describe(rule)}: {problem}")
    found = topology.endpoints.get(share.backend)
    members = found.endpoints if found else ()
    if not members:
        return Answered(503, f"{describe(rule)}: Service {share.backend.address} has no ready endpoint")
    draining = sum(member.draining for member in members)
    host, path = rewritten(filters, rule.match.path, request)
    return Sent(share.backend, len(members) - draining, draining, host, path)
