"""What Envoy refuses hurts nobody else, and the guilty object learns why."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
from tests.envoy.edge_world import GATEWAY, backend_key

from gatewright.model.meta import Key
from gatewright.topology import (
    Cors,
    ExternalAuth,
    HeaderModifier,
    PathModifier,
    PortKey,
    Redirect,
    Retry,
    Rewrite,
    Session,
)

BAD = "~/a(b"
"""A path pattern with a parenthesis too many."""


def rejection(world: Any, route: str) -> Any:
    return world.rejections.get(("HTTPRoute", Key("infra", route)))


@pytest.fixture
async def served(world: Any, echo: Any) -> Any:
    world.listener()
    world.backend("one", await echo("one"))
    return world


async def test_a_refused_rule_is_rejected_and_the_others_go_on(served: Any, get: Any) -> None:
    served.rule("good", "/good", "one")
    assert (await get("/good")).status == 200
    with served.flow.batch():
        served.rule("bad", BAD, "one", version="7")
        served.rule("next", "/next", "one")
    assert (await get("/good")).status == 200
    assert (await get("/next")).status == 200
    assert rejection(served, "bad").version == "7"
    assert "missing ): /a(b" in rejection(served, "bad").message
    assert len(served.rejections) == 1


async def test_an_object_that_changes_gets_another_chance(served: Any, get: Any) -> None:
    served.rule("it", BAD, "one", version="1")
    assert (await get("/ab")).status == 404
    served.rule("it", "~/ab?", "one", version="2")
    assert (await get("/ab")).status == 200
    assert rejection(served, "it") is None


async def test_the_guilty_are_found_among_many_new_rules(served: Any, edge: Any, get: Any) -> None:
    with served.flow.batch():
        for number in range(40):
            served.rule(f"r{number}", BAD if number in (7, 31) else f"/r{number}", "one")
        served.rule("host", "/host", "one", filters=(HeaderModifier("request", remove=("host",)),))
    assert {number for number in range(40) if (await get(f"/r{number}")).status == 200} == {*range(40)} - {7, 31}
    assert {key.name for _, key in sorted(served.rejections.keys())} == {"r7", "r31", "host"}


async def test_a_bad_virtual_host_does_not_hold_up_the_others(served: Any, edge: Any, get: Any) -> None:
    with served.flow.batch():
        for number in range(30):
            host = served.host(f"h{number}.example.com")
            served.rule(f"r{number}", BAD if number in (0, 13) else "/", "one", host=host)
    statuses = {number: (await get("/", host=f"h{number}.example.com")).status for number in range(30)}
    assert statuses == {**dict.fromkeys(range(30), 200), 0: 404, 13: 404}
    assert {key.name for _, key in sorted(served.rejections.keys())} == {"r0", "r13"}


async def test_what_served_before_goes_on_while_a_worse_version_is_refused(served: Any, edge: Any, get: Any) -> None:
    served.rule("it", "/it", "one", version="1")
    served.rule("other", "/other", "one")
    assert (await get("/it")).status == 200
    served.rule("it", BAD, "one", version="2")
    served.rule("third", "/third", "one")
    assert (await get("/other")).status == 200
    assert (await get("/third")).status == 200
    assert rejection(served, "it").version == "2"


ODD: dict[str, dict[str, Any]] = {
    "value": {"filters": (HeaderModifier("request", set=(("x", "a\x01b"),)),)},
    "name": {"filters": (HeaderModifier("response", add=(("x y", "a"),)),)},
    "long": {"filters": (HeaderModifier("request", set=(("x", "a" * 20000),)),)},
    "cors": {"filters": (Cors(("https://a\n",), ("GET\n",), (), (), False, 5),)},
    "cookie": {"session": Session("Cookie", "a b;")},
    "header": {"session": Session("Header", "a\n")},
    "authorization": {"filters": (ExternalAuth("HTTP", backend_key("one"), allowed_headers=("a)%",)),)},
    "authorization-path": {"filters": (ExternalAuth("HTTP", backend_key("one"), path="/a b"),)},
    "redirect": {"filters": (Redirect(302, hostname="a\nb"),)},
    "redirect-status": {"filters": (Redirect(399),)},
    "hostname": {"filters": (Rewrite(hostname="a\nb"),)},
    "path": {"filters": (Rewrite(path=PathModifier("ReplaceFullPath", "/a\nb")),)},
    "timeout": {"request_timeout": 1e15},
    "backoff": {"retry": Retry((500,), 1, 1e15)},
}


async def test_odd_text_in_any_field_costs_one_rule_and_is_told_in_words(served: Any, get: Any) -> None:
    served.rule("good", "/good", "one")
    with served.flow.batch():
        for name, how in ODD.items():
            served.rule(name, f"/{name}", "one", **how)
    assert (await get("/good")).status == 200
    assert {name: rejection(served, name) is not None for name in ODD} == dict.fromkeys(ODD, True)
    for name in ODD:
        message = rejection(served, name).message
        assert message.isprintable()
        assert len(message) < 200
        assert (await get(f"/{name}")).status == 404


async def test_a_port_in_use_is_told_and_served_once_it_is_free(
    world: Any, edge: Any, get: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gatewright.envoy.target._LISTENER_RETRY", 0.1)
    binding = world.bindings[GATEWAY]
    with socket.socket() as squatter:
        squatter.bind((binding.host, binding.ports[80]))
        squatter.listen()
        world.listener()
        world.listener("other", port=8080)
        assert (await get("/", port=8080)).status == 404
        state = world.ports[PortKey(GATEWAY, 80)]
        assert not state.serving
        assert "Address already in use" in state.message
        assert str(binding.ports[80]) in state.message
        assert world.ports[PortKey(GATEWAY, 8080)].serving

    async def served() -> None:
        while not world.ports[PortKey(GATEWAY, 80)].serving:
            await edge.server.stirred()

    await asyncio.wait_for(served(), 60)
    assert (await get("/", port=80)).status == 404
