"""What RBAC makes of requests to a Kubernetes API, by the roles of config/rbac."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

import aiohttp
import yaml

from gatewright.cluster import Client
from gatewright.cluster.transport import Transport
from gatewright.local.apiserver import ApiServer
from gatewright.local.apiserver.exchange import Answer, Request

FOLDER = Path(__file__).parents[2] / "config/rbac"
_MARK = "X-Test"
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


class Permission(NamedTuple):
    """A verb on a resource (with its subresource) of a group; `namespace` and `name` are empty for any."""

    verb: str
    group: str
    resource: str
    namespace: str = ""
    name: str = ""


def wanted(method: str, target: str) -> Permission | None:
    """The permission that a request needs (Kubernetes docs, "Request attributes"); None for what is no resource."""
    url = urlsplit(target)
    parts = [unquote(part) for part in url.path.strip("/").split("/")]
    if parts[0] == "api" and len(parts) > 2:
        group, rest = "", parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, rest = parts[1], parts[3:]
    else:
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    name = rest[1] if len(rest) > 1 else ""
    resource = "/".join([rest[0], *rest[2:]])
    if method == "GET":
        watch = parse_qs(url.query).get("watch", [""])[0] in ("true", "1")
        return Permission("get" if name else "watch" if watch else "list", group, resource, namespace, name)
    return Permission(_VERBS[method], group, resource, namespace, name)


def granted(lease_namespace: str) -> Iterator[Permission]:
    """What the roles give; the Role's namespace is that of the lease."""
    for file in sorted(FOLDER.glob("*.yaml")):
        for role in yaml.safe_load_all(file.read_text()):
            if role["kind"] not in ("Role", "ClusterRole"):
                continue
            namespace = lease_namespace if role["kind"] == "Role" else ""
            for rule in role["rules"]:
                for group in rule["apiGroups"]:
                    for resource in rule["resources"]:
                        for verb in rule["verbs"]:
                            for name in rule.get("resourceNames", [""]):
                                yield Permission(verb, group, resource, namespace, name)


class Authorized:
    """Makes an embedded API answer 403 to what the roles don't allow, except to the clients of `client`.

    To be made before the API is started. `used` are the permissions that were needed, `denied` those that weren't
    there.
    """

    def __init__(self, server: ApiServer, lease_namespace: str = "default") -> None:
        self.used: set[Permission] = set()
        self.denied: set[Permission] = set()
        self._granted = set(granted(lease_namespace))
        self._answer = server.api.answer
        vars(server.api)["answer"] = self._authorized

    def _authorized(self, request: Request) -> Answer | Awaitable[Answer]:
        asked = None if _MARK in request.headers else wanted(request.method, request.target)
        if asked is not None:
            found = {
                asked._replace(namespace=namespace, name=name)
                for namespace in (asked.namespace, "")
                for name in (asked.name, "")
            } & self._granted
            if not found:
                self.denied.add(asked)
                return _forbidden(asked)
            self.used |= found
        return self._answer(request)

    def unused(self) -> set[Permission]:
        """What the roles give and nobody needed."""
        return self._granted - self.used


def client(server: ApiServer) -> Client:
    """A client of an authorized API that may do everything."""

    async def mark(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        request.headers[_MARK] = "1"
        return await send(request)

    context = ssl.create_default_context(cadata=server.ca_certificate.decode())
    transport = Transport(server.url, context, authorization=f"Bearer {server.token}", middlewares=[mark])
    return Client(transport)


def _forbidden(asked: Permission) -> Answer:
    status: dict[str, Any] = {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": "Forbidden",
        "code": 403,
        "message": f"{asked.resource}.{asked.group} is forbidden: cannot {asked.verb}",
    }
    return Answer.json(status, 403)
