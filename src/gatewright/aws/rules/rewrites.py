"""URL and host rewrites as transforms (Transforms for listener rules), and redirects (API: RedirectActionConfig).

A transform searches its regular expression in the Host, or in path and query, and replaces what it finds; a rule's
conditions are compared before. What a redirect calls #{path} and #{query} is what the transform left of them: the AWS
Load Balancer Controller's own tests show it (test/e2e/gateway, "testing redirect with ReplacePrefixMatch").
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal

from msgspec import Struct, structs

from gatewright.aws.rules.limits import TRANSFORM_LENGTH, VALUE_LENGTH
from gatewright.aws.rules.patterns import escaped, is_visible
from gatewright.aws.rules.refused import Refused, quoted
from gatewright.aws.stack.desired import RedirectTo, Transform
from gatewright.aws.support import routes as rows
from gatewright.topology import PathMatch, PathModifier, Redirect, Rewrite

_SAME_HOST: Final = "#{host}"
_SAME_PATH: Final = "/#{path}"
_UNSAFE: Final = re.compile(r"[\s$?#\\]")
_STATUS: Final[dict[int, Literal["HTTP_301", "HTTP_302"]]] = {301: "HTTP_301", 302: "HTTP_302"}
_WELL_KNOWN: Final = {"http": 80, "https": 443}


class Redirecting(Struct, frozen=True):
    """A redirect as an ALB's, for a part of what the match takes: of its PathPrefix what is `exactly` that, or `below`
    it; of its hostnames just `hosts`, where that isn't None.
    """

    action: RedirectTo
    transforms: tuple[Transform, ...] = ()
    part: Literal["all", "exactly", "below"] = "all"
    hosts: tuple[str, ...] | None = None


# --- rewrites --------------------------------------------------------------------------------------------------------


def rewrite_transforms(rewrite: Rewrite, match: PathMatch, field: str) -> tuple[Transform, ...]:
    """The transforms of a URLRewrite filter at `field`. Raises `Refused`."""
    found = []
    if rewrite.hostname is not None:
        found.append(host_transform(rewrite.hostname, f"{field}.hostname"))
    if rewrite.path is not None:
        found += _path_transform(rewrite.path, match, f"{field}.path")
    return tuple(found)


def host_transform(hostname: str, field: str) -> Transform:
    """What sets the Host header."""
    _check_replacement(hostname, field)
    return Transform("host-header-rewrite", "^.*$", hostname)


def _path_transform(modifier: PathModifier, match: PathMatch, field: str) -> list[Transform]:
    value = _absolute(modifier.value)
    if modifier.type == "ReplaceFullPath":
        _check_replacement(value, f"{field}.replaceFullPath")
        return [Transform("url-rewrite", "^[^?]*", value)]
    prefix, value = _prefix(match, field), modifier.value.rstrip("/")
    if value:
        value = _absolute(value)
        _check_replacement(f"{value}/", f"{field}.replacePrefixMatch")
    if not prefix:
        return [Transform("url-rewrite", "^/", f"{value}/")] if value else []
    return [_prefix_transform(prefix, value)]


def _prefix_transform(prefix: str, value: str) -> Transform:
    """`value` instead of `prefix`; without a value what is left keeps one slash.

    The rule's conditions see to it that the prefix ends where an element does.
    """
    if value:
        return Transform("url-rewrite", f"^{escaped(prefix)}", value)
    return Transform("url-rewrite", f"^{escaped(prefix)}/*", "/")


def _prefix(match: PathMatch, field: str) -> str:
    if match.type != "PathPrefix":
        raise Refused(rows.PREFIX_WITHOUT_PREFIX, f"{field}.type", f"ReplacePrefixMatch with a match of {match.type}")
    return match.value.rstrip("/")


def _check_replacement(value: str, field: str) -> None:
    if _UNSAFE.search(value) or len(value) > TRANSFORM_LENGTH or not is_visible(value):
        raise Refused(rows.REWRITE_VALUE, field, quoted(value))


def _absolute(value: str) -> str:
    return value if value.startswith("/") else f"/{value}"


# --- redirects -------------------------------------------------------------------------------------------------------


class Entrance(Struct, frozen=True):
    """Where requests come in, as far as a redirect has to know: the listener's protocol and port, and the hostnames."""

    protocol: Literal["HTTP", "HTTPS"]
    port: int
    hosts: Sequence[str]


