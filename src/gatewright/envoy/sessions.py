"""Session persistence as a route's own stateful session filter of Envoy (GEP-1619)."""

from __future__ import annotations

from envoy.config.route.v3 import route_components_pb2
from envoy.extensions.filters.http.stateful_session.v3 import stateful_session_pb2
from envoy.extensions.http.stateful_session.cookie.v3 import cookie_pb2
from envoy.extensions.http.stateful_session.header.v3 import header_pb2

from gatewright.envoy.filters import escape_re2
from gatewright.envoy.syntax import path, token
from gatewright.topology import Session

_NAME = "sessionPersistence.sessionName"


def keep_session(session: Session) -> stateful_session_pb2.StatefulSession:
    """Keep clients of a route on their endpoints, as long as these take requests."""
    message = stateful_session_pb2.StatefulSession()
    state = message.session_state
    if session.type == "Header":
        state.name = "envoy.http.stateful_session.header"
        state.typed_config.Pack(header_pb2.HeaderBasedSessionState(name=token(session.name, _NAME)))
        return message
    config = cookie_pb2.CookieBasedSessionState()
    config.cookie.name, config.cookie.path = token(session.name, _NAME), path(session.path, "a cookie's path")
    if session.lifetime is not None:
        config.cookie.ttl.FromNanoseconds(round(session.lifetime * 1e9))
    state.name = "envoy.http.stateful_session.cookie"
    state.typed_config.Pack(config)
    return message


def without_session(session: Session, match: route_components_pb2.RouteMatch) -> None:
    """Narrow a route's match to requests that belong to no session."""
    if session.type == "Header":
        match.headers.add(name=token(session.name, _NAME), invert_match=True).present_match = True
        return
    cookie = match.headers.add(name="cookie", invert_match=True, treat_missing_header_as_empty=True)
    cookie.string_match.safe_regex.regex = f"(?:.*;)? *{escape_re2(token(session.name, _NAME))}=.*"
