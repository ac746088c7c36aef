"""The edge description made through the AWS API, and kept while it is edited."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from gatewright.aws import Aws
from gatewright.local.aws.emulation import EmulatedAws
from gatewright.local.certificates import Authority, names_of
from gatewright.local.front.description import parse
from gatewright.local.front.provision import FrontProvisioner
from gatewright.local.manifests import FrontManifest, load

EXAMPLE = Path(__file__).parents[2] / "examples/eks"


class World:
    def __init__(self, aws: EmulatedAws, client: Aws) -> None:
        authority = Authority.create()
        self.client = client
        self.provisioner = FrontProvisioner(client, authority.issue, authority.pem)
        self.elbv2, self.acm, self.wafv2 = aws.client("elbv2"), aws.client("acm"), aws.client("wafv2")

    async def apply(self, document: dict[str, Any]) -> list[str]:
        """What was done; nothing may be refused."""
        problems, done = await self.provisioner.update(FrontManifest(parse(document), "aws.yaml", {(): 1}))
        assert problems == []
        return done

    def balancers(self) -> list[dict[str, Any]]:
        return list(self.elbv2.describe_load_balancers()["LoadBalancers"])

    def listeners(self) -> dict[int, dict[str, Any]]:
        (balancer,) = self.balancers()
        found = self.elbv2.describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])["Listeners"]
        return {listener["Port"]: listener for listener in found}

    def rules(self, port: int) -> dict[str, dict[str, Any]]:
        found = self.elbv2.describe_rules(ListenerArn=self.listeners()[port]["ListenerArn"])["Rules"]
        return {rule["Priority"]: rule for rule in found}


@pytest.fixture
async def world(aws: EmulatedAws) -> AsyncIterator[World]:
    async with Aws(region="us-east-1", endpoint_url=aws.url, credentials=("test", "test")) as client:
        yield World(aws, client)


def example() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((EXAMPLE / "aws.yaml").read_text())
    return content


async def test_the_example_is_made_and_made_once(world: World) -> None:
    done = await world.apply(example())
    assert {line.partition(" ")[0] for line in done} == {"S3", "target", "web", "ALB", "certificate", "listener"}
    listeners = world.listeners()
    assert listeners[80]["DefaultActions"][0]["RedirectConfig"]["StatusCode"] == "HTTP_301"
    (certificate,) = listeners[443]["Certificates"]
    chain = world.acm.get_certificate(CertificateArn=certificate["CertificateArn"])["Certificate"].encode()
    names = names_of(chain)
    assert {"platform.example.com", "*.platform.example.com"} < names
    assert {"localhost", "127.0.0.1"} < names
    assert len([name for name in names - {"127.0.0.1"} if name.startswith(("127.", "10."))]) == 2  # the ALB's nodes
    (balancer,) = world.balancers()
    acl = world.wafv2.get_web_acl_for_resource(ResourceArn=balancer["LoadBalancerArn"])["WebACL"]
    assert [rule["Name"] for rule in acl["Rules"]] == ["blocked-addresses", "dot-files"]
    assert acl["Rules"][0]["Statement"]["IPSetReferenceStatement"]["ARN"].startswith("arn:aws:wafv2:")
    before = Counter(world.client.calls)
    assert await world.apply(example()) == []
    assert world.client.calls == before, "what is there already costs no call"


async def test_an_edit_changes_what_differs(world: World) -> None:
    content = example()
    await world.apply(content)
    (https,) = [each for each in content["aws"]["loadBalancers"][0]["listeners"] if each["port"] == 443]
    condition = {"Field": "path-pattern", "PathPatternConfig": {"Values": ["/old/*"]}}
    https["rules"] = [
        {"priority": 5, "conditions": [condition], "action": {"fixedResponse": {"statusCode": "410"}}},
        {"priority": 6, "conditions": [condition], "action": {"forward": "shared-gateway"}},
    ]
    content["aws"]["targetGroups"][0]["healthCheck"]["path"] = "/ready"
    await world.apply(content)
    assert set(world.rules(443)) == {"5", "6", "default"}
    (group,) = world.elbv2.describe_target_groups()["TargetGroups"]
    assert group["HealthCheckPath"] == "/ready"
    https["rules"] = https["rules"][1:]
    await world.apply(content)
    assert set(world.rules(443)) == {"6", "default"}


async def test_what_is_described_no_longer_goes(world: World) -> None:
    await world.apply(example())
    content = example()
    del content["aws"]["loadBalancers"][0]["listeners"][0]
    await world.apply(content)
    assert set(world.listeners()) == {443}
    problems, _ = await world.provisioner.update(None)
    assert problems == []
    assert world.balancers() == []
    assert world.elbv2.describe_target_groups()["TargetGroups"] == []
    assert world.acm.list_certificates()["CertificateSummaryList"] == []


async def test_a_refusal_names_the_place_and_costs_nothing_else(world: World) -> None:
    content = example()
    content["aws"]["targetGroups"].append({"name": "bad", "protocol": "HTTPS", "port": 443, "attributes": {"no": "x"}})
    content["aws"]["loadBalancers"][0]["listeners"][0]["rules"] = [
        {
            "priority": 70000,
            "conditions": [{"Field": "path-pattern", "PathPatternConfig": {"Values": ["/"]}}],
            "action": {"fixedResponse": {"statusCode": "404"}},
        }
    ]
    problems, _ = await world.provisioner.update(FrontManifest(parse(content), "aws.yaml", {(): 1}))
    assert sorted(problem.subject for problem in problems) == [
        "aws.loadBalancers[0].listeners[0].rules[0]",
        "aws.targetGroups[1]",
    ]
    assert set(world.listeners()) == {80, 443}
    # Mended, all is there.
    content["aws"]["targetGroups"].pop()
    content["aws"]["loadBalancers"][0]["listeners"][0]["rules"][0]["priority"] = 7
    await world.apply(content)
    assert set(world.rules(80)) == {"7", "default"}


async def test_tags_are_kept_as_described(world: World) -> None:
    content = example()
    await world.apply(content)
    (group,) = world.elbv2.describe_target_groups()["TargetGroups"]

    def tags() -> dict[str, str]:
        (found,) = world.elbv2.describe_tags(ResourceArns=[group["TargetGroupArn"]])["TagDescriptions"]
        return {tag["Key"]: tag["Value"] for tag in found["Tags"]}

    assert tags() == {"gatewright.dev/namespaces": "istio-ingress"}
    content["aws"]["targetGroups"][0]["tags"] = {"gatewright.dev/namespaces": "istio-ingress team-a", "tier": "1"}
    await world.apply(content)
    assert tags() == {"gatewright.dev/namespaces": "istio-ingress team-a", "tier": "1"}
    del content["aws"]["targetGroups"][0]["tags"]
    await world.apply(content)
    assert tags() == {}


@pytest.mark.parametrize(
    ("part", "field", "value", "words"),
    [
        ("targetGroups", "protocol", "HTTP", "has protocol HTTPS, which can't become HTTP in place"),
        ("targetGroups", "port", 8443, "has port 443, which can't become 8443 in place"),
        ("loadBalancers", "scheme", "internal", "has scheme internet-facing, which can't become internal in place"),
    ],
)
async def test_what_aws_can_not_change_in_place_is_refused(
    world: World, part: str, field: str, value: object, words: str
) -> None:
    content = example()
    await world.apply(content)
    content["aws"][part][0][field] = value
    (problem,), _ = await world.provisioner.update(FrontManifest(parse(content), "aws.yaml", {(): 1}))
    assert problem.subject == f"aws.{part}[0]"
    assert words in problem.message
    assert "another name" in problem.message
    assert set(world.listeners()) == {80, 443}


ODD = ["\x00", "a\x1b[31m", "\u202e", "x" * 5000, "a b", "../x", "%", "", "\U0001f600", "\ud800"]


@pytest.mark.parametrize("odd", ODD, ids=ascii)
async def test_what_aws_refuses_is_a_problem_and_never_a_crash(world: World, odd: str) -> None:
    gone = {"fixedResponse": {"statusCode": "410"}}
    rule = {"priority": 1, "conditions": [{"Field": odd, "Values": [odd]}], "action": gone}
    statement = {"ByteMatchStatement": {"SearchString": {"a": odd}, "FieldToMatch": {odd: {}}}}
    content: dict[str, Any] = {
        "buckets": [{"name": odd}],
        "certificates": [{"name": odd, "domains": [odd]}],
        "webAcls": [
            {"name": odd, "ipSets": [{"name": odd, "addresses": [odd]}]},
            {"name": "acl", "rules": [{"Name": odd, "Priority": odd, "Statement": statement}]},
        ],
        "targetGroups": [
            {"name": odd, "protocol": odd, "port": -1},
            {"name": "tags", "protocol": "HTTP", "port": 80, "tags": {odd: odd}},
            {"name": "attributes", "protocol": "HTTP", "port": 80, "attributes": {odd: odd}},
        ],
        "loadBalancers": [
            {"name": odd},
            {
                "name": "good",
                "listeners": [
                    {"port": 80, "protocol": "HTTP", "defaultAction": gone, "rules": [rule]},
                    {"port": 0, "protocol": odd, "defaultAction": gone, "sslPolicy": odd, "attributes": {odd: odd}},
                ],
            },
        ],
    }
    problems, _ = await world.provisioner.update(FrontManifest(parse({"aws": content}), "aws.yaml", {(): 1}))
    assert {problem.where for problem in problems} == {"aws.yaml:1"}
    assert len(problems) > 8
    assert set(world.listeners()) == {80}


def test_manifests_and_description_are_read_from_one_folder() -> None:
    manifests = load([EXAMPLE])
    assert manifests.front is not None
    assert "EdgeBinding" in {manifest.kind for manifest in manifests.objects}
