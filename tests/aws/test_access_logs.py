"""Access logs of ALBs, by a real Envoy (Application Load Balancers, "Access logs")."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace
from tests.aws.alb_world import (
    AlbCloud,
    HttpTargets,
    cloud,
    says,
    stack,
    targets,
    to,
    when,
)
from tests.aws.log_world import LoggedFront

from gatewright.local.aws.accesslogs.records import SEPARATOR
from gatewright.local.aws.state import LoadBalancer, Redirect, Transform

__all__ = ["cloud", "stack", "targets"]

STAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
LOGGED: dict[str, Any] = {
    "access_logs__s3__enabled": "true",
    "access_logs__s3__bucket": "logs",
    "access_logs__s3__prefix": "front",
}


@pytest.fixture
async def front(stack: AsyncExitStack, cloud: AlbCloud) -> LoggedFront:
    front = LoggedFront(cloud, stack)
    await front.start()
    return front


async def test_a_request_to_a_target(cloud: AlbCloud, targets: HttpTargets, front: LoggedFront) -> None:
    group = cloud.http_group("app")
    key = await targets("one", group)
    balancer = cloud.alb(**LOGGED)
    listener = cloud.http(balancer, to(group))
    cloud.rule(listener, 7, to(group), when("path-pattern", "/seven*"))
    answer = await front.ask("/seven?wait=0.02&q=1", headers={"user-agent": 'a "quoted" \\ agent'}, body=b"x" * 100)
    assert answer.status == 200
    (entry,) = await front.logged(1)
    assert entry["type"] == "http"
    assert STAMP.fullmatch(entry["time"])
    assert STAMP.fullmatch(entry["request_creation_time"])
    assert entry["time"] > entry["request_creation_time"]
    assert entry["elb"] == "app/front/0123456789abcdef"
    assert re.fullmatch(r"127(\.\d+){3}:\d+", entry["client"])
    assert entry["target"] == entry["target_port_list"] == f"{key.id}:{key.port}"
    assert 0.02 <= float(entry["target_processing_time"]) < 60
    assert re.fullmatch(r"\d+\.\d{3}", entry["request_processing_time"])
    assert re.fullmatch(r"\d+\.\d{3}", entry["response_processing_time"])
    assert (entry["elb_status_code"], entry["target_status_code"], entry["target_status_code_list"]) == (
        "200",
        "200",
        "200",
    )
    assert int(entry["received_bytes"]) > 200
    assert int(entry["sent_bytes"]) > len(answer.body)
    assert entry["request"] == "GET http://app.example.com:80/seven?wait=0.02&q=1 HTTP/1.1"
    assert entry["user_agent"] == r"a \x22quoted\x22 \x5C agent"
    assert (entry["ssl_cipher"], entry["ssl_protocol"], entry["domain_name"], entry["chosen_cert_arn"]) == ("-",) * 4
    assert entry["target_group_arn"] == group.arn
    assert entry["trace_id"] == answer.echo["x-amzn-trace-id"]
    assert entry["matched_rule_priority"] == "7"
    assert entry["actions_executed"] == "forward"
    assert (entry["redirect_url"], entry["error_reason"], entry["classification"]) == ("-", "-", "-")
    assert re.fullmatch("TID_[0-9a-f]{32}", entry["conn_trace_id"])
    assert (entry["transformed_host"], entry["transformed_uri"], entry["request_transform_status"]) == ("-",) * 3


async def test_own_answers(cloud: AlbCloud, front: LoggedFront) -> None:
    listener = cloud.http(cloud.alb(**LOGGED), says("hello"))
    cloud.rule(listener, 1, Redirect(301, "HTTPS", port="443"), when("path-pattern", "/old"))
    await front.ask("/")
    await front.ask("/old")
    fixed, redirected = await front.logged(2)
    assert (fixed["actions_executed"], fixed["matched_rule_priority"], fixed["elb_status_code"]) == (
        "fixed-response",
        "0",
        "200",
    )
    assert (fixed["target"], fixed["target_status_code"], fixed["target_group_arn"]) == ("-", "-", "-")
    assert fixed["request_processing_time"] == fixed["target_processing_time"] == "-1"
    assert redirected["actions_executed"] == "redirect"
    assert redirected["matched_rule_priority"] == "1"
    assert redirected["redirect_url"] == "https://app.example.com:443/old"


async def test_targets_that_fail(cloud: AlbCloud, targets: HttpTargets, front: LoggedFront) -> None:
    empty, broken, gone = (cloud.http_group(name) for name in ("empty", "broken", "gone"))
    await targets("broken", broken)
    nobody = cloud.target(gone, (cloud.address(), 1))
    listener = cloud.http(cloud.alb(**LOGGED), to(empty))
    cloud.rule(listener, 1, to(broken), when("path-pattern", "/broken"))
    cloud.rule(listener, 2, to(gone), when("path-pattern", "/gone"))
    assert [(await front.ask(path)).status for path in ("/", "/broken?close", "/gone")] == [503, 502, 502]
    none, closed, refused = await front.logged(3)
    assert (none["elb_status_code"], none["target_status_code"], none["target"]) == ("503", "-", "-")
    assert none["target_group_arn"] == empty.arn
    assert (closed["elb_status_code"], closed["target_status_code"]) == ("502", "-")
    assert closed["target_processing_time"] == "-1"
    assert (refused["elb_status_code"], refused["target"]) == ("502", f"{nobody.id}:{nobody.port}")


async def test_tls(cloud: AlbCloud, front: LoggedFront) -> None:
    first, second = cloud.certificate("other.example.com"), cloud.certificate("app.example.com")
    cloud.https(cloud.alb(**LOGGED), says("hello"), first, second, port=8443)
    await front.ask("/x", host="app.example.com:8443", sni="app.example.com")
    (entry,) = await front.logged(1)
    assert (entry["type"], entry["ssl_protocol"]) == ("https", "TLSv1.3")
    assert entry["ssl_cipher"].startswith("TLS_AES_")
    assert entry["domain_name"] == "app.example.com"
    assert entry["chosen_cert_arn"] == second
    assert entry["request"] == "GET https://app.example.com:8443/x HTTP/1.1"


async def test_a_client_that_does_not_wait(cloud: AlbCloud, targets: HttpTargets, front: LoggedFront) -> None:
    group = cloud.http_group("app")
    await targets("slow", group)
    cloud.http(cloud.alb(**LOGGED), to(group))
    asking = asyncio.create_task(front.ask("/?wait=3600"))
    await asyncio.wait_for(targets.asked.wait(), 60)
    asking.cancel()
    (entry,) = await front.logged(1)
    assert (entry["elb_status_code"], entry["target_status_code"]) == ("460", "-")


async def test_transforms(cloud: AlbCloud, targets: HttpTargets, front: LoggedFront) -> None:
    group = cloud.http_group("app")
    await targets("one", group)
    listener = cloud.http(cloud.alb(**LOGGED), to(group))
    transforms = (Transform("url-rewrite", "^/api/(.*)$", "/$1"), Transform("host-header-rewrite", "^app", "inner"))
    cloud.rule(listener, 1, to(group), when("path-pattern", "/api/*"), transforms=transforms)
    await front.ask("/api/x?y=1")
    (entry,) = await front.logged(1)
    assert entry["request"] == "GET http://app.example.com:80/api/x?y=1 HTTP/1.1"
    assert entry["transformed_uri"] == "/x?y=1"
    assert entry["transformed_host"] == "inner.example.com"
    assert entry["request_transform_status"] == "TransformSuccess"


async def test_no_request_spoils_the_log(cloud: AlbCloud, front: LoggedFront) -> None:
    cloud.http(cloud.alb(**LOGGED), says("hello"))
    await front.ask(f"/{SEPARATOR}a", headers={"user-agent": f"x{SEPARATOR}y"})
    await front.ask("/tab", headers={"user-agent": "a\tb"})
    await front.ask("/fine")
    await front.told(lambda: "/fine" in _paths(front))
    (tab,) = [entry for entry in front.bucket.entries if ":80/tab " in entry["request"]]
    assert tab["user_agent"] == r"a\x09b"


async def test_where_log_files_go(cloud: AlbCloud, front: LoggedFront) -> None:
    balancer = cloud.alb(nodes=2, **LOGGED)
    cloud.http(balancer, says("hello"))
    began = datetime.now(UTC)
    for node in (0, 0, 1):
        await front.ask(node=node)
    await front.logged(3)
    objects = front.bucket.objects
    expression = re.compile(
        r"front/AWSLogs/123456789012/elasticloadbalancing/us-east-1/\d{4}/\d\d/\d\d/123456789012_elasticloadbalancing_"
        r"us-east-1_app\.front\.0123456789abcdef_(\d{8}T\d{4}Z)_([0-9.]+)_[a-z0-9]+\.log\.gz"
    )
    found = [expression.fullmatch(key) for bucket, key in objects if bucket == "logs" and key.endswith(".gz")]
    assert {match[2] for match in found if match} == {node.address for node in balancer.nodes}
    for match in found:
        assert match
        ended = datetime.strptime(match[1], "%Y%m%dT%H%MZ").replace(tzinfo=UTC)
        assert began - timedelta(minutes=1) < ended <= datetime.now(UTC)


async def test_logs_begin_and_end_with_the_attribute(cloud: AlbCloud, front: LoggedFront) -> None:
    balancer = cloud.alb()
    cloud.http(balancer, says("hello"))
    await front.ask("/before")
    _set(cloud, balancer, {"access_logs.s3.enabled": "true", "access_logs.s3.bucket": "none"})
    await front.ask("/nowhere")  # the bucket is gone: nobody else suffers
    _set(cloud, balancer, {"access_logs.s3.enabled": "true", "access_logs.s3.bucket": "logs"})
    await front.ask("/while")
    await front.told(lambda: "/while" in _paths(front))
    _set(cloud, balancer, {"access_logs.s3.enabled": "false"})
    await front.ask("/after")
    _set(cloud, balancer, {"access_logs.s3.enabled": "true", "access_logs.s3.bucket": "logs"})
    await front.ask("/again")
    await front.told(lambda: "/again" in _paths(front))
    assert {"/before", "/after"}.isdisjoint(_paths(front))


def _paths(front: LoggedFront) -> list[str]:
    return [entry["request"].split(" ")[1].partition(":80")[2] for entry in front.bucket.entries]


def _set(cloud: AlbCloud, balancer: LoadBalancer, attributes: dict[str, Any]) -> None:
    cloud.state.load_balancers.set(balancer.arn, replace(balancer, attributes=attributes))
