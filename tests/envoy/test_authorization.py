"""Requests that a service must permit (GEP-1494)."""
# mypy: disable-error-code="import-not-found,import-untyped,misc"

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from envoy.service.auth.v3 import external_auth_pb2, external_auth_pb2_grpc
from envoy.type.v3 import http_status_pb2
from google.rpc import status_pb2
from tests.envoy.edge_world import backend_key, loopback
from tests.envoy.scripted import Answer, Asked

from gatewright.topology import Backend, Cors, Endpoint, Endpoints, ExternalAuth, HeaderModifier, Session

GRPC = backend_key("auth")._replace(use="grpc")


@pytest.fixture(params=["*", "test.example.com"])
async def served(request: Any, world: Any, echo: Any) -> Any:
    """One HTTP listener and the backend `one`, for a wildcard host and for an exact one."""
    world.listener()
    world.backend("one", await echo("one"))
    where = world.host(request.param)

    def rule(*args: Any, **more: Any) -> Any:
        return world.rule(*args, host=where, **more)

    return rule


def over_http(**more: Any) -> ExternalAuth:
    return ExternalAuth("HTTP", backend_key("auth"), **more)


def only_friends(asked: Asked) -> Answer:
    if asked.headers.get("authorization") == "friend":
        return Answer(200, {"x-user": "friend", "x-more": "2", "host": "evil.test", "x-set": "auth"})
    return Answer(401, {"www-authenticate": "Basic"}, "who are you?")


async def test_http(served: Any, world: Any, script: Any, get: Any) -> None:
    auth = await script(only_friends)
    world.backend("auth", auth.endpoint)
    filter_ = over_http(path="/check/", allowed_headers=("x-cookie", "x%y", "host", "authorization"))
    served("it", "/", "one", filters=(filter_,))
    served("open", "/open", "one", precedence=1)
    sent = {"authorization": "friend", "x-cookie": "c", "X%Y": "p", "x-secret": "s", "x-set": "client"}
    allowed = await get("/path?q=1", headers=sent)
    assert allowed.echo["x-user"] == "friend"
    assert allowed.echo["x-more"] == "2"
    assert allowed.echo["x-set"] == "auth"
    assert allowed.echo["x-secret"] == "s"
    assert allowed.echo["host"] == "test.example.com"
    asked = auth.asked[0]
    assert (asked.method, asked.path, asked.headers["host"]) == ("GET", "/check/path?q=1", "test.example.com")
    assert (asked.headers["x-cookie"], asked.headers["x%y"]) == ("c", "p")
    assert "x-secret" not in asked.headers
    assert asked.headers["content-length"] == "0"
    assert (await get("/", headers={"authorization": "friend"})).status == 200
    assert "x-cookie" not in auth.asked[-1].headers
    denied = await get("/", headers={"authorization": "foe"})
    assert (denied.status, denied.body, denied.headers["www-authenticate"]) == (401, "who are you?", "Basic")
    count = len(auth.asked)
    assert (await get("/open")).status == 200
    assert len(auth.asked) == count, "a rule without the filter asks nobody"


async def test_chosen_headers_of_the_answer_go_on(served: Any, world: Any, script: Any, get: Any) -> None:
    auth = await script(only_friends)
    world.backend("auth", auth.endpoint)
    served("it", "/", "one", filters=(over_http(allowed_response_headers=("x-user",)),))
    echo = (await get("/", headers={"authorization": "friend"})).echo
    assert (echo["x-user"], echo.get("x-more")) == ("friend", None)


async def test_what_cannot_be_asked_denies(served: Any, world: Any, get: Any) -> None:
    world.backend("auth", Endpoint(loopback(), 9))
    served("dead", "/dead", "one", filters=(over_http(),))
    served("empty", "/empty", "one", filters=(ExternalAuth("HTTP", backend_key("empty")),))
    served("missing", "/missing", "one", filters=(ExternalAuth("HTTP", backend_key("missing")),))
    world.backend("empty")
    assert (await get("/dead")).status == 403
    assert (await get("/empty")).status == 403
    assert (await get("/missing")).status == 500


async def test_the_body_goes_along_up_to_its_size(served: Any, world: Any, script: Any, edge: Any, get: Any) -> None:
    auth, app = await script(), await script()
    world.backend("auth", auth.endpoint)
    world.backend("app", app.endpoint)
    served("it", "/", "app", filters=(over_http(max_body=10),))
    served("none", "/none", "app", filters=(over_http(),), precedence=1)
    assert (await get("/", method="POST", headers={"content-length": "0"})).status == 200
    for body, path, status, told in ((b"0123456789", "/", 200, b"0123456789"), (b"x" * 11, "/none", 200, b"")):
        answer = await get(path, method="POST", body=body)
        assert answer.status == status
        assert auth.asked[-1].body == told
        assert app.asked[-1].body == body
    before = len(app.asked)
    assert (await get("/", method="POST", body=b"x" * 11)).status == 413
    assert len(app.asked) == before


async def test_preflight_requests_are_answered_before(served: Any, world: Any, script: Any, get: Any) -> None:
    auth = await script(only_friends)
    world.backend("auth", auth.endpoint)
    cors = Cors(("https://a.test",), ("GET",), (), (), False, 5)
    served("it", "/", "one", filters=(over_http(), cors))
    asked = {"origin": "https://a.test", "access-control-request-method": "GET"}
    assert (await get("/", method="OPTIONS", headers=asked)).status == 200
    denied = await get("/", headers={"origin": "https://a.test"})
    assert (denied.status, denied.headers["access-control-allow-origin"]) == (401, "https://a.test")


