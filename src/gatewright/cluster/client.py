"""Requests to a Kubernetes API, with objects as the typed structs of `gatewright.model`."""

from __future__ import annotations

import dataclasses
import os
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, Literal, Self, TypeVar

import msgspec

from gatewright.cluster.transport import Transport
from gatewright.model.kinds import Kind, find, kind_of
from gatewright.model.meta import Key, Object

T = TypeVar("T", bound=Object)

PatchKind = Literal["merge", "json", "strategic"]
_PATCH_TYPES: dict[PatchKind, str] = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}


class Client:
    """A connection to one cluster. Every method raises `ApiError` for a refusal, `Unreachable` for no answer."""

    def __init__(
        self, transport: Transport, namespace: str = "default", permit: Callable[[str, str], None] | None = None
    ) -> None:
        """Requests go through `transport`, which is closed with the client.

        `permit` is asked before each request, by method and path; it raises a `ClusterError` to forbid it.
        """
        self._permit = permit
        self.server = transport.server
        self.namespace = namespace
        self._transport = transport

    @classmethod
    def with_token(cls, server: str, token: str, authority: bytes) -> Self:
        """A client for a server by a bearer token and its CA certificates (PEM)."""
        context = ssl.create_default_context(cadata=authority.decode())
        return cls(Transport(server, context, authorization=f"Bearer {token}"))

    @classmethod
    def connect(
        cls,
        kubeconfig: str | os.PathLike[str] | None = None,
        context: str | None = None,
        permit: Callable[[str, str], None] | None = None,
    ) -> Client:
        """A client for a kubeconfig's context. Without a file: in-cluster credentials, `KUBECONFIG`, ~/.kube/config."""
        # Imported here since a local edge has no need of it, and starts faster without.
        from gatewright.cluster import kubeconfig as configuration

        return cls(*configuration.connect(kubeconfig, context), permit)

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._transport.close()

    async def get(self, type_: type[T], key: Key) -> T:
        """Read one object."""
        return _decode(type_, await self.request("GET", path_of(kind_of(type_), key)))

    async def list(self, type_: type[T], namespace: str = "", label_selector: str = "") -> list[T]:
        """Read all objects of a kind, of one namespace or of all."""
        parameters = {"labelSelector": label_selector} if label_selector else {}
        body = await self.request("GET", path_of(kind_of(type_), Key(namespace, "")), parameters)
        return [_decode(type_, raw) for raw in msgspec.json.decode(body, type=RawList).items or ()]

    async def create(self, obj: Object | Mapping[str, Any], kind: Kind | None = None) -> bytes:
        """Create an object; the answer is the stored object's JSON. A mapping of an unknown kind needs `kind`."""
        key, kind = _identify(obj, kind)
        return await self.request("POST", path_of(kind, Key(key.namespace, "")), body=msgspec.json.encode(obj))

    async def patch(
        self,
        type_: type[Object],
        key: Key,
        patch: Any,
        *,
        kind: PatchKind = "merge",
        subresource: str = "",
    ) -> bytes:
        """Change an object in place; the answer is the stored object's JSON."""
        path = path_of(kind_of(type_), key, subresource)
        return await self.request("PATCH", path, body=msgspec.json.encode(patch), content_type=_PATCH_TYPES[kind])

    async def apply(
        self,
        obj: Object | Mapping[str, Any],
        *,
        field_manager: str,
        force: bool = True,
        subresource: str = "",
        kind: Kind | None = None,
        strict: bool = False,
        dry_run: bool = False,
    ) -> bytes:
        """Server-side apply. `strict` makes an unknown field an error instead of a warning."""
        key, kind = _identify(obj, kind)
        parameters = {"fieldManager": field_manager, "force": "true" if force else "false"}
        if strict:
            parameters["fieldValidation"] = "Strict"
        if dry_run:
            parameters["dryRun"] = "All"
        path = path_of(kind, key, subresource)
        # JSON is YAML, which is what the API names the content of an apply.
        return await self.request(
            "PATCH", path, parameters, msgspec.json.encode(obj), content_type="application/apply-patch+yaml"
        )

    async def delete(
        self,
        of: type[Object] | Kind,
        key: Key,
        *,
        grace_period: int | None = None,
        uid: str = "",
        resource_version: str = "",
        propagation: Literal["", "Background", "Foreground", "Orphan"] = "",
    ) -> None:
        """Delete one object; `uid` and `resource_version` make it conditional (409 when they no longer hold)."""
        options: dict[str, Any] = {}
        if grace_period is not None:
            options["gracePeriodSeconds"] = grace_period
        if propagation:
            options["propagationPolicy"] = propagation
        preconditions = {"uid": uid, "resourceVersion": resource_version}
        if any(preconditions.values()):
            options["preconditions"] = {name: value for name, value in preconditions.items() if value}
        kind = of if isinstance(of, Kind) else kind_of(of)
        await self.request("DELETE", path_of(kind, key), body=msgspec.json.encode(options) if options else None)

    async def request(
        self,
        method: str,
        path: str,
        parameters: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
    ) -> bytes:
        """Send one request and return the body of a 2xx answer."""
        if self._permit:
            self._permit(method, path)
        return await self._transport.request(method, path, parameters or {}, body, content_type)

    def stream(self, path: str, parameters: Mapping[str, str]) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """A long answer in the chunks that it comes in, such as a watch; silence has no limit."""
        return self._transport.stream(path, parameters)


class ListMeta(msgspec.Struct, frozen=True, rename="camel"):
    """A list's metadata."""

    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")


class RawList(msgspec.Struct, frozen=True):
    """A list whose items are still JSON."""

    metadata: ListMeta = ListMeta()
    items: tuple[msgspec.Raw, ...] | None = ()


def path_of(kind: Kind, key: Key, subresource: str = "") -> str:
    """The URL path of an object, or of a collection where `key` has no name."""
    parts = ["/apis", kind.group, kind.version] if kind.group else ["/api", kind.version]
    if kind.namespaced and key.namespace:
        parts += ["namespaces", key.namespace]
    parts.append(kind.plural)
    if key.name:
        parts.append(key.name)
    if subresource:
        parts.append(subresource)
    return "/".join(parts)


def _identify(obj: Object | Mapping[str, Any], kind: Kind | None) -> tuple[Key, Kind]:
    if isinstance(obj, Object):
        return obj.key, kind or kind_of(type(obj))
    metadata = obj.get("metadata") or {}
    key = Key(metadata.get("namespace", ""), metadata.get("name", ""))
    if kind is None:
        kind = find(obj.get("apiVersion", ""), obj.get("kind", ""))
        if kind is None:
            raise ValueError(f"{obj.get('apiVersion')} {obj.get('kind')} is not a kind that the client knows")
    version = str(obj.get("apiVersion", "")).rpartition("/")[2]
    if version != kind.version and version in kind.served_versions:
        kind = dataclasses.replace(kind, version=version)  # it goes where objects of its version do
    return key, kind


def _decode(type_: type[T], raw: bytes | msgspec.Raw) -> T:
    return msgspec.json.decode(raw, type=type_)
