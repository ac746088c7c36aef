"""Drawn routes that an ALB can serve: many matches, hostnames and methods, so that rules are joined and split."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from tests.explain.edges import obj
from tests.fuzz.manifests import CONTROLLER, Json

from gatewright.explain import Request

HOSTS = ("a.example.com", "b.example.com", "c.b.example.com", "*.example.com", "*.b.example.com", "xn--p1ai.xn--p1ai")
_PATHS = ("/", "/a", "/a/b", "/b", "/b/*", "/c d", "/a,b")
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")

_path = st.one_of(
    st.builds(
        lambda type_, value: {"type": type_, "value": value},
        st.sampled_from(("Exact", "PathPrefix")),
        st.sampled_from(_PATHS),
    ),
    st.sampled_from(("/a/.*", "/[ab]|/c", "^/b$", "/x/[0-9]+")).map(
        lambda value: {"type": "RegularExpression", "value": value}
    ),
)
_header = st.builds(
    lambda name, value, type_: {"name": name, "value": value, "type": type_},
    st.sampled_from(("x-v", "x-w")),
    st.sampled_from(("1", "A.b", "a*")),
    st.just("Exact"),
)
_parameter = st.builds(
    lambda name, value: {"name": name, "value": value}, st.sampled_from(("q", "q*")), st.sampled_from(("1", "*", "2"))
)


def _maybe(strategy: st.SearchStrategy[Any], of: int) -> st.SearchStrategy[Any]:
    return st.integers(1, of).flatmap(lambda n: strategy if n == 1 else st.none())


def _full(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries(fields).map(lambda found: {k: v for k, v in found.items() if v not in (None, [])})


_match = _full(
    path=_path,
    method=_maybe(st.sampled_from(_METHODS), 2),
    headers=_maybe(st.lists(_header, max_size=2, unique_by=lambda each: each["name"]), 3),
    queryParams=_maybe(st.lists(_parameter, max_size=2, unique_by=lambda each: each["name"]), 4),
)
_full_path = st.sampled_from(("/full", "/full?x=1", "/")).map(
    lambda value: {"type": "ReplaceFullPath", "replaceFullPath": value}
)
_prefix = st.sampled_from(("/new", "/new/", "/", "", "/x/a")).map(
    lambda value: {"type": "ReplacePrefixMatch", "replacePrefixMatch": value}
)


def _redirect(path: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    return _full(
        hostname=_maybe(st.just("elsewhere.org"), 3),
        port=_maybe(st.just(8080), 3),
        scheme=_maybe(st.sampled_from(("https", "http")), 3),
        statusCode=_maybe(st.just(301), 2),
        path=_maybe(path, 2),
    ).filter(bool)


def _filters(path: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    rewrite = _full(hostname=_maybe(st.just("inside.org"), 2), path=_maybe(path, 2)).filter(bool)
    return st.one_of(
        st.builds(lambda one: {"type": "RequestRedirect", "requestRedirect": one}, _redirect(path)),
        st.builds(lambda one: {"type": "URLRewrite", "urlRewrite": one}, rewrite.filter(_is_literal)),
    )


def _is_literal(rewrite: Json) -> bool:
    return "?" not in str(rewrite)


_backends = st.lists(
    st.builds(
        lambda name, weight: {"name": name, "port": 80, "weight": weight},
        st.sampled_from(("s0", "s1", "lost")),
        st.sampled_from((1, 3, 4000)),
    ),
    min_size=1,
    max_size=2,
    unique_by=lambda each: each["name"],
)


@st.composite
def _rule(draw: Any) -> Json:
    if draw(st.integers(0, 4)) == 4:
        prefix = draw(st.sampled_from(("/", "/a", "/a/b/")))
        matches = [{"path": {"type": "PathPrefix", "value": prefix}}]
        filters = [draw(_filters(_prefix))]
    else:
        matches = draw(st.lists(_match, min_size=1, max_size=8))
        filters = draw(st.lists(_filters(_full_path), max_size=1))
    found: Json = {"matches": matches, "filters": filters}
    if not any(one["type"] == "RequestRedirect" for one in filters):
        found["backendRefs"] = draw(_backends)
    return found


@st.composite
def edges(draw: Any) -> list[Json]:
    """One listener of each host or none, and routes."""
    found = [
        obj("GatewayClass", "ours", namespace="", spec={"controllerName": CONTROLLER}),
        obj(
            "Gateway",
            "gw",
            spec={
                "gatewayClassName": "ours",
                "listeners": [
                    {"name": f"l{port}", "port": port, "protocol": "HTTP"}
                    for port in draw(st.sampled_from(((80,), (80, 81))))
                ],
            },
        ),
    ]
    for number in range(draw(st.integers(1, 4))):
        spec = {
            "parentRefs": [{"name": "gw"}],
            "hostnames": draw(st.lists(st.sampled_from(HOSTS), max_size=7, unique=True)),
            "rules": draw(st.lists(_rule(), min_size=1, max_size=3)),
        }
        found.append(obj("HTTPRoute", f"r{number}", spec=spec))
    return found


@st.composite
def requests(draw: Any) -> tuple[int, Request]:
    """A request to one of the ports."""
    port = draw(st.sampled_from((80, 81)))
    host = draw(
        st.sampled_from(
            (*HOSTS[:3], "x.example.com", "y.b.example.com", "example.com", HOSTS[-1], "z.org", "B.Example.com")
        )
    )
    shown = draw(st.sampled_from(("", f":{port}"))) if port != 80 else ""
    path = draw(
        st.sampled_from(
            (
                *(
                    "/",
                    "/a",
                    "/a/",
                    "/a/b",
                    "/a/b/c",
                    "/ab",
                    "/A",
                    "/b",
                    "/b/*",
                    "/b/x",
                    "/b/*/x",
                    "/a,b",
                    "/c%20d",
                    "/c",
                ),
                *("/x/1", "/x/y", "/a//b", "/new"),
            )
        )
    )
    query = draw(st.sampled_from(("", "", "?q=1", "?q=2", "?q=*", "?q=3", "?q*=1", "?q=1&q*=*", "?z=1")))
    headers = tuple(
        (name, draw(st.sampled_from(("1", "A.b", "a.b", "aXb", "a*", "ab", "2"))))
        for name in draw(st.lists(st.sampled_from(("x-v", "X-W")), max_size=2, unique=True))
    )
    return port, Request(host + shown, path + query, draw(st.sampled_from(_METHODS)), headers=headers)
