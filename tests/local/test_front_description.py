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
