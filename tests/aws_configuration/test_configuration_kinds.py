"""The configuration kinds as an API server of ours serves them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import yaml
from tests.aws_configuration.configured_world import configuration

from gatewright.cluster import Client, Invalid
from gatewright.local.apiserver import ApiServer, Store
from gatewright.model.awsgateway import (
    ListenerRuleConfiguration,
    LoadBalancerConfiguration,
    TargetGroupConfiguration,
)
from gatewright.model.definition import COLUMNS, definition
from gatewright.model.kinds import kind_of
from gatewright.model.meta import Key, Object


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with (
        ApiServer(Store.memory()) as server,
        Client.with_token(server.url, server.token, server.ca_certificate) as client,
    ):
        yield client


@pytest.mark.parametrize("type_", COLUMNS, ids=lambda type_: type_.__name__)
async def test_it_shows_the_definition_that_clusters_get(client: Client, type_: type[Object]) -> None:
    kind = kind_of(type_)
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{kind.plural}.{kind.group}"
    found = msgspec.json.decode(await client.request("GET", path))
    expected = definition(type_)["spec"]
    assert (found["spec"]["versions"], found["spec"]["names"]) == (expected["versions"], expected["names"])


def manifest(kind: str, spec: dict[str, Any], version: str = "v1") -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(configuration(kind, "x", spec).removesuffix("---\n"))
    found["metadata"] = {"name": "x", "namespace": "default"}
    return found | {"apiVersion": f"gateway.k8s.aws/{version}"}


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
async def test_both_versions_are_one_object(client: Client, version: str) -> None:
    path = f"/apis/gateway.k8s.aws/{version}/namespaces/default/loadbalancerconfigurations"
    body = msgspec.json.encode(manifest("LoadBalancerConfiguration", {"scheme": "internal"}, version))
    await client.request("POST", path, body=body)
    found = await client.get(LoadBalancerConfiguration, Key("default", "x"))
    assert (found.api_version, found.spec.scheme) == ("gateway.k8s.aws/v1", "internal")


async def test_what_is_left_out_is_filled_in(client: Client) -> None:
    actions = [{"type": "forward", "forwardConfig": {}}]
    await client.apply(manifest("ListenerRuleConfiguration", {"actions": actions}), field_manager="test")
    rule = await client.get(ListenerRuleConfiguration, Key("default", "x"))
    forward = rule.spec.actions[0].forward_config
    assert forward is not None
    assert forward.target_group_stickiness_config.duration_seconds == 3600
    await client.apply(manifest("TargetGroupConfiguration", {"targetReference": {"name": "app"}}), field_manager="test")
    group = await client.get(TargetGroupConfiguration, Key("default", "x"))
    assert group.spec.target_reference is not None
    assert (group.spec.target_reference.group, group.spec.target_reference.kind) == ("", "Service")


@pytest.mark.parametrize(
    ("kind", "spec", "message"),
    [
        ("LoadBalancerConfiguration", {"scheme": "public"}, "spec.scheme"),
        ("LoadBalancerConfiguration", {"listenerConfigurations": [{"protocolPort": "443"}]}, "protocolPort"),
        (
            "LoadBalancerConfiguration",
            {"listenerConfigurations": [{"protocolPort": "HTTPS:443", "mutualAuthentication": {"mode": "verify"}}]},
            "trustStore is required",
        ),
        ("TargetGroupConfiguration", {"defaultConfiguration": {"targetType": "alb"}}, "targetType"),
        ("ListenerRuleConfiguration", {"actions": [{"type": "redirect"}]}, "redirectConfig must be specified"),
        ("ListenerRuleConfiguration", {"conditions": [{"field": "path"}]}, "spec.conditions"),
    ],
)
async def test_what_the_api_refuses(client: Client, kind: str, spec: dict[str, Any], message: str) -> None:
    with pytest.raises(Invalid, match=message):
        await client.apply(manifest(kind, spec), field_manager="test")
