"""What rules do: fixed responses, redirects, forwarding with weights and sessions, transforms."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

from collections import Counter

import pytest
from tests.aws.alb_world import (
    AlbCloud,
    Front,
    HttpTargets,
    cloud,
    front,
    says,
    stack,
    targets,
    to,
    when,
)

from gatewright.local.aws.state import FixedResponse, Listener, Redirect, Refused, Transform

__all__ = ["cloud", "front", "stack", "targets"]

ALL = when("path-pattern", "/*")


@pytest.fixture
def listener(cloud: AlbCloud) -> Listener:
    return cloud.http(cloud.alb())


# --- own answers ------------------------------------------------------------------------------------------------------


async def test_a_fixed_response(cloud: AlbCloud, front: Front, listener: Listener) -> None:
    cloud.rule(listener, 1, FixedResponse(503, "application/json", '{"at": "100%"}'), ALL)
    answer = await front.ask()
    assert (answer.status, answer.body) == (503, '{"at": "100%"}')
    assert answer.header("content-type") == "application/json"
    assert answer.header("server") == "awselb/2.0"


async def test_a_fixed_response_without_a_body(cloud: AlbCloud, front: Front, listener: Listener) -> None:
    cloud.rule(listener, 1, FixedResponse(404), ALL)
    answer = await front.ask()
    assert (answer.status, answer.body, answer.header("server")) == (404, "", "awselb/2.0")


async def test_an_action_that_cannot_be_emulated_is_answered_500(
    cloud: AlbCloud, front: Front, listener: Listener
) -> None:
    cloud.rule(listener, 1, Refused("authenticate-oidc"), ALL)
    answer = await front.ask()
    assert (answer.status, answer.header("server")) == (500, "awselb/2.0")
    assert "<h1>500 Internal Server Error</h1>" in answer.body


@pytest.mark.parametrize(
    ("redirect", "path", "location"),
    [
        (Redirect(301, protocol="HTTPS", port="443"), "/a/b?x=1&y", "https://app.example.com:443/a/b?x=1&y"),
        (Redirect(302, protocol="HTTPS", port="8443"), "/", "https://app.example.com:8443/"),
        (Redirect(302, host="www.#{host}", path="/new/#{path}"), "/a?q", "http://www.app.example.com:PORT/new/a?q"),
        (
            Redirect(
                301, host="x.test", port="#{port}", path="/#{host}/#{port}/#{path}", query="#{query}&from=#{protocol}"
            ),
            "/a?b=c",
            "http://x.test:PORT/app.example.com/PORT/a?b=c&from=http",
        ),
        (Redirect(301, path="/fixed", query=""), "/a?b=c", "http://app.example.com:PORT/fixed"),
    ],
)
async def test_a_redirect(
    cloud: AlbCloud, front: Front, listener: Listener, redirect: Redirect, path: str, location: str
) -> None:
    cloud.rule(listener, 1, redirect, ALL)
    answer = await front.ask(path)
    bound = cloud.where(cloud.state.load_balancers[listener.load_balancer])
    assert answer.status == redirect.status
    assert answer.header("location") == location.replace("PORT", str(bound.port))
    assert answer.header("server") == "awselb/2.0"
    assert f"<h1>{redirect.status} " in answer.body
    assert answer.header("content-type") == "text/html"


async def test_a_redirect_shows_the_port_that_is_open_for_the_one_it_names(
    cloud: AlbCloud, front: Front, listener: Listener
) -> None:
    balancer = cloud.state.load_balancers[listener.load_balancer]
    cloud.https(balancer, says("secure"), cloud.certificate("app.example.com"))
    cloud.rule(listener, 1, Redirect(301, protocol="HTTPS", port="443"), ALL)
    answer = await front.ask("/a")
    bound = cloud.where(balancer, port=443)
    assert answer.header("location") == f"https://app.example.com:{bound.port}/a"


# --- forward ----------------------------------------------------------------------------------------------------------


async def test_weights(cloud: AlbCloud, front: Front, listener: Listener, targets: HttpTargets) -> None:
    blue, green, none = (cloud.http_group(name) for name in ("blue", "green", "none"))
    for name, group in (("blue", blue), ("green", green), ("none", none)):
        await targets(name, group)
    cloud.rule(listener, 1, to((blue, 300), (green, 100), (none, 0)), ALL)
    seen = Counter([(await front.ask()).echo["name"] for _ in range(240)])
    assert set(seen) == {"blue", "green"}
    assert seen["blue"] > seen["green"]


async def test_only_weights_of_zero_are_answered_503(
    cloud: AlbCloud, front: Front, listener: Listener, targets: HttpTargets
) -> None:
    group = cloud.http_group("app")
    await targets("pod", group)
    cloud.rule(listener, 1, to((group, 0)), ALL)
    answer = await front.ask()
    assert (answer.status, answer.header("server")) == (503, "awselb/2.0")


async def test_group_stickiness_keeps_the_group(
    cloud: AlbCloud, front: Front, listener: Listener, targets: HttpTargets
) -> None:
    groups = [cloud.http_group(name) for name in ("blue", "green")]
    for group in groups:
        await targets(group.name, group)
    cloud.rule(listener, 1, to(*groups, sticky=60), ALL)
    first = await front.ask()
    assert set(first.cookies) == {"AWSALBTG", "AWSALBTGCORS"}
    assert "; Expires=" in first.cookies["AWSALBTG"]
    assert first.cookies["AWSALBTG"].endswith("; Path=/")
    assert first.cookies["AWSALBTGCORS"].endswith("; Path=/; SameSite=None; Secure")
    for name in first.cookies:
        cookie = f"a=b; {first.cookies[name].split(';')[0]}"
        again = [await front.ask(headers={"cookie": cookie}) for _ in range(10)]
        assert {answer.echo["name"] for answer in again} == {first.echo["name"]}
        assert all("AWSALBTG" in answer.cookies for answer in again)


async def test_a_session_by_the_load_balancers_cookie(
    cloud: AlbCloud, front: Front, listener: Listener, targets: HttpTargets
) -> None:
    group = cloud.http_group("app", stickiness__enabled="true", stickiness__lb_cookie__duration_seconds="60")
    keys = {name: await targets(name, group) for name in ("pod-1", "pod-2", "pod-3")}
    cloud.rule(listener, 1, to(group), ALL)
    first = await front.ask()
    assert set(first.cookies) == {"AWSALB", "AWSALBCORS"}
    cookie = {"cookie": first.cookies["AWSALB"].split(";")[0]}
    again = [await front.ask(headers=cookie) for _ in range(10)]
    assert {answer.echo["name"] for answer in again} == {first.echo["name"]}
    assert all(set(answer.cookies) == {"AWSALB", "AWSALBCORS"} for answer in again)
    assert "x-gatewright-target" not in {name for name, _ in again[0].headers} | set(again[0].echo)
    assert len({(await front.ask()).echo["name"] for _ in range(20)}) == 3

    cloud.drain(keys[first.echo["name"]])
    moved = await front.ask(headers=cookie)
    assert moved.echo["name"] != first.echo["name"]
    assert moved.cookies["AWSALB"].split(";")[0] != cookie["cookie"]


@pytest.mark.parametrize("value", ["", "garbage", "MTI3LjAuMC4xOjIy", "a b", "=;="])
async def test_a_session_of_nobody_goes_anywhere(
    cloud: AlbCloud, front: Front, listener: Listener, targets: HttpTargets, value: str
) -> None:
    group = cloud.http_group("app", stickiness__enabled="true")
    await targets("pod", group)
    cloud.rule(listener, 1, to(group), ALL)
    answer = await front.ask(headers={"cookie": f"AWSALB={value}", "x-gatewright-target": value})
    assert answer.echo["name"] == "pod"
    assert answer.cookies["AWSALB"].split(";")[0] != f"AWSALB={value}"


async def test_a_session_by_the_applications_cookie(
    cloud: AlbCloud, front: Front, listener: Listener, targets: HttpTargets
) -> None:
    group = cloud.http_group(
        "app",
        stickiness__enabled="true",
        stickiness__type="app_cookie",
        stickiness__app_cookie__cookie_name="JSESSION",
        stickiness__app_cookie__duration_seconds="60",
    )
    for name in ("pod-1", "pod-2", "pod-3"):
        await targets(name, group)
    cloud.rule(listener, 1, to(group), ALL)
    first = await front.ask("/?cookie=JSESSION")
    kept = first.cookies["AWSALBAPP-0"].split(";")[0]
    again = [await front.ask(headers={"cookie": f"JSESSION=1; {kept}"}) for _ in range(10)]
    assert {answer.echo["name"] for answer in again} == {first.echo["name"]}
    without = [await front.ask(headers={"cookie": kept}) for _ in range(20)]
    assert len({answer.echo["name"] for answer in without}) > 1


# --- transforms -------------------------------------------------------------------------------------------------------


async def test_transforms_rewrite_host_and_url_after_the_rule_was_found(
    cloud: AlbCloud, front: Front, listener: Listener, targets: HttpTargets
) -> None:
    group = cloud.http_group("app")
    await targets("pod", group)
    cloud.rule(
        listener,
        1,
        to(group),
        when("path-pattern", "/dp/*"),
        transforms=(
            Transform("url-rewrite", "^/dp/([A-Za-z0-9]+)/?$", "/product.php?id=$1"),
            Transform("host-header-rewrite", "^([a-z]+)\\.example\\.com$", "internal.$1.test"),
        ),
    )
    answer = await front.ask("/dp/B09")
    assert answer.path == "/product.php?id=B09"
    assert answer.echo["host"] == "internal.app.test"
    assert (await front.ask("/product.php?id=B09")).body == "no rule"


async def test_a_redirect_goes_on_from_what_a_transform_has_left(
    cloud: AlbCloud, front: Front, listener: Listener
) -> None:
    redirect = Redirect(302, host="new.test", query="#{query}&from=old")
    strip = Transform("url-rewrite", "^/old", "/new")
    cloud.rule(listener, 1, redirect, when("path-pattern", "/old", "/old/*"), transforms=(strip,))
    bound = cloud.where(cloud.state.load_balancers[listener.load_balancer])
    answer = await front.ask("/old/a?b=c")
    assert answer.header("location") == f"http://new.test:{bound.port}/new/a?b=c&from=old"


async def test_a_transform_that_does_not_match_leaves_the_request_as_it_is(
    cloud: AlbCloud, front: Front, listener: Listener, targets: HttpTargets
) -> None:
    group = cloud.http_group("app")
    await targets("pod", group)
    cloud.rule(
        listener,
        1,
        to(group),
        ALL,
        transforms=(
            Transform("url-rewrite", "^/nothing$", "/x"),
            Transform("host-header-rewrite", "^nobody$", "x"),
        ),
    )
    answer = await front.ask("/a/b?c=d%20e")
    assert (answer.path, answer.echo["host"]) == ("/a/b?c=d%20e", "app.example.com")


async def test_a_url_rewrite_may_change_the_query(
    cloud: AlbCloud, front: Front, listener: Listener, targets: HttpTargets
) -> None:
    group = cloud.http_group("app")
    await targets("pod", group)
    rewrite = Transform("url-rewrite", "^/v1/([^?]*)(\\?.*)?$", "/api/$1$2")
    cloud.rule(listener, 1, to(group), ALL, transforms=(rewrite,))
    assert (await front.ask("/v1/a?x=1")).path == "/api/a?x=1"
    assert (await front.ask("/v1/a")).path == "/api/a"


@pytest.mark.parametrize(
    "transform",
    [
        Transform("url-rewrite", "^/a$", "/$1"),
        Transform("url-rewrite", "^/a$", "a"),
        Transform("url-rewrite", "^/a$", "/a b"),
        Transform("host-header-rewrite", "^.*$", "a b"),
    ],
)
async def test_a_transform_that_fails_is_answered_500(
    cloud: AlbCloud, front: Front, listener: Listener, targets: HttpTargets, transform: Transform
) -> None:
    group = cloud.http_group("app")
    await targets("pod", group)
    cloud.rule(listener, 1, to(group), ALL, transforms=(transform,))
    answer = await front.ask("/a")
    assert (answer.status, answer.header("server")) == (500, "awselb/2.0")
