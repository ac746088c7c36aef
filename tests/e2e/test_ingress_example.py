"""The example of Ingresses, as a user meets it: one ALB for two teams, without a proxy in the cluster."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from tests.e2e.edge_process import EXAMPLES, Edge, fetch

SHOP, ACCOUNTS = "www.example.com", "accounts.example.com"


@pytest.fixture(scope="module")
def ingresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    edge = Edge("up", EXAMPLES / "ingress", directory=tmp_path_factory.mktemp("ingresses"))
    try:
        edge.serving()
        found = re.search(r"takes requests at (http://\S+) and (https://\S+)\.", edge.out)
        assert found, edge.out
        edge.url, edge.https_url = found.groups()
        yield edge
    finally:
        edge.close()


def get(edge: Edge, path: str, host: str = SHOP, **headers: str) -> tuple[int, str]:
    answer = fetch(f"{edge.https_url}{path}", host=host, sni=host, headers=headers, ca=edge.ca)
    return answer.status, answer.body.strip()


def test_what_comes_unencrypted_is_sent_to_https(ingresses: Edge) -> None:
    answer = fetch(f"{ingresses.url}/cart?x=1", host=SHOP)
    location = urlsplit(answer.headers["location"])
    assert (answer.status, location.scheme, location.hostname) == (301, "https", SHOP)
    assert (location.path, location.query) == ("/cart", "x=1")


def test_two_teams_share_the_load_balancer(ingresses: Edge) -> None:
    assert get(ingresses, "/v1/me", ACCOUNTS) == (200, "Hello from accounts")
    assert get(ingresses, "/")[0] == 200


def test_a_share_of_the_requests_goes_to_the_next_version(ingresses: Edge) -> None:
    answers = {get(ingresses, "/") for _ in range(200)}
    assert answers == {(200, "Hello from shop"), (200, "Hello from shop-next")}


def test_a_header_chooses_the_next_version(ingresses: Edge) -> None:
    assert {get(ingresses, "/", **{"X-Preview": "yes"}) for _ in range(20)} == {(200, "Hello from shop-next")}


def test_metrics_and_dot_files_are_kept_in(ingresses: Edge) -> None:
    assert get(ingresses, "/metrics") == (403, "not for you")
    assert get(ingresses, "/.env")[0] == 403
