"""Whatever annotations say, something comes of it: nothing fails, and what comes of it doesn't depend on the order."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.aws_ingress.ingress_world import World, backend, ingress, manifests, picture, service

from gatewright.aws.ingress.support import ANNOTATIONS, find

NAMES = [
    *sorted(name if not name.endswith(".") else f"{name}app" for name in ANNOTATIONS),
    "target-control-port.app.80",
    "listener-attributes.HTTP-80",
]
PIECES = st.sampled_from(
    [
        "true",
        "0",
        "-1",
        "443",
        "HTTPS",
        "/a",
        "arn:aws:a:b:c:d",
        "none",
        "oidc",
        "cognito",
        "10.0.0.0/8",
        "a=b",
        "\\",
        ",",
    ]
)
FIELDS = (
    *("type", "Type", "field", "forwardConfig", "targetGroups", "serviceName", "servicePort", "weight", "values"),
    *("redirectConfig", "statusCode", "HTTP", "HTTPS", "fixedResponseConfig", "port", "mode", "issuer", "rewrites"),
    *("hostHeaderConfig", "regexValues", "urlRewriteConfig", "regex", "replace", "targetGroupName", "secretName"),
)
DOCUMENTS: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | PIECES,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(FIELDS),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)
VALUES = st.text(max_size=30) | PIECES | DOCUMENTS.map(json.dumps) | st.lists(PIECES, max_size=4).map(",".join)
ANNOTATED = st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=10), VALUES, max_size=8)


@settings(max_examples=150, deadline=None)
@given(ANNOTATED, ANNOTATED)
def test_no_text_breaks_anything(of_ingress: dict[str, str], of_service: dict[str, str]) -> None:
    paths = [
        {"path": "/a*b", "pathType": type_, "backend": backend("app", port)}
        for type_ in ("Exact", "Prefix", "ImplementationSpecific")
        for port in (80, "use-annotation")
    ]
    world = World(
        manifests(
            ingress(
                of_ingress, rules=[{"host": "a.example.com", "http": {"paths": paths}}], defaultBackend=backend("app")
            ),
            service(of_service),
        )
    )
    picture(world)
    for name, value in of_ingress.items():
        if value.strip() not in ("none", "false") and find(name) is None and name != "dry-run-plan":
            assert any(f"/{name}]" in problem for problem in world.problems("shop/web"))


@settings(max_examples=30, deadline=None)
@given(st.lists(ANNOTATED, min_size=2, max_size=3), st.randoms(use_true_random=False))
def test_the_order_of_arrival_decides_nothing(several: list[dict[str, str]], random: Any) -> None:
    documents = [ingress(each | {"group.name": "g"}, name=f"i{index}") for index, each in enumerate(several)]
    documents += [service()]
    shuffled = list(documents)
    random.shuffle(shuffled)
    world = World()
    for document in shuffled:
        world.apply(document)
    assert picture(world) == picture(World(manifests(*documents)))
