"""`hashicorp/http-echo`: one text for every path (github.com/hashicorp/http-echo, main.go)."""

from __future__ import annotations

import re
import time

from gatewright.local.workloads.exchange import Answer, Request
from gatewright.local.workloads.gohttp import clean_path, content_type, format_duration, redirect, server_answer
from gatewright.local.workloads.program import Behaviour, Exit, Port, Program

_DEFAULT_TEXT = "hello-world"  # ECHO_TEXT of the image
_NEWEST = "1.0.0"
_FLAGS = ("listen", "status-code", "text", "version")
_PLAIN = re.compile(rb"/(?!health)(?:[\w-][\w.-]*(?:/(?=[\w-])|/?\Z|(?=\?)))*(?:\?.*)?\Z", re.ASCII)
"""Targets that need no look at their path: clean already, and not the health check's."""
_LOCAL = ("127.0.0.1", "localhost", "[::1]")


class HttpEcho(Behaviour):
    """Answers `-text` on `-listen`, and `{"status":"ok"}` on `/health`."""

    def __init__(self, program: Program) -> None:
        flags, self.exit = _parse((*program.command[1:], *program.args))
        if self.exit:
            return
        if "version" in flags:
            self.exit = Exit(0, (f"http-echo v{_version(program.image)}",))
            return
        text = flags.get("text") or program.env.get("ECHO_TEXT", _DEFAULT_TEXT)
        if not text:
            self.exit = Exit(127, ("Missing -text option or ECHO_TEXT env var!",))
            return
        listen = flags.get("listen", ":5678")
        host, colon, port = listen.rpartition(":")
        number = {"": 80, "http": 80, "https": 443}.get(port) or (int(port) if port.isdecimal() else 0)
        if not colon or not 0 < number < 65536:
            why = "missing port in address" if not colon else "invalid port"
            self.exit = Exit(1, (f"{_stamp()} [ERR] server exited with: listen tcp: address {listen}: {why}",))
            return
        # Bound to the pod's own loopback it is out of everyone else's reach.
        self.ports = () if host in _LOCAL else (Port(number),)
        self.greeting = (f"{_stamp()} [INFO] server is listening on {listen}",)
        status = int(flags.get("status-code", "200"))
        app = [("X-App-Name", "http-echo"), ("X-App-Version", _version(program.image))]
        self._echo = _answer(status, app, text.encode() + b"\n")
        self._health = _answer(200, app, b'{"status":"ok"}\n')

    def answer(self, request: Request, port: Port) -> Answer:
        """The text, whatever was asked for."""
        if _PLAIN.match(request.target):
            return self._echo
        path = request.path
        answer = server_answer(request)
        if answer is None and clean_path(path) != path:
            answer = redirect(request, clean_path(path))
        if answer is None:
            answer = self._health if path == "/health" else self._echo
        return answer

    def log(self, request: Request, answer: Answer, seconds: float) -> str | None:
        """The access log line; health checks and redirects leave none."""
        if answer is not self._echo:
            return None
        agent = (request.header(b"user-agent") or b"").decode("utf-8", "replace")
        return (
            f"{_stamp()} {request.host} {request.peer} "
            f'"{request.method.decode()} {request.path} HTTP/{request.version}" '
            f'{answer.status} {len(answer.body)} "{agent}" {format_duration(seconds)}'
        )


def _answer(status: int, app: list[tuple[str, str]], body: bytes) -> Answer:
    return Answer(status, [*app, ("Content-Type", content_type(body))], body)


def _version(image: str) -> str:
    """The version that the image's tag names: `1.0` is 1.0.0; other tags stand for the newest."""
    tag = image.partition("@")[0].rpartition("/")[2].partition(":")[2]
    match = re.fullmatch(r"v?(\d+)\.(\d+)(?:\.(\d+))?", tag)
    return f"{match[1]}.{match[2]}.{match[3] or 0}" if match else _NEWEST


def _parse(argv: tuple[str, ...]) -> tuple[dict[str, str], Exit | None]:
    """Arguments as Go's `flag` package reads them."""
    flags: dict[str, str] = {}
    rest = list(argv)
    while rest and rest[0].startswith("-") and rest[0] != "-":
        word = rest.pop(0)
        if word == "--":
            break
        name, equals, value = word.lstrip("-").partition("=")
        if name in ("h", "help"):
            return flags, Exit(0, _USAGE)
        if name not in _FLAGS:
            return flags, Exit(2, (f"flag provided but not defined: -{name}", *_USAGE))
        if not equals and name == "version":
            value = "true"
        elif not equals:
            if not rest:
                return flags, Exit(2, (f"flag needs an argument: -{name}", *_USAGE))
            value = rest.pop(0)
        if name == "status-code" and not re.fullmatch(r"[1-9]\d\d", value):
            return flags, Exit(2, (f'invalid value "{value}" for flag -status-code: parse error', *_USAGE))
        flags[name] = value
    if flags.get("version") in ("false", "0"):
        del flags["version"]
    return flags, Exit(127, ("Too many arguments!",)) if rest else None


_USAGE = (
    "Usage of /http-echo:",
    "  -listen string",
    '    \taddress and port to listen (default ":5678")',
    "  -status-code int",
    "    \thttp response code, e.g.: 200 (default 200)",
    "  -text string",
    "    \ttext to put on the webpage",
    "  -version",
    "    \tdisplay version information",
)

_stamped = (0, "")


def _stamp() -> str:
    """Now, as the program writes it; rendered once a second."""
    global _stamped
    now = int(time.time())
    if _stamped[0] != now:
        _stamped = (now, time.strftime("%Y/%m/%d %H:%M:%S", time.gmtime(now)))
    return _stamped[1]
