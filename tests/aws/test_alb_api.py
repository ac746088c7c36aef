"""Rules of an ALB that were made by the API, and what they do to requests."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.aws.alb_world import Response, request
from tests.envoy.edge_world import is_refused

from gatewright.local.aws.emulation import EmulatedAws
from gatewright.local.aws.state import Socket


class Balancer:
    """An ALB with an HTTP listener on port 80, made by boto3."""

    def __init__(self, aws: EmulatedAws) -> None:
        self._aws = aws

    async def make(self) -> None:
        made = await self.elb("create_load_balancer", Name="front", Subnets=list(self._aws.seeded.public))
        self.arn = made["LoadBalancers"][0]["LoadBalancerArn"]
        listener = await self.elb(
            "create_listener",
            LoadBalancerArn=self.arn,
            Protocol="HTTP",
            Port=80,
            DefaultActions=[fixed("default", 404)],
        )
        self.listener = listener["Listeners"][0]["ListenerArn"]

    async def elb(self, operation: str, **parameters: Any) -> Any:
        return await self._aws.call("elbv2", operation, **parameters)

    async def rule(self, priority: int, action: Any, *conditions: Any, **more: Any) -> str:
        made = await self.elb(
            "create_rule",
            ListenerArn=self.listener,
            Priority=priority,
            Conditions=list(conditions),
            Actions=[action],
            **more,
        )
        return str(made["Rules"][0]["RuleArn"])

    async def ask(self, path: str, **how: Any) -> Response:
        state = self._aws.state
        node = state.load_balancers[self.arn].nodes[0]
        bound = state.sockets[Socket(node.address, 80, "TCP")]
        return await request(bound.address, bound.port, path, **how)


def fixed(text: str, status: int = 200) -> dict[str, Any]:
    config = {"StatusCode": str(status), "ContentType": "text/plain", "MessageBody": text}
    return {"Type": "fixed-response", "FixedResponseConfig": config}


@pytest.fixture
async def balancer(busy_aws: EmulatedAws) -> Balancer:
    balancer = Balancer(busy_aws)
    await balancer.make()
    return balancer


CONDITIONS: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"Field": "path-pattern", "PathPatternConfig": {"Values": ["/values/*"]}}, {"path": "/values/a"}),
    ({"Field": "path-pattern", "PathPatternConfig": {"RegexValues": ["^/v[0-9]+/x$"]}}, {"path": "/v10/x?y"}),
    ({"Field": "host-header", "HostHeaderConfig": {"Values": ["*.a.test"]}}, {"host": "X.a.test"}),
    (
        {"Field": "http-header", "HttpHeaderConfig": {"HttpHeaderName": "X-Kind", "Values": ["b*"]}},
        {"headers": {"x-kind": "Blue"}},
    ),
    ({"Field": "http-request-method", "HttpRequestMethodConfig": {"Values": ["PUT"]}}, {"method": "PUT"}),
    ({"Field": "query-string", "QueryStringConfig": {"Values": [{"Key": "k", "Value": "v*"}]}}, {"path": "/?k=vw"}),
]


async def test_every_condition_and_action_goes_from_the_api_to_traffic(balancer: Balancer) -> None:
    for number, (condition, _) in enumerate(CONDITIONS, 1):
        await balancer.rule(number, fixed(f"rule {number}"), condition)
    for number, (_, how) in enumerate(CONDITIONS, 1):
        assert (await balancer.ask(**{"path": "/", **how})).body == f"rule {number}"
    assert (await balancer.ask("/")).body == "default"

    redirect = {"Type": "redirect", "RedirectConfig": {"Host": "b.test", "Path": "/#{path}", "StatusCode": "HTTP_302"}}
    moved = await balancer.rule(50, redirect, {"Field": "path-pattern", "PathPatternConfig": {"Values": ["/moved"]}})
    answer = await balancer.ask("/moved?x")
    assert answer.status == 302
    assert answer.header("location").startswith("http://b.test:")
    assert answer.header("location").endswith("/moved?x")

    await balancer.elb("delete_rule", RuleArn=moved)
    assert (await balancer.ask("/moved")).body == "default"
    everyone = {"Field": "source-ip", "SourceIpConfig": {"Values": ["127.0.0.0/8"]}}
    await balancer.rule(99, fixed("local"), everyone)
    assert (await balancer.ask("/moved")).body == "local"


async def test_a_load_balancer_that_is_deleted_listens_no_more(balancer: Balancer, busy_aws: EmulatedAws) -> None:
    assert (await balancer.ask("/")).body == "default"
    node = busy_aws.state.load_balancers[balancer.arn].nodes[0]
    bound = busy_aws.state.sockets[Socket(node.address, 80, "TCP")]
    await balancer.elb("delete_load_balancer", LoadBalancerArn=balancer.arn)
    assert not busy_aws.state.sockets
    await asyncio.wait_for(is_refused(bound.address, bound.port), 60)