def redirects(
    redirect: Redirect, match: PathMatch, entrance: Entrance, query: str | None, field: str
) -> list[Redirecting]:
    """A redirect filter at `field` as redirects of disjoint parts of the match. Raises `Refused`.

    `query` is the one to redirect to, None for the request's.
    """
    base = _without_path(redirect, entrance, field)
    if redirect.path is None:
        found = [Redirecting(base)]
    elif redirect.path.type == "ReplaceFullPath":
        path, mark, own_query = _absolute(redirect.path.value).partition("?")
        action = structs.replace(base, path=path, query=own_query if mark else base.query)
        found = [Redirecting(action)]
    else:
        found = _prefix_redirects(base, redirect.path.value, match, entrance, f"{field}.path")
    if query is not None:
        found = [structs.replace(one, action=structs.replace(one.action, query=query)) for one in found]
    for one in found:
        _check(one.action, entrance, field)
    return found


def leads_elsewhere(action: RedirectTo, entrance: Entrance) -> bool:
    """Whether AWS takes it: "You must modify at least one of protocol, hostname, port, or path to avoid a loop"."""
    return (
        action.protocol not in ("#{protocol}", entrance.protocol)
        or action.port not in ("#{port}", str(entrance.port))
        or action.host != _SAME_HOST
        or action.path != _SAME_PATH
    )


def _without_path(redirect: Redirect, entrance: Entrance, field: str) -> RedirectTo:
    status = _STATUS.get(redirect.status_code)
    if status is None:
        raise Refused(rows.REDIRECT_STATUS, f"{field}.statusCode", redirect.status_code)
    if redirect.scheme == "http" and entrance.protocol == "HTTPS":
        found = f"http on the HTTPS listener at port {entrance.port}"
        raise Refused(rows.REDIRECT_DOWNGRADE, f"{field}.scheme", found)
    port = redirect.port or (_WELL_KNOWN.get(redirect.scheme) if redirect.scheme else None)
    return RedirectTo(
        status,
        protocol=redirect.scheme.upper() if redirect.scheme else "#{protocol}",
        host=redirect.hostname or _SAME_HOST,
        port=str(port) if port else "#{port}",
    )


def _prefix_redirects(
    base: RedirectTo, value: str, match: PathMatch, entrance: Entrance, field: str
) -> list[Redirecting]:
    prefix, value = _prefix(match, field), value.rstrip("/")
    value = _absolute(value) if value else ""
    if not prefix or value.endswith(prefix):
        return [Redirecting(structs.replace(base, path=f"{value.removesuffix(prefix)}{_SAME_PATH}"))]
    if leads_elsewhere(base, entrance):
        if value:
            _check_replacement(value, f"{field}.replacePrefixMatch")
        return [Redirecting(base, (_prefix_transform(prefix, value),))]
    # Where the path alone changes, #{path} alone would be refused as a loop.
    if value:
        exactly = Redirecting(structs.replace(base, path=value), part="exactly")
        below = Transform("url-rewrite", f"^{escaped(prefix)}/", "/")
        action = structs.replace(base, path=f"{value}{_SAME_PATH}")
        return [exactly, Redirecting(action, (below,), part="below")]
    if any("*" in host for host in entrance.hosts):
        raise Refused(rows.REDIRECT_TO_ROOT, f"{field}.replacePrefixMatch", "'/'")
    transform = _prefix_transform(prefix, "")
    return [Redirecting(structs.replace(base, host=host), (transform,), hosts=(host,)) for host in entrance.hosts]


def _check(action: RedirectTo, entrance: Entrance, field: str) -> None:
    literal = action.path.replace("#{path}", "", 1)
    if len(action.path) > VALUE_LENGTH or re.search(r"[\s?#]", literal) or not is_visible(literal):
        raise Refused(rows.REDIRECT_PARTS, f"{field}.path", quoted(action.path))
    if len(action.host) > VALUE_LENGTH:
        raise Refused(rows.REDIRECT_PARTS, f"{field}.hostname", quoted(action.host))
    own_query = action.query.replace("#{query}", "", 1)
    if len(action.query) > VALUE_LENGTH or re.search(r"\s", own_query) or not is_visible(own_query):
        raise Refused(rows.REDIRECT_PARTS, f"{field}.path", quoted(f"{action.path}?{action.query}"))
    if not leads_elsewhere(action, entrance):
        found = f"{action.protocol}://{action.host}:{action.port}{action.path} at port {entrance.port}"
        raise Refused(rows.REDIRECT_LOOP, field, found)
