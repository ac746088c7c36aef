"""Whatever the API accepts, Envoy takes what is made of it, and no rule keeps another from being served."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import structlog
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.aws.alb_world import AlbCloud, Front, says, when

from gatewright.local.aws.state import (
    Condition,
    FixedResponse,
    Forward,
    Redirect,
    Refused,
    Transform,
)

PRINTABLE = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=30)
REGEX = st.one_of(
    PRINTABLE,
    st.lists(
        st.sampled_from([".", "*", "(a|b)", "[^/]+", "^", "$", "\\d+", "(?i)", "(?=x)", "\\1", "{1001}", "x", "é"]),
        min_size=1,
        max_size=6,
    ).map("".join),
)
ANYTHING = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=30)
TOKEN = st.from_regex(r"\A[A-Za-z0-9!#$%&'*+.^_`|~-]{1,20}\Z")
PLACEHOLDER = st.lists(
    st.sampled_from(
        ["#{protocol}", "#{host}", "#{port}", "#{path}", "#{query}", "/", "a", "%", "#", "?", "é", '"', "]]"]
    ),
    max_size=6,
).map("".join)

conditions = st.one_of(
    st.builds(
        Condition,
        st.sampled_from(["host-header", "path-pattern"]),
        st.lists(PRINTABLE, max_size=3).map(tuple),
        st.lists(REGEX, max_size=2).map(tuple),
    ),
    st.builds(
        Condition,
        st.just("http-header"),
        st.lists(ANYTHING, max_size=3).map(tuple),
        st.lists(REGEX, max_size=2).map(tuple),
        TOKEN,
    ),
    st.builds(Condition, st.just("http-request-method"), st.lists(TOKEN, max_size=3).map(tuple)),
    st.builds(
        Condition,
        st.just("query-string"),
        pairs=st.lists(st.tuples(ANYTHING, ANYTHING), max_size=3).map(tuple),
    ),
    st.builds(
        Condition,
        st.just("source-ip"),
        st.lists(st.sampled_from(["10.0.0.0/8", "127.0.0.1/32", "0.0.0.0/0", "::/0", "10.0.0.1/24"]), max_size=3).map(
            tuple
        ),
    ),
)
actions = st.one_of(
    st.builds(
        FixedResponse,
        st.sampled_from([200, 204, 299, 404, 499, 500, 599]),
        st.sampled_from(["", "text/plain", "application/json"]),
        st.text(max_size=60),
    ),
    st.builds(
        Redirect,
        st.sampled_from([301, 302]),
        st.sampled_from(["HTTP", "HTTPS", "#{protocol}"]),
        PLACEHOLDER,
        st.sampled_from(["1", "443", "#{port}"]),
        PLACEHOLDER,
        PLACEHOLDER,
    ),
    st.builds(Refused, st.sampled_from(["authenticate-oidc", "jwt-validation"])),
    st.builds(
        Forward,
        st.lists(st.tuples(st.sampled_from(["a", "b", "grpc", "none"]), st.integers(0, 999)), max_size=4).map(tuple),
        st.one_of(st.none(), st.integers(1, 604800)),
    ),
)
transforms = st.lists(
    st.builds(Transform, st.sampled_from(["url-rewrite", "host-header-rewrite"]), REGEX, ANYTHING),
    max_size=2,
    unique_by=lambda transform: transform.type,
).map(tuple)
rules = st.tuples(actions, st.lists(conditions, max_size=4), transforms)


@settings(
    max_examples=4,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example],
)
@given(st.lists(rules, min_size=20, max_size=20))
async def test_every_rule_is_served_or_answers_for_itself(some: list[Any]) -> None:
    cloud = AlbCloud()
    arns = {
        "a": cloud.http_group("a", stickiness__enabled="true").arn,
        "b": cloud.http_group(
            "b",
            stickiness__enabled="true",
            stickiness__type="app_cookie",
            stickiness__app_cookie__cookie_name="a%()'\"",
        ).arn,
        "grpc": cloud.http_group("grpc", version="GRPC").arn,
    }
    with structlog.testing.capture_logs() as logs:
        async with AsyncExitStack() as stack:
            front = Front(cloud, stack)
            balancer = cloud.alb()
            for number, (action, held, rewrites) in enumerate(some):
                if isinstance(action, Forward):
                    groups = {arns.get(name, name): weight for name, weight in action.groups}
                    action = Forward(tuple(groups.items()), action.sticky_seconds)
                listener = cloud.http(balancer, says("default"), port=9000 + number)
                cloud.rule(listener, 2, action, *held, transforms=rewrites)
                cloud.rule(listener, 1, says("kept"), when("path-pattern", "/kept"))
            await front.start()
            await front.settled()
            assert [log for log in logs if "refused" in log["event"]] == []
            for listener in list(cloud.state.listeners.values()):
                assert (await front.ask("/kept", listener)).body == "kept"
                answer = await front.ask("/kept?no", listener, host="a", headers={"a": "b"})
                assert answer.body == "kept"
                assert (await front.ask("/other", listener, host="a")).status >= 200
    assert front.process.starts == 1
