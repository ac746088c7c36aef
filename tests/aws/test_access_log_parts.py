"""The parts of access logs that need no Envoy: the format of entries, Envoy's messages, policies of buckets."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.aws.log_world import fields

from gatewright.envoy.process import private_directory
from gatewright.local.aws.accesslogs.buckets import allows
from gatewright.local.aws.accesslogs.collector import Collector, IncompleteError, decoded
from gatewright.local.aws.accesslogs.delivery import Delivery, Destination
from gatewright.local.aws.accesslogs.entries import Place, entry
from gatewright.local.aws.accesslogs.records import FIELDS, KEY, SEPARATOR, record_of
from gatewright.local.aws.state import Bound, Certificate, FixedResponse, Listener, Socket

NOTHING = FixedResponse(404)
HTTP = Listener("arn:listener", "arn:balancer", "HTTP", 8080, NOTHING)
HTTPS = Listener("arn:listener", "arn:balancer", "HTTPS", 443, NOTHING)


def record(**parts: str) -> dict[str, str]:
    usual = {
        "started": "2026-11-21T10:00:59.999000Z",
        "took": "2500",
        "client": "192.0.2.1:40000",
        "target": "10.0.0.9:80",
        "until_sent": "1000",
        "until_answered": "1234567",
        "until_passed_on": "400",
        "status": "200",
        "details": "via_upstream",
        "received": "34",
        "sent": "366",
        "method": "GET",
        "path": "/a?b=c",
        "host": "app.example.com:8080",
        "protocol": "HTTP/1.1",
        "priority": "0",
        "actions": "forward",
        "group": "arn:group",
        "connection": "7",
    }
    return {**dict.fromkeys(FIELDS, "-"), **usual, **parts}


def shown(listener: Listener = HTTP, *, place: dict[str, Any] | None = None, **parts: str) -> dict[str, str]:
    return fields(entry(record(**parts), Place("app/front/0", listener, "10.0.0.1", **(place or {}))))


def test_times_are_seconds_with_milliseconds() -> None:
    found = shown()
    assert found["request_creation_time"] == "2026-11-21T10:00:59.999000Z"
    assert found["time"] == "2026-11-21T10:01:00.001500Z"
    assert found["request_processing_time"] == "0.001"
    assert found["target_processing_time"] == "1.235"
    assert found["response_processing_time"] == "0.000"


@pytest.mark.parametrize(
    ("listener", "parts", "kind"),
    [
        (HTTP, {}, "http"),
        (HTTP, {"status": "101"}, "ws"),
        (HTTPS, {}, "https"),
        (HTTPS, {"status": "101"}, "wss"),
        (HTTPS, {"protocol": "HTTP/2"}, "h2"),
        (HTTPS, {"protocol": "HTTP/2", "content_type": "application/grpc+proto"}, "grpcs"),
    ],
)
def test_types(listener: Listener, parts: dict[str, Any], kind: str) -> None:
    assert shown(listener, **parts)["type"] == kind


def test_a_connection_that_is_cut_ends_when_all_was_over() -> None:
    """As a WebSocket does, whose time is when its connection is closed."""
    found = shown(status="101", took="-", lasted="1500", details="upstream_reset_after_response_started")
    assert found["time"] == "2026-11-21T10:01:01.499000Z"
    assert found["target_status_code"] == "101"


def test_request_lines() -> None:
    assert shown()["request"] == "GET http://app.example.com:8080/a?b=c HTTP/1.1"
    assert shown(HTTPS, protocol="HTTP/2")["request"] == "GET https://app.example.com:443/a?b=c HTTP/2.0"
    assert shown(host="[::1]")["request"] == "GET http://[::1]:8080/a?b=c HTTP/1.1"
    assert shown(host="[::1]:8080")["request"] == "GET http://[::1]:8080/a?b=c HTTP/1.1"
    nothing = shown(method="-", path="-", host="-", status="400", actions="-")
    assert nothing["request"] == "- http://10.0.0.1:8080- -"
    assert shown(path='/"\n\udcff\\')["request"] == r"GET http://app.example.com:8080/\x22\x0A\xFF\x5C HTTP/1.1"


def test_what_a_web_acl_did() -> None:
    allowed = shown(waf='{"action":"ALLOW","rule":"Default_Action"}')
    assert allowed["actions_executed"] == "waf,forward"
    blocked = shown(waf='{"action":"BLOCK","rule":"x"}', status="403", details="lua_response", until_sent="-")
    assert blocked["actions_executed"] == "waf"
    assert (blocked["target"], blocked["target_group_arn"], blocked["matched_rule_priority"]) == ("-", "-", "-")
    failed = shown(waf='{"failed":true}', status="500", details="lua_response")
    assert (failed["actions_executed"], failed["error_reason"]) == ("waf-failed", "WAFUnhandledException")


def test_a_target_that_is_a_node_of_a_load_balancer() -> None:
    known = {Bound("10.0.0.9", 80): Socket("127.64.0.9", 443, "TCP")}
    assert shown(place={"known": known.get})["target"] == "127.64.0.9:443"


def test_the_certificate_that_was_shown() -> None:
    certificates = [Certificate("arn:a", b"", b"", ("a.example",)), Certificate("arn:b", b"", b"", ("b.example", "c"))]
    for names, arn in {"b.example": "arn:b", "c,b.example": "arn:b", "a.example": "arn:a", "d": "arn:a"}.items():
        found = shown(HTTPS, place={"certificates": certificates}, tls="TLSv1.3", certificate=names)
        assert found["chosen_cert_arn"] == arn


def test_connections_are_told_apart() -> None:
    first, same, other = (shown(place={"seed": b"s"}, connection=each)["conn_trace_id"] for each in ("1", "1", "2"))
    assert first == same != other


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=40) | st.dictionaries(st.text(), inner, max_size=20),
    max_leaves=30,
)


@given(_VALUES, st.data())
def test_message_pack(value: object, data: st.DataObject) -> None:
    encoded = msgspec.msgpack.encode(value)
    assert decoded(encoded + b"rest", 0) == (value, len(encoded))
    cut = data.draw(st.integers(0, len(encoded) - 1))
    with pytest.raises(IncompleteError):
        decoded(encoded[:cut], 0)


async def test_records_come_in_pieces() -> None:
    text = SEPARATOR.join(FIELDS)
    assert record_of(text)["status"] == "status"
    message = msgspec.msgpack.encode(["tag", [[1, {KEY: text}], [msgspec.msgpack.Ext(0, b"8 bytes!"), {KEY: "ü"}]]])
    taken: list[tuple[str, str]] = []
    with private_directory() as directory:
        async with Collector(directory / "logs", lambda tag, text: taken.append((tag, text))) as collector:
            for _ in range(2):
                await _send(collector.path, [message[:5], message[5:90], message[90:] + message])
            await _send(collector.path, [b"\xc1 is nothing"])  # costs nobody else
        assert not collector.path.exists()
    assert taken == [("tag", text), ("tag", "ü")] * 4


async def test_what_is_being_delivered_at_the_end_is_delivered() -> None:
    loop, began, goes_on = asyncio.get_running_loop(), asyncio.Event(), threading.Event()
    stored: list[str] = []

    def put(bucket: str, key: str, content: bytes) -> None:
        loop.call_soon_threadsafe(began.set)
        goes_on.wait(60)
        stored.append(key)

    async with Delivery(put, pace=1e6) as delivery:
        for node in ("10.0.0.1", "10.0.0.2"):
            delivery.add("app/front/0", node, Destination("logs", ""), "entry")
        await asyncio.wait_for(began.wait(), 60)
        delivery.add("app/front/0", "10.0.0.3", Destination("logs", ""), "entry")
        loop.call_soon(goes_on.set)
    assert len(stored) == 3
    async with Delivery(put) as delivery:
        delivery.add("app/front/0", "10.0.0.1", Destination("logs", ""), "entry")
    assert len(stored) == 4


async def _send(path: Path, pieces: list[bytes]) -> None:
    reader, writer = await asyncio.open_unix_connection(str(path))
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0)
    writer.write_eof()
    await reader.read()
    writer.close()


ELB = {"Service": "logdelivery.elasticloadbalancing.amazonaws.com"}
OBJECT = "arn:aws:s3:::logs/front/AWSLogs/123456789012/any"


def statement(**changes: Any) -> dict[str, Any]:
    usual = {
        "Effect": "Allow",
        "Principal": ELB,
        "Action": "s3:PutObject",
        "Resource": "arn:aws:s3:::logs/front/AWSLogs/123456789012/*",
    }
    return {**usual, **changes}


@pytest.mark.parametrize(
    ("statements", "allowed"),
    [
        ([statement()], True),
        (statement(), True),
        ([statement(Principal={"AWS": "arn:aws:iam::127311923021:root"})], True),
        ([statement(Principal="*", Action=["s3:Get*", "s3:*"], Resource=["arn:aws:s3:::logs/*"])], True),
        ([statement(Principal={"Service": "delivery.logs.amazonaws.com"})], False),
        ([statement(Action="s3:GetObject")], False),
        ([statement(Resource="arn:aws:s3:::logs/AWSLogs/123456789012/*")], False),
        ([statement(), statement(Effect="Deny", Principal="*")], False),
        ([statement(), statement(Effect="Deny", Principal="*", Condition={"Bool": {"aws:SecureTransport": "false"}})],
         True),
        ([], False),
    ],
)  # fmt: skip
def test_policies(statements: Any, allowed: bool) -> None:
    policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
    assert allows(policy, OBJECT) is allowed


@pytest.mark.parametrize("policy", ["", "no JSON", "[]"])
def test_policies_that_are_none(policy: str) -> None:
    assert not allows(policy, OBJECT)
