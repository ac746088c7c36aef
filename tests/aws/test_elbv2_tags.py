from __future__ import annotations

from tests.aws.elbv2_world import World, api, path, refusal, world

__all__ = ["api", "world"]


def _tags(world: World, *arns: str) -> dict[str, dict[str, str]]:
    answer = world.elb.describe_tags(ResourceArns=list(arns))["TagDescriptions"]
    return {one["ResourceArn"]: {tag["Key"]: tag["Value"] for tag in one["Tags"]} for one in answer}


def test_everything_is_tagged(world: World) -> None:
    tags = [{"Key": "team", "Value": "edge"}, {"Key": "empty", "Value": ""}]
    load_balancer = world.load_balancer(Tags=tags)
    group = world.group(Tags=tags)
    listener = world.listener(load_balancer, group, Tags=tags)
    rule = world.rule(listener, 1, [path("/a")], Tags=tags)
    arns = [load_balancer, group, listener, rule]
    assert _tags(world, *arns) == {arn: {"team": "edge", "empty": ""} for arn in arns}
    world.elb.add_tags(ResourceArns=arns, Tags=[{"Key": "team", "Value": "core"}, {"Key": "tier", "Value": "1"}])
    assert _tags(world, rule) == {rule: {"team": "core", "empty": "", "tier": "1"}}
    world.elb.remove_tags(ResourceArns=arns, TagKeys=["team", "unknown"])
    assert _tags(world, *arns) == {arn: {"empty": "", "tier": "1"} for arn in arns}
    world.elb.delete_rule(RuleArn=rule)
    assert refusal(world.elb.describe_tags, ResourceArns=[rule]) == ("RuleNotFound", "One or more rules not found")


def test_tags_are_refused(world: World) -> None:
    arn = world.load_balancer()
    add = world.elb.add_tags
    assert refusal(add, ResourceArns=[arn], Tags=[{"Key": "aws:stack", "Value": "a"}])[0] == "ValidationError"
    twice = [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]
    assert refusal(add, ResourceArns=[arn], Tags=twice) == (
        "DuplicateTagKeys",
        "Tag key was specified more than once: a",
    )
    add(ResourceArns=[arn], Tags=[{"Key": f"key-{number}", "Value": ""} for number in range(50)])
    add(ResourceArns=[arn], Tags=[{"Key": "key-1", "Value": "new"}])
    assert refusal(add, ResourceArns=[arn], Tags=[{"Key": "one-more", "Value": ""}])[0] == "TooManyTags"
    tags = [{"Key": f"key-{number}", "Value": ""} for number in range(51)]
    found = refusal(world.elb.create_load_balancer, Name="other", Subnets=world.seeded.public, Tags=tags)
    assert found[0] == "TooManyTags"
    assert len(world.elb.describe_load_balancers()["LoadBalancers"]) == 1, "nothing was made"
    too_long = [{"Key": "k" * 129, "Value": ""}]
    code, message = refusal(add, ResourceArns=[arn], Tags=too_long)
    assert code == "ValidationError"
    assert message.endswith("Member must have length less than or equal to 128")


def test_what_can_not_be_described(world: World) -> None:
    describe = world.elb.describe_tags
    arn = world.load_balancer()
    assert refusal(describe, ResourceArns=[arn] * 21) == (
        "ValidationError",
        "You cannot describe the tags of more than '20' resources at a time",
    )
    unknown = f"{arn[:-16]}0123456789abcdef"
    assert refusal(describe, ResourceArns=[unknown]) == ("LoadBalancerNotFound", f"Load balancer '{unknown}' not found")
    assert refusal(describe, ResourceArns=["arn:aws:s3:::logs"])[0] == "ValidationError"


def test_limits(world: World) -> None:
    pages = world.elb.get_paginator("describe_account_limits").paginate(PaginationConfig={"PageSize": 7})
    limits = {one["Name"]: one["Max"] for page in pages for one in page["Limits"]}
    assert limits["rules-per-application-load-balancer"] == "100"
    assert limits["listeners-per-application-load-balancer"] == "50"
    assert limits["targets-per-target-group"] == "1000"
    assert limits["condition-values-per-alb-rule"] == "5"
    assert limits["certificates-per-application-load-balancer"] == "25"
