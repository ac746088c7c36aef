"""The ASGI application: authenticates, finds what a path names, calls the verb, answers."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator

import msgspec
import structlog
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from gatewright.local.apiserver import discovery, openapi, reviews
from gatewright.local.apiserver.admission import Admission
from gatewright.local.apiserver.definitions import TABLE as DEFINITIONS
from gatewright.local.apiserver.definitions import Definitions
from gatewright.local.apiserver.deleting import Deleting
from gatewright.local.apiserver.errors import (
    StatusError,
    bad_request,
    method_not_allowed,
    no_such_path,
    not_found,
    unauthorized,
)
from gatewright.local.apiserver.garbage import Collector
from gatewright.local.apiserver.logs import LogRequest, PodLogs
from gatewright.local.apiserver.namespaces import Namespaces
from gatewright.local.apiserver.reading import Reading
from gatewright.local.apiserver.request import Options, Target, parse_path, query_of, read_body
from gatewright.local.apiserver.resources import Catalog
from gatewright.local.apiserver.schemas import Schemas
from gatewright.local.apiserver.store import Json, Store
from gatewright.local.apiserver.tables import Tables
from gatewright.local.apiserver.watch import Watch
from gatewright.local.apiserver.writing import Writing

log = structlog.get_logger(__name__)

_OPEN_PATHS = frozenset({"healthz", "livez", "readyz", "version"})


def json_response(value: Json | bytes, code: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer, from a value or from bytes that are JSON already."""
    raw = value if isinstance(value, bytes) else msgspec.json.encode(value)
    return Response(raw, code, headers, media_type="application/json")


