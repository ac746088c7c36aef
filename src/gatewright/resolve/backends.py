"""backendRefs, Services and EndpointSlices: where a rule's traffic may go, and who answers there."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import Literal

from gatewright.flow import Collection, Context
from gatewright.model.core import Service, ServicePort
from gatewright.model.discovery import EndpointConditions, EndpointPort
from gatewright.model.gateway.shared import BackendObjectReference, BackendRef, LocalObjectReference
from gatewright.model.meta import Key
from gatewright.resolve.dialects import PROXY, Dialect
from gatewright.resolve.grants import missing_grant, permitted
from gatewright.resolve.inputs import Inputs
from gatewright.resolve.outcomes import Refused
from gatewright.resolve.policies import ResolvedPolicy, policy_of
from gatewright.topology import Backend, BackendKey, BackendTLS, Endpoint, Endpoints, Transport, Use

AppProtocol = Literal["http", "h2c", "ws"]

APP_PROTOCOLS: dict[str, AppProtocol] = {
    "": "http",
    "http": "http",
    "http2": "h2c",
    "grpc": "h2c",
    "kubernetes.io/h2c": "h2c",
    "kubernetes.io/ws": "ws",
}
"""ServicePort.appProtocol (KEP-3726 and Istio's names) to how the proxy speaks to the backend."""

TLS_APP_PROTOCOLS: dict[str, AppProtocol] = {"https": "http", "kubernetes.io/wss": "ws"}
"""Those within TLS. They need a BackendTLSPolicy, which says whom to trust, where backends are verified."""

_LAST_PORT = 65535  # the API takes any number (discovery/v1, EndpointPort)


class References:
    """The references of one rule of a route, resolved one by one; `refused` collects those that lead nowhere."""

    def __init__(self, ctx: Context, inputs: Inputs, kind: str, namespace: str, dialect: Dialect = PROXY) -> None:
        self.refused: list[Refused] = []
        self._dialect = dialect
        self._ctx = ctx
        self._inputs = inputs
        self._kind = kind
        self._namespace = namespace

    def backend(
        self, ref: BackendObjectReference, field: str, use: Use, transport: Transport = "TCP"
    ) -> BackendKey | None:
        """The backend that the reference at `field` leads to, if it may and does."""
        found = resolve_reference(
            self._ctx, self._inputs, self._kind, self._namespace, ref, use, transport, self._dialect
        )
        if isinstance(found, Refused):
            self.refused.append(Refused(found.reason, f"{field}: {found.message}"))
            return None
        return found

    def extension_problem(self, ref: LocalObjectReference) -> Refused | None:
        """Why a filter of an implementation's own kind can't be used, or None."""
        if (ref.group, ref.kind) not in self._dialect.extensions:
            return Refused("InvalidKind", f"{ref.kind}.{ref.group or 'core'} {ref.name} is not a known kind of filter")
        key = Key(self._namespace, ref.name)
        verdict = self._ctx.get(self._inputs.verdicts, (ref.kind, key))
        if verdict is None:
            return Refused("FilterNotFound", f"{ref.kind} {key} does not exist")
        return Refused("InvalidFilter", f"{ref.kind} {key}: {verdict.problem}") if verdict.problem else None

    def extension_key(self, ref: LocalObjectReference) -> Key:
        """The object that an ExtensionRef names."""
        return Key(self._namespace, ref.name)

    def backends(
        self, refs: Sequence[BackendRef], field: str, use: Use, transport: Transport = "TCP"
    ) -> list[BackendKey | None]:
        """The backend of each of a rule's backendRefs."""
        return [self.backend(ref, f"{field}.backendRefs[{index}]", use, transport) for index, ref in enumerate(refs)]


def resolve_reference(
    ctx: Context,
    inputs: Inputs,
    kind: str,
    namespace: str,
    ref: BackendObjectReference,
    use: Use,
    transport: Transport = "TCP",
    dialect: Dialect = PROXY,
) -> BackendKey | Refused:
    """The backend that a reference in a route of `kind` and `namespace` leads to, if it may and does."""
    if ref.group or ref.kind != "Service":
        return Refused("InvalidKind", f"found {ref.kind}.{ref.group or 'core'}, expected a Service")
    key = Key(ref.namespace or namespace, ref.name)
    if not permitted(ctx, inputs, kind, namespace, "", "Service", key):
        return Refused("RefNotPermitted", missing_grant(kind, namespace, "", "Service", key))
    service = ctx.get(inputs.services, key)
    if service is None:
        return Refused("BackendNotFound", f"Service {key} does not exist")
    if service.spec.type == "ExternalName":
        # It would let a route reach what its owner can't (GHSA-v363-rrf2-5fmj); the specification advises against it.
        return Refused("UnsupportedValue", f"Service {key} is of type ExternalName, which is not served")
    if ref.port is None:
        return Refused("BackendNotFound", "port: found none, expected a port of the Service")
    port = _port(service, ref.port, transport)
    if port is None:
        ports = ", ".join(f"{p.port}/{p.protocol}" for p in service.spec.ports) or "none"
        wanted = f"a {transport} port of Service {key} ({ports})"
        return Refused("BackendNotFound", f"port: found {ref.port}, expected {wanted}")
    if use in ("http", "grpc") and (problem := _unspoken(ctx, inputs, key, port, use, dialect)):
        return Refused("UnsupportedProtocol", f"Service {key} port {ref.port}: {problem}")
    return BackendKey(key.namespace, key.name, ref.port, transport, use)


def resolve_backends(
    inputs: Inputs, policies: Collection[Key, ResolvedPolicy], wanted: Collection[BackendKey, BackendKey]
) -> Collection[BackendKey, Backend]:
    """The backends that routes refer to; they outlive their endpoints."""

    def resolve(ctx: Context, key: BackendKey, _: BackendKey) -> Backend | None:
        port = _service_port(ctx, inputs, key)
        if port is None:
            return None
        tls, problem = (None, "") if key.use == "passthrough" else _tls(ctx, inputs, policies, key, port)
        if key.use in ("stream", "passthrough"):
            return Backend(key, "tcp", tls, problem)
        protocol = _app_protocol(port)
        if protocol is None:
            return None
        if key.use == "grpc":
            return Backend(key, "h2c", tls, problem)
        return Backend(key, protocol, tls, problem, unverified_tls=tls is None and _asks_for_tls(port))

    return inputs.flow.derive("backends", wanted, resolve)


def _tls(
    ctx: Context, inputs: Inputs, policies: Collection[Key, ResolvedPolicy], key: BackendKey, port: ServicePort
) -> tuple[BackendTLS | None, str]:
    """How to speak TLS to a port, and why it can't be spoken to."""
    policy = policy_of(ctx, inputs, Key(key.namespace, key.service), port.name)
    resolved = ctx.get(policies, policy.key) if policy else None
    if resolved is None:
        return None, ""
    if resolved.tls is None:
        return None, f"BackendTLSPolicy {resolved.key} is not valid: {resolved.accepted[1]}"
    return resolved.tls, ""


def resolve_endpoints(inputs: Inputs, backends: Collection[BackendKey, Backend]) -> Collection[BackendKey, Endpoints]:
    """Each backend's addresses (discovery/v1 EndpointSlice), whoever wrote the slices."""

    def resolve(ctx: Context, key: BackendKey, _: Backend) -> Endpoints:
        port = _service_port(ctx, inputs, key)
        found: dict[tuple[str, int], Endpoint] = {}
        for slice_ in ctx.lookup(inputs.slices_by_service, Key(key.namespace, key.service)) if port else ():
            if slice_.address_type == "FQDN":
                continue
            numbers = [number for p in slice_.ports if port and (number := _target(port, p))]
            for member in slice_.endpoints:
                state = _state(member.conditions)
                if state == "down":
                    continue
                for address, number in product(member.addresses[:1], numbers):
                    endpoint = Endpoint(address, number, draining=state == "draining")
                    # While a pod moves between slices, two may name it.
                    found[address, number] = min(endpoint, found.get((address, number), endpoint))
        return Endpoints(key, tuple(sorted(found.values())))

    return inputs.flow.derive("endpoints", backends, resolve)


def _target(port: ServicePort, target: EndpointPort) -> int | None:
    """The number of a slice's port, if it is that of the Service's.

    A slice that somebody wrote by hand may leave the number out: its endpoints then take any (discovery/v1).
    """
    if (target.name, target.protocol) != (port.name, port.protocol):
        return None
    own = port.target_port if isinstance(port.target_port, int) else port.port
    number = own if target.port is None else target.port
    return number if 0 < number <= _LAST_PORT else None


def _state(conditions: EndpointConditions) -> Literal["ready", "draining", "down"]:
    """What an endpoint's conditions come to; unknown ones count as good, as the API says.

    A terminating endpoint is ready only where its Service publishes all addresses.
    """
    if conditions.ready is not False:
        return "ready"
    return "draining" if conditions.terminating and conditions.serving is not False else "down"


def _service_port(ctx: Context, inputs: Inputs, key: BackendKey) -> ServicePort | None:
    service = ctx.get(inputs.services, Key(key.namespace, key.service))
    return _port(service, key.port, key.transport) if service else None


def _port(service: Service, number: int, transport: Transport) -> ServicePort | None:
    return next((port for port in service.spec.ports if port.port == number and port.protocol == transport), None)


def _app_protocol(port: ServicePort) -> AppProtocol | None:
    name = (port.app_protocol or "").lower()
    return APP_PROTOCOLS.get(name) or TLS_APP_PROTOCOLS.get(name)


def _asks_for_tls(port: ServicePort) -> bool:
    return (port.app_protocol or "").lower() in TLS_APP_PROTOCOLS


def _unspoken(ctx: Context, inputs: Inputs, service: Key, port: ServicePort, use: Use, dialect: Dialect) -> str:
    """Why requests can't be sent to a port in the protocol that it names, or nothing."""
    found = f"found appProtocol {port.app_protocol}"
    protocol = _app_protocol(port)
    if protocol is None or (use == "grpc" and protocol == "ws"):
        known = (*APP_PROTOCOLS, *TLS_APP_PROTOCOLS)
        names = [name for name in known if name and not (use == "grpc" and name.endswith(("/ws", "/wss")))]
        return f"{found}, expected one of {', '.join(names)}"
    needs_policy = dialect.verifies_backends and _asks_for_tls(port)
    if needs_policy and not policy_of(ctx, inputs, service, port.name):
        return f"{found}, which needs a BackendTLSPolicy that targets the Service; found none"
    return ""
