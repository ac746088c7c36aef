"""The ports of load balancers as derived collections: each becomes a listener, apart from all others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from gatewright.aws.configuration.settings import LoadBalancerSettings, RuleSettings
from gatewright.aws.gateways import albs
from gatewright.aws.gateways.clientcertificates import Clients, TrustStores, clients
from gatewright.aws.gateways.names import Tags
from gatewright.aws.gateways.nlbs import Streams
from gatewright.aws.gateways.ports import (
    Port,
    PortHost,
    Told,
    Translation,
    aws_protocol,
    order,
    refusals,
    settings_of,
)
from gatewright.aws.gateways.servercertificates import Importable, Shown, importable, out_of_date, shown
from gatewright.aws.gateways.surroundings import CERTIFICATES, TRUST_STORES, Surroundings
from gatewright.aws.gateways.targetgroups import Groups
from gatewright.aws.stack.holdings import FINGERPRINT_TAG
from gatewright.flow import Collection, Context, Index
from gatewright.model.meta import Key
from gatewright.resolve.inputs import NOW, Inputs
from gatewright.topology import (
    HostKey,
    Listener,
    ListenerKey,
    PortKey,
    Refusal,
    RefusalKey,
    RuleKey,
    StreamPlacement,
    Topology,
)


class Listening:
    """All ports of the load balancers of one kind. `translated` is what became of each."""

    def __init__(
        self,
        inputs: Inputs,
        topology: Topology,
        surroundings: Surroundings,
        kind: Literal["alb", "nlb", "ingress"],
        settings: Collection[Key, LoadBalancerSettings],
        rule_settings: Collection[Key, RuleSettings],
        groups: Groups,
        tags: Callable[[Context, Key], Tags],
        trust_store_bucket: str = "",
    ) -> None:
        self._flow = inputs.flow
        self._inputs = inputs
        self._topology = topology
        self._surroundings = surroundings
        self._kind = kind
        self._settings = settings
        self._groups = groups
        self._tags = tags
        self._bucket = trust_store_bucket
        self._on_port = topology.listeners.index(lambda key, each: [Port(key.gateway, each.port)], order=order)
        self._ports = self._flow.distinct(self._name("ports"), self._on_port)
        self._ports_of = self._ports.index(lambda port, _: [port.owner])
        self.translated: Collection[Port, Translation] = (
            self._streams() if kind == "nlb" else self._requests(albs.Rules(groups, rule_settings))
        )

    def _name(self, what: str) -> str:
        return f"{self._kind} {what}"

    def ports(self, ctx: Context, owner: Key) -> list[Translation]:
        """What became of a load balancer's ports, by number."""
        return [found for port in ctx.lookup(self._ports_of, owner) if (found := ctx.get(self.translated, port))]

    def listeners(self, ctx: Context, owner: Key) -> list[Listener]:
        """The Gateway's listeners on its ports."""
        return [listener for port in ctx.lookup(self._ports_of, owner) for listener in ctx.lookup(self._on_port, port)]

    # --- requests and connections ------------------------------------------------------------------------------------

    def _requests(self, translator: albs.Rules) -> Collection[Port, Translation]:
        flow, topology = self._flow, self._topology

        def place(ctx: Context, host: HostKey, _: HostKey) -> PortHost | None:
            return self._place(ctx, host)

        hosts_on = flow.derive(self._name("hosts"), topology.hosts, place).index(lambda _, place: [place.port])
        translate = translator.of_ingress if self._kind == "ingress" else translator.of_gateway

        def rules(ctx: Context, port: Port, _: Port) -> albs.Ruled:
            members = [
                (place.host, [each.rule for each in ctx.lookup(topology.placements_by_host, place.host)])
                for place in ctx.lookup(hosts_on, port)
            ]
            return translate(ctx, port, ctx.lookup(self._on_port, port)[0], members)

        ruled = flow.derive(self._name("rules"), self._ports, rules)
        certificates, admitted = self._shown(hosts_on), self._let_in()

        def listener(ctx: Context, port: Port, _: Port) -> Translation | None:
            listeners, settings = ctx.lookup(self._on_port, port), ctx.get(self._settings, port.owner)
            found = ctx.get(ruled, port)
            if settings is None or found is None:
                return None
            own = settings_of(settings, listeners[0].protocol, port.number)
            exhibits = ctx.get(certificates, port) or Shown()
            let_in = ctx.get(admitted, port) or Clients()
            return albs.listener(port, listeners, found, exhibits, let_in, own, self._tags(ctx, port.owner))

        return flow.derive(self._name("listeners"), self._ports, listener)

    def _streams(self) -> Collection[Port, Translation]:
        topology, translator = self._topology, Streams(self._groups)
        on_listener = topology.streams.index(
            lambda _, placement: [placement.host.listener], order=lambda _, placement: placement.stream.precedence
        )

        def place(ctx: Context, _: tuple[HostKey, RuleKey], placement: StreamPlacement) -> PortHost | None:
            return self._place(ctx, placement.host)

        hosts_on = self._flow.derive(self._name("hosts"), topology.streams, place).index(lambda _, place: [place.port])
        certificates = self._shown(hosts_on)

        def listener(ctx: Context, port: Port, _: Port) -> Translation | None:
            listeners, settings = ctx.lookup(self._on_port, port), ctx.get(self._settings, port.owner)
            if settings is None:
                return None
            placements = [each for one in listeners for each in ctx.lookup(on_listener, one.key)]
            protocols = {aws_protocol(one) for one in listeners}
            protocol = "TCP_UDP" if protocols == {"TCP", "UDP"} else min(protocols - {"UDP"}, default="UDP")
            own = settings_of(settings, protocol, port.number)
            exhibits = ctx.get(certificates, port) or Shown()
            return translator.listener(ctx, port, listeners, placements, exhibits, own, self._tags(ctx, port.owner))

        return self._flow.derive(self._name("listeners"), self._ports, listener)

    def _place(self, ctx: Context, host: HostKey) -> PortHost | None:
        listener = ctx.get(self._topology.listeners, host.listener)
        return PortHost(Port(host.listener.gateway, listener.port), host) if listener else None

    # --- certificates ------------------------------------------------------------------------------------------------

    def _shown(self, hosts_on: Index[Port, Any, PortHost]) -> Collection[Port, Shown]:
        flow, in_acm = self._flow, self._surroundings.certificates
        secrets: Collection[Key, Importable] = flow.derive(
            self._name("certificates to import"),
            self._topology.certificates,
            lambda _, __, certificate: importable(certificate),
        )
        imported = in_acm.index(lambda _, each: [each.tags.get(FINGERPRINT_TAG, "")])

        def refused(ctx: Context, _: Key, found: Importable) -> str | None:
            now = ctx.get(self._inputs.clock, NOW)
            late = out_of_date(found, now) if now else ""
            # One that is in ACM already is shown until it is renewed, as any server would.
            return late if late and not ctx.count(imported, found.fingerprint) else None

        unusable = flow.derive(self._name("certificates out of date"), secrets, refused)

        def show(ctx: Context, port: Port, _: Port) -> Shown | None:
            listeners = [each for each in ctx.lookup(self._on_port, port) if each.terminates]
            settings = ctx.get(self._settings, port.owner)
            if not listeners or settings is None:
                return None
            keys = {key for listener in listeners for key in listener.certificates}
            names: dict[ListenerKey, set[str]] = {}
            for place in ctx.lookup(hosts_on, port):
                names.setdefault(place.host.listener, set()).add(place.host.hostname)
            certificates = ctx.items(in_acm)
            return shown(
                listeners,
                names,
                {key: found for key in keys if (found := ctx.get(secrets, key))},
                {key: late for key in keys if (late := ctx.get(unusable, key))},
                settings_of(settings, aws_protocol(listeners[0]), port.number),
                # Those that were imported from a Secret belong to who may use the Secret.
                [each for _, each in certificates if FINGERPRINT_TAG not in each.tags],
                {arn for arn, each in certificates if FINGERPRINT_TAG in each.tags},
                ctx.get(self._surroundings.unread, CERTIFICATES) or "",
            )

        return flow.derive(self._name("certificates shown"), self._ports, show)

    def _let_in(self) -> Collection[Port, Clients]:
        """How HTTPS ports treat client certificates."""

        def let_in(ctx: Context, port: Port, _: Port) -> Clients | None:
            listeners, settings = ctx.lookup(self._on_port, port), ctx.get(self._settings, port.owner)
            if settings is None or not listeners or listeners[0].protocol != "HTTPS":
                return None
            asked = settings_of(settings, "HTTPS", port.number).mutual_authentication
            arns = dict(ctx.items(self._surroundings.trust_stores)) if asked else {}
            unread = ctx.get(self._surroundings.unread, TRUST_STORES) or ""
            stores, tags = TrustStores(arns, unread, self._bucket), self._tags(ctx, port.owner)
            # All listeners of a port have the same validation, since Gateways say it port by port.
            return clients(port.owner, listeners[0].client_validation, asked, stores, tags)

        return self._flow.derive(self._name("clients let in"), self._ports, let_in)

    # --- what is said ------------------------------------------------------------------------------------------------

    def refusals(self) -> Collection[RefusalKey, tuple[Refusal, ...]]:
        """What all ports of a Gateway have to say of a route."""

        def by_route(_: Context, port: Port, found: Translation) -> dict[tuple[RefusalKey, Port], tuple[Told, ...]]:
            routes: dict[RefusalKey, list[Told]] = {}
            for told in found.told:
                routes.setdefault(told.key, []).append(told)
            return {(key, port): tuple(several) for key, several in routes.items()}

        told = self._flow.derive_many(self._name("told routes"), self.translated, by_route)
        of_route = told.index(lambda key, _: [key[0]])

        def merge(ctx: Context, key: RefusalKey, _: RefusalKey) -> tuple[Refusal, ...] | None:
            return refusals(ctx.lookup(of_route, key)) or None

        routes = self._flow.distinct(self._name("routes told"), of_route)
        return self._flow.derive(self._name("refusals"), routes, merge)

    def states(self) -> Collection[PortKey, str]:
        """Why a port isn't served; empty where all is well."""
        by_socket = self._topology.listeners.index(lambda _, each: [each.port_key])
        sockets = self._flow.distinct(self._name("sockets"), by_socket)

        def state(ctx: Context, socket: PortKey, _: PortKey) -> str:
            found = ctx.get(self.translated, Port(socket.gateway, socket.port))
            if found is None:
                return ""
            return found.problem or (found.datagrams if socket.transport == "UDP" else "")

        return self._flow.derive(self._name("port states"), sockets, state)
