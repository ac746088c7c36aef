"""Drawn edges and requests for them: small name spaces, so that they meet."""

from __future__ import annotations

from typing import Any, Literal

from hypothesis import strategies as st
from tests.fuzz.manifests import CONTROLLER, Json, key_pair

from gatewright.explain import Request
from gatewright.model.gateway.shared import GROUP

BACKENDS = ("s0", "s1")
"""Services with an endpoint; `empty` has none, `lost` doesn't exist."""

_HOSTS = ("*.example.com", "a.example.com", "*.b.example.com", "x.b.example.com", "y.org")
_PATHS = ("/", "/", "/", "/a", "/a", "/a/", "/a/b", "/b", "/A", "/a%2Fb", "/x.y")
_PATTERNS = ("/a/.*", "/[ab]", "/a(/b)?", ".*")


def obj(kind: str, name: str, api: str = f"{GROUP}/v1", namespace: str = "a", **body: Any) -> Json:
    """A manifest."""
    created = body.pop("created", "2024-01-01T00:00:00Z")
    metadata = {"name": name, "namespace": namespace, "creationTimestamp": created, **body.pop("metadata", {})}
    return {"apiVersion": api, "kind": kind, "metadata": metadata, **body}


def services(ports: dict[str, int]) -> list[Json]:
    """The Services: `ports` are those of the endpoints on 127.0.0.1, by name."""
    found = [obj("Service", name, "v1", spec={"ports": [{"port": 80}]}) for name in (*ports, "empty")]
    for name, port in ports.items():
        found.append(
            obj(
                "EndpointSlice",
                name,
                "discovery.k8s.io/v1",
                metadata={"labels": {"kubernetes.io/service-name": name}},
                addressType="IPv4",
                ports=[{"port": port, "name": ""}],
                endpoints=[{"addresses": ["127.0.0.1"]}],
            )
        )
    return found


def _maybe(strategy: st.SearchStrategy[Any], one_in: int = 2) -> st.SearchStrategy[Any]:
    return st.integers(1, one_in).flatmap(lambda n: strategy if n == one_in else st.none())


