"""Which hostnames are to lead where: those of routes and listeners, to the load balancers of their Gateways.

A route's hostnames count where it is attached, as far as the listener takes them; a listener's own where it is an exact
name. (One for `*.example.com` alone exposes no name; a route without hostnames that is attached to it does.) A name of
several Gateways leads where it does already, else to the oldest one that has a load balancer, and the others are told.
So nobody can take a name from somebody who has it.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeAlias

from msgspec import Struct, structs

from gatewright.aws.records.annotations import DnsAnnotations, read_annotations
from gatewright.aws.records.names import plain
from gatewright.aws.records.records import AliasTarget, DnsOptions, Place, Record, Visibility, Wish
from gatewright.flow import Collection, Context
from gatewright.model.gateway import Gateway
from gatewright.model.meta import Key
from gatewright.resolve import Inputs, Resolution
from gatewright.resolve.hostnames import ANY, covers
from gatewright.resolve.inputs import ObjectId, seniority
from gatewright.resolve.routes import ResolvedRoute
from gatewright.topology import NO_SET, Listener, ListenerKey


class _ExposureKey(NamedTuple):
    """A name, the Gateway that it leads to, and the object that exposes it there."""

    name: str
    gateway: Key
    kind: str
    by: Key

    @property
    def resource(self) -> str:
        """As external-dns names objects in markers."""
        return f"{self.kind.lower()}/{self.by.namespace}/{self.by.name}"


class _Exposure(Struct, frozen=True):
    key: _ExposureKey
    annotations: DnsAnnotations


_Exposures: TypeAlias = dict[_ExposureKey, _Exposure]


class _Lead(Struct, frozen=True):
    """Where a Gateway's names lead: load balancers, or what its target annotation says; neither: not known yet."""

    places: tuple[Place, ...] = ()
    targets: tuple[str, ...] = ()
    age: tuple[str, str] = ("", "")
    annotations: DnsAnnotations = DnsAnnotations()


_LeadOf: TypeAlias = Callable[[Key], _Lead | None]


def desired_records(
    inputs: Inputs,
    resolutions: Iterable[Resolution],
    fronted: Iterable[Resolution],
    places: Collection[str, Place],
    fronts: Collection[Key, tuple[str, ...]],
    options: DnsOptions,
) -> Collection[str, Wish]:
    """By name, the records that it is to have.

    The Gateways of `resolutions` are load balancers, which are at their addresses (`inputs.addresses`); until one has
    an address, what its names have stays. Those of `fronted` count where there are load balancers in front of them:
    `fronts`, by DNS names. `places` are all load balancers of the account, by DNS name.
    """
    flow = inputs.flow
    gateways = inputs.written(inputs.gateways)
    exposures = flow.merge(
        "exposed names",
        *(part for number, each in enumerate(resolutions) for part in _exposures(inputs, each, None, f"{number}")),
        *(
            part
            for number, each in enumerate(fronted)
            for part in _exposures(inputs, each, fronts, f"{number}, fronted")
        ),
    )
    by_name = exposures.index(lambda key, _: [key.name], name="exposures by name")
    leads = flow.derive(
        "where names of gateways lead", gateways, lambda c, k, g: _lead(c, inputs, places, fronts, k, g)
    )
    return flow.derive(
        "names wished for",
        flow.distinct("names exposed", by_name),
        lambda ctx, name, _: _wish(name, ctx.lookup(by_name, name), lambda key: ctx.get(leads, key), options),
    )


def _exposures(
    inputs: Inputs, resolution: Resolution, fronts: Collection[Key, tuple[str, ...]] | None, label: str
) -> list[Collection[_ExposureKey, _Exposure]]:
    flow = inputs.flow
    gateways = inputs.written(inputs.gateways)

    def annotations_of(ctx: Context, key: Key) -> DnsAnnotations | None:
        """A Gateway's; None where its names are none of ours."""
        gateway = ctx.get(gateways, key)
        own = read_annotations(gateway.metadata.annotations) if gateway else None
        if own is None or own.ignored:
            return None
        if fronts is None or own.targets:
            return own
        return own if ctx.get(fronts, key) else None

    def of_listener(ctx: Context, key: ListenerKey, listener: Listener) -> _Exposures:
        if listener.hostname.startswith("*") or annotations_of(ctx, key.gateway) is None:
            return {}
        kind, by = ("Gateway", key.gateway) if key.listener_set == NO_SET else ("ListenerSet", key.listener_set)
        found = _ExposureKey(listener.hostname, key.gateway, kind, by)
        return {found: _Exposure(found, DnsAnnotations())}

    def of_gateway(ctx: Context, key: Key, _: object) -> _Exposures:
        own = annotations_of(ctx, key)
        keys = [_ExposureKey(name, key, "Gateway", key) for name in own.hostnames] if own else []
        return {found: _Exposure(found, DnsAnnotations()) for found in keys}

    def of_routes(kind: str, resolved: Collection[Key, ResolvedRoute]) -> Collection[_ExposureKey, _Exposure]:
        routes = inputs.written(getattr(inputs, f"{kind}_routes"))

        def of_route(ctx: Context, key: Key, route: ResolvedRoute) -> _Exposures:
            written = ctx.get(routes, key)
            own = read_annotations(written.metadata.annotations) if written else DnsAnnotations(ignored=True)
            if own.ignored or not route.valid:
                return {}
            found: _Exposures = {}
            for host in route.hosts:
                gateway, listener = host.listener.gateway, ctx.get(resolution.topology.listeners, host.listener)
                if listener is None or annotations_of(ctx, gateway) is None:
                    continue
                names = [host.hostname] if own.defined_names and host.hostname != ANY else []
                names += [name for name in own.hostnames if covers(listener.hostname, name)]
                for name in names:
                    exposed = _ExposureKey(name, gateway, route.kind, key)
                    found[exposed] = _Exposure(exposed, own)
            return found

        return flow.derive_many(f"names of {kind} routes of {label}", resolved, of_route)

    return [
        flow.derive_many(f"names of listeners of {label}", resolution.topology.listeners, of_listener),
        flow.derive_many(f"names of gateways of {label}", resolution.gateways, of_gateway),
        of_routes("http", resolution.http_routes),
        of_routes("grpc", resolution.grpc_routes),
        of_routes("tls", resolution.tls_routes),
        of_routes("tcp", resolution.tcp_routes),
        of_routes("udp", resolution.udp_routes),
    ]