class Authorization(external_auth_pb2_grpc.AuthorizationServicer):
    """Permits what has `authorization: friend`."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.writes = {"x-user": "friend"}

    async def Check(self, request: Any, context: Any) -> external_auth_pb2.CheckResponse:
        self.asked.append(request.attributes.request.http)
        answer = external_auth_pb2.CheckResponse()
        if self.asked[-1].headers.get("authorization") == "friend":
            for name, value in self.writes.items():
                written = answer.ok_response.headers.add().header
                written.key, written.value = name, value
        else:
            answer.status.CopyFrom(status_pb2.Status(code=grpc.StatusCode.PERMISSION_DENIED.value[0]))
            answer.denied_response.status.code = http_status_pb2.Unauthorized
        return answer


@pytest.fixture
async def authorization(world: Any) -> AsyncIterator[Authorization]:
    server, service = grpc.aio.server(), Authorization()
    external_auth_pb2_grpc.add_AuthorizationServicer_to_server(service, server)
    endpoint = Endpoint("127.0.0.1", server.add_insecure_port("127.0.0.1:0"))
    world.backends.set(GRPC, Backend(GRPC, "h2c"))
    world.endpoints.set(GRPC, Endpoints(GRPC, (endpoint,)))
    await server.start()
    yield service
    await server.stop(None)


async def test_grpc(served: Any, authorization: Authorization, get: Any) -> None:
    served("it", "/", "one", filters=(ExternalAuth("GRPC", GRPC, max_body=100),))
    allowed = await get("/path", method="POST", headers={"authorization": "friend", "x-any": "1"}, body=b"hello")
    assert allowed.echo["x-user"] == "friend"
    asked = authorization.asked[0]
    assert (asked.method, asked.path, asked.headers["x-any"], asked.body) == ("POST", "/path", "1", "hello")
    assert "x-gatewright-host" not in asked.headers
    assert (await get("/", headers={"authorization": "foe"})).status == 401


# What would say that the request ends elsewhere, or leads elsewhere, or is to be treated otherwise by the proxy.
NOT_FOR_SERVICES = {
    "content-length": "7",
    "transfer-encoding": "chunked",
    "connection": "close",
    "upgrade": "h2c",
    "host": "evil.test",
    ":path": "/evil",
    "x-envoy-max-retries": "9",
    "x-gatewright-host": "evil.test",
}
ANSWERS_OWN = (":path", "content-length", "transfer-encoding")
"""What of that an answer over HTTP says of itself, or can't say."""


@pytest.mark.parametrize("name", NOT_FOR_SERVICES)
async def test_what_a_service_must_not_write(
    served: Any, world: Any, authorization: Authorization, script: Any, get: Any, name: str
) -> None:
    written = authorization.writes = {name: NOT_FOR_SERVICES[name], "x-user": "friend"}
    auth = await script(lambda _: Answer(200, {} if name in ANSWERS_OWN else written))
    world.backend("auth", auth.endpoint)
    served("grpc", "/grpc", "one", filters=(ExternalAuth("GRPC", GRPC),))
    served("http", "/http", "one", filters=(over_http(),))
    sent = {"authorization": "friend"}
    for path in ("/grpc", "/http"):
        plain = (await get(path, headers=sent)).echo
        assert plain["line"] == f"GET {path} HTTP/1.1"
        assert plain["host"] == "test.example.com"
        assert NOT_FOR_SERVICES[name] not in plain.values()
    assert (await get("/grpc", headers=sent)).echo["x-user"] == "friend"


async def test_chosen_headers_go_to_a_grpc_service(served: Any, authorization: Authorization, get: Any) -> None:
    served("it", "/", "one", filters=(ExternalAuth("GRPC", GRPC, allowed_headers=("authorization", "x-told")),))
    assert (await get("/", headers={"authorization": "friend", "X-Told": "1", "x-secret": "s"})).status == 200
    told = authorization.asked[0].headers
    assert (told["authorization"], told["x-told"]) == ("friend", "1")
    assert "x-secret" not in told


async def test_each_way_to_write_the_host_leads_to_the_service(served: Any, world: Any, script: Any, get: Any) -> None:
    world.backend("auth", (await script(only_friends)).endpoint)
    served("it", "/", "one", filters=(over_http(),))
    for host in ("test.example.com", "TEST.example.com", "test.example.com:80", "Test.Example.Com:80"):
        assert (await get("/", host=host)).status == 401
        assert (await get("/", host=host, headers={"authorization": "friend"})).echo["x-user"] == "friend"


async def test_a_rule_may_have_a_session_as_well(served: Any, world: Any, script: Any, get: Any) -> None:
    world.backend("auth", (await script(only_friends)).endpoint)
    served("it", "/", "one", filters=(over_http(),), session=Session("Cookie", "kept"))
    allowed = await get("/", headers={"authorization": "friend"})
    assert (allowed.status, allowed.headers["set-cookie"].partition("=")[0]) == (200, "kept")
    denied = await get("/")
    assert (denied.status, denied.headers.get("set-cookie")) == (401, None)


async def test_other_filters_apply_to_the_backend_alone(served: Any, world: Any, script: Any, get: Any) -> None:
    auth = await script()
    world.backend("auth", auth.endpoint)
    served("it", "/", "one", filters=(over_http(), HeaderModifier("request", set=(("authorization", "edge"),))))
    assert (await get("/", headers={"authorization": "client"})).echo["authorization"] == "edge"
    assert auth.asked[0].headers["authorization"] == "client"
