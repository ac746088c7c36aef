"""What a load balancer answers itself: HTML pages in AWS's words, and which of Envoy's own answers become which.

From "Troubleshoot your Application Load Balancers": 502 where a target refuses or closes the connection, its answer is
malformed or its TLS handshake isn't done in time; 503 without targets; 504 where no connection comes about in time, or
no answer within the idle timeout. (To a target that is spoken to by TLS, what isn't done in time is taken to be the
handshake.) Envoy gives gRPC clients a gRPC status in a response of status 200, as gRPC has it.
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from envoy.config.accesslog.v3 import accesslog_pb2
from envoy.config.core.v3 import base_pb2
from envoy.extensions.access_loggers.filters.cel.v3 import cel_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2

NAMESPACE = "gatewright.aws"
"""Of the metadata of routes and requests."""

SERVER = "awselb/2.0"
"""The `Server` of all that is not from a target."""

_TITLES = {
    408: "Request Time-out",
    414: "Request-URI Too Large",
    503: "Service Temporarily Unavailable",
    504: "Gateway Time-out",
    464: "",
}
_OVERWRITE = base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD

# Response flags as `response_flag_filter` knows them.
_NO_TARGETS = ("UH", "NC")
_BROKEN = ("UF", "UC", "UR", "UPE", "LR", "UO", "URX")
_SILENT = ("UT", "SI")

_TIMED_OUT = 'response.code_details.contains("connection_timeout")'
_TO_TLS = f'xds.route_metadata.filter_metadata["{NAMESPACE}"]["target_tls"] == "true"'
_OWN_ANSWER = 'response.code_details == "direct_response" || response.code_details == "lua_response"'


def page(status: int, text: str = "") -> str:
    """The HTML page of a status, with another title if `text` is given."""
    title = f"{status} {_TITLES[status] if status in _TITLES else HTTPStatus(status).phrase}".rstrip()
    extra = f"<center>{text}</center>\r\n" if text else ""
    head = f"{status} {text}" if text else title
    return (
        f"<html>\r\n<head><title>{head}</title></head>\r\n<body>\r\n"
        f"<center><h1>{title}</h1></center>\r\n{extra}</body>\r\n</html>\r\n"
    )


def local_replies(*, shows_server: bool = True) -> http_connection_manager_pb2.LocalReplyConfig:
    """Makes AWS's answers of Envoy's own. Rules' own answers are left as they are, except for their `Server`."""
    message = http_connection_manager_pb2.LocalReplyConfig()
    own = message.mappers.add()
    _cel(own.filter, _OWN_ANSWER)
    _answer(message, 503, flags=_NO_TARGETS)
    _answer(message, 502, cel=f"{_TIMED_OUT} && {_TO_TLS}")
    _answer(message, 504, cel=_TIMED_OUT)
    _answer(message, 502, flags=_BROKEN)
    _answer(message, 408, flags=_SILENT, status=408)
    _answer(message, 504, flags=_SILENT)
    _answer(message, 400, status=431)
    for status in (400, 403, 408, 413, 500, 501, 502, 503, 504):
        _answer(message, status, status=status)
    rest = message.mappers.add()
    rest.filter.status_code_filter.comparison.op = accesslog_pb2.ComparisonFilter.GE
    rest.filter.status_code_filter.comparison.value.default_value = 200
    rest.filter.status_code_filter.comparison.value.runtime_key = "status"
    if shows_server:
        for mapper in message.mappers:
            header = mapper.headers_to_add.add(append_action=_OVERWRITE).header
            header.key, header.value = "server", SERVER
    return message


def _answer(
    message: http_connection_manager_pb2.LocalReplyConfig,
    becomes: int,
    *,
    flags: Sequence[str] = (),
    cel: str = "",
    status: int = 0,
) -> None:
    """Answer with a page where Envoy's own answer has one of `flags`, fits `cel`, and has a status."""
    mapper = message.mappers.add()
    mapper.status_code.value = becomes
    mapper.body.inline_string = page(becomes)
    mapper.body_format_override.text_format_source.inline_string = "%LOCAL_REPLY_BODY%"
    mapper.body_format_override.content_type = "text/html"
    filters: list[accesslog_pb2.AccessLogFilter] = []
    if flags:
        filters.append(accesslog_pb2.AccessLogFilter())
        filters[-1].response_flag_filter.flags.extend(flags)
    if cel:
        filters.append(accesslog_pb2.AccessLogFilter())
        _cel(filters[-1], cel)
    if status:
        filters.append(accesslog_pb2.AccessLogFilter())
        comparison = filters[-1].status_code_filter.comparison
        comparison.op = accesslog_pb2.ComparisonFilter.EQ
        comparison.value.default_value, comparison.value.runtime_key = status, "status"
    if len(filters) == 1:
        mapper.filter.CopyFrom(filters[0])
    else:
        mapper.filter.and_filter.filters.extend(filters)


def _cel(message: accesslog_pb2.AccessLogFilter, expression: str) -> None:
    message.extension_filter.name = "cel"
    message.extension_filter.typed_config.Pack(cel_pb2.ExpressionFilter(expression=expression), deterministic=True)
