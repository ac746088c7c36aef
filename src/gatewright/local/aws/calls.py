"""A call of the AWS API as it comes in: for which service it is, for which operation; and errors in its format."""

from __future__ import annotations

import json
import re
import uuid
from typing import Literal, NamedTuple
from urllib.parse import unquote
from xml.sax.saxutils import escape

from moto.core.request import Request as MotoRequest
from moto.core.routing import get_service_router
from werkzeug.exceptions import HTTPException

Protocol = Literal["query", "ec2", "json", "rest-json", "rest-xml"]

PROTOCOLS: dict[str, Protocol] = {
    "acm": "json",
    "ec2": "ec2",
    "eks": "rest-json",
    "elbv2": "query",
    "iam": "query",
    "kms": "json",
    "logs": "json",
    "route53": "rest-xml",
    "s3": "rest-xml",
    "s3control": "rest-xml",
    "service-quotas": "json",
    "shield": "json",
    "sts": "query",
    "wafv2": "json",
}
"""The emulated services by boto3's names, and the protocol that each one speaks."""

_SIGNING_NAMES = {"elasticloadbalancing": "elbv2", "s3express": "s3", "servicequotas": "service-quotas"}
_UNSIGNED = {"AssumeRoleWithSAML": "sts", "AssumeRoleWithWebIdentity": "sts"}
_ACTION = re.compile(rb"(?:^|&)Action=(\w+)")
_FAR = 1 << 20
_READING = ("Describe", "Get", "List", "Head", "Check", "Search", "Lookup", "Select", "Simulate", "Test", "Decode")


class Request(MotoRequest):
    """A request as moto's services expect it from a server."""

    from_wsgi_server = True


class Call(NamedTuple):
    """`service` is boto3's name, or AWS's signing name for one that isn't emulated; `operation` may be empty."""

    service: str
    operation: str
    protocol: Protocol

    @property
    def reads(self) -> bool:
        """Whether it changes nothing."""
        return self.operation.startswith(_READING)


def call_of(request: Request, body: bytes) -> Call:
    """The call that a request is. One without a signature is for S3, as anonymous downloads are, or for nobody.

    `request` hasn't been read: whoever works on it does so.
    """
    target = request.headers.get("X-Amz-Target", "")
    found = _ACTION.search(request.query_string) or _ACTION.search(body[:_FAR] if _is_form(request) else b"")
    action = found[1].decode() if found and not target else ""
    signed = _signing_name(request)
    anonymous = _UNSIGNED.get(action, "") if action or target else "s3"
    service = _SIGNING_NAMES.get(signed, signed) or anonymous
    if service == "s3" and "X-Amz-Account-Id" in request.headers:
        service = "s3control"
    if target:
        return Call(service, target.rpartition(".")[2], "json")
    protocol = PROTOCOLS.get(service)
    if protocol is None:
        return Call(service, action, "query" if action else "rest-json")
    if protocol in ("rest-json", "rest-xml"):
        return Call(service, _routed(service, request), protocol)
    return Call(service, action, protocol)


def _is_form(request: Request) -> bool:
    return request.headers.get("Content-Type", "").startswith("application/x-www-form-urlencoded")


def _signing_name(request: Request) -> str:
    """From the scope of the credential, `<key>/<date>/<region>/<service>/aws4_request`."""
    scope = request.headers.get("Authorization", "")
    if "Credential=" in scope:
        scope = scope.partition("Credential=")[2].partition(",")[0]
    else:
        scope = request.args.get("X-Amz-Credential", "")
    parts = unquote(scope).split("/")
    return parts[-2].lower() if len(parts) >= 5 else ""  # Go's first SDK signs for "WAFV2"


def _routed(service: str, request: Request) -> str:
    try:
        operation, _ = get_service_router(service).match(request)
    except (HTTPException, NotImplementedError):
        return ""
    return str(operation.name)


def error(call: Call, status: int, code: str, message: str) -> tuple[int, dict[str, str], bytes]:
    """An error as the service of `call` words it: status, headers, body."""
    request_id = str(uuid.uuid4())
    headers = {"x-amzn-RequestId": request_id}
    if call.protocol in ("json", "rest-json"):
        headers["Content-Type"] = "application/x-amz-json-1.1" if call.protocol == "json" else "application/json"
        headers["x-amzn-ErrorType"] = code
        return status, headers, json.dumps({"__type": code, "message": message}).encode()
    headers["Content-Type"] = "text/xml"
    fault = "Sender" if status < 500 else "Receiver"
    inner = f"<Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
    if call.service == "ec2":
        body = f"<Response><Errors><Error>{inner}</Error></Errors><RequestID>{request_id}</RequestID></Response>"
    elif call.service == "s3":
        body = f"<Error>{inner}<RequestId>{request_id}</RequestId></Error>"
    else:
        body = (
            f"<ErrorResponse><Error><Type>{fault}</Type>{inner}</Error>"
            f"<RequestId>{request_id}</RequestId></ErrorResponse>"
        )
    return status, headers, f'<?xml version="1.0" encoding="UTF-8"?>\n{body}'.encode()
