"""Listeners as they are written: one entry for each, of Gateways and of the ListenerSets that they admit.

Precedence among them is that of ListenerSetSpec.listeners: the Gateway's own, then sets by creation time, then by
namespace/name.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from msgspec import Struct

from gatewright.flow import Collection, Context
from gatewright.model.gateway import Gateway, ListenerSet
from gatewright.model.gateway import Listener as ListenerSpec
from gatewright.model.meta import Key
from gatewright.resolve.admission import Admission, GatewayTerms
from gatewright.resolve.hostnames import ANY, ancestors
from gatewright.resolve.inputs import Inputs, ObjectId, origin, seniority
from gatewright.topology import NO_SET, ListenerKey, Origin, PortKey

Family: TypeAlias = Literal["HTTP", "TLS", "TCP", "UDP"]
"""Protocols of one family share a port by hostname: the Host of HTTP, the server name of TLS."""

FAMILIES: dict[str, Family] = {"HTTP": "HTTP", "HTTPS": "TLS", "TLS": "TLS", "TCP": "TCP", "UDP": "UDP"}
"""By protocol; any other is not served."""


Precedence: TypeAlias = tuple[int, str, str, int]
"""Sorts the listeners of one Gateway, the one that goes before the others first."""


class Seat(NamedTuple):
    """What only one listener can have: a hostname among those of one family on one port."""

    port: PortKey
    family: Family
    hostname: str

    def above(self) -> list[Seat]:
        """The seats whose hostnames cover this one's, the most specific first."""
        return [self._replace(hostname=name) for name in ancestors(self.hostname)]


class Entry(Struct, frozen=True):
    """A listener as it is written. `parent` is the object that has it."""

    key: ListenerKey
    parent: ObjectId
    spec: ListenerSpec
    generation: int
    precedence: Precedence
    origin: Origin

    @property
    def family(self) -> Family | None:
        """None where the protocol is not served."""
        return FAMILIES.get(self.spec.protocol)

    @property
    def port_key(self) -> PortKey:
        """The socket that it asks for."""
        return PortKey(self.key.gateway, self.spec.port, "UDP" if self.family == "UDP" else "TCP")

    @property
    def hostname(self) -> str:
        """What it is limited to; "*" where the protocol knows no names (Listener.hostname)."""
        return (self.spec.hostname or ANY) if self.family in ("HTTP", "TLS") else ANY

    @property
    def seat(self) -> Seat | None:
        """The seat that it asks for; None where its protocol is not served."""
        return Seat(self.port_key, self.family, self.hostname) if self.family else None

    @property
    def terminates(self) -> bool:
        """Whether TLS ends here."""
        spec = self.spec
        return self.family == "TLS" and not (spec.protocol == "TLS" and spec.tls and spec.tls.mode == "Passthrough")


def listener_entries(
    inputs: Inputs, terms: Collection[Key, GatewayTerms], admissions: Collection[Key, Admission]
) -> Collection[ListenerKey, Entry]:
    """Every listener of our Gateways, and of the ListenerSets that they admit."""

    def of_gateway(ctx: Context, key: Key, gateway: Gateway) -> dict[ListenerKey, Entry] | None:
        if ctx.get(terms, key) is None:
            return None
        return _entries(gateway, key, NO_SET, (0, "", ""))

    def of_set(ctx: Context, key: Key, listener_set: ListenerSet) -> dict[ListenerKey, Entry] | None:
        admission = ctx.get(admissions, key)
        if admission is None or admission.problem:
            return None
        return _entries(listener_set, admission.gateway, key, (1, *seniority(listener_set)))

    flow = inputs.flow
    return flow.merge(
        "listener entries",
        flow.derive_many("gateway listeners", inputs.written(inputs.gateways), of_gateway),
        flow.derive_many("set listeners", inputs.written(inputs.listener_sets), of_set),
    )


def _entries(
    parent: Gateway | ListenerSet, gateway: Key, listener_set: Key, rank: tuple[int, str, str]
) -> dict[ListenerKey, Entry]:
    found = (
        Entry(
            key=ListenerKey(gateway, spec.name, listener_set),
            parent=(parent.kind, parent.key),
            spec=spec,
            generation=parent.metadata.generation,
            precedence=(*rank, index),
            origin=origin(parent, f"spec.listeners[{index}]"),
        )
        for index, spec in enumerate(parent.spec.listeners)
    )
    return {entry.key: entry for entry in found}