def _some(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    return st.fixed_dictionaries(fields).map(lambda found: {k: v for k, v in found.items() if v not in (None, [])})


_listener = _some(
    port=st.sampled_from((80, 81, 443)),
    hostname=_maybe(st.sampled_from(_HOSTS), 3),
    name=st.just(""),
    protocol=st.just(""),
)


@st.composite
def _gateway(draw: Any) -> list[Json]:
    wanted = draw(st.lists(_listener, min_size=1, max_size=5, unique_by=lambda one: (one["port"], one.get("hostname"))))
    for number, listener in enumerate(wanted):
        listener["name"] = f"l{number}"
        listener["protocol"] = "HTTPS" if listener["port"] == 443 else "HTTP"
        if listener["port"] == 443:
            listener["tls"] = {"certificateRefs": [{"name": draw(st.sampled_from((*("good",) * 9, "lost")))}]}
    chain, private_key = key_pair(0)
    return [
        obj("GatewayClass", "ours", namespace="", spec={"controllerName": CONTROLLER}),
        obj("Secret", "good", "v1", stringData={"tls.crt": chain, "tls.key": private_key}),
        obj("Gateway", "gw", spec={"gatewayClassName": "ours", "listeners": wanted}),
    ]


_path_match = st.one_of(
    _some(type=st.sampled_from(("Exact", "PathPrefix", "PathPrefix")), value=st.sampled_from(_PATHS)),
    _some(type=st.just("RegularExpression"), value=st.sampled_from(_PATTERNS)),
)
_value_match = {"value": st.sampled_from(("1", "2", "1,2")), "type": _maybe(st.just("RegularExpression"), 4)}
_match = _some(
    path=_path_match,
    method=_maybe(st.sampled_from(("GET", "POST")), 5),
    headers=_maybe(st.lists(_some(name=st.sampled_from(("x-v", "X-W", "host")), **_value_match), max_size=1), 4),
    queryParams=_maybe(st.lists(_some(name=st.sampled_from(("q", "%71")), **_value_match), max_size=1), 4),
)
_path = st.one_of(
    _some(type=st.just("ReplaceFullPath"), replaceFullPath=st.sampled_from(("/full", "/"))),
    _some(type=st.just("ReplacePrefixMatch"), replacePrefixMatch=st.sampled_from(("/new", "/new/", "/", ""))),
)
_redirect = _some(
    scheme=_maybe(st.sampled_from(("http", "https"))),
    hostname=_maybe(st.sampled_from(("a.example.com", "elsewhere.org"))),
    port=_maybe(st.sampled_from((80, 81, 443, 8080)), 3),
    statusCode=_maybe(st.sampled_from((301, 302, 307))),
    path=_maybe(_path),
)
_rewrite = _some(hostname=_maybe(st.just("inside.example.com")), path=_maybe(_path)).filter(bool)
_cors = _some(
    allowOrigins=st.sampled_from((["https://app.example.com"], ["*"])), allowMethods=st.sampled_from((["GET"], ["*"]))
)
_filters = st.one_of(
    st.just([]),
    st.just([]),
    st.builds(lambda each: [{"type": "RequestRedirect", "requestRedirect": each}], _redirect.filter(bool)),
    st.builds(lambda each: [{"type": "URLRewrite", "urlRewrite": each}], _rewrite),
    st.builds(lambda each: [{"type": "CORS", "cors": each}], _cors),
)
_backend = _some(
    name=st.sampled_from((*BACKENDS, *BACKENDS, "empty", "lost")),
    port=st.just(80),
    weight=_maybe(st.sampled_from((0, 1, 3)), 3),
    filters=_maybe(st.builds(lambda each: [{"type": "URLRewrite", "urlRewrite": each}], _rewrite), 5),
)
_rule = st.one_of(
    _some(
        matches=st.lists(_match, min_size=1, max_size=2),
        filters=_filters,
        backendRefs=st.lists(_backend, min_size=1, max_size=2, unique_by=lambda each: each["name"]),
    ),
    _some(matches=st.lists(_match, min_size=1, max_size=2), filters=_filters),
)


def _sound(rule: Json) -> bool:
    """What the API itself would take: no redirect beside backends, a prefix to replace."""
    filters = [*rule.get("filters", ()), *(f for b in rule.get("backendRefs", ()) for f in b.get("filters", ()))]
    kinds = [each["type"] for each in filters]
    if "RequestRedirect" in kinds and rule.get("backendRefs"):
        return False
    replaces = any("replacePrefixMatch" in str(each) for each in filters)
    return not replaces or (
        len(rule["matches"]) == 1
        and rule["matches"][0]["path"]["type"] == "PathPrefix"
        and len(set(kinds)) == len(kinds)
    )


@st.composite
def _routes(draw: Any) -> list[Json]:
    found = []
    for number in range(draw(st.integers(1, 5))):
        spec = draw(
            _some(
                parentRefs=st.just([{"name": "gw"}]),
                hostnames=_maybe(st.lists(st.sampled_from(_HOSTS), max_size=2, unique=True)),
                rules=st.lists(_rule.filter(_sound), min_size=1, max_size=3),
            )
        )
        created = draw(st.sampled_from(("2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z")))
        found.append(obj("HTTPRoute", f"r{number}", created=created, spec=spec))
    return found


edges: st.SearchStrategy[list[Json]] = st.builds(lambda gateway, routes: [*gateway, *routes], _gateway(), _routes())

_names = st.sampled_from(
    (
        "a.example.com",
        "A.Example.COM",
        "x.b.example.com",
        "z.b.example.com",
        "q.z.b.example.com",
        "y.org",
        "example.com",
    )
)
_hosts = st.one_of(_names, _names, _names.map(lambda name: f"{name}:80"), _names.map(lambda name: f"{name}:443"))
_sent_paths = st.sampled_from(
    (
        *(
            "/",
            "/a",
            "/a/",
            "/a/b",
            "/A",
            "/b",
            "/ab",
            "/a/b/c",
            "/a//b",
            "/a/./b",
            "/a/../b",
            "/%61",
            "/a%2Fb",
            "/a%2fb",
        ),
        *("/a/..", "/a/.", "/..", "/a/%2e%2e/b", "/a\\b", "/a/b/", "/x%2Ey", "/a/b;p=1", "/c%20d", "/a^b|c", "/a'\"b"),
    )
)
_queries = st.sampled_from(("", "", "", "?q=1", "?q=2&q=1", "?q", "?%71=1", "?q=%31", "?", "?x=1&q=1,2", "?q=1+2"))
_header = st.sampled_from(
    (("x-v", "1"), ("X-V", "2"), ("x-w", " 1 "), ("Origin", "https://app.example.com"), ("Origin", "https://other"))
)
_asked = st.sampled_from((("access-control-request-method", "GET"), ("access-control-request-method", "POST")))


@st.composite
def requests(draw: Any) -> tuple[int, Request]:
    """A port of the Gateway, and a request to it."""
    port = draw(st.sampled_from((80, 80, 80, 443, 443, 443, 81, 90)))
    scheme: Literal["http", "https"] = "https" if port == 443 else "http"
    if draw(st.integers(0, 9)) == 9:
        scheme = "http" if scheme == "https" else "https"
    host = draw(_hosts)
    sni = draw(st.sampled_from((host.partition(":")[0].lower(), host.partition(":")[0].lower(), "a.example.com", None)))
    method = draw(st.sampled_from(("GET", "GET", "GET", "POST", "OPTIONS")))
    headers = tuple(draw(st.lists(_header, max_size=2)))
    if method == "OPTIONS":
        headers = (*headers, draw(_asked))
    path = draw(_sent_paths) + draw(_queries)
    return port, Request(host, path, method, scheme, sni if scheme == "https" else None, headers)
