"""The edge description: what is read, and what is said of a wrong one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gatewright.local.front.description import AwsDescription, DescriptionError, parse
from gatewright.local.manifests import load

EXAMPLE = Path(__file__).parents[2] / "examples/eks"


def test_the_example_describes_an_alb_with_all_that_it_needs() -> None:
    manifests = load([EXAMPLE])
    assert manifests.problems == ()
    assert manifests.front is not None
    (balancer,) = manifests.front.description.load_balancers
    assert [(listener.port, listener.protocol) for listener in balancer.listeners] == [(80, "HTTP"), (443, "HTTPS")]
    assert balancer.web_acl == "platform"
    assert manifests.front.where("aws.loadBalancers[0].webAcl").startswith(f"{EXAMPLE}/aws.yaml:")


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "an unknown field": ({"aws": {"loadBalancer": []}}, "aws", "unknown field"),
    "another key beside it": ({"aws": {}, "azure": {}}, "azure", "the one key aws"),
    "a wrong type": ({"aws": {"buckets": [{"name": 3}]}}, "aws.buckets[0].name", "expected `str`"),
    "a name twice": (
        {"aws": {"buckets": [{"name": "a"}, {"name": "a"}]}},
        "aws.buckets[1].name",
        "found a for the second time",
    ),
    "a certificate that isn't described": (
        {
            "aws": {
                "loadBalancers": [
                    {
                        "name": "a",
                        "listeners": [
                            {
                                "port": 443,
                                "protocol": "HTTPS",
                                "certificates": ["b"],
                                "defaultAction": {"fixedResponse": {"statusCode": "200"}},
                            }
                        ],
                    }
                ]
            }
        },
        "aws.loadBalancers[0].listeners[0].certificates[0]",
        "found b, expected one of aws.certificates (none)",
    ),
    "an action that does nothing": (
        {
            "aws": {
                "loadBalancers": [{"name": "a", "listeners": [{"port": 80, "protocol": "HTTP", "defaultAction": {}}]}]
            }
        },
        "aws.loadBalancers[0].listeners[0].defaultAction",
        "found 0 of forward, redirect, fixedResponse, expected one",
    ),
    "a target group that isn't described": (
        {
            "aws": {
                "targetGroups": [{"name": "there", "protocol": "HTTP", "port": 80}],
                "loadBalancers": [
                    {"name": "a", "listeners": [{"port": 80, "protocol": "HTTP", "defaultAction": {"forward": "b"}}]}
                ],
            }
        },
        "aws.loadBalancers[0].listeners[0].defaultAction.forward",
        "found b, expected one of aws.targetGroups (there)",
    ),
}


def _listeners(*listeners: dict[str, Any]) -> dict[str, Any]:
    gone = {"fixedResponse": {"statusCode": "410"}}
    described = [{"protocol": "HTTP", "defaultAction": gone, **listener} for listener in listeners]
    return {"aws": {"loadBalancers": [{"name": "a", "listeners": described}]}}


_RULE = {"priority": 1, "conditions": [], "action": {"fixedResponse": {"statusCode": "410"}}}
WRONG["a port twice"] = (
    _listeners({"port": 80}, {"port": 80}),
    "aws.loadBalancers[0].listeners[1].port",
    "found 80 for the second time",
)
WRONG["a priority twice"] = (
    _listeners({"port": 80, "rules": [_RULE, _RULE]}),
    "aws.loadBalancers[0].listeners[0].rules[1].priority",
    "found 1 for the second time; give each rule a priority of its own",
)


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_description_names_field_and_remedy(case: str) -> None:
    document, field, message = WRONG[case]
    with pytest.raises(DescriptionError) as caught:
        parse(document)
    assert caught.value.field == field
    assert message in caught.value.message


def test_problems_have_file_and_line(tmp_path: Path) -> None:
    file = tmp_path / "aws.yaml"
    file.write_text("aws:\n  webAcls:\n    - name: a\n      defaultAction: maybe\n")
    (problem,) = load([tmp_path]).problems
    assert problem.where == f"{file}:4"
    assert "aws.webAcls[0].defaultAction" in problem.message


def test_there_is_one_description(tmp_path: Path) -> None:
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_text("aws: {}\n")
    manifests = load([tmp_path])
    assert manifests.front is not None
    assert manifests.front.description == AwsDescription()
    assert [problem.where for problem in manifests.problems] == [f"{tmp_path}/b.yaml:1"]


@pytest.mark.parametrize(
    "broken", ["aws: [", "aws: {buckets: 3}\n", "aws: {}\nb: c\n", "aws: {}\n---\nkind: [\n", None]
)
def test_a_description_that_can_not_be_read_for_now_stays_as_it_was(tmp_path: Path, broken: str | None) -> None:
    """Otherwise a typing error would delete load balancers."""
    file, objects = tmp_path / "aws.yaml", tmp_path / "objects.yaml"
    file.write_text("aws: {buckets: [{name: logs}]}\n")
    objects.write_text("{apiVersion: v1, kind: Namespace, metadata: {name: a}}\n")
    paths = [file, objects]
    before = load(paths)
    assert before.front
    if broken is None:
        file.unlink()
    else:
        file.write_text(broken)
    during = load(paths, before)
    assert during.problems
    if broken and broken.startswith("aws: {}\n---"):
        assert during.front
        assert during.front.description == AwsDescription()  # that one can be read; what follows it can't
    else:
        assert during.front == before.front
    file.write_text("aws: {buckets: [{name: other}]}\n")
    mended = load(paths, during)
    assert mended.front
    assert [bucket.name for bucket in mended.front.description.buckets] == ["other"]
    file.write_text("# nothing any more\n")
    assert load(paths, mended).front is None


HOSTILE = {
    "aliases that grow": "a: &a [x, x]\n"
    + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join('*' + chr(97 + n) for _ in range(10))}]\n" for n in range(9))
    + "aws: {buckets: *i}\n",
    "depth": "aws: " + "[" * 20_000,
    "a part of itself": "aws: &a {x: *a}\n",
    "a tag of Python's": "aws: !!python/object/apply:os.system ['true']\n",
    "keys that are no strings": "aws: {}\n? [a, b]\n: c\n",
    "half a character": 'aws: {buckets: [{name: "\\uD800"}]}\n',
    "a number of 5000 digits": f"aws: {{targetGroups: [{{name: x, protocol: HTTP, port: {'9' * 5000}}}]}}\n",
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_description_is_a_problem_with_its_line(tmp_path: Path, case: str) -> None:
    file = tmp_path / "aws.yaml"
    file.write_text(HOSTILE[case])
    manifests = load([file])
    assert manifests.front is None
    assert manifests.problems[0].where.startswith(f"{file}:")
