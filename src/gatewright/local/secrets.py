"""Certificates for listeners whose Secret is missing: a local edge makes them, and makes them anew for new names.

It does so for the Gateways of the files that it was given. To other clients of the API it is a cluster, in which a
Secret that nobody made is missing.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from typing import Any

from msgspec import Struct

from gatewright.cluster import Client, Reconciler
from gatewright.envoy.listeners import Binding
from gatewright.flow import Change, Collection, Context
from gatewright.local.certificates import Authority, ServerCertificate, is_host_name, names_of
from gatewright.model.core import Secret
from gatewright.model.gateway import Gateway, ListenerSet
from gatewright.model.meta import Key
from gatewright.resolve import Inputs, Resolution
from gatewright.resolve.certificates import secret_key
from gatewright.resolve.grants import permitted
from gatewright.resolve.listeners import ResolvedListener
from gatewright.topology import NO_SET, ListenerKey

GENERATED = "gatewright.dev/generated"
"""Annotation of the Secrets that `up` makes; without it a Secret is the user's and stays as it is."""

_FIELD_MANAGER = "gatewright-certificates"


class WantedSecret(Struct, frozen=True):
    """A Secret that is missing, or ours and lacking a name; `names` are what it has to be for."""

    key: Key
    names: tuple[str, ...]
    missing: bool


class GeneratedSecrets:
    """Makes the Secrets that listeners name and nobody has made, while it runs (`async with`).

    Only for the Gateways and ListenerSets among the kinds and keys of `given`. The certificates are for the addresses
    in `bindings`, too; without, the Gateways' addresses are not known before they have certificates.
    """

    def __init__(
        self,
        client: Client,
        inputs: Inputs,
        resolution: Resolution,
        bindings: Collection[Key, Binding] | None,
        given: Collection[tuple[str, Key], bool],
        authority: Authority,
        announce: Callable[[str], None],
    ) -> None:
        self._client = client
        self._authority = authority
        self._announce = announce
        self._wanted = _wanted(inputs, resolution, bindings, given, authority)
        self._reconciler: Reconciler[Key] = Reconciler("secret", self._make)
        self._wanted.subscribe(self._changed)

    async def __aenter__(self) -> GeneratedSecrets:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._reconciler.__aexit__()

    async def idle(self) -> None:
        """Return when no Secret is missing."""
        await self._reconciler.idle()

    def _changed(self, changes: Iterable[Change[Key, WantedSecret]]) -> None:
        for key, _, wanted in changes:
            if wanted:
                self._reconciler.enqueue(key)

    async def _make(self, key: Key) -> None:
        wanted = self._wanted.get(key)
        if wanted is None:
            return
        certificate = self._authority.issue(wanted.names)
        secret = tls_secret(key, certificate, self._authority.pem)
        secret["metadata"]["annotations"] = {GENERATED: "true"}
        await self._client.apply(secret, field_manager=_FIELD_MANAGER)
        names = ", ".join(wanted.names)
        did = "was missing: made one for" if wanted.missing else "made anew for"
        self._announce(f"Secret {key} {did} {names}")


def tls_secret(key: Key, certificate: ServerCertificate, authority: bytes) -> dict[str, Any]:
    """A Secret of type kubernetes.io/tls, with the authority's certificate beside the key pair."""
    data = {"tls.crt": certificate.chain, "tls.key": certificate.private_key, "ca.crt": authority}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": key.name, "namespace": key.namespace},
        "type": "kubernetes.io/tls",
        "data": {name: base64.b64encode(content).decode() for name, content in data.items()},
    }


def is_generated(secret: Secret, authority: Authority) -> bool:
    """Whether `up` made a Secret's content. A user who puts a certificate into it may leave our annotation there."""
    marked = secret.metadata.annotations.get(GENERATED) == "true"
    return marked and authority.issued(secret.data.get("tls.crt", b""))


def _wanted(
    inputs: Inputs,
    resolution: Resolution,
    bindings: Collection[Key, Binding] | None,
    given: Collection[tuple[str, Key], bool],
    authority: Authority,
) -> Collection[Key, WantedSecret]:
    flow = inputs.flow
    topology = resolution.topology
    hosts_of = topology.hosts.index(lambda host, _: [host.listener], name="hosts by listener")
    streams_of = topology.streams.index(lambda key, _: [key[0].listener], name="streams by listener")

    def names(
        ctx: Context, key: ListenerKey, _: ResolvedListener
    ) -> dict[tuple[Key, ListenerKey], tuple[str, ...]] | None:
        """By Secret and listener: the names that the listener needs."""
        kind, parent_key = ("Gateway", key.gateway) if key.listener_set == NO_SET else ("ListenerSet", key.listener_set)
        parent: Gateway | ListenerSet | None = (
            ctx.get(inputs.gateways, parent_key) if kind == "Gateway" else ctx.get(inputs.listener_sets, parent_key)
        )
        binding = ctx.get(bindings, key.gateway) if bindings is not None else None
        unbound = bindings is not None and binding is None
        if parent is None or unbound or not ctx.get(given, (kind, parent_key)):
            return None
        listener = next((spec for spec in parent.spec.listeners if spec.name == key.name), None)
        if listener is None or listener.protocol not in ("HTTPS", "TLS") or listener.tls is None:
            return None
        own = [listener.hostname] if listener.hostname else []
        hosts = [host.hostname for host in ctx.lookup(hosts_of, key)]
        hosts += [placed.host.hostname for placed in ctx.lookup(streams_of, key)]
        # The API takes labels that no DNS name has; a certificate can not name them.
        possible = [name for name in (*own, *hosts) if is_host_name(name)]
        addresses = [each.host for each in (binding, *binding.others)] if binding else []
        wanted = tuple(dict.fromkeys((*possible, *addresses, "localhost")))
        secrets = [secret_key(parent_key, ref) for ref in listener.tls.certificate_refs]
        return {
            (secret, key): wanted
            for secret in secrets
            if secret and permitted(ctx, inputs, kind, parent_key.namespace, "", "Secret", secret)
        }

    needed = flow.derive_many("certificate names", resolution.listeners, names)
    by_secret = needed.index(lambda key, _: [key[0]])

    def wanted(ctx: Context, key: Key, _: Key) -> WantedSecret | None:
        every = tuple(dict.fromkeys(name for group in ctx.lookup(by_secret, key) for name in group))
        secret = ctx.get(inputs.secrets, key)
        if secret is None:
            return WantedSecret(key, every, missing=True)
        if not is_generated(secret, authority):
            return None
        has = names_of(secret.data.get("tls.crt", b""))
        if has.issuperset(every):
            return None
        return WantedSecret(key, tuple(dict.fromkeys((*every, *sorted(has)))), missing=False)

    return flow.derive("wanted secrets", flow.distinct("secrets in use", by_secret), wanted)
