"""What a platform is to be: options on top of what was asked for before."""

from __future__ import annotations

import msgspec
import pytest

from gatewright.platform.errors import UsageError
from gatewright.platform.settling import LOCAL_REPOSITORY, Asked, parse_pairs, parse_variables, settle
from gatewright.platform.targets import Architecture, Settings, Target

REPOSITORY = "https://git.example.com/platform.git"
IMAGE = "registry.example.com:5000/gatewright/gatewright:0.1.0"
AWS = Settings(target=Target.AWS, region="eu-central-1", repository=REPOSITORY, image=IMAGE)


def test_the_rehearsal_needs_no_options() -> None:
    settings = settle(Asked(Target.LOCAL), None, begun=False)
    assert (settings.name, settings.architecture, settings.repository) == ("platform", "chained", LOCAL_REPOSITORY)
    assert settings.overlay == "aws-chained"


def test_a_second_run_needs_none_of_the_first_ones_options() -> None:
    assert settle(Asked(Target.AWS), AWS, begun=True) == AWS


def test_options_win_over_what_was_asked_for_before_and_variables_are_added() -> None:
    before = msgspec.structs.replace(AWS, variables={"zones": ["a"], "tags": {}})
    asked = Asked(Target.AWS, revision="v2", variables={"zones": ["b"]})
    settings = settle(asked, before, begun=True)
    assert (settings.revision, settings.variables) == ("v2", {"zones": ["b"], "tags": {}})


def test_the_region_is_that_of_the_environment_unless_one_is_given() -> None:
    asked = Asked(Target.AWS, repository=REPOSITORY, image=IMAGE)
    assert settle(asked, None, begun=False, region="eu-west-1").region == "eu-west-1"
    with pytest.raises(UsageError, match="--region"):
        settle(asked, None, begun=False)


@pytest.mark.parametrize("option", ["name", "region", "domain"])
def test_what_stands_is_not_replaced_by_another_value(option: str) -> None:
    asked = Asked(Target.AWS, **{option: "other.example.com" if option == "domain" else "other-1"})  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=f"--{option}.* would replace it") as caught:
        settle(asked, AWS, begun=True)
    assert "gatewright destroy" in caught.value.remedy
    assert getattr(settle(asked, AWS, begun=False), option).startswith("other")


def test_neither_is_its_architecture() -> None:
    with pytest.raises(UsageError, match="--architecture: the platform in this folder has chained, and direct"):
        settle(Asked(Target.AWS, architecture=Architecture.DIRECT), AWS, begun=True)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (Asked(Target.AZURE), "this folder has a platform on aws, not on azure"),
        (Asked(Target.AWS, name="Shop"), "--name: found 'Shop'"),
        (Asked(Target.AWS, name="a" * 21), "--name"),
        (Asked(Target.AWS, name="shop-"), "--name"),
        (Asked(Target.AWS, domain="localhost"), "--domain"),
        (Asked(Target.AWS, domain="*.example.com"), "--domain"),
        (Asked(Target.AWS, region="eu central"), "--region"),
        (Asked(Target.AWS, variables={"region": "x"}), "--var region"),
        (
            Asked(Target.AWS, repository="https://token@git.example.com/p.git"),
            "--repository: .* with credentials",
        ),
        (Asked(Target.AWS, repository="p.git"), "--repository: found p.git, expected the URL"),
        (Asked(Target.AWS, backend={"bucket": "b", "secret_key": "hunter2"}), "--backend-config secret_key: everybody"),
        (Asked(Target.AWS, image=""), "--image: expected the controller's image"),
        (Asked(Target.AWS, image="gatewright"), "--image: found 'gatewright'"),
        (Asked(Target.AWS, image="a/b@sha256:0"), "--image: found"),
    ],
)
def test_what_can_not_be_meant_is_refused(asked: Asked, found: str) -> None:
    with pytest.raises(UsageError, match=found.replace("'", ".")) as caught:
        settle(asked, AWS, begun=False)
    assert "hunter2" not in f"{caught.value}{caught.value.remedy}"


def test_a_cloud_needs_a_repository_and_azure_a_location_and_has_no_direct() -> None:
    with pytest.raises(UsageError, match="--repository"):
        settle(Asked(Target.AWS, region="eu-west-1"), None, begun=False)
    with pytest.raises(UsageError, match="a location"):
        settle(Asked(Target.AZURE, repository=REPOSITORY), None, begun=False, region="eu-west-1")
    azure = Asked(Target.AZURE, repository=REPOSITORY, region="westeurope", architecture=Architecture.DIRECT)
    with pytest.raises(UsageError, match="direct"):
        settle(azure, None, begun=False)


def test_the_emulated_aws_has_one_region() -> None:
    with pytest.raises(UsageError, match="us-east-1 only"):
        settle(Asked(Target.LOCAL, region="eu-west-1"), None, begun=False)


def test_pairs_and_variables() -> None:
    assert parse_pairs(["a=b=c"], "--x") == {"a": "b=c"}
    with pytest.raises(UsageError, match="--x: found 'a'".replace("'", ".")):
        parse_pairs(["a"], "--x")
    variables = parse_variables(["n=3", 'l=["a"]', "s=eu-west-1", "b=true", 'q="3"', "v=1.40"])
    assert variables == {"n": 3, "l": ["a"], "s": "eu-west-1", "b": True, "q": "3", "v": "1.40"}
