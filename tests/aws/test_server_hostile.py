"""The emulated API and those who mean no good: broken requests, pages of the Web, what doesn't fit into an answer."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
import json
import threading
from urllib.parse import urlsplit

import pytest
from botocore.exceptions import ClientError

from gatewright.local.aws.emulation import EmulatedAws

SIGNED = "Authorization: AWS4-HMAC-SHA256 Credential=test/20261121/us-east-1/{}/aws4_request"


async def say(aws: EmulatedAws, text: bytes) -> tuple[int, bytes]:
    """What is answered to bytes: the status (0 where there is no answer) and the body."""
    place = urlsplit(aws.url)
    reader, writer = await asyncio.open_connection(place.hostname, place.port)
    try:
        writer.write(text)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        return int(head.split()[1]), await reader.readexactly(int(length.split(b":")[1]))
    except asyncio.IncompleteReadError:
        return 0, b""
    finally:
        writer.close()


def request(method: str, path: str, *lines: str, host: str = "127.0.0.1", body: bytes = b"") -> bytes:
    head = [f"{method} {path} HTTP/1.1", f"Host: {host}", *lines, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(head).encode("latin-1") + body


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ("Content-Length: -1", 400),
        ("Content-Length: 1_0", 400),
        ("Content-Length: ٣", 400),
        ("Content-Length: 99999999999999", 413),
        ("Content-Length: " + "9" * 5000, 400),
        ("Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFF", 413),
        ("Transfer-Encoding: chunked\r\n\r\n-5", 400),
        ("Transfer-Encoding: chunked\r\n\r\n ", 400),
    ],
)
async def test_a_body_of_impossible_length_is_refused(aws: EmulatedAws, lines: str, status: int) -> None:
    """None of them takes memory, a traceback, or time."""
    failed: list[object] = []
    before, threading.excepthook = threading.excepthook, failed.append
    try:
        found, _ = await say(aws, f"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\n{lines}\r\n\r\n".encode())
    finally:
        threading.excepthook = before
    assert (found, failed) == (status, [])


async def test_a_url_that_is_none_is_refused(aws: EmulatedAws) -> None:
    assert (await say(aws, request("GET", "http://[::1/")))[0] == 400


@pytest.mark.parametrize("body", [b"[]", b"{", b"[" * 100_000, b"\xff"])
async def test_a_body_that_is_no_json_object_is_refused_as_aws_does_it(aws: EmulatedAws, body: bytes) -> None:
    lines = (SIGNED.format("wafv2"), "X-Amz-Target: AWSWAF_20190729.CreateWebACL")
    status, answer = await say(aws, request("POST", "/", *lines, body=body))
    assert (status, json.loads(answer)["__type"]) == (400, "SerializationException")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "[::1", "169.254.169.254", "a b", "localhost.evil", "123456789012.evil"]
)
@pytest.mark.parametrize("path", ["/_gatewright/calls", "/bucket"])
async def test_a_name_that_somebody_lets_point_here_is_not_served(aws: EmulatedAws, host: str, path: str) -> None:
    """DNS rebinding: for a browser such a page and this server are of one origin."""
    status, answer = await say(aws, request("GET", path, host=host))
    assert status == 403
    assert "expected a loopback address, localhost" in json.loads(answer)["error"]


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:1234", "127.9.9.9", "localhost", "logs.s3.localhost:80", "[::1]:80", "123456789012.127.0.0.1:80"],
)
async def test_this_machines_own_names_are_served(aws: EmulatedAws, host: str) -> None:
    assert (await say(aws, request("GET", "/_gatewright/calls", host=host)))[0] == 200


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://[", ""])
async def test_a_web_page_can_not_make_calls_by_a_form(aws: EmulatedAws, origin: str) -> None:
    """A form is sent without being asked for first, and a signature fits into its URL."""
    scope = "X-Amz-Credential=a/b/us-east-1/elasticloadbalancing/aws4_request"
    lines = ("Content-Type: application/x-www-form-urlencoded", f"Origin: {origin}")
    form = b"Action=DescribeLoadBalancers&Version=2015-12-01"
    status, _ = await say(aws, request("POST", f"/?{scope}", *lines, body=form))
    assert status == 403
    assert aws.server.calls["elbv2", "DescribeLoadBalancers"] == 0
    status, _ = await say(aws, request("POST", f"/?{scope}", lines[0], "Origin: http://localhost:3000", body=form))
    assert status == 200


async def test_an_answer_is_xml_whatever_was_asked(aws: EmulatedAws) -> None:
    with pytest.raises(ClientError, match=r"Target group name 'a\?\[31m' can only contain"):
        await aws.call("elbv2", "create_target_group", Name="a\x1b[31m", Protocol="HTTP", Port=80, VpcId=aws.seeded.vpc)


@pytest.mark.parametrize(("key", "value"), [("a", "b\x07"), ("a,b", ""), ("a", "b,c"), ("", "x"), ("k" * 129, "")])
async def test_tags_have_only_characters_that_aws_allows(aws: EmulatedAws, key: str, value: str) -> None:
    """API reference, Tag. One that can't be written in XML would spoil the answers to everybody."""
    made = await aws.call("elbv2", "create_target_group", Name="g", Protocol="HTTP", Port=80, VpcId=aws.seeded.vpc)
    arn = made["TargetGroups"][0]["TargetGroupArn"]
    with pytest.raises(Exception, match=r"(?i)validation"):
        await aws.call("elbv2", "add_tags", ResourceArns=[arn], Tags=[{"Key": key, "Value": value}])
    found = await aws.call("elbv2", "describe_tags", ResourceArns=[arn])
    assert found["TagDescriptions"][0]["Tags"] == []


async def test_clients_that_say_nothing_hold_up_nobody(aws: EmulatedAws) -> None:
    place = urlsplit(aws.url)
    silent = [await asyncio.open_connection(place.hostname, place.port) for _ in range(100)]
    for _, writer in silent:
        writer.write(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n\r\nab")
    assert (await say(aws, request("GET", "/_gatewright/calls")))[0] == 200
    for _, writer in silent:
        writer.close()
