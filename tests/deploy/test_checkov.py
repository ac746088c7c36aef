"""Nothing that is deployed has what checkov knows as unsafe, or says in its place why it has to."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from tests.deploy import kustomizations, tools
from tests.deploy.kustomizations import OVERLAYS, ROOT

# One run for all, as checkov takes longest to start.
pytestmark = pytest.mark.xdist_group("checkov")

UNSAFE_TERRAFORM = """
resource "aws_security_group_rule" "ssh" {
  type              = "ingress"
  from_port         = 22
  to_port           = 22
  protocol          = "tcp"
  cidr_blocks       = ["0.0.0.0/0"]
  security_group_id = "sg-1"
}
"""
UNSAFE_POD = """
apiVersion: v1
kind: Pod
metadata: {name: unsafe, namespace: unsafe}
spec:
  containers:
    - name: unsafe
      image: nginx
      securityContext: {privileged: true}
"""
UNSAFE_DOCKERFILE = "FROM nginx:latest\nEXPOSE 22\n"


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What checkov says of everything, by framework; and of something unsafe beside it, so that it is known to look."""
    program = tools.checkov()
    folder = tmp_path_factory.mktemp("checkov")
    for cloud in ("aws", "azure"):
        ignored = shutil.ignore_patterns(".terraform*", "*.tfstate*")
        shutil.copytree(ROOT / f"deploy/{cloud}/terraform", folder / cloud, ignore=ignored)
    for name, manifests in _manifests():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump_all(manifests, sort_keys=False))
    shutil.copy(ROOT / "deploy/Dockerfile", folder)
    unsafe = folder / "unsafe"
    unsafe.mkdir()
    (unsafe / "main.tf").write_text(UNSAFE_TERRAFORM)
    (unsafe / "pod.yaml").write_text(UNSAFE_POD)
    (unsafe / "Dockerfile").write_text(UNSAFE_DOCKERFILE)
    ended = subprocess.run(
        [
            *(program, "--directory", folder, "--framework", "terraform", "kubernetes", "dockerfile"),
            *("--output", "json", "--compact", "--skip-download", "--soft-fail"),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return {scan["check_type"]: scan["results"] for scan in json.loads(ended.stdout)}


def _manifests() -> Iterator[tuple[str, list[Any]]]:
    """What each Application describes, and the Applications themselves; what is the same in two overlays comes once."""
    known: set[str] = set()
    for overlay in OVERLAYS:
        applications = list(kustomizations.applications(overlay).values())
        for name, manifests in [("applications", applications), *kustomizations.described(overlay).items()]:
            fresh = [each for each in manifests if json.dumps(each) not in known]
            known |= {json.dumps(each) for each in fresh}
            if fresh:
                yield f"{overlay}-{name}", fresh


def _told(check: Any) -> str:
    return f"{check['check_id']} {check['check_name']}: {check['resource']} in {check['file_path']}"


FRAMEWORKS = pytest.mark.parametrize(
    ("framework", "unsafe"), [("terraform", "CKV_AWS_24"), ("kubernetes", "CKV_K8S_16"), ("dockerfile", "CKV_DOCKER_1")]
)


@FRAMEWORKS
def test_nothing_unsafe_is_deployed(scans: dict[str, Any], framework: str, unsafe: str) -> None:
    failed = scans[framework]["failed_checks"]
    assert unsafe in {check["check_id"] for check in failed if check["file_path"].startswith("/unsafe/")}
    told = [_told(check) for check in failed if not check["file_path"].startswith("/unsafe/")]
    assert not told, "\n".join(told)


@pytest.mark.parametrize("framework", ["terraform", "kubernetes"])
def test_every_exception_says_why(scans: dict[str, Any], framework: str) -> None:
    skipped = scans[framework]["skipped_checks"]
    assert skipped
    reasons = {_told(check): check["check_result"].get("suppress_comment") or "" for check in skipped}
    told = [check for check, reason in reasons.items() if len(reason.split()) < 4]
    assert not told, "\n".join(told)
