"""What golden outputs show of a resolution: the status of each object of the input, and the topology."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from gatewright.model.gateway import (
    BackendTLSPolicy,
    Gateway,
    GatewayClass,
    GRPCRoute,
    HTTPRoute,
    ListenerSet,
    ListenerStatus,
    TCPRoute,
    TLSRoute,
    UDPRoute,
)
from gatewright.model.gateway.shared import ParentReference
from gatewright.model.meta import Condition, Object
from gatewright.resolve import Resolution
from gatewright.topology import (
    NO_SET,
    Backend,
    Cors,
    Extension,
    ExternalAuth,
    Filter,
    HeaderModifier,
    HostKey,
    Listener,
    ListenerKey,
    Match,
    Mirror,
    PathModifier,
    Redirect,
    Retry,
    Rule,
    Session,
    Stream,
    Topology,
    WeightedBackend,
)


def picture(resolution: Resolution, objects: list[Object]) -> dict[str, Any]:
    statuses: dict[str, Any] = defaultdict(dict)
    for obj in objects:
        found = status(resolution, obj)
        if found is not None:
            statuses[obj.kind][str(obj.key)] = found or "not ours"
    return {"status": dict(statuses), "topology": topology(resolution.topology)}


def status(resolution: Resolution, obj: Object) -> Any:
    """Empty where the object isn't ours, None where its kind has no status of ours."""
    key = obj.key
    routes = {
        HTTPRoute: resolution.http_routes,
        GRPCRoute: resolution.grpc_routes,
        TLSRoute: resolution.tls_routes,
        TCPRoute: resolution.tcp_routes,
        UDPRoute: resolution.udp_routes,
    }
    if type(obj) in routes:
        route = routes[type(obj)].get(key)
        return [{"parent": parent(p.parent_ref)} | conditions(p.conditions) for p in route.parents] if route else ""
    if isinstance(obj, BackendTLSPolicy):
        policy = resolution.backend_tls_policies.get(key)
        entries = policy.ancestors if policy else ()
        return [{"ancestor": parent(p.ancestor_ref)} | conditions(p.conditions) for p in entries]
    if isinstance(obj, GatewayClass):
        found = resolution.classes.get(key)
        return conditions(found.conditions) if found else ""
    if isinstance(obj, ListenerSet):
        listener_set = resolution.listener_set_statuses.get(key)
        if listener_set is None:
            return ""
        return {**conditions(listener_set.conditions), "listeners": listeners(listener_set.listeners)}
    if isinstance(obj, Gateway):
        gateway = resolution.gateway_statuses.get(key)
        if gateway is None:
            return ""
        attached = gateway.attached_listener_sets
        return {
            **conditions(gateway.conditions),
            "addresses": [address.value for address in gateway.addresses],
            **({"attachedListenerSets": attached} if attached else {}),
            "listeners": listeners(gateway.listeners),
        }
    return None


def listeners(found: tuple[ListenerStatus, ...]) -> dict[str, Any]:
    return {
        listener.name: {
            **conditions(listener.conditions),
            "supportedKinds": [kind.kind for kind in listener.supported_kinds],
            "attachedRoutes": listener.attached_routes,
        }
        for listener in found
    }


def conditions(found: tuple[Condition, ...]) -> dict[str, str]:
    """By type; the generation is told where it isn't the first."""
    texts = {}
    for c in found:
        generation = "" if c.observed_generation == 1 else f" at {c.observed_generation}"
        texts[c.type] = f"{c.status} {c.reason}{generation}: {c.message}"
    return texts


def parent(ref: ParentReference) -> str:
    kind = f"{ref.kind} " if ref.kind != "Gateway" else ""
    section = f" sectionName {ref.section_name}" if ref.section_name else ""
    port = f" port {ref.port}" if ref.port else ""
    return f"{kind}{ref.namespace or '.'}/{ref.name}{section}{port}"


# --- topology --------------------------------------------------------------------------------------------------------


def topology(found: Topology) -> dict[str, Any]:
    streams = {
        host(key): [stream(placement.stream) for placement in found.streams_by_host.lookup(key)]
        for key in sorted(found.streams_by_host.keys())
    }
    sometimes = {
        "streams": streams,
        "misdirected": [host(key) for key in sorted(found.misdirected.keys())],
        "clientCertificates": {str(key): str(secret) for key, secret in sorted(found.client_certificates.items())},
    }
    return {
        "listeners": {name(key): listener(item) for key, item in sorted(found.listeners.items())},
        "certificates": [str(key) for key in sorted(found.certificates.keys())],
        "hosts": {
            host(key): [rule(placement.rule) for placement in found.placements_by_host.lookup(key)]
            for key in sorted(found.hosts.keys())
        },
        **{title: part for title, part in sometimes.items() if part},
        "backends": {str(key): backend(item) for key, item in sorted(found.backends.items())},
        "endpoints": {
            str(key): [f"{e.address} {e.port}{' draining' if e.draining else ''}" for e in endpoints.endpoints]
            for key, endpoints in sorted(found.endpoints.items())
        },
    }


