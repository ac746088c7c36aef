"""The emulated API's HTTP server: moto's services behind one address, with faults, counts and a lock around each call.

A thread a connection: moto's code blocks, and boto3 keeps few connections.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import socket
import time
from collections import Counter
from collections.abc import Callable, Mapping
from threading import Event, Lock, Thread
from typing import Any, cast
from urllib.parse import urlsplit

import msgspec
import structlog
from botocore.exceptions import ClientError
from moto.acm.urls import url_paths as acm_paths
from moto.ec2.urls import url_paths as ec2_paths
from moto.iam.urls import url_paths as iam_paths
from moto.route53.urls import url_paths as route53_paths
from moto.sts.urls import url_paths as sts_paths
from moto.wafv2.urls import url_paths as wafv2_paths

from gatewright.local.aws import s3
from gatewright.local.aws.backends import LOCK
from gatewright.local.aws.calls import PROTOCOLS, Call, Request, call_of, error
from gatewright.local.aws.connection import Connection
from gatewright.local.aws.faults import Fault, Faults, throttling_code

_log = structlog.get_logger(__name__)

Answer = tuple[int, dict[str, Any], bytes]
Page = Callable[[], Any]

_OWN = "/_gatewright/"
_BACKLOG = 128
_CONNECTIONS = 1000
"""How many there may be at a time, each with its thread."""
_ACCOUNT = re.compile(r"^\d{12}\.(?=[\d.]+$)")
_NO_XML = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")
"""Characters that XML can't have (XML 1.0, 2.2), as a refusal quotes them from what was asked."""


class NoAnswerError(Exception):
    """The connection is to be closed without an answer."""


def _elbv2(request: Request, url: str, headers: Any) -> Any:
    import moto.elbv2.responses as responses  # its class is exchanged for ours

    return responses.ELBV2Response.dispatch(request, url, headers)


def _route53(request: Request, url: str, headers: Any) -> Any:
    import moto.route53.responses as responses  # its class is exchanged for ours

    return responses.Route53.dispatch(request, url, headers)


def _acm(request: Request, url: str, headers: Any) -> Any:
    import moto.acm.responses as responses  # its class is exchanged for ours

    return responses.AWSCertificateManagerResponse.dispatch(request, url, headers)


def _eks(request: Request, url: str, headers: Any) -> Any:
    from gatewright.local.aws.eks.responses import dispatch  # few ask for it

    return dispatch(request, url, headers)


def _kms(request: Request, url: str, headers: Any) -> Any:
    from moto.kms.responses import KmsResponse

    return KmsResponse.dispatch(request, url, headers)


def _logs(request: Request, url: str, headers: Any) -> Any:
    from moto.logs.responses import LogsResponse

    return LogsResponse.dispatch(request, url, headers)


def _service_quotas(request: Request, url: str, headers: Any) -> Any:
    from gatewright.local.aws.quotas import dispatch

    return dispatch(request, url, headers)


def _shield(request: Request, url: str, headers: Any) -> Any:
    from moto.shield.responses import ShieldResponse  # few ask for it

    return ShieldResponse.dispatch(request, url, headers)


def _wafv2(request: Request, url: str, headers: Any) -> Any:
    import moto.wafv2.responses as responses  # its class is exchanged for ours

    return responses.WAFV2Response.dispatch(request, url, headers)


def _compiled(paths: Mapping[str, Callable[..., Any]]) -> list[tuple[re.Pattern[str], Callable[..., Any]]]:
    return [(re.compile(path.format("") if "{0}" in path else path), run) for path, run in paths.items()]


_ROUTES = {
    "acm": _compiled(dict.fromkeys(acm_paths, _acm)),
    "ec2": _compiled(ec2_paths),
    "eks": [(re.compile("/"), _eks)],
    "elbv2": [(re.compile("/"), _elbv2)],
    "iam": _compiled(iam_paths),
    "kms": [(re.compile("/"), _kms)],
    "logs": [(re.compile("/"), _logs)],
    "route53": _compiled(dict.fromkeys(route53_paths, _route53)),
    "s3": _compiled(s3.url_paths),
    "s3control": [(re.compile("/v20180820/"), s3.control)],
    "service-quotas": [(re.compile("/"), _service_quotas)],
    "shield": [(re.compile("/"), _shield)],
    "sts": _compiled(sts_paths),
    "wafv2": [(re.compile("/"), _wafv2)] if wafv2_paths else [],
}


