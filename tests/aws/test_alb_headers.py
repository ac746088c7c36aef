"""What an ALB tells targets and clients ("HTTP headers and Application Load Balancers", load balancer attributes)."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import re
import time
from contextlib import AsyncExitStack
from typing import Any

import pytest
from msgspec.structs import replace
from tests.aws.alb_world import (
    AlbCloud,
    Front,
    HttpTargets,
    Response,
    cloud,
    says,
    stack,
    to,
)

from gatewright.local.aws.state import Listener

__all__ = ["cloud", "stack"]


class Served:
    """An ALB with attributes, whose listener forwards to one target."""

    def __init__(self, cloud: AlbCloud, stack: AsyncExitStack) -> None:
        self.cloud, self.front, self._stack = cloud, Front(cloud, stack), stack

    async def start(self, port: int = 80, *, https: bool = False, listener: Any = None, **attributes: Any) -> Listener:
        cloud = self.cloud
        balancer, group = cloud.alb(**attributes), cloud.http_group("app")
        await HttpTargets(self._stack, cloud)("pod", group)
        more = {"attributes": {name.replace("__", "."): value for name, value in (listener or {}).items()}}
        if https:
            made = cloud.https(balancer, to(group), cloud.certificate("app.example.com"), port=port, **more)
        else:
            made = cloud.http(balancer, to(group), port=port, **more)
        await self.front.start()
        return made

    async def ask(self, path: str = "/", **how: Any) -> Response:
        return await self.front.ask(path, **how)


@pytest.fixture
def served(cloud: AlbCloud, stack: AsyncExitStack) -> Served:
    return Served(cloud, stack)


# --- X-Forwarded-* ----------------------------------------------------------------------------------------------------


async def test_a_target_is_told_client_protocol_and_port(served: Served) -> None:
    await served.start()
    seen = (await served.ask()).echo
    assert (seen["x-forwarded-for"], seen["x-forwarded-proto"], seen["x-forwarded-port"]) == ("127.0.0.1", "http", "80")


async def test_over_https(served: Served) -> None:
    await served.start(port=443, https=True)
    seen = (await served.ask(headers={"x-forwarded-proto": "gopher", "x-forwarded-port": "7"})).echo
    assert (seen["x-forwarded-proto"], seen["x-forwarded-port"]) == ("https", "443")


async def test_nothing_of_the_emulation_is_told(served: Served) -> None:
    await served.start()
    answer = await served.ask(headers={"x-gatewright-path": "/x", "x-gatewright-source": "10.0.0.1"})
    names = set(answer.echo) - {"name", "line"}
    assert names == {"host", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-port", "x-amzn-trace-id"}
    assert {name for name, _ in answer.headers} == {"content-length", "server", "date", "connection"}
    assert answer.header("server") == "pod"


@pytest.mark.parametrize(
    ("attributes", "sent", "seen"),
    [
        ({}, "10.1.1.1", "10.1.1.1,127.0.0.1"),
        ({"routing__http__xff_header_processing__mode": "preserve"}, "10.1.1.1", "10.1.1.1"),
        ({"routing__http__xff_header_processing__mode": "preserve"}, None, None),
        ({"routing__http__xff_header_processing__mode": "remove"}, "10.1.1.1", None),
        ({"routing__http__xff_client_port__enabled": "true"}, None, r"127\.0\.0\.1:\d+"),
        ({"routing__http__xff_client_port__enabled": "true"}, "10.1.1.1", r"10\.1\.1\.1,127\.0\.0\.1:\d+"),
    ],
)
async def test_x_forwarded_for_by_its_attributes(
    served: Served, attributes: dict[str, Any], sent: str | None, seen: str | None
) -> None:
    await served.start(**attributes)
    found = (await served.ask(headers={"x-forwarded-for": sent} if sent else {})).echo.get("x-forwarded-for")
    if seen is None or found is None:
        assert found == seen
    else:
        assert re.fullmatch(seen, found.replace(", ", ","))


# --- X-Amzn-Trace-Id --------------------------------------------------------------------------------------------------

ID = r"1-([0-9a-f]{8})-[0-9a-f]{24}"


async def test_a_request_gets_a_trace_id_with_the_time(served: Served) -> None:
    await served.start()
    began = time.time()
    seen = [(await served.ask()).echo["x-amzn-trace-id"] for _ in range(3)]
    assert len(set(seen)) == 3
    found = re.fullmatch(f"Root={ID}", seen[0])
    assert found
    assert int(began) <= int(found[1], 16) <= time.time()


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        ("Root=1-5759e988-bd862e3fe1be46a994272793", f"Self={ID};Root=1-5759e988-bd862e3fe1be46a994272793"),
        ("Root=1-a-b;CalledFrom=app", f"Self={ID};Root=1-a-b;CalledFrom=app"),
        ("Self=1-old-1;Root=1-a-b", f"Self={ID};Root=1-a-b"),
        ("CalledFrom=app", f"Root={ID};CalledFrom=app"),
    ],
)
async def test_a_trace_goes_on(served: Served, sent: str, seen: str) -> None:
    await served.start()
    assert re.fullmatch(seen, (await served.ask(headers={"x-amzn-trace-id": sent})).echo["x-amzn-trace-id"])


# --- Host -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("port", "preserve", "sent", "seen"),
    [
        (80, "false", "a.test", "a.test"),
        (80, "false", "a.test:80", "a.test"),
        (80, "true", "a.test:80", "a.test:80"),
        (8080, "false", "a.test", "a.test:8080"),
        (8080, "false", "a.test:8080", "a.test:8080"),
        (8080, "true", "a.test", "a.test"),
    ],
)
async def test_host_header_preservation(served: Served, port: int, preserve: str, sent: str, seen: str) -> None:
    await served.start(port=port, routing__http__preserve_host_header__enabled=preserve)
    assert (await served.ask(host=sent)).echo["host"] == seen


async def test_the_host_of_an_absolute_url_wins(served: Served) -> None:
    await served.start()
    seen = await served.ask("http://b.test/x", host="a.test")
    assert (seen.echo["host"], seen.path) == ("b.test", "/x")


# --- others -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("drop", ["true", "false"])
async def test_invalid_header_fields_are_dropped_if_asked(served: Served, drop: str) -> None:
    await served.start(routing__http__drop_invalid_header_fields__enabled=drop)
    seen = (await served.ask(headers={"x_under": "1", "x-fine-2": "1", "x.dot": "1", "_": "1"})).echo
    assert "x-fine-2" in seen
    assert ({"x_under", "x.dot", "_"} <= set(seen)) == (drop == "false")
    assert bool({"x_under", "x.dot", "_"} & set(seen)) == (drop == "false")


async def test_a_target_is_told_of_tls_if_asked(served: Served) -> None:
    await served.start(port=443, https=True, routing__http__x_amzn_tls_version_and_cipher_suite__enabled="true")
    seen = (await served.ask()).echo
    assert seen["x-amzn-tls-version"] == "TLSv1.3"
    assert seen["x-amzn-tls-cipher-suite"].startswith("TLS_")


async def test_a_path_is_passed_on_as_it_is(served: Served) -> None:
    await served.start()
    path = "/a/../b//c%2Fd/%7Ee?x=%20&y=a+b"
    assert (await served.ask(path)).path == path


async def test_headers_of_answers_by_listener_attributes(served: Served) -> None:
    await served.start(
        listener={
            "routing__http__response__server__enabled": "false",
            "routing__http__response__strict_transport_security__header_value": "max-age=100",
            "routing__http__response__x_frame_options__header_value": "DENY",
        }
    )
    answer = await served.ask()
    assert answer.header("server") == ""
    assert answer.header("strict-transport-security") == "max-age=100"
    assert answer.header("x-frame-options") == "DENY"
    refused = await served.ask(headers={"x": "y" * 70_000})
    assert (refused.status, refused.header("server")) == (400, "")


async def test_clients_have_no_say_in_envoy(served: Served) -> None:
    await served.start()
    orders = {"x-envoy-upstream-rq-timeout-ms": "1", "x-envoy-upstream-alt-stat-name": "x", "x-envoy-retry-on": "5xx"}
    assert (await served.ask("/?wait=0.1", headers=orders)).status == 200


async def test_a_changed_attribute_takes_effect(served: Served, cloud: AlbCloud) -> None:
    await served.start()
    assert (await served.ask(host="a.test:80")).echo["host"] == "a.test"
    before = next(iter(cloud.state.load_balancers.values()))
    attributes = {"routing.http.preserve_host_header.enabled": "true"}
    cloud.state.load_balancers.set(before.arn, replace(before, attributes=attributes))
    assert (await served.ask(host="a.test:80")).echo["host"] == "a.test:80"


async def test_own_answers_name_the_server(served: Served) -> None:
    listener = await served.start()
    served.cloud.rule(listener, None, says("own"))
    assert (await served.ask()).header("server") == "awselb/2.0"