def _lead(
    ctx: Context,
    inputs: Inputs,
    places: Collection[str, Place],
    fronts: Collection[Key, tuple[str, ...]],
    key: Key,
    gateway: Gateway,
) -> _Lead:
    annotations = read_annotations(gateway.metadata.annotations)
    addresses = ctx.get(inputs.addresses, key)
    names = ctx.get(fronts, key) or tuple(
        address.value for address in (addresses.values if addresses else ()) if address.type == "Hostname"
    )
    found = [place for name in names if (place := ctx.get(places, plain(name)))]
    found.sort(key=lambda place: (place.scheme != "internet-facing", place.dns_name))
    # A target that is a load balancer of this account is one, too.
    at = [place for name in annotations.targets if (place := ctx.get(places, plain(name)))]
    return _Lead(
        places=tuple(at if annotations.targets else found)[:1],
        targets=() if at else annotations.targets,
        age=seniority(gateway),
        annotations=annotations,
    )


def _wish(name: str, exposures: tuple[_Exposure, ...], lead_of: _LeadOf, options: DnsOptions) -> Wish | None:
    leads = {each.key.gateway: lead for each in exposures if (lead := lead_of(each.key.gateway))}
    if not leads:
        return None
    order = sorted(leads, key=lambda key: (not (leads[key].places or leads[key].targets), leads[key].age))
    first, *others = (_wish_of(name, key, order, leads, exposures, options) for key in order)
    return structs.replace(first, others=tuple(others)) if others else first


def _wish_of(
    name: str,
    chosen: Key,
    order: list[Key],
    leads: Mapping[Key, _Lead],
    exposures: tuple[_Exposure, ...],
    options: DnsOptions,
) -> Wish:
    """The name's records as `chosen` asks for them."""
    own = sorted((each for each in exposures if each.key.gateway == chosen), key=lambda each: each.key.resource)
    records, visibility, remarks = _records(name, leads[chosen], own, options)
    told: list[tuple[ObjectId, tuple[str, str]]] = [
        (
            ("Gateway", other),
            (
                "HostnameTaken",
                f"hostname {name}: its records lead to Gateway {chosen}, which had it "
                "first; use another name, or take it out there",
            ),
        )
        for other in order
        if other != chosen
    ]
    told += [(("Gateway", chosen), remark) for remark in (*leads[chosen].annotations.remarks, *remarks)]
    told += [((each.key.kind, each.key.by), remark) for each in own for remark in each.annotations.remarks]
    return Wish(
        name=name,
        records=records,
        visibility=visibility,
        resources=tuple(dict.fromkeys(each.key.resource for each in own)),
        asked_by=tuple(dict.fromkeys((each.key.kind, each.key.by) for each in own)),
        remarks=tuple(dict.fromkeys(told)),
    )


def _records(
    name: str, lead: _Lead, exposures: list[_Exposure], options: DnsOptions
) -> tuple[tuple[Record, ...], Visibility, tuple[tuple[str, str], ...]]:
    said = [each.annotations for each in exposures] + [lead.annotations]
    if lead.places:
        place = lead.places[0]
        healths = (each.evaluate_health for each in said)
        health = next((found for found in healths if found is not None), options.evaluate_target_health)
        alias = AliasTarget(place.dns_name, place.hosted_zone, health)
        types = ("A", "AAAA") if place.dualstack else ("A",)
        visibility: Visibility = "everywhere" if place.scheme == "internet-facing" else "private"
        return tuple(Record(name, type_, alias=alias) for type_ in types), visibility, ()
    ttl = next((each.ttl for each in said if each.ttl), options.ttl)
    addresses: dict[str, list[str]] = {"A": [], "AAAA": []}
    names: list[str] = []
    inside = True
    for target in lead.targets:
        try:
            address = ipaddress.ip_address(target)
        except ValueError:
            names.append(plain(target))
            inside = False
        else:
            addresses["A" if address.version == 4 else "AAAA"].append(str(address))
            inside = inside and address.is_private
    remarks: tuple[tuple[str, str], ...] = ()
    if names and len(lead.targets) > 1:
        message = (
            f"targets: found {', '.join(lead.targets)}; a name can lead to several IP addresses or to one other name, "
            "not to both"
        )
        remarks = (("InvalidAnnotation", message),)
    records = [Record(name, type_, tuple(sorted(of)), ttl) for type_, of in addresses.items() if of]
    if names:
        records = [Record(name, "CNAME", (f"{names[0]}.",), ttl)]
    return tuple(records), "private" if inside and lead.targets else "everywhere", remarks
