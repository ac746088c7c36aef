"""Session persistence of a rule (GEP-1619): which cookie or header keeps a client on one endpoint."""

from __future__ import annotations

import hashlib
import re

from gatewright.model.gateway.shared import SessionPersistence
from gatewright.model.meta import Key
from gatewright.resolve.durations import seconds
from gatewright.resolve.headers import check_request_header, check_token
from gatewright.resolve.outcomes import Unsupported
from gatewright.topology import PathMatch, Session

_OPERATOR = re.compile(r"[\\.+*?()|\[\]{}^$]|\Z")


def translate_session(
    spec: SessionPersistence, kind: str, route: Key, rule: str, path: PathMatch, field: str
) -> Session:
    """The session of one match of a rule. `rule` is the rule's name or number in its route.

    Without a sessionName the name is made of the route's kind, namespace, name and rule, so that it is the same on
    every proxy and after each restart, and no other rule's. Raises `Unsupported` for what can't be kept.
    """
    name = spec.session_name or default_name(kind, route, rule)
    if spec.type == "Header":
        check_request_header(name, f"{field}.sessionName")
    else:
        check_token(name, f"{field}.sessionName")
    lifetime = seconds(spec.absolute_timeout)
    if lifetime == 0:
        raise Unsupported(f"{field}.absoluteTimeout: found {spec.absolute_timeout}, expected more than 0s")
    if spec.type == "Header":
        return Session("Header", name)
    if spec.cookie_config and spec.cookie_config.lifetime_type == "Permanent" and lifetime is None:
        raise Unsupported(f"{field}.absoluteTimeout: found none, which a Permanent cookie needs")
    return Session("Cookie", name, lifetime, cookie_path(path))


def unserved(spec: SessionPersistence, field: str) -> tuple[str, ...]:
    """Names what a session is kept without."""
    if spec.absolute_timeout is None:
        return ()
    if spec.type == "Header":
        return (f"{field}.absoluteTimeout: a header carries no time",)
    if spec.cookie_config is None or spec.cookie_config.lifetime_type == "Session":
        return (
            f"{field}.cookieConfig.lifetimeType Session: with an absoluteTimeout the cookie outlives the browser's",
        )
    return ()


def default_name(kind: str, route: Key, rule: str) -> str:
    """The cookie's or header's name where the route names none."""
    digest = hashlib.sha256(f"{kind} {route} {rule}".encode()).hexdigest()
    return f"gatewright-session-{digest[:12]}"


def cookie_path(path: PathMatch) -> str:
    """The Path of a cookie: what the match matches; of a regular expression the elements before the first operator."""
    if path.type != "RegularExpression":
        return path.value.rstrip("/") or "/"
    if "|" in path.value:
        return "/"
    pattern = path.value.removeprefix("^")
    operator = _OPERATOR.search(pattern)
    plain = pattern[: operator.start()] if operator else pattern
    if pattern[len(plain) : len(plain) + 1] in ("?", "*", "{"):
        plain = plain[:-1]  # the operator makes that character optional
    whole, _, _ = plain.rpartition("/")
    return whole if whole.startswith("/") else "/"
