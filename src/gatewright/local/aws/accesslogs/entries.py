"""A request as an entry of an ALB's access log, field by field (Application Load Balancers, "Access log entries")."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b

import msgspec
from msgspec import Struct

from gatewright.local.aws.state import Bound, Certificate, Listener, Socket

Record = Mapping[str, str]
"""By the names of `records.FIELDS`."""

NONE = "-"
_CLIENT_CLOSED = "460"
_PROTOCOLS = {"HTTP/2": "HTTP/2.0"}


class Place(Struct, frozen=True):
    """What an entry needs to know besides the record.

    `certificates` are those of the listener, its default one first. `known` leads from where a node of a load balancer
    really listens to what the API knows it as. `seed` makes the ids of connections this process's own.
    """

    load_balancer: str
    """Its id, as `app/name/0123456789abcdef`."""
    listener: Listener
    node: str
    """The address of the node that got the request."""
    certificates: Sequence[Certificate] = ()
    known: Callable[[Bound], Socket | None] = lambda _: None
    seed: bytes = b""


def entry(record: Record, place: Place) -> str:
    """The entry, without a newline."""
    waf = outcome(record)
    is_blocked = waf.get("action") == "BLOCK" or bool(waf.get("failed"))
    actions = NONE if is_blocked else record["actions"]
    target = NONE if is_blocked else _registered(record["target"], place)
    target_status = record["status"] if record["until_answered"] != NONE else NONE
    status = record["status"] if record["status"] not in ("0", NONE) else _CLIENT_CLOSED
    group = record["group"] if actions == "forward" else NONE
    fields = (
        kind(record, place.listener),
        _ended(record),
        place.load_balancer,
        record["client"],
        target,
        *_times(record),
        status,
        target_status,
        record["received"],
        record["sent"],
        _quoted(_request_line(record, place)),
        _quoted(record["user_agent"]),
        record["cipher"],
        record["tls"],
        group,
        _quoted(record["trace"]),
        _quoted(record["server_name"]),
        _quoted(_chosen_certificate(record, place)),
        NONE if is_blocked else record["priority"],
        record["started"],
        _quoted(",".join(_actions(actions, waf)) or NONE),
        _quoted(record["location"] if actions == "redirect" else NONE),
        _quoted("WAFUnhandledException" if waf.get("failed") else NONE),
        _quoted(target),
        _quoted(target_status),
        _quoted(NONE),  # classification: desync mitigation isn't emulated
        _quoted(NONE),
        _connection(record, place),
        *map(_quoted, _transformed(record)),
    )
    return " ".join(fields)


def kind(record: Record, listener: Listener) -> str:
    """The type of a request: http, https, h2, grpcs, ws or wss."""
    is_secure = listener.protocol == "HTTPS"
    if record["status"] == "101":
        return "wss" if is_secure else "ws"
    if record["protocol"] == "HTTP/2":
        return "grpcs" if record["content_type"].startswith("application/grpc") else "h2"
    return "https" if is_secure else "http"


def outcome(record: Record) -> Mapping[str, object]:
    """What came of a request at the web ACL (`waf.OUTCOME`); empty where there is none."""
    text = record["waf"]
    if text in ("", NONE):
        return {}
    found: dict[str, object] = msgspec.json.decode(text)
    return found


def _actions(actions: str, waf: Mapping[str, object]) -> list[str]:
    done = ["waf-failed" if waf.get("failed") else "waf"] if waf else []
    return done if actions == NONE else [*done, actions]


def _ended(record: Record) -> str:
    took, lasted = record["took"], record["lasted"]
    passed = int(took) if took.isdigit() else int(lasted) * 1000 if lasted.isdigit() else 0
    ended = started(record) + timedelta(microseconds=passed)
    return f"{ended.replace(tzinfo=None).isoformat(timespec='microseconds')}Z"


def started(record: Record) -> datetime:
    """When the request came."""
    return datetime.fromisoformat(record["started"])


def _times(record: Record) -> tuple[str, str, str]:
    """Seconds until the request was sent to the target, until it answered, until that was passed on; -1 for never."""
    found = [record[name] for name in ("until_sent", "until_answered", "until_passed_on")]
    if NONE in found:
        return ("-1", "-1", "-1")
    first, second, third = (f"{int(value) / 1_000_000:.3f}" for value in found)
    return first, second, third


def _request_line(record: Record, place: Place) -> str:
    """Method, URL with the port of the listener, and version; `- http://host:port- -` where nothing could be read."""
    scheme, port = place.listener.protocol.lower(), place.listener.port
    if record["method"] == NONE:
        return f"- {scheme}://{place.node}:{port}- -"
    version = _PROTOCOLS.get(record["protocol"], record["protocol"])
    return f"{record['method']} {scheme}://{_host(record)}:{port}{_path(record)} {version}"


def _path(record: Record) -> str:
    """As the client sent it, with the query."""
    return record["path"] if record["asked_path"] == NONE else record["asked_path"]


def _host(record: Record) -> str:
    """As the client sent it, without a port."""
    host = record["host"] if record["asked_host"] == NONE else record["asked_host"]
    name, _, port = host.rpartition(":")
    return name if name and port.isdigit() else host


def address_of(address: str) -> str:
    """The address without its port."""
    return address.rpartition(":")[0].strip("[]")


def bound_of(address: str) -> Bound | None:
    """`address:port` as a pair; None for anything else."""
    host, _, port = address.rpartition(":")
    return Bound(host.strip("[]"), int(port)) if host and port.isdigit() else None


def _registered(target: str, place: Place) -> str:
    """A target that is a node of another load balancer is registered by the address that the API knows."""
    bound = bound_of(target)
    known = place.known(bound) if bound else None
    return f"{known.address}:{known.port}" if known else target


def _chosen_certificate(record: Record, place: Place) -> str:
    """The ARN of the certificate that has the names of the one that was shown."""
    if place.listener.protocol != "HTTPS" or record["tls"] == NONE:
        return NONE
    shown = set(record["certificate"].split(","))
    for certificate in place.certificates:
        if shown <= set(certificate.names):
            return certificate.arn
    return place.certificates[0].arn if place.certificates else NONE


def _connection(record: Record, place: Place) -> str:
    return "TID_" + blake2b(record["connection"].encode(), key=place.seed, digest_size=16).hexdigest()


def _transformed(record: Record) -> tuple[str, str, str]:
    """Host and URI after a rule's transforms, and what came of them; each `-` where nothing was transformed."""
    host = record["host"] if record["asked_host"] != NONE else NONE
    uri = record["path"] if record["asked_path"] != NONE else NONE
    return host, uri, "TransformSuccess" if (host, uri) != (NONE, NONE) else NONE


def _quoted(text: str) -> str:
    """In quotation marks; what could end them, and what isn't printable ASCII, as `\\x22`."""
    if text.isascii() and text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'
    plain = (
        chr(byte) if 0x20 <= byte < 0x7F and byte not in (0x22, 0x5C) else f"\\x{byte:02X}"
        for byte in text.encode("utf-8", "surrogateescape")
    )
    return '"' + "".join(plain) + '"'
