"""The string formats that an API server checks. One that it does not know it ignores, and so do we."""

from __future__ import annotations

import base64
import binascii
import datetime
import ipaddress
import re
import urllib.parse
import uuid
from collections.abc import Callable
from typing import Any, Final

_DATE_TIME: Final = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}([.,]\d+)?([Zz]|[+-]\d{2}:?\d{2})", re.ASCII)
_DURATION: Final = re.compile(
    r"[-+]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h|d|w)([\d.]+(ns|us|µs|μs|ms|s|m|h|d|w))*|0"
)
_LABEL: Final = r"[A-Za-z0-9]([-A-Za-z0-9]{0,61}[A-Za-z0-9])?"
_HOSTNAME: Final = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?")
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+")
_QUANTITY: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]|[eE][+-]?\d+)?", re.ASCII)


def _accepts(parse: Callable[[str], Any]) -> Callable[[str], bool]:
    def accepted(value: str) -> bool:
        try:
            parse(value)
        except (ValueError, binascii.Error):
            return False
        return True

    return accepted


def _date_time(value: str) -> bool:
    if _DATE_TIME.fullmatch(value) is None:
        return False
    try:
        datetime.datetime.strptime(value[:19].upper(), "%Y-%m-%dT%H:%M:%S")
    except ValueError:
        return False
    return True


FORMATS: Final[dict[str, Callable[[str], bool]]] = {
    "date-time": _date_time,
    "date": _accepts(lambda value: datetime.datetime.strptime(value, "%Y-%m-%d")),
    "duration": lambda value: _DURATION.fullmatch(value) is not None,
    "byte": _accepts(lambda value: base64.b64decode(value.replace("\n", ""), validate=True)),
    "ipv4": _accepts(ipaddress.IPv4Address),
    "ipv6": _accepts(ipaddress.IPv6Address),
    "cidr": lambda value: "/" in value and _accepts(lambda v: ipaddress.ip_interface(v))(value),
    "hostname": lambda value: len(value) <= 255 and _HOSTNAME.fullmatch(value) is not None,
    "email": lambda value: _EMAIL.fullmatch(value) is not None,
    "uri": lambda value: (
        _accepts(urllib.parse.urlsplit)(value) and bool(urllib.parse.urlsplit(value).scheme or value.startswith("/"))
    ),
    "uuid": _accepts(uuid.UUID),
    "quantity": lambda value: _QUANTITY.fullmatch(value) is not None,
}
"""Tests by format name."""
