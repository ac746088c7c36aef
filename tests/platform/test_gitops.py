"""The root Application: golden cases for each overlay, and what no Application can be made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests.deploy.kustomizations import OUTPUTS, OVERLAYS, REPOSITORY, settings

from gatewright.platform.gitops import GitOpsError, child_patches, root_application
from gatewright.platform.targets import Architecture, Target

GOLDEN = Path(__file__).parents[1] / "golden" / "root_application"


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_case(overlay: str, pytestconfig: pytest.Config) -> None:
    """`pytest tests/resolve tests/platform/test_gitops.py --regenerate` rewrites the outputs; review them as a diff."""
    root = root_application(settings(overlay), OUTPUTS[overlay])
    found = yaml.dump(_readable(root), sort_keys=False, width=140)
    golden = GOLDEN / f"{overlay}.yaml"
    if pytestconfig.getoption("--regenerate", default=False):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(found)
    assert found == golden.read_text()


def _readable(value: Any) -> Any:
    """With the operations of patches as objects, not as texts."""
    if isinstance(value, list):
        return [_readable(each) for each in value]
    if isinstance(value, dict):
        return {key: _readable(yaml.safe_load(each) if key == "patch" else each) for key, each in value.items()}
    return value


def test_the_rehearsal_has_the_application_that_aws_has() -> None:
    local = msgspec.structs.replace(settings("aws-chained"), target=Target.LOCAL)
    assert root_application(local, OUTPUTS["aws-chained"]) == root_application(
        settings("aws-chained"), OUTPUTS["aws-chained"]
    )


@pytest.mark.parametrize(
    ("image", "values"),
    [
        ("a.example.com:5000/b/c:1.2", {"repository": "a.example.com:5000/b/c", "tag": "1.2"}),
        ("a.example.com:5000/b@sha256:00", {"repository": "a.example.com:5000/b", "digest": "sha256:00"}),
    ],
)
def test_the_controllers_image_is_a_value_of_its_chart(image: str, values: dict[str, str]) -> None:
    patches = child_patches(msgspec.structs.replace(settings("aws-chained"), image=image), OUTPUTS["aws-chained"])
    (found,) = (each for each in patches if each["target"].get("name") == "gatewright")
    assert {"op": "add", "path": "/spec/source/helm/valuesObject/image", "value": values} in yaml.safe_load(
        found["patch"]
    )


def test_without_a_hosted_zone_the_controller_writes_no_records() -> None:
    outputs = msgspec.structs.replace(OUTPUTS["aws-direct"], hosted_zone_id="")
    assert not any("dns" in patch["patch"] for patch in child_patches(settings("aws-direct"), outputs))


def test_a_load_balancer_that_speaks_http_to_the_gateway_is_bound_to_its_http_listener() -> None:
    outputs = msgspec.structs.replace(OUTPUTS["aws-chained"], target_group_port=80)
    patch = child_patches(settings("aws-chained"), outputs)[-1]
    (operation,) = yaml.safe_load(patch["patch"])
    operations = yaml.safe_load(operation["value"]["patches"][0]["patch"])
    assert {"op": "replace", "path": "/spec/port", "value": 80} in operations


_TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1)


@given(_TEXTS, _TEXTS)
def test_patches_say_what_terraform_said_whatever_it_is(name: str, address: str) -> None:
    outputs = msgspec.structs.replace(OUTPUTS["azure-chained"], gateway_subnet=name, gateway_address=address)
    patch = child_patches(settings("azure-chained"), outputs)[-1]
    (operation,) = yaml.safe_load(patch["patch"])
    operations = yaml.safe_load(operation["value"]["patches"][0]["patch"])
    assert [each["value"] for each in operations] == [address, name]


# --- what can't be ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"repository": ""}, "--repository: found none, expected the URL"),
        ({"repository": "deploy/gitops"}, "found deploy/gitops, expected the URL"),
        ({"repository": "file:///srv/platform"}, "expected the URL"),
        ({"repository": "https://me:hunter2@git.example.org/p.git"}, "with credentials in it, expected one without"),
        ({"repository": "https://token@git.example.org/p.git"}, "with credentials in it"),
        ({"revision": ""}, "settings.revision: found none"),
        ({"architecture": Architecture.DIRECT}, "outputs.architecture: found chained, expected direct"),
        ({"target": Target.AZURE, "architecture": Architecture.DIRECT}, "found overlay azure-direct, expected one of"),
    ],
)
def test_settings_that_cannot_be_meant(changed: dict[str, Any], says: str) -> None:
    with pytest.raises(GitOpsError) as caught:
        root_application(msgspec.structs.replace(settings("aws-chained"), **changed), OUTPUTS["aws-chained"])
    assert says in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "token@" not in str(caught.value)


@pytest.mark.parametrize(
    "repository",
    ["git@git.example.org:team/platform.git", "ssh://git@git.example.org:2222/team/platform.git", REPOSITORY],
)
def test_the_usual_urls_of_repositories_are_taken(repository: str) -> None:
    found = root_application(
        msgspec.structs.replace(settings("aws-chained"), repository=repository), OUTPUTS["aws-chained"]
    )
    assert found["spec"]["source"]["repoURL"] == repository


@pytest.mark.parametrize(
    ("overlay", "fields"),
    [
        ("aws-chained", ("target_group_arn",)),
        ("aws-direct", ("public_subnet_cidrs", "certificate_arn")),
        ("azure-chained", ("gateway_address",)),
    ],
)
def test_outputs_that_are_missing_are_named(overlay: str, fields: tuple[str, ...]) -> None:
    empty = {field: type(getattr(OUTPUTS[overlay], field))() for field in fields}
    with pytest.raises(GitOpsError, match=f"outputs: found no {', '.join(fields)}, which overlay {overlay} needs"):
        root_application(settings(overlay), msgspec.structs.replace(OUTPUTS[overlay], **empty))
