"""Secrets of other namespaces, and what is in Secrets: used by nobody who may not, and shown nowhere."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import msgspec
import structlog
from tests.edge_gateways.gateway_world import CONFIG, World, app, gateway, obj, route

from gatewright.aws import Aws, views
from gatewright.aws.errors import Unavailable
from gatewright.controller.logs import configure
from gatewright.local.certificates import Authority
from gatewright.model.core import Event
from gatewright.model.gateway import Gateway, HTTPRoute
from gatewright.model.meta import Key

HTTPS = {"name": "https", "port": 443, "protocol": "HTTPS"}
CLIENT_SECRET = "a-client-secret-that-nobody-may-see"


def tls_secret(name: str, namespace: str = "infra") -> tuple[dict[str, Any], str]:
    """A Secret with a certificate, and a piece of its private key."""
    signed = Authority.create().issue([f"{name}.example.com"])
    data = {"tls.crt": signed.chain, "tls.key": signed.private_key}
    encoded = {key: base64.b64encode(value).decode() for key, value in data.items()}
    return obj("v1", "Secret", name, namespace, type="kubernetes.io/tls", data=encoded), signed.private_key.decode()


async def certificates(world: World) -> list[str]:
    found = await world.aws.pages("acm", "list_certificates", "CertificateSummaryList", Includes={"keyTypes": KEYS})
    return [each["CertificateArn"] for each in found]


class Failing(Aws):
    """AWS on a bad day: what carries a secret fails twice, and that is told."""

    def __init__(self, aws: Aws) -> None:
        self.calls = aws.calls
        self.aws = aws
        self.left = {"create_rule": 2, "import_certificate": 2}

    async def call(self, service: str, operation: str, **parameters: Any) -> dict[str, Any]:
        if self.left.get(operation):
            self.left[operation] -= 1
            raise Unavailable("InternalError", "it went wrong", f"{service}:{operation}")
        return await self.aws.call(service, operation, **parameters)

    async def pages(self, service: str, operation: str, items: str, **parameters: Any) -> list[Any]:
        return await self.aws.pages(service, operation, items, **parameters)


KEYS = ["RSA_1024", "RSA_2048", "RSA_3072", "RSA_4096", "EC_prime256v1", "EC_secp384r1", "EC_secp521r1"]


async def test_a_certificate_of_anothers_secret_cant_be_named_by_its_arn(world: World) -> None:
    secret, _ = tls_secret("site")
    listener = {**HTTPS, "tls": {"certificateRefs": [{"name": "site"}]}}
    await world.apply(secret, gateway(listener), route(), *app())
    async with world.controller() as controller:
        await world.settled(controller)
        (arn,) = await certificates(world)
    async with world.controller() as controller:
        theft = {"listenerConfigurations": [{"protocolPort": "HTTPS:443", "defaultCertificate": arn}]}
        parameters = {"group": "gateway.k8s.aws", "kind": "LoadBalancerConfiguration", "name": "theft"}
        await world.apply(
            obj("v1", "Namespace", "evil", ""),
            obj(CONFIG, "LoadBalancerConfiguration", "theft", "evil", spec=theft),
        )
        thief = gateway(HTTPS, name="thief", infrastructure={"parametersRef": parameters})
        thief["metadata"]["namespace"] = "evil"
        thief["spec"]["listeners"][0]["tls"] = {"mode": "Terminate", "options": {"any": "thing"}}
        await world.apply(thief)
        await world.settled(controller)
        found = await world.client.get(Gateway, Key("evil", "thief"))
        told = msgspec.json.encode(found.status).decode()
        assert "imported from a Secret" in told
        used = [
            each for lb in await views.load_balancers(world.aws) for each in await views.listeners(world.aws, lb.arn)
        ]
        assert len(used) == 1


async def test_no_secret_is_in_anything_that_is_shown(world: World) -> None:
    log = io.StringIO()
    configured = structlog.get_config()
    configure("json", "debug", log)
    try:
        secret, key = tls_secret("site")
        oidc = {
            "issuer": "https://idp.example.com",
            "authorizationEndpoint": "https://idp.example.com/authorize",
            "tokenEndpoint": "https://idp.example.com/token",
            "userInfoEndpoint": "https://idp.example.com/userinfo",
            "secret": {"name": "idp"},
        }
        actions = [{"type": "authenticate-oidc", "authenticateOIDCConfig": oidc}]
        extension = {"group": "gateway.k8s.aws", "kind": "ListenerRuleConfiguration", "name": "login"}
        rules = [
            {
                "filters": [{"type": "ExtensionRef", "extensionRef": extension}],
                "backendRefs": [{"name": "web", "port": 80}],
            }
        ]
        await world.apply(
            secret,
            obj("v1", "Secret", "idp", stringData={"clientID": "known", "clientSecret": CLIENT_SECRET}),
            obj(CONFIG, "ListenerRuleConfiguration", "login", spec={"actions": actions}),
            gateway({**HTTPS, "tls": {"certificateRefs": [{"name": "site"}]}}),
            route(rules=rules),
            *app(),
        )
        async with world.controller(aws=Failing(world.aws)) as controller:
            await world.settled(controller)
            (rule,) = await world.rules(443)
            assert rule["Actions"][0]["Type"] == "authenticate-oidc"
            told = [
                log.getvalue(),
                *(msgspec.json.encode(each).decode() for each in await world.client.list(Event, "infra")),
                msgspec.json.encode(await world.client.get(Gateway, Key("infra", "shared"))).decode(),
                msgspec.json.encode(await world.client.get(HTTPRoute, Key("infra", "web"))).decode(),
                json.dumps(await views.tags_of(world.aws, [rule["RuleArn"]])),
                repr(controller.provisioned),
            ]
    finally:
        structlog.configure(**configured)
    lines = [line for line in key.splitlines() if not line.startswith("-")]
    for text in told:
        assert CLIENT_SECRET not in text
        assert base64.b64encode(CLIENT_SECRET.encode()).decode() not in text
        assert not [line for line in lines if line in text]
    assert told[0].count("\n") > 5
