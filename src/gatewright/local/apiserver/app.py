"""The API as a function from a request to an answer: authenticates, finds what a path names, calls the verb."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

import structlog

from gatewright.local.apiserver import discovery, openapi, proxying, reviews, roles
from gatewright.local.apiserver.admission import Admission
from gatewright.local.apiserver.authentication import Authentication, Tokens, impersonated
from gatewright.local.apiserver.authorization import Attributes, Decision, User, attributes, authorize, denied
from gatewright.local.apiserver.definitions import TABLE as DEFINITIONS
from gatewright.local.apiserver.definitions import Definitions
from gatewright.local.apiserver.deleting import Deleting
from gatewright.local.apiserver.errors import (
    StatusError,
    bad_request,
    method_not_allowed,
    no_such_path,
    not_found,
)
from gatewright.local.apiserver.exchange import Answer, Request
from gatewright.local.apiserver.garbage import Collector
from gatewright.local.apiserver.logs import LogRequest, PodLogs
from gatewright.local.apiserver.namespaces import Namespaces
from gatewright.local.apiserver.patch import APPLY
from gatewright.local.apiserver.reading import Reading, table_key
from gatewright.local.apiserver.request import Options, Target, body_of, media_type, parse_path
from gatewright.local.apiserver.resources import Catalog
from gatewright.local.apiserver.schemas import Schemas
from gatewright.local.apiserver.store import Json, Store
from gatewright.local.apiserver.tables import Tables
from gatewright.local.apiserver.watch import Watch
from gatewright.local.apiserver.writing import Writing

log = structlog.get_logger(__name__)

_OPEN_PATHS = frozenset({"healthz", "livez", "readyz", "version"})


def _warning(text: str) -> str:
    """A `Warning` header's value: quoted, and of printable ASCII only."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    ascii_only = printable.encode("ascii", "backslashreplace").decode()
    return '299 - "' + ascii_only.replace("\\", "\\\\").replace('"', '\\"') + '"'


Audit = Callable[[User, Attributes, Decision], None]
"""Told of each decision about a request: who, what, and whether it is allowed."""


