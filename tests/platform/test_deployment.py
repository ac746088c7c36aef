"""Steps of a deployment, each by itself, in a cluster that answers as it is told."""

from __future__ import annotations

import ssl
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace
from tests.platform.cluster import QUICK
from tests.platform.test_steps import Told

from gatewright.aws.errors import AwsError
from gatewright.cluster import ApiError, Unreachable
from gatewright.local.certificates import Authority
from gatewright.platform import awsaccount
from gatewright.platform.deployment import Deployment
from gatewright.platform.errors import PlatformError
from gatewright.platform.outputs import Outputs
from gatewright.platform.prerequisites import Missing
from gatewright.platform.report import Check, Outcome, Report
from gatewright.platform.situation import Declined
from gatewright.platform.targets import Settings, Target
from gatewright.platform.terraformlog import Run
from gatewright.platform.tree import Tree
from gatewright.platform.waiting import Late, Patience
from gatewright.platform.workspace import State, Workspace

NODE = b'{"kind": "NodeList", "items": [{"status": {"conditions": [{"type": "Ready", "status": "True"}]}}]}'
OUTPUTS = Outputs(
    name="platform",
    region="eu-west-1",
    architecture="chained",
    cluster_name="platform",
    cluster_endpoint="https://127.0.0.1:1",
    cluster_certificate_authority=b64encode(b"pem").decode(),
)


class Answering:
    """A cluster's API that gives one answer after the other, the last one for ever."""

    def __init__(self, *answers: bytes | Exception) -> None:
        self._answers = [*answers]

    async def __aenter__(self) -> Answering:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def request(self, *_: Any, **__: Any) -> bytes:
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Ground(Deployment):
    """A deployment whose cluster is one of the tests'."""

    cluster: Answering

    @property
    def patience(self) -> Patience:
        return QUICK

    def client(self) -> Any:
        return self.cluster


def ground(folder: Path, *answers: bytes | Exception, outputs: Outputs = OUTPUTS) -> Ground:
    workspace = Workspace(folder / "w")
    workspace.write(State(settings=Settings(target=Target.AWS, region="eu-west-1"), outputs=outputs))
    found = Ground(workspace, Tree(folder), Told(), lambda _: True)
    found.cluster = Answering(*answers)
    return found


@pytest.fixture(autouse=True)
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "aws").write_text("")
    (tmp_path / "aws").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))


async def test_a_new_cluster_may_take_a_moment_to_answer_and_to_know_who_made_it(tmp_path: Path) -> None:
    unknown = ApiError(401, "Unauthorized", "the server has asked for the client to provide credentials")
    silent = Unreachable("Name or service not known")
    busy = ApiError(503, "ServiceUnavailable", "the server is currently unable to handle the request")
    it = ground(tmp_path, silent, unknown, busy, NODE)
    assert await it._kubeconfig() == str(it.workspace.kubeconfig)


async def test_who_is_not_let_in_is_told_who_is(tmp_path: Path) -> None:
    it = ground(tmp_path, ApiError(403, "Forbidden", 'nodes is forbidden: User "alice" cannot list resource "nodes"'))
    with pytest.raises(Late, match=r"doesn't let these credentials in: nodes is forbidden") as caught:
        await it._kubeconfig()
    assert "cluster_admins" in caught.value.remedy
    assert "cluster_public_access_cidrs" in caught.value.remedy


async def test_another_profile_of_aws_makes_another_kubeconfig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    it = ground(tmp_path, NODE)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    before = it._kubeconfig_inputs()
    monkeypatch.setenv("AWS_PROFILE", "platform")
    assert it._kubeconfig_inputs() != before
    await it._kubeconfig()
    assert "AWS_PROFILE" in it.workspace.kubeconfig.read_text()


