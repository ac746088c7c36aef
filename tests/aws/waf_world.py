"""A real Envoy with the filters of a web ACL; what passes them is answered 200, its inserted headers in the answer."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import yarl
from google.protobuf.json_format import MessageToDict
from tests.envoy.edge_world import free_port, loopback

from gatewright.envoy.process import EnvoyProcess, private_directory
from gatewright.local.aws.state import WebAclDocument
from gatewright.local.aws.waf import OUTCOME, CompleteWebAcl, translate

_TYPE = "type.googleapis.com/envoy.extensions."
ACCOUNT = "awswaf:123456789012:webacl:front:"


def rule(
    name: str, statement: Mapping[str, Any], action: str | Mapping[str, Any] = "Block", **more: Any
) -> dict[str, Any]:
    """A rule; its priority is its place in the list that it is given in."""
    return {"Name": name, "Statement": statement, "Action": {action: {}} if isinstance(action, str) else action, **more}


def acl(
    *rules: Mapping[str, Any],
    default: str | Mapping[str, Any] = "Allow",
    ip_sets: Mapping[str, Sequence[str]] | None = None,
    regex_sets: Mapping[str, Sequence[str]] | None = None,
    groups: Mapping[str, Mapping[str, Any]] | None = None,
    **more: Any,
) -> WebAclDocument:
    body = {
        "Name": "front",
        "LabelNamespace": ACCOUNT,
        "DefaultAction": {default: {}} if isinstance(default, str) else default,
        "Rules": ordered(*rules),
        **more,
    }
    return CompleteWebAcl(
        "arn:aws:wafv2:us-east-1:123456789012:regional/webacl/front/1",
        msgspec.json.encode(body),
        {arn: tuple(addresses) for arn, addresses in (ip_sets or {}).items()},
        {arn: tuple(expressions) for arn, expressions in (regex_sets or {}).items()},
        {arn: msgspec.json.encode(group) for arn, group in (groups or {}).items()},
    )


def ordered(*rules: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [{"Priority": place, **each} for place, each in enumerate(rules)]


def transformations(*names: str) -> list[dict[str, Any]]:
    return [{"Priority": place, "Type": name} for place, name in enumerate(names or ("NONE",))]


def byte_match(field: Mapping[str, Any], position: str, text: str | bytes, *transformed: str) -> dict[str, Any]:
    search = text.encode() if isinstance(text, str) else text
    return {
        "ByteMatchStatement": {
            "FieldToMatch": field,
            "PositionalConstraint": position,
            "SearchString": base64.b64encode(search).decode(),
            "TextTransformations": transformations(*transformed),
        }
    }


def regex_match(field: Mapping[str, Any], expression: str, *transformed: str) -> dict[str, Any]:
    return {
        "RegexMatchStatement": {
            "FieldToMatch": field,
            "RegexString": expression,
            "TextTransformations": transformations(*transformed),
        }
    }


class Answer(msgspec.Struct):
    status: int
    headers: dict[str, str]
    body: str
    outcome: dict[str, Any]


class Front:
    """Where to send requests to."""

    def __init__(self, url: str, client: aiohttp.ClientSession, process: EnvoyProcess) -> None:
        self.url = url
        self.client = client
        self.process = process

    async def get(self, target: str = "/", method: str = "GET", **headers: str) -> Answer:
        """Ask for a target as it is, without any encoding of ours; underscores in names of headers are hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.send(target, method, list(named.items()))

    async def send(self, target: str, method: str, headers: Sequence[tuple[str, str]]) -> Answer:
        url = yarl.URL(self.url + target, encoded=True)
        async with self.client.request(method, url, headers=headers, allow_redirects=False) as response:
            outcome = json.loads(response.headers.get("waf-outcome") or "{}")
            named = {name.lower(): value for name, value in response.headers.items()}
            return Answer(response.status, named, await response.text(), outcome)


@asynccontextmanager
async def serving(document: WebAclDocument, **how: Any) -> AsyncIterator[Front]:
    with private_directory() as directory:
        host = loopback()
        port = free_port(host)
        process = EnvoyProcess(directory, _bootstrap(directory, (host, port), document, how), concurrency=2)
        async with process, aiohttp.ClientSession(auto_decompress=False) as client:
            await _ready(process)
            yield Front(f"http://{host}:{port}", client, process)


async def _ready(process: EnvoyProcess) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                if b"LIVE" in await process.admin("/ready"):
                    return
            except OSError:
                pass
            await asyncio.sleep(0.02)


def _bootstrap(
    directory: Path, at: tuple[str, int], document: WebAclDocument, how: Mapping[str, Any]
) -> dict[str, Any]:
    filters = [MessageToDict(each, preserving_proto_field_name=True) for each in translate(document, **how).filters]
    shown = [
        {"header": {"key": f"got-{name}", "value": f"%REQ(x-amzn-waf-{name})%"}, "append_action": "ADD_IF_ABSENT"}
        for name in ("a", "b")
    ]
    manager = {
        "@type": f"{_TYPE}filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "front",
        "http_filters": [
            *filters,
            {"name": "router", "typed_config": {"@type": f"{_TYPE}filters.http.router.v3.Router"}},
        ],
        "route_config": {
            "response_headers_to_add": [
                {"header": {"key": "waf-outcome", "value": f"%DYNAMIC_METADATA({OUTCOME})%"}},
                *shown,
            ],
            "virtual_hosts": [
                {
                    "name": "all",
                    "domains": ["*"],
                    "routes": [
                        {
                            "match": {"prefix": "/"},
                            "direct_response": {"status": 200, "body": {"inline_string": "passed"}},
                        }
                    ],
                }
            ],
        },
    }
    return {
        "admin": {"address": {"pipe": {"path": str(directory / "admin.sock")}}},
        "static_resources": {
            "listeners": [
                {
                    "name": "front",
                    "address": {"socket_address": {"address": at[0], "port_value": at[1]}},
                    "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
                }
            ]
        },
    }