def _warning(text: str) -> str:
    """A `Warning` header's value: quoted, and of printable ASCII only."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    ascii_only = printable.encode("ascii", "backslashreplace").decode()
    return '299 - "' + ascii_only.replace("\\", "\\\\").replace('"', '\\"') + '"'


class Api:
    """The embedded Kubernetes API as an ASGI application over a store."""

    def __init__(self, store: Store, token: str, *, graceful_pods: bool = False) -> None:
        self.store = store
        self.catalog = Catalog()
        self.logs = PodLogs()
        self.deleting = Deleting(store, graceful_pods=graceful_pods)
        self.schemas = Schemas()
        self.definitions = Definitions(store, self.catalog, self.schemas, self.deleting)
        self.reading = Reading(store, Tables(self.definitions.columns))
        admission = Admission(store, self.catalog, self.schemas, self.definitions)
        self.writing = Writing(store, self.deleting, admission)
        self.collector = Collector(store, self.catalog, self.deleting)
        self.namespaces = Namespaces(store, self.catalog, self.deleting)
        self._authorization = f"Bearer {token}".encode()
        self._url = ""

    def start(self, url: str) -> None:
        """Create what every cluster has and begin to collect garbage. Call it within the event loop."""
        self._url = url
        self.namespaces.ensure_initial()
        self.collector.start()
        self.namespaces.start()
        self.definitions.start()

    async def stop(self) -> None:
        """Stop collecting garbage."""
        self.collector.stop()
        self.namespaces.stop()
        self.definitions.stop()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        options = Options(query_of(request), request.headers.get("user-agent", ""))
        try:
            response = await self._answer(request, options)
        except StatusError as error:
            response = json_response(error.status(), error.code)
            if error.code == 401:
                response.headers["www-authenticate"] = "Bearer"
        except RecursionError:
            response = json_response(bad_request("the object is nested too deeply").status(), 400)
        except Exception:
            log.exception("request failed", method=request.method, path=request.url.path)
            message = "an error on the server has prevented the request from succeeding"
            response = json_response(StatusError(500, "InternalError", message).status(), 500)
        for warning in options.warnings:
            response.headers.append("warning", _warning(warning))
        await response(scope, receive, send)

    def _authenticate(self, request: Request) -> None:
        found = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(found, self._authorization):
            raise unauthorized()

    async def _answer(self, request: Request, options: Options) -> Response:
        parts = [part for part in request.url.path.split("/") if part]
        first = parts[0] if parts else ""
        if first in _OPEN_PATHS and request.method in ("GET", "HEAD"):
            return json_response(discovery.VERSION) if first == "version" else PlainTextResponse("ok")
        self._authenticate(request)
        if first in ("api", "apis") and len(parts) <= (2 if first == "api" else 3):
            return discovery.answer(self.catalog, parts, request.headers.get("accept", ""), self._url)
        if first == "openapi":
            return await self._openapi(parts, request.headers.get("accept", ""))
        if first not in ("api", "apis"):
            if not parts:
                return json_response({"paths": discovery.paths(self.catalog)})
            raise no_such_path()
        review = reviews.find(parts)
        if review is not None:
            if request.method != "POST":
                raise method_not_allowed()
            return json_response(review(await read_body(request), request.headers.get("content-type", "")), 201)
        if len(parts) > 3 and parts[2 if first == "api" else 3] == "watch":
            options.query["watch"] = "true"
        target = parse_path(self.catalog, parts)
        if target.resource.qualified == DEFINITIONS:
            self.definitions.seed()
        return await self._serve(target, request, options)

    async def _openapi(self, parts: list[str], accept: str) -> Response:
        match parts[1:]:
            case ["v2"]:
                if openapi.V2_PROTOBUF in accept or openapi.V2_PROTOBUF_OLD in accept:
                    return Response(openapi.EMPTY_V2_PROTOBUF, media_type=openapi.V2_PROTOBUF)
                return json_response(openapi.EMPTY_V2)
            case ["v3"]:
                return json_response(openapi.index(self.catalog))
            case ["v3", "api", version]:
                group = ""
            case ["v3", "apis", group, version]:
                pass
            case _:
                raise no_such_path()
        # In a thread: the first document of a built-in group imports all models for their docstrings.
        raw = await asyncio.to_thread(openapi.document, self.catalog, self.schemas, group, version)
        if raw is None:
            raise no_such_path()
        return json_response(raw)

    async def _serve(self, target: Target, request: Request, options: Options) -> Response:
        accept = request.headers.get("accept", "")
        content_type = request.headers.get("content-type", "")
        match request.method, bool(target.name):
            case (("GET" | "HEAD"), named):
                if target.subresource == "log":
                    return self._log(target, options)
                if options.flag("watch"):
                    watch = Watch(self.store, target, options, accept, self.reading)
                    return StreamingResponse(watch.stream(), media_type="application/json")
                return json_response(
                    self.reading.get(target, accept) if named else self.reading.listing(target, options, accept)
                )
            case "POST", named:
                body = await read_body(request)
                if named and not target.subresource:
                    raise method_not_allowed()
                record, code = self.writing.create(target, options, content_type, body)
            case "PUT", True:
                body = await read_body(request)
                record, code = self.writing.update(target, options, content_type, body)
            case "PATCH", True:
                body = await read_body(request)
                record, code = self.writing.patch(target, options, content_type, body)
            case "DELETE", named:
                body = await read_body(request)
                delete_options = self.deleting.options(content_type, body, options)
                if named:
                    return json_response(*self.deleting.delete(target, options, delete_options))
                return json_response(self.deleting.delete_collection(target, options, delete_options))
            case _:
                raise method_not_allowed()
        return json_response(self.reading.render(record, target, accept), code)

    def _log(self, target: Target, options: Options) -> Response:
        record = self.store.table("pods").get(target.namespace or "", target.name)
        if target.resource.qualified != "pods":
            raise no_such_path()
        if record is None:
            raise not_found(target.resource, target.name)
        wanted = options.query.get("container", "")
        spec = record.obj.get("spec", {})
        names = [container.get("name", "") for container in spec.get("containers", [])]
        initial = [container.get("name", "") for container in spec.get("initContainers") or []]
        if not wanted and len(names) > 1:
            raise bad_request(
                f"a container name must be specified for pod {target.name}, choose one of: [{' '.join(names)}]"
            )
        if wanted and wanted not in names + initial:
            raise bad_request(f"container {wanted} is not valid for pod {target.name}")
        request = LogRequest(
            namespace=target.namespace or "",
            pod=target.name,
            container=wanted or (names[0] if names else ""),
            follow=options.flag("follow"),
            previous=options.flag("previous"),
            timestamps=options.flag("timestamps"),
            tail=options.number("tailLines"),
            since=options.seconds("sinceSeconds"),
            limit=options.number("limitBytes"),
        )
        return StreamingResponse(self._until_closed(self.logs.read(request)), media_type="text/plain")

    async def _until_closed(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The chunks of a log, ending when the server stops."""
        closing = asyncio.ensure_future(self.store.when_closed())
        iterator = aiter(chunks)
        try:
            while True:
                following = asyncio.ensure_future(anext(iterator, None))
                await asyncio.wait((following, closing), return_when=asyncio.FIRST_COMPLETED)
                if not following.done():
                    following.cancel()
                    return
                chunk = following.result()
                if chunk is None:
                    return
                yield chunk
        finally:
            closing.cancel()
