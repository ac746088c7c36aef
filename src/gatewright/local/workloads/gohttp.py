"""What Go's net/http does on its own, and so what images written in Go show to their clients."""

from __future__ import annotations

import posixpath
import re
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import msgspec

from gatewright.local.workloads.exchange import Answer, Request

TEXT = "text/plain; charset=utf-8"

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_JSON_ESCAPES = (
    (b"&", rb"\u0026"),
    (b"<", rb"\u003c"),
    (b">", rb"\u003e"),
    ("\u2028".encode(), rb"\u2028"),
    ("\u2029".encode(), rb"\u2029"),
)
_DURATION_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_HTML = re.compile(
    rb"[\t\n\x0c\r ]*"
    rb"(?:<!--|<(?:!doctype html|html|head|script|iframe|h1|div|font|table|a|style|title|b|body|br|p)[ >])",
    re.IGNORECASE,
)


def is_token(text: str) -> bool:
    """Whether `text` may be a header's name (RFC 9110 section 5.6.2)."""
    return _TOKEN.match(text) is not None


@lru_cache(maxsize=1024)
def canonical_name(name: str) -> str:
    """A header's name as Go keys it: `x-request-id` is `X-Request-Id`. An invalid name stays as it is."""
    if not is_token(name):
        return name
    return "-".join(part[:1].upper() + part[1:].lower() for part in name.split("-"))


def header_map(request: Request) -> dict[str, list[str]]:
    """The request's headers as `http.Request.Header` holds them: sorted canonical names, without what Go takes out."""
    headers: dict[str, list[str]] = {}
    for name, value in request.headers:
        headers.setdefault(canonical_name(name.decode("utf-8", "replace")), []).append(value.decode("utf-8", "replace"))
    chunked = headers.pop("Transfer-Encoding", None)
    if chunked:
        headers.pop("Content-Length", None)
    headers.pop("Host", None)
    headers.pop("Trailer", None)
    if headers.get("Pragma", [""])[0] == "no-cache" and "Cache-Control" not in headers:
        headers["Cache-Control"] = ["no-cache"]
    return dict(sorted(headers.items()))


def escaped_json(value: Any) -> bytes:
    """JSON as `json.Marshal` writes it."""
    return _escaped(msgspec.json.encode(value))


def indented_json(value: Any) -> bytes:
    """JSON as `json.MarshalIndent(value, "", " ")` writes it."""
    return _escaped(msgspec.json.format(msgspec.json.encode(value), indent=1))


def _escaped(text: bytes) -> bytes:
    for char, escape in _JSON_ESCAPES:
        text = text.replace(char, escape)
    return text


def parse_duration(text: str) -> float:
    """Seconds, as `time.ParseDuration` reads `1.5s`, `300ms` or `1h2m`. Raises ValueError in Go's words."""
    sign, rest = (-1.0, text[1:]) if text[:1] == "-" else (1.0, text[1:] if text[:1] == "+" else text)
    if rest == "0":
        return 0.0
    seconds, at = 0.0, 0
    while at < len(rest):
        match = _DURATION.match(rest, at)
        if not match:
            break
        seconds += float(match[1]) * _DURATION_UNITS[match[2]]
        at = match.end()
    if not rest or at < len(rest):
        raise ValueError(f'time: invalid duration "{text}"')
    return sign * seconds


def format_duration(seconds: float) -> str:
    """A duration as `time.Duration.String` shows it, such as `12.5µs`."""
    if seconds < 1e-6:
        return f"{seconds * 1e9:.0f}ns"
    if seconds < 1e-3:
        return f"{seconds * 1e6:.3f}".rstrip("0").rstrip(".") + "µs"
    if seconds < 1:
        return f"{seconds * 1e3:.6f}".rstrip("0").rstrip(".") + "ms"
    minutes, rest = divmod(seconds, 60)
    tail = f"{rest:.9f}".rstrip("0").rstrip(".") + "s"
    if minutes < 1:
        return tail
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}h{minutes}m{tail}" if hours else f"{minutes}m{tail}"


def content_type(body: bytes) -> str:
    """The Content-Type that Go sniffs for a body of text when a program sets none."""
    if not body:
        return ""
    if _HTML.match(body[:512]):
        return "text/html; charset=utf-8"
    if body.lstrip(b"\t\n\x0c\r ").startswith(b"<?xml"):
        return "text/xml; charset=utf-8"
    if any(byte < 0x20 and byte not in b"\t\n\x0c\r\x1b" for byte in body[:512]):
        return "application/octet-stream"
    return TEXT


def clean_path(path: str) -> str:
    """The path that `http.ServeMux` wants: rooted, without `.`, `..` and double slashes; a trailing slash is kept."""
    if not path:
        return "/"
    cleaned = "/" + posixpath.normpath("/" + path).lstrip("/")
    return cleaned + "/" if path.endswith("/") and cleaned != "/" else cleaned


def redirect(request: Request, path: str) -> Answer:
    """The 301 by which `http.ServeMux` sends a client to the clean form of a path."""
    _, mark, query = request.uri.partition("?")
    location = quote(path, safe="/:@!$&'()*+,;=~") + mark + query
    headers = [("Location", location)]
    if request.method not in (b"GET", b"HEAD"):
        return Answer(301, headers)
    escaped = location.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&#34;")
    headers.append(("Content-Type", "text/html; charset=utf-8"))
    return Answer(301, headers, f'<a href="{escaped}">Moved Permanently</a>.\n\n'.encode())


def server_answer(request: Request) -> Answer | None:
    """What Go's server answers before any program sees the request, or None when the program is asked."""
    if request.target == b"*" and request.method == b"OPTIONS":
        return Answer(200, [])
    return None
