"""Requests to a Kubernetes API, with objects as the typed structs of `gatewright.model`."""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

import httpx2
import msgspec
from yaml import YAMLError

from gatewright.cluster.errors import ApiError, Unreachable
from gatewright.model.kinds import Kind, find, kind_of
from gatewright.model.meta import Key, Object

T = TypeVar("T", bound=Object)

_TIMEOUT = 30.0  # seconds

PatchKind = Literal["merge", "json", "strategic"]
_PATCH_TYPES: dict[PatchKind, str] = {
    "merge": "application/merge-patch+json",
    "json": "application/json-patch+json",
    "strategic": "application/strategic-merge-patch+json",
}


class Client:
    """A connection to one cluster. Every method raises `ApiError` for a refusal, `Unreachable` for no answer."""

    def __init__(self, http: httpx2.AsyncClient, namespace: str = "default") -> None:
        """Requests go through `http`, whose base URL is the server's; it is closed with the client."""
        self.server = str(http.base_url).rstrip("/")
        self.namespace = namespace
        self._http = http

    @classmethod
    def with_token(cls, server: str, token: str, authority: bytes) -> Client:
        """A client for a server on this machine, by its bearer token and CA certificates (PEM)."""
        # A proxy of the environment can't reach loopback.
        http = httpx2.AsyncClient(
            base_url=server,
            headers={"Authorization": f"Bearer {token}"},
            verify=ssl.create_default_context(cadata=authority.decode()),
            timeout=httpx2.Timeout(_TIMEOUT),
            trust_env=False,
        )
        return cls(http)

    @classmethod
    def connect(cls, kubeconfig: str | os.PathLike[str] | None = None, context: str | None = None) -> Client:
        """A client for a kubeconfig's context. Without a file: `KUBECONFIG`, in-cluster credentials, ~/.kube/config."""
        # Imported here since a local edge has no need of it, and starts faster without.
        from lightkube.config import client_adapter
        from lightkube.config.kubeconfig import KubeConfig
        from lightkube.core.exceptions import ConfigError

        source = kubeconfig or "from the environment"
        try:
            found = KubeConfig.from_file(Path(kubeconfig)) if kubeconfig else KubeConfig.from_env()
            config = found.get(context)
            if config is None:
                raise Unreachable(f"kubeconfig {source}: no context is selected")
            loopback = urlsplit(config.cluster.server).hostname in ("127.0.0.1", "::1", "localhost")
            parameters = client_adapter.ConnectionParams(timeout=httpx2.Timeout(_TIMEOUT), trust_env=not loopback)
            return cls(client_adapter.AsyncClient(config, parameters), config.namespace)
        except (ConfigError, OSError, LookupError, TypeError, ValueError, AttributeError, YAMLError) as error:
            # What the library raises for a file that isn't a kubeconfig depends on how it isn't one.
            raise Unreachable(f"kubeconfig {source}: {error or type(error).__name__}") from error

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

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
        headers = {"Content-Type": content_type} if body is not None else None
        try:
            response = await self._http.request(method, path, params=parameters, content=body, headers=headers)
        except httpx2.HTTPError as error:
            raise Unreachable(f"{method} {self.server}{path}: {error or type(error).__name__}") from error
        if response.status_code >= 300:
            raise ApiError.parse(response.status_code, response.content)
        return response.content

    @asynccontextmanager
    async def stream(self, path: str, parameters: Mapping[str, str]) -> AsyncIterator[AsyncIterator[bytes]]:
        """A long answer in the chunks that it comes in, such as a watch; silence has no limit."""
        timeout = httpx2.Timeout(_TIMEOUT, read=None)
        try:
            async with self._http.stream("GET", path, params=parameters, timeout=timeout) as response:
                if response.status_code >= 300:
                    raise ApiError.parse(response.status_code, await response.aread())
                yield response.aiter_bytes()
        except httpx2.HTTPError as error:
            raise Unreachable(f"GET {self.server}{path}: {error or type(error).__name__}") from error


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
    return key, kind


def _decode(type_: type[T], raw: bytes | msgspec.Raw) -> T:
    return msgspec.json.decode(raw, type=type_)
