"""What is kept of requests that web ACLs evaluated: counts and samples, by a real Envoy."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import aiohttp
from tests.aws.alb_world import AlbCloud, says
from tests.aws.log_world import LoggedFront
from tests.aws.waf_world import acl, byte_match, rule

from gatewright.local.aws.state import WebAclDocument
from gatewright.local.aws.waf import Unsupported


async def test_the_journal_of_a_web_acl() -> None:
    cloud = AlbCloud()
    geo = {"GeoMatchStatement": {"CountryCodes": ["DE"]}}
    document = acl(
        rule("watched", byte_match({"UriPath": {}}, "STARTS_WITH", "/a"), "Count", RuleLabels=[{"Name": "x"}]),
        rule("geo", geo),
        rule("closed", byte_match({"UriPath": {}}, "STARTS_WITH", "/admin")),
    )
    async with AsyncExitStack() as stack:
        front = LoggedFront(cloud, stack)
        await front.start()
        balancer = cloud.alb()  # without access logs
        cloud.http(balancer, says("hello"))
        cloud.state.web_acls.set(document.arn, document)
        cloud.state.associations.set(balancer.arn, document.arn)
        statuses = [(await front.ask(path)).status for path in ("/", "/a", "/admin", "/admin?x=1")]
        assert statuses == [200, 200, 403, 403]
        journal = front.plane.journal
        await front.told(lambda: journal.counts(document.arn).get("closed") == {"BLOCK": 2})
        assert journal.counts(document.arn) == {
            "Default_Action": {"ALLOW": 2},
            "closed": {"BLOCK": 2},
            "geo": {"SKIP": 4},
            "watched": {"COUNT": 3},
        }
        now = datetime.now(UTC)
        samples = journal.samples(document.arn, "closed", now - timedelta(minutes=1), now)
        assert [(each.uri, each.status, each.verdict) for each in samples] == [
            ("/admin", 403, "BLOCK"),
            ("/admin?x=1", 403, "BLOCK"),
        ]
        assert samples[0].labels == ("awswaf:123456789012:webacl:front:x",)
        assert ("Host", "app.example.com") in samples[0].headers
        told = Unsupported("geo", "GeoMatchStatement", "where an address is can't be told here")
        assert journal.unsupported(document.arn) == (told,)
        page = journal.page()[document.arn]
        assert page["unsupported"][0]["rule"] == "geo"
        assert page["rules"]["closed"] == {"BLOCK": 2}
        assert not front.bucket.objects
        cloud.state.associations.delete(balancer.arn)
        assert (await front.ask("/admin")).status == 200
        cloud.state.web_acls.delete(document.arn)
        assert journal.page() == {}


async def test_a_changed_web_acl_acts_at_once() -> None:
    cloud = AlbCloud()
    async with AsyncExitStack() as stack:
        front = LoggedFront(cloud, stack)
        await front.start()
        balancer = cloud.alb()
        cloud.http(balancer, says("hello"))
        opened, closed = acl(), acl(default="Block")
        cloud.state.web_acls.set(opened.arn, opened)
        cloud.state.associations.set(balancer.arn, opened.arn)
        assert (await front.ask()).status == 200
        cloud.state.web_acls.set(opened.arn, closed)
        answer = await front.ask()
        assert answer.status == 403
        assert answer.header("server") == "awselb/2.0"
        assert answer.header("content-length") == "118"


async def test_no_request_is_lost_while_a_web_acl_changes() -> None:
    cloud = AlbCloud()
    async with AsyncExitStack() as stack:
        front = LoggedFront(cloud, stack)
        await front.start()
        balancer = cloud.alb()
        cloud.http(balancer, says("hello"))
        first = acl()
        cloud.state.web_acls.set(first.arn, first)
        cloud.state.associations.set(balancer.arn, first.arn)
        await front.settled()
        bound = cloud.where(balancer)
        changing = asyncio.create_task(
            _change(front, [acl(rule(f"r{n}", byte_match({"Method": {}}, "EXACTLY", str(n)))) for n in range(6)])
        )
        statuses: Counter[int] = Counter()
        async with aiohttp.ClientSession() as client:  # keeps its connections for as long as it may
            while not changing.done():
                async with client.get(f"http://{bound.address}:{bound.port}/", headers={"host": "x"}) as answer:
                    statuses[answer.status] += 1
        await changing
        assert set(statuses) == {200}


async def _change(front: LoggedFront, documents: list[WebAclDocument]) -> None:
    for document in documents:
        front.cloud.state.web_acls.set(document.arn, document)
        await front.settled()
