"""What a Gateway of class istio stands on: the Service that Istio makes for it."""

from __future__ import annotations

import pytest

from gatewright.envoy.listeners import Binding
from gatewright.local.services import ISTIO, gateway_service
from gatewright.model.codec import decode
from gatewright.model.gateway import Gateway


def port_names(*listeners: tuple[str, int]) -> dict[int, str]:
    spec = {
        "gatewayClassName": "istio",
        "listeners": [{"name": name, "port": port, "protocol": "HTTP"} for name, port in listeners],
    }
    gateway = decode(Gateway, {"metadata": {"namespace": "infra", "name": "gw"}, "spec": spec})
    return {
        port["port"]: port["name"]
        for port in gateway_service(gateway, ISTIO, Binding("127.0.0.1", {}))["spec"]["ports"]
    }


@pytest.mark.parametrize(
    ("listeners", "expected"),
    [
        ([("http", 80), ("web", 80)], ["http"]),
        ([("a.b", 80), ("a-b", 81)], ["a-b", "a-b-81"]),
        ([("status-port", 80)], ["status-port-80"]),
        ([("a" * 70 + "b", 80), ("a" * 70 + "c", 65535)], ["a" * 63, "a" * 57 + "-65535"]),
        ([("x", 15021)], []),
    ],
)
def test_every_port_has_a_name_of_its_own(listeners: list[tuple[str, int]], expected: list[str]) -> None:
    names = port_names(*listeners)
    assert names.pop(15021) == "status-port"
    assert list(names.values()) == expected