class Api:
    """The embedded Kubernetes API over a store."""

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
        self.audit: Audit | None = None
        self._tokens = Tokens(store)
        self._authentication = Authentication(token, self._tokens)
        self._policy = roles.policy(store)
        self._url = ""

    def start(self, url: str) -> None:
        """Create what every cluster has and begin to collect garbage. Call it within the event loop."""
        self._url = url
        self.namespaces.ensure_initial()
        roles.ensure_initial(self.store)
        self.collector.start()
        self.namespaces.start()
        self.definitions.start()

    async def stop(self) -> None:
        """Stop collecting garbage."""
        self.collector.stop()
        self.namespaces.stop()
        self.definitions.stop()

    def answer(self, request: Request) -> Answer | Awaitable[Answer]:
        """Answer one HTTP request; at once, but for what takes long to make."""
        options = Options(request.query(), request.headers.get("user-agent", ""))
        try:
            answer = self._answer(request, options)
        except StatusError as error:
            answer = Answer.json(error.status(), error.code)
            if error.code == 401:
                answer.headers.append(("www-authenticate", "Bearer"))
        except RecursionError:
            answer = Answer.json(bad_request("the object is nested too deeply").status(), 400)
        except Exception:
            log.exception("request failed", method=request.method, path=request.path)
            message = "an error on the server has prevented the request from succeeding"
            answer = Answer.json(StatusError(500, "InternalError", message).status(), 500)
        if options.warnings and isinstance(answer, Answer):
            answer.headers += [("warning", _warning(text)) for text in options.warnings]
        return answer

    def _authenticate(self, request: Request) -> User:
        """Who sends the request, or who its sender may be taken for."""
        user = self._authentication.user(request)
        wanted = impersonated(request.headers)
        if wanted is None:
            return user
        other, needed = wanted
        for asked in needed:
            self._authorize(user, asked)
        return other

    def _authorize(self, user: User, asked: Attributes) -> None:
        decision = authorize(user, asked, self._policy)
        if self.audit:
            self.audit(user, asked, decision)
        if not decision.allowed:
            raise denied(user, asked, decision.reason)

    def _answer(self, request: Request, options: Options) -> Answer | Awaitable[Answer]:
        parts = request.parts()
        first = parts[0] if parts else ""
        if first in _OPEN_PATHS and request.method in ("GET", "HEAD"):
            return Answer.json(discovery.VERSION) if first == "version" else Answer(b"ok", media_type="text/plain")
        user = self._authenticate(request)
        self._authorize(user, attributes(request.method, parts, options.query))
        if first in ("api", "apis") and len(parts) <= (2 if first == "api" else 3):
            return discovery.answer(self.catalog, parts, request.headers.get("accept", ""), self._url)
        if first == "openapi":
            return self._openapi(parts, request.headers.get("accept", ""))
        if first not in ("api", "apis"):
            if not parts:
                return Answer.json({"paths": discovery.paths(self.catalog)})
            raise no_such_path()
        review = reviews.find(parts)
        if review is not None:
            if request.method != "POST":
                raise method_not_allowed()
            return Answer.json(self._review(*review, user, request), 201)
        proxied = proxying.find(request)
        if proxied is not None:
            return self._proxy(proxied, request)
        if len(parts) > 3 and parts[2 if first == "api" else 3] == "watch":
            options.query["watch"] = "true"
        target = parse_path(self.catalog, parts)
        if target.resource.qualified == DEFINITIONS:
            self.definitions.seed()
        if request.method == "PATCH" and self._creates(target, request):
            self._authorize(user, attributes("POST", parts, options.query))
        return self._serve(target, request, options)

    def _creates(self, target: Target, request: Request) -> bool:
        """Whether a server-side apply makes a new object, which has to be allowed as well."""
        if media_type(request.headers.get("content-type", "")) != APPLY or target.subresource:
            return False
        return self.store.table(table_key(target.resource)).get(target.namespace or "", target.name) is None

    def _review(self, review: reviews.Review, namespace: str, user: User, request: Request) -> Json:
        question = reviews.question(body_of(request), request.headers.get("content-type", ""))
        spec = question.get("spec") or {}
        if not isinstance(spec, dict):
            raise bad_request("spec: expected an object")
        asked = reviews.Asked(spec, user, namespace, self._policy, self._tokens.user)
        return {**question, "status": review(asked)}

    def _openapi(self, parts: list[str], accept: str) -> Answer | Awaitable[Answer]:
        match parts[1:]:
            case ["v2"]:
                if openapi.V2_PROTOBUF in accept or openapi.V2_PROTOBUF_OLD in accept:
                    return Answer(openapi.EMPTY_V2_PROTOBUF, media_type=openapi.V2_PROTOBUF)
                return Answer.json(openapi.EMPTY_V2)
            case ["v3"]:
                return Answer.json(openapi.index(self.catalog))
            case ["v3", "api", version]:
                group = ""
            case ["v3", "apis", group, version]:
                pass
            case _:
                raise no_such_path()
        return self._document(group, version)

    async def _document(self, group: str, version: str) -> Answer:
        # In a thread: the first document of a built-in group imports all models for their docstrings.
        try:
            raw = await asyncio.to_thread(openapi.document, self.catalog, self.schemas, group, version)
        except Exception:
            log.exception("no OpenAPI document", group=group, version=version)
            return Answer.json(StatusError(500, "InternalError", "the OpenAPI document can't be made").status(), 500)
        return Answer.json(raw if raw is not None else no_such_path().status(), 200 if raw is not None else 404)

    def _serve(self, target: Target, request: Request, options: Options) -> Answer:
        accept = request.headers.get("accept", "")
        content_type = request.headers.get("content-type", "")
        match request.method, bool(target.name):
            case (("GET" | "HEAD"), named):
                if target.subresource == "log":
                    return self._log(target, options)
                if options.flag("watch"):
                    watch = Watch(self.store, target, options, accept, self.reading)
                    return Answer(watch.stream())
                return Answer.json(
                    self.reading.get(target, accept) if named else self.reading.listing(target, options, accept)
                )
            case "POST", named:
                body = body_of(request)
                if named and not target.subresource:
                    raise method_not_allowed()
                if (target.resource.qualified, target.subresource) == ("serviceaccounts", "token"):
                    return Answer.json(self._tokens.request(target, reviews.question(body, content_type)), 201)
                record, code = self.writing.create(target, options, content_type, body)
            case "PUT", True:
                body = body_of(request)
                record, code = self.writing.update(target, options, content_type, body)
            case "PATCH", True:
                body = body_of(request)
                record, code = self.writing.patch(target, options, content_type, body)
            case "DELETE", named:
                body = body_of(request)
                delete_options = self.deleting.options(content_type, body, options)
                if named:
                    return Answer.json(*self.deleting.delete(target, options, delete_options))
                return Answer.json(self.deleting.delete_collection(target, options, delete_options))
            case _:
                raise method_not_allowed()
        return Answer.json(self.reading.render(record, target, accept), code)

    async def _proxy(self, proxied: proxying.Proxied, request: Request) -> Answer:
        try:
            return await proxying.answer(self.store, proxied, request)
        except StatusError as error:
            return Answer.json(error.status(), error.code)

    def _log(self, target: Target, options: Options) -> Answer:
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
            since=options.since,
            limit=options.number("limitBytes"),
        )
        return Answer(self._until_closed(self.logs.read(request)), media_type="text/plain")

    async def _until_closed(self, chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
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
