"""`pods/NAME/proxy` and `services/NAME/proxy`: the API server asks a pod on behalf of a client, from where it stands.

Kubernetes documentation, "Access Services Running on Clusters": the name may be SCHEME:NAME:PORT or NAME:PORT.
"""

from __future__ import annotations

import errno
import os
import random
import ssl
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote

import aiohttp

from gatewright.local.apiserver.errors import StatusError, bad_request
from gatewright.local.apiserver.exchange import Answer, Request
from gatewright.local.apiserver.store import Store

_SECONDS = 30.0
_HOP_BY_HOP = frozenset(
    (
        *("connection", "content-length", "host", "keep-alive", "proxy-authenticate"),
        *("te", "trailer", "transfer-encoding", "upgrade"),
    )
)
_NOT_PASSED_ON = _HOP_BY_HOP | {"authorization"}


class Proxied(NamedTuple):
    """What is asked for: `pods` or `services`, and what of it. An empty port is the first one."""

    plural: str
    namespace: str
    scheme: str
    name: str
    port: str
    path: str


def find(request: Request) -> Proxied | None:
    """What a path names; None for a path that isn't of a proxy. Raises StatusError."""
    path = request.path
    parts = path.split("/", 8)[1:]
    match parts:
        case ["api", "v1", "namespaces", namespace, ("pods" | "services") as plural, name, "proxy", *rest]:
            pass
        case _:
            return None
    words = unquote(name).split(":")
    match words:
        case [only]:
            scheme, named, port = "http", only, ""
        case [named, port]:
            scheme = "http"
        case [scheme, named, port]:
            scheme = scheme or "http"
        case _:
            raise bad_request(f'invalid {plural[:-1]} request "{name}"')
    if scheme not in ("http", "https"):
        raise bad_request(f'invalid {plural[:-1]} request "{name}"')
    query = request.target.partition("?")[2]
    return Proxied(plural, namespace, scheme, named, port, "/" + "".join(rest) + (f"?{query}" if query else ""))


async def answer(store: Store, proxied: Proxied, request: Request) -> Answer:
    """What the pod says. Raises StatusError where it can't be asked."""
    where = _pod(store, proxied) if proxied.plural == "pods" else _endpoint(store, proxied)
    url = f"{proxied.scheme}://{where}{proxied.path}"
    headers = {name: value for name, value in request.headers.items() if name.lower() not in _NOT_PASSED_ON}
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # as an API server does: nothing says whose certificate it is to be
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(_SECONDS), auto_decompress=False) as session,
            session.request(
                request.method, url, headers=headers, data=request.body, allow_redirects=False, ssl=context
            ) as found,
        ):
            kept = [(name, value) for name, value in found.headers.items() if name.lower() not in _HOP_BY_HOP]
            media_type = next((value for name, value in kept if name.lower() == "content-type"), "text/plain")
            others = [(name, value) for name, value in kept if name.lower() != "content-type"]
            return Answer(await found.read(), found.status, media_type, others)
    except (TimeoutError, aiohttp.ClientError, OSError) as error:
        raise _unavailable(f"error trying to reach service: {_words(error, where)}") from error


def _words(error: BaseException, where: str) -> str:
    """As Go's dialer words it."""
    if isinstance(error, TimeoutError):
        return f"dial tcp {where}: i/o timeout"
    number = getattr(error, "errno", None)
    if number == errno.ECONNRESET or isinstance(error, aiohttp.ServerDisconnectedError):
        return f"read tcp {where}: read: connection reset by peer"
    return f"dial tcp {where}: connect: {os.strerror(number).lower() if number else error}"


def _unavailable(message: str) -> StatusError:
    return StatusError(503, "ServiceUnavailable", message)


def _pod(store: Store, proxied: Proxied) -> str:
    record = store.table("pods").get(proxied.namespace, proxied.name)
    if record is None:
        raise StatusError(404, "NotFound", f'pods "{proxied.name}" not found', {"name": proxied.name, "kind": "pods"})
    address = record.obj.get("status", {}).get("podIP")
    if not address:
        raise bad_request("address not allowed")  # Kubernetes' words for a pod that has none yet
    declared = [port for container in record.obj["spec"].get("containers", ()) for port in container.get("ports") or ()]
    number: Any = proxied.port or next((port["containerPort"] for port in declared), "80")
    if not str(number).isdecimal():
        number = next((port["containerPort"] for port in declared if port.get("name") == number), None)
        if number is None:
            raise bad_request(f'pod "{proxied.name}" has no port named {proxied.port!r}')
    return f"{address}:{number}"


def _endpoint(store: Store, proxied: Proxied) -> str:
    if store.table("services").get(proxied.namespace, proxied.name) is None:
        details = {"name": proxied.name, "kind": "services"}
        raise StatusError(404, "NotFound", f'services "{proxied.name}" not found', details)
    found = list(_endpoints(store, proxied))
    if not found:
        raise _unavailable(f'no endpoints available for service "{proxied.name}"')
    return random.choice(found)  # noqa: S311 - any of them will do


def _endpoints(store: Store, proxied: Proxied) -> Iterator[str]:
    service = store.table("services").get(proxied.namespace, proxied.name)
    assert service
    ports = service.obj["spec"].get("ports") or ()
    names = {
        port.get("name", "")
        for number, port in enumerate(ports)
        if proxied.port in (port.get("name"), str(port["port"])) or (not proxied.port and number == 0)
    }
    for record in store.table("endpointslices.discovery.k8s.io").records(proxied.namespace):
        if record.obj["metadata"].get("labels", {}).get("kubernetes.io/service-name") != proxied.name:
            continue
        for port in record.obj.get("ports") or ():
            if (port.get("name") or "") in names:
                for endpoint in record.obj.get("endpoints") or ():
                    if endpoint.get("conditions", {}).get("ready", True):
                        yield f"{endpoint['addresses'][0]}:{port['port']}"
