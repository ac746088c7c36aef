"""Names of headers that rules write: not those of a connection, nor those that steer the proxy behind their backs."""

from __future__ import annotations

import re

from gatewright.resolve.outcomes import Unsupported
from gatewright.topology import CONNECTION_HEADERS

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_OF_THE_PROXY = ("x-envoy-", "x-gatewright-")


def check_token(name: str, field: str) -> None:
    """Raise `Unsupported` for a `name` that no header and no cookie can have (RFC 9110 section 5.6.2)."""
    if not _TOKEN.fullmatch(name):
        raise Unsupported(f"{field}: found {name!r}, expected letters, digits and !#$%&'*+-.^_`|~ only")


def check_end_to_end(name: str, field: str) -> None:
    """Raise `Unsupported` for a header that is about a connection and not about what goes over it."""
    check_token(name, field)
    if name.lower() in CONNECTION_HEADERS:
        raise Unsupported(f"{field}: found {name}, which is the proxy's to write (RFC 9110 section 7.6.1); remove it")


def check_response_header(name: str, field: str) -> None:
    """Raise `Unsupported` for a header that a rule may not write into answers."""
    check_end_to_end(name, field)
    if name.lower() == "host":
        raise Unsupported(f"{field}: found {name}, which no answer has; remove it")


def check_request_header(name: str, field: str) -> None:
    """Raise `Unsupported` for a header that a rule may not write into requests."""
    check_end_to_end(name, field)
    if name.lower() == "host":
        raise Unsupported(f"{field}: found {name}, expected it in `set` or a URLRewrite with a hostname")
    if name.lower().startswith(_OF_THE_PROXY):
        raise Unsupported(f"{field}: found {name}, expected none of {', '.join(_OF_THE_PROXY)}, which steer the proxy")
