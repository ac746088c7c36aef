"""Sessions that stay on an endpoint (GEP-1619)."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.envoy.edge_world import backend_key
from tests.envoy.scripted import Answer
from tests.envoy.test_backend_tls import Authority, server_side, tls

from gatewright.model.meta import Key
from gatewright.topology import Backend, HeaderModifier, Session, WeightedBackend


@pytest.fixture(params=["*", "test.example.com"])
async def served(request: Any, world: Any, echo: Any) -> Any:
    """One HTTP listener, and a backend with three endpoints."""
    world.listener()
    world.backend("it", *[await echo(f"pod-{number}") for number in range(3)])
    where = world.host(request.param)

    def rule(*args: Any, **more: Any) -> Any:
        return world.rule(*args, host=where, **more)

    return rule


async def test_a_cookie_keeps_the_endpoint(served: Any, get: Any) -> None:
    served("it", "/app", "it", session=Session("Cookie", "who", 600, "/app"))
    served("other", "/other", "it", precedence=200)
    first = await get("/app")
    cookie = first.headers["set-cookie"]
    assert cookie.startswith("who=")
    assert {"Path=/app", "Max-Age=600", "HttpOnly"} <= set(cookie.split("; "))
    sent = {"cookie": f"a=b; {cookie.split(';')[0]}"}
    assert {(await get("/app/x", headers=sent)).echo["name"] for _ in range(12)} == {first.echo["name"]}
    assert len({(await get("/app")).echo["name"] for _ in range(60)}) == 3
    assert "set-cookie" not in (await get("/other")).headers


async def test_a_cookie_of_the_browsers_session(served: Any, get: Any) -> None:
    served("it", "/", "it", session=Session("Cookie", "who"))
    assert "Max-Age" not in (await get("/")).headers["set-cookie"]


async def test_a_header_keeps_the_endpoint(served: Any, get: Any) -> None:
    served("it", "/", "it", session=Session("Header", "x-who"))
    first = await get("/")
    sent = {"x-who": first.headers["x-who"]}
    assert {(await get("/", headers=sent)).echo["name"] for _ in range(12)} == {first.echo["name"]}


async def test_a_session_moves_when_its_endpoint_goes(served: Any, world: Any, echo: Any, get: Any) -> None:
    served("it", "/", "it", session=Session("Header", "x-who"))
    sent = {"x-who": (await get("/")).headers["x-who"]}
    world.backend("it", await echo("new"))
    answer = await get("/", headers=sent)
    assert answer.echo["name"] == "new"
    assert answer.headers["x-who"] != sent["x-who"]


@pytest.fixture(params=["Cookie", "Header"])
def session(request: Any) -> Session:
    return Session(request.param, "who")


def sent_back(session: Session, answer: Any) -> dict[str, str]:
    if session.type == "Header":
        return {session.name: answer.headers[session.name]}
    return {"cookie": "a=b; " + answer.headers["set-cookie"].split(";")[0]}


async def test_a_session_stays_in_its_share_whatever_the_weights(
    served: Any, world: Any, echo: Any, get: Any, session: Session
) -> None:
    world.backend("other", await echo("other-0"), await echo("other-1"))
    served("it", "/", ("it", 9), ("other", 1), session=session)
    firsts = [await get("/") for _ in range(60)]
    names = Counter(first.echo["name"].partition("-")[0] for first in firsts)
    assert 40 < names["pod"] < 60
    rare = next(first for first in firsts if first.echo["name"].startswith("other"))
    sent = sent_back(session, rare)
    assert {(await get("/", headers=sent)).echo["name"] for _ in range(10)} == {rare.echo["name"]}
    served("it", "/", ("it", 1), ("other", 0), session=session)
    assert {(await get("/", headers=sent)).echo["name"] for _ in range(10)} == {rare.echo["name"]}
    assert {(await get("/")).echo["name"].partition("-")[0] for _ in range(10)} == {"pod"}


async def test_a_share_without_a_backend_gets_new_sessions_only(served: Any, get: Any, session: Session) -> None:
    served("it", "/", ("it", 1), (None, 1), session=session)
    firsts = [await get("/") for _ in range(40)]
    assert {first.status for first in firsts} == {200, 500}
    good = next(first for first in firsts if first.status == 200)
    sent = sent_back(session, good)
    assert {(await get("/", headers=sent)).echo["name"] for _ in range(20)} == {good.echo["name"]}
    served("it", "/", ("it", 0), (None, 1), session=session)
    assert (await get("/")).status == 500


async def test_what_cannot_be_one_pool_is_refused(served: Any, world: Any, echo: Any, get: Any) -> None:
    kept = Session("Cookie", "who")
    own = WeightedBackend(backend_key("it"), 1, (HeaderModifier("request", remove=("x",)),))
    world.backend("h2", await echo("h2"), protocol="h2c")
    served("filters", "/filters", own, "it", session=kept)
    served("mixed", "/mixed", "h2", "it", session=kept)
    assert (await get("/filters")).status == 404
    assert (await get("/mixed")).status == 404
    for name, word in (("filters", "filters of their own"), ("mixed", "HTTP/2")):
        assert word in world.rejections[("HTTPRoute", Key("infra", name))].message


async def test_a_pool_of_tls_and_plain_backends(
    served: Any, world: Any, script: Any, get: Any, session: Session, tmp_path: Path
) -> None:
    authority = Authority()
    secure = await script(lambda _: Answer(body="secure\nGET"), tls=server_side(tmp_path, authority.issue("abc.test")))
    world.backend("secure", secure.endpoint)
    world.backends.set(backend_key("secure"), Backend(backend_key("secure"), "http", tls(authority)))
    served("it", "/", "it", "secure", session=session)
    firsts = [await get("/") for _ in range(20)]
    assert {first.status for first in firsts} == {200}
    first = next(first for first in firsts if first.echo["name"] == "secure")
    sent = sent_back(session, first)
    assert {(await get("/", headers=sent)).echo["name"] for _ in range(10)} == {"secure"}