class ApiServer:
    """Serves the API on a loopback address. `changed` is called, in any thread, after each call that may have changed
    something, with boto3's name of the service and before the answer is sent.

    `pages` are read at `/_gatewright/<name>` as JSON, beside `faults` and `calls`.
    """

    def __init__(
        self, changed: Callable[[str], None], *, faults: Faults | None = None, pages: Mapping[str, Page] | None = None
    ) -> None:
        self.faults = faults or Faults()
        self.calls: Counter[tuple[str, str]] = Counter()
        """How many calls there were, by service and operation."""
        self.pages: dict[str, Page] = dict(pages or {})
        self._changed = changed
        self._stopping = Event()
        self._open: set[socket.socket] = set()
        self._lock = Lock()
        self._listener: socket.socket | None = None
        self._thread: Thread | None = None

    @property
    def url(self) -> str:
        """Where it answers, as `http://127.0.0.1:12345`."""
        if self._listener is None:
            raise RuntimeError("the server has not been started")
        return self._url

    def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        """Begin to answer."""
        self._listener = socket.create_server((host, port), backlog=_BACKLOG)
        self._url = f"http://{host}:{self._listener.getsockname()[1]}"
        self._thread = Thread(target=self._accept, args=(self._listener,), name="emulated-aws", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Close all connections; calls that are worked on run to their end without being answered."""
        if self._listener is None or self._thread is None:
            return
        self._stopping.set()
        with contextlib.suppress(OSError):  # accept() doesn't notice everywhere that its socket is closed
            socket.create_connection(self._listener.getsockname(), timeout=1).close()
        self._thread.join()
        self._listener.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, peer = listener.accept()
            except OSError:
                return
            if self._stopping.is_set():
                connection.close()
                return
            Thread(target=self._serve, args=(connection, peer), name="emulated-aws-call", daemon=True).start()

    def _serve(self, connection: socket.socket, peer: Any) -> None:
        with self._lock:
            if self._stopping.is_set() or len(self._open) >= _CONNECTIONS:
                connection.close()
                return
            self._open.add(connection)
        try:
            with contextlib.suppress(OSError, NoAnswerError):
                Connection(connection, peer, cast("Any", self))
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def answer(self, request: Request, body: bytes) -> Answer:
        """The answer to a request. Raises `NoAnswerError`."""
        stranger = _stranger(request)
        if stranger:
            return _json(403, {"error": stranger})
        if request.path.startswith(_OWN):
            return self._own(request, body)
        call = call_of(request, body)
        if not call.service:
            return error(call, 403, "MissingAuthenticationToken", "Request is missing Authentication Token")
        with self._lock:
            self.calls[call.service, call.operation] += 1
        if call.protocol == "json" and body and not _is_json_object(body):
            return error(call, 400, "SerializationException", "The body of the request is no JSON object.")
        fault = self.faults.strike(call.service, call.operation)
        if fault:
            return self._stricken(call, fault, request)
        return self._carry_out(call, request)

    def _carry_out(self, call: Call, request: Request) -> Answer:
        routes = _ROUTES.get(call.service)
        if routes is None:
            message = f"{call.service or 'This service'} is not emulated; emulated are {', '.join(sorted(PROTOCOLS))}."
            return error(call, 400, "UnsupportedOperation", message)
        run = next((run for path, run in routes if path.match(request.raw_path)), None)
        if run is None:
            return error(call, 404, "UnknownOperationException", f"{request.method} {request.path} is no call of it.")
        try:
            with LOCK:
                if self._stopping.is_set():
                    raise NoAnswerError
                status, headers, body = _normal(run(request, request.raw_url, dict(request.headers)))
        except NoAnswerError:
            raise
        except ClientError as refusal:
            details = refusal.response["Error"]
            return error(call, 400, details.get("Code", "InvalidRequest"), details.get("Message", ""))
        except NotImplementedError as missing:
            _log.warning("a call isn't emulated", service=call.service, operation=call.operation, why=str(missing))
            return error(call, 400, "InvalidAction", f"{call.operation} of {call.service} is not emulated.")
        except Exception:  # noqa: BLE001 - a service's mistake is answered as AWS answers its own
            _log.exception("a call of the emulated AWS failed", service=call.service, operation=call.operation)
            return error(call, 500, "InternalFailure", "The emulation failed; its log says how.")
        if status < 400 and not call.reads:
            self._changed(call.service)
        if call.protocol in ("query", "ec2") or (call.protocol == "rest-xml" and status >= 400):
            body = _NO_XML.sub(b"?", body)
        return status, headers, body

    def _stricken(self, call: Call, fault: Fault, request: Request) -> Answer:
        _log.debug("a call meets a fault", service=call.service, operation=call.operation, kind=fault.kind)
        if fault.kind == "latency":
            self._stopping.wait(fault.latency)
            return self._carry_out(call, request)
        if fault.after:
            self._carry_out(call, request)
        match fault.kind:
            case "throttle":
                return error(call, *throttling_code(call.service))
            case "internal-error":
                code = "InternalError" if call.service in ("ec2", "s3") else "InternalFailure"
                return error(call, 500, code, "The request processing has failed because of an unknown error.")
            case "unavailable":
                code = "Unavailable" if call.service == "ec2" else "ServiceUnavailable"
                return error(call, 503, code, "The request has failed due to a temporary failure of the server.")
        self._stopping.wait(fault.latency)
        raise NoAnswerError

    def _own(self, request: Request, body: bytes) -> Answer:
        name = request.path.removeprefix(_OWN).rstrip("/")
        if name == "faults" and request.method == "POST":
            if request.mimetype != "application/json":  # what a web page may send without being asked isn't
                return _json(415, {"error": f"Content-Type: found {request.mimetype!r}, expected application/json"})
            try:
                fault = msgspec.json.decode(body, type=Fault)
            except msgspec.ValidationError as wrong:
                return _json(400, {"error": f"fault: {wrong}"})
            except msgspec.DecodeError as wrong:
                return _json(400, {"error": f"the body is no JSON: {wrong}"})
            return _json(200, {"id": self.faults.inject(fault)})
        if name == "faults" and request.method == "DELETE":
            wanted = request.args.get("id", "")
            self.faults.clear(int(wanted) if re.fullmatch("[0-9]{1,18}", wanted) else None)
            return _json(200, {})
        if request.method != "GET":
            return _json(405, {"error": f"{request.method} is not for {request.path}"})
        if name == "faults":
            return _json(
                200,
                {
                    "faults": [
                        {"id": one.id, "hits": one.hits, **msgspec.to_builtins(one.fault)}
                        for one in self.faults.in_force()
                    ]
                },
            )
        if name == "calls":
            return _json(200, {"calls": self._counted(), "time": time.monotonic()})
        page = self.pages.get(name)
        if page is None:
            known = ", ".join(sorted(["calls", "faults", *self.pages]))
            return _json(404, {"error": f"{name!r} is not there; there are {known}"})
        return _json(200, page())

    def _counted(self) -> dict[str, dict[str, int]]:
        with self._lock:
            counted: dict[str, dict[str, int]] = {}
            for (service, operation), number in sorted(self.calls.items()):
                counted.setdefault(service, {})[operation] = number
            return counted


def _stranger(request: Request) -> str:
    """Why a request isn't for us; empty if it is.

    A page of the Web in a browser of this machine can reach a loopback address: under a name of its own that it lets
    point here (DNS rebinding), or across origins with a form. No AWS client does either.
    """
    host = request.headers.get("Host", "")
    if host and not _is_here(f"//{host}"):
        return f"Host: found {host!r}, expected a loopback address, localhost or a name below it"
    origin = request.headers.get("Origin")
    if origin is not None and not _is_here(origin):
        return f"Origin: found {origin!r}, and pages from elsewhere are not served; use an AWS client"
    return ""


def _is_here(url: str) -> bool:
    """Whether the host of a URL is this machine's own; clients of S3 Control put the account's id before it."""
    try:
        name = _ACCOUNT.sub("", (urlsplit(url).hostname or "").rstrip("."))
    except ValueError:
        return False
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _is_json_object(body: bytes) -> bool:
    try:
        return isinstance(msgspec.json.decode(body), dict)
    except (msgspec.DecodeError, RecursionError):
        return False


def _json(status: int, value: Any) -> Answer:
    return status, {"Content-Type": "application/json"}, msgspec.json.encode(value)


def _normal(result: Any) -> Answer:
    """What moto's services answer: a status, headers and a body, or only the body, which may be text."""
    status, headers, body = result if isinstance(result, tuple) and len(result) == 3 else (200, {}, result)
    if isinstance(body, str):
        body = body.encode()
    elif not isinstance(body, bytes):
        body = b"".join(part.encode() if isinstance(part, str) else part for part in body or ())
    return int(status), dict(headers), body