def test_a_self_signed_certificate_that_clients_see_is_its_own_authority(tmp_path: Path) -> None:
    assert ground(tmp_path).authorities() is None
    pem = Authority.create().pem
    der = ssl.PEM_cert_to_DER_cert(pem.decode())
    it = ground(tmp_path, outputs=replace(OUTPUTS, entry_certificate=b64encode(der).decode()))
    path = it.authorities()
    assert path is not None
    assert ssl.PEM_cert_to_DER_cert(path.read_text()) == der


def report(*failing: str) -> Report:
    outcomes = {name: Outcome.FAILED if name in failing else Outcome.PASSED for name in ("endpoint", "placement")}
    checks = [Check(id=name, subject="it", outcome=each, expected="1", found="0") for name, each in outcomes.items()]
    return Report(target="aws", architecture="chained", at="", checks=tuple(checks))


async def test_a_platform_that_settles_is_looked_at_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Terraform has just renewed all nodes: their pods come back in a moment."""
    it = ground(tmp_path)
    reports = [report("endpoint", "placement"), report("placement"), report()]

    async def verification(*_: object) -> Report:
        return reports.pop(0)

    monkeypatch.setattr(it, "verification", verification)
    assert await it._verify() == "all 2 checks passed"


async def test_a_platform_that_does_not_get_better_is_told_check_by_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    it = ground(tmp_path)

    async def verification(*_: object) -> Report:
        return report("placement")

    monkeypatch.setattr(it, "verification", verification)
    with pytest.raises(PlatformError, match=r"(?s)1 of 2 checks fail: placement.*placement +FAILED"):
        await it._verify()


class Unapplied:
    """Terraform with a plan that nobody has agreed to."""

    def __init__(self, resources: list[str]) -> None:
        self._resources = resources

    async def init(self) -> None:
        pass

    async def plan(self) -> Run:
        return Run(planned=[("create", "aws_vpc.this")])

    def drop_plan(self) -> None:
        pass

    async def resources(self) -> list[str]:
        return self._resources


@pytest.mark.parametrize("made", [[], ["aws_vpc.this"]])
async def test_after_a_no_to_the_first_plan_another_account_may_be_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: list[str]
) -> None:
    it = ground(tmp_path, NODE)
    it.confirm = lambda _: False
    it.record("terraform", "")
    monkeypatch.setattr(it, "assemble", lambda: None)
    monkeypatch.setattr(it, "terraform", lambda: Unapplied(made))
    with pytest.raises(Declined):
        await it._terraform()
    assert (it.digest("terraform") is None) is (not made)


@pytest.mark.parametrize(
    ("backend", "made", "begun"),
    [({"bucket": "b"}, ["aws_vpc.this"], True), ({"bucket": "b"}, [], False), ({}, ["aws_vpc.this"], False)],
    ids=["a state with something", "an empty state", "a state in the folder"],
)
async def test_a_new_folder_takes_over_what_a_remote_state_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: dict[str, str], made: list[str], begun: bool
) -> None:
    """Else its own cluster and quotas would be in its way, and a lost folder would be a lost platform."""
    found: list[bool] = []

    async def ready(*_: object, begun: bool) -> list[Missing]:
        found.append(begun)
        return []

    it = ground(tmp_path, NODE)
    it.workspace.write(State(settings=replace(it.settings, backend=backend)))
    it = Ground(it.workspace, Tree(tmp_path), Told(), lambda _: True)
    for name, answer in {"assemble": None, "terraform": Unapplied(made), "aws": Account()}.items():
        monkeypatch.setattr(it, name, lambda answer=answer: answer)
    monkeypatch.setattr(awsaccount, "ready", ready)
    with pytest.raises(PlatformError, match="certificate"):
        await it._prerequisites()
    assert found == [begun]


class Account:
    """An AWS account that refuses everything."""

    async def __aenter__(self) -> Account:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def call(self, *_: object) -> dict[str, str]:
        raise AwsError("AccessDenied", "not you", "sts:get_caller_identity")
