"""One connection to the emulated API: HTTP requests as moto's services expect them, one after the other."""

from __future__ import annotations

import io
import re
from http.client import responses as reasons
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import unquote, urlsplit

import structlog
from moto.core.request import (
    PRESERVED_HEADER_NAMES_ENVIRON_KEY,
    environ_key_for_header,
    should_preserve_original_header_name,
)

from gatewright.local.aws.calls import Request

_log = structlog.get_logger(__name__)

_IDLE_SECONDS = 60.0
"""How long a client may say nothing."""
_LARGEST_BODY = 64 << 20
_PIECE = 1 << 20
_LINE = 1 << 16


class _TooLarge(Exception):
    """A body of more than `_LARGEST_BODY` bytes."""


class Connection(BaseHTTPRequestHandler):
    """Reads requests, and writes what `server.answer` (an `ApiServer`) says, until the client leaves."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = _IDLE_SECONDS
    wbufsize = -1
    server: Any

    def handle_expect_100(self) -> bool:
        """Tell a client that waits for it to send its body."""
        super().handle_expect_100()
        self.wfile.flush()
        return True

    def _respond(self) -> None:
        try:
            body = self._body()
            request = Request(self._environ(body))
        except (ValueError, _TooLarge) as wrong:
            # And closes the connection: nobody knows where the next request begins.
            self.send_error(413 if isinstance(wrong, _TooLarge) else 400)
            self.close_connection = True
            self.wfile.flush()
            return
        status, headers, answer = self.server.answer(request, body)
        self.send_response_only(status, reasons.get(status, "Unknown"))
        for name, value in headers.items():
            if name.lower() in ("status", "connection", "transfer-encoding", "content-length"):
                continue
            for one in value if isinstance(value, list) else [value]:
                self.send_header(name, str(one))
        length = str(len(answer))
        if self.command == "HEAD":
            length = next((str(value) for name, value in headers.items() if name.lower() == "content-length"), length)
            answer = b""
        if status not in (204, 304):
            self.send_header("Content-Length", length)
        self.end_headers()
        self.wfile.write(answer)
        self.wfile.flush()

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = _respond  # noqa: N815 - http.server's

    def _body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            return self._chunks()
        return self._exactly(self.headers.get("Content-Length") or "0", 10, _LARGEST_BODY)

    def _exactly(self, length: str, base: int, most: int) -> bytes:
        """As many bytes as a number says, or fewer where the client leaves. Raises ValueError and `_TooLarge`."""
        if not re.fullmatch("[0-9a-fA-F]{1,40}", length):
            raise ValueError(f"{length!r} is no length")
        left, pieces = int(length, base), []
        if left > most:
            raise _TooLarge
        while left and (piece := self.rfile.read(min(left, _PIECE))):
            left -= len(piece)
            pieces.append(piece)
        return b"".join(pieces)

    def _chunks(self) -> bytes:
        found = bytearray()
        while True:
            size = self.rfile.readline(_LINE).partition(b";")[0].strip().decode("latin-1")
            piece = self._exactly(size, 16, _LARGEST_BODY - len(found))
            if not piece:
                break
            found += piece
            self.rfile.readline(_LINE)
        while self.rfile.readline(_LINE).strip():
            pass
        return bytes(found)

    def _environ(self, body: bytes) -> dict[str, Any]:
        url = urlsplit(self.path)
        preserved: dict[str, str] = {}
        environ: dict[str, Any] = {
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "REQUEST_METHOD": self.command,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote(url.path, "latin-1"),
            "QUERY_STRING": url.query,
            "RAW_URI": self.path,
            "REMOTE_ADDR": self.client_address[0],
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": str(self.connection.getsockname()[1]),
            "SERVER_PROTOCOL": self.request_version,
            PRESERVED_HEADER_NAMES_ENVIRON_KEY: preserved,
        }
        for name, value in self.headers.items():
            key = environ_key_for_header(name)
            if should_preserve_original_header_name(name):
                preserved[key] = name
            elif "_" in name or name.lower() == "transfer-encoding":
                continue
            environ[key] = f"{environ[key]},{value}" if key.startswith("HTTP_") and key in environ else value
        environ["CONTENT_LENGTH"] = str(len(body))
        return environ

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - http.server's name
        """Log what http.server would print."""
        _log.debug("the emulated AWS answers", line=format % args)
