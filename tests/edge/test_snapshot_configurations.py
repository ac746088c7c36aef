"""A cluster that is read once: Gateways that name configurations of their load balancers."""

from __future__ import annotations

import yaml

from gatewright.cluster import Client
from gatewright.edge.snapshot import read_cluster
from gatewright.local.apiserver import ApiServer, Store
from gatewright.model.meta import Key

OBJECTS = """
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: alb}
spec: {controllerName: gateway.k8s.aws/alb}
---
apiVersion: gateway.k8s.aws/v1beta1
kind: LoadBalancerConfiguration
metadata: {name: edge, namespace: default}
spec: {scheme: internet-facing}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: edge, namespace: default}
spec:
  gatewayClassName: alb
  infrastructure: {parametersRef: {group: gateway.k8s.aws, kind: LoadBalancerConfiguration, name: edge}}
  listeners: [{name: http, port: 80, protocol: HTTP}]
---
apiVersion: v1
kind: Service
metadata: {name: app, namespace: default}
spec: {ports: [{port: 80}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: app, namespace: default}
spec:
  parentRefs: [{name: edge}]
  rules: [{backendRefs: [{name: app, port: 80}]}]
"""


async def test_a_gateway_whose_configuration_exists_has_its_routes() -> None:
    async with (
        ApiServer(Store.memory()) as server,
        Client.with_token(server.url, server.token, server.ca_certificate) as client,
    ):
        for obj in yaml.safe_load_all(OBJECTS):
            await client.create(obj)
        (balanced,) = (await read_cluster(client)).balanced
        assert [placement.rule.key.route for placement in balanced.topology.placements.values()] == [
            Key("default", "app")
        ]