def name(key: ListenerKey) -> str:
    return f"{key.gateway}/{key.name}" + (f" of {key.listener_set}" if key.listener_set != NO_SET else "")


def host(key: HostKey) -> str:
    return f"{name(key.listener)} {key.hostname}"


def listener(found: Listener) -> str:
    parts = [f"{found.protocol} {found.port} host {found.hostname}"]
    parts += [f"certificate {secret}" for secret in found.certificates]
    if found.client_validation:
        count = found.client_validation.authorities.count(b"BEGIN CERTIFICATE")
        must = "required" if found.client_validation.required else "wanted"
        parts += [f"client certificate of {count} authorities {must}"]
    return " ".join(parts)


def backend(found: Backend) -> str:
    parts: list[str] = [found.app_protocol]
    if found.tls:
        names = ", ".join(f"{item.type} {item.value}" for item in found.tls.names)
        count = "system" if found.tls.authorities is None else found.tls.authorities.count(b"BEGIN CERTIFICATE")
        parts += [f"TLS to {found.tls.server_name} as {names} of {count} authorities"]
    return ", ".join([*parts, *([f"problem: {found.problem}"] if found.problem else [])])


def rule(found: Rule) -> dict[str, Any]:
    key = found.key
    timeouts = {"request": found.request_timeout, "backendRequest": found.backend_request_timeout}
    kind = f"{key.kind} " if key.kind != "HTTPRoute" else ""
    parts = {
        "match": match(found.match),
        "of": f"{kind}{key.route} rules[{key.rule}].matches[{key.match}]",
        "name": found.name,
        "filters": [text(item) for item in found.filters],
        "to": [share(item) for item in found.backends],
        "timeouts": {name: seconds for name, seconds in timeouts.items() if seconds is not None},
        "retry": retry(found.retry),
        "session": session(found.session),
    }
    return {name: part for name, part in parts.items() if part}


def stream(found: Stream) -> dict[str, Any]:
    key = found.key
    return {"of": f"{key.kind} {key.route} rules[{key.rule}]", "to": [share(item) for item in found.backends]}


def share(found: WeightedBackend) -> str:
    filters = "".join(f", {text(item)}" for item in found.filters)
    return f"{found.backend or 'nowhere'} weight {found.weight}{filters}"


def retry(found: Retry | None) -> str:
    if found is None:
        return ""
    attempts = "" if found.attempts is None else f", {found.attempts} attempts"
    backoff = "" if found.backoff is None else f", {found.backoff} s apart"
    return f"on {', '.join(map(str, found.codes)) or 'failure to connect'}{attempts}{backoff}"


def session(found: Session | None) -> str:
    if found is None:
        return ""
    lifetime = "" if found.lifetime is None else f" for {found.lifetime} s"
    return f"{found.type} {found.name}{lifetime} on {found.path}"


def match(found: Match) -> str:
    parts = [f"{found.path.type} {found.path.value}"]
    parts += [f"method {found.method}"] if found.method else []
    parts += [f"header {header.name} {header.type} {header.value}" for header in found.headers]
    parts += [f"query {query.name} {query.type} {query.value}" for query in found.query_params]
    return ", ".join(parts)


def text(found: Filter) -> str:
    if isinstance(found, HeaderModifier):
        parts = [f"{what} {name}={value}" for what in ("set", "add") for name, value in getattr(found, what)]
        return f"{found.on} headers: {', '.join([*parts, *(f'remove {name}' for name in found.remove)])}"
    if isinstance(found, Mirror):
        return f"mirror {found.numerator}/{found.denominator} to {found.backend or 'nowhere'}"
    if isinstance(found, Cors):
        return (
            f"cors origins {', '.join(found.allow_origins)} methods {', '.join(found.allow_methods)} "
            f"headers {', '.join(found.allow_headers)} exposed {', '.join(found.expose_headers)} "
            f"credentials {found.allow_credentials} age {found.max_age}"
        )
    if isinstance(found, ExternalAuth):
        return (
            f"ask {found.protocol} {found.backend} path {found.path!r} headers {', '.join(found.allowed_headers)} "
            f"answers {', '.join(found.allowed_response_headers)} body {found.max_body}"
        )
    if isinstance(found, Extension):
        return f"{found.kind} {found.key} at {found.field}"
    target = f" host {found.hostname}" if found.hostname else ""
    target += path(found.path)
    if not isinstance(found, Redirect):
        return f"rewrite{target}"
    scheme = f" scheme {found.scheme}" if found.scheme else ""
    port = f" port {found.port}" if found.port else " port of the listener"
    return f"redirect {found.status_code}{scheme}{target}{port}"


def path(found: PathModifier | None) -> str:
    return f" {found.type} {found.value!r}" if found else ""
