"""The emulated AWS as a child process."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from gatewright.local.aws.endpoint import Clients
from gatewright.local.aws.process import AwsProcess, AwsProcessError
from gatewright.local.block import Block

NETWORKS = ("10.21.0.0/16", "10.22.0.0/16")


async def call(aws: AwsProcess, service: str, operation: str, **parameters: Any) -> Any:
    return await asyncio.to_thread(getattr(Clients(aws.url).client(service), operation), **parameters)


def runs(pid: int) -> bool:
    """Whether a process that isn't our child runs; one that has ended and waits for its parent doesn't."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


async def ended(pid: int) -> None:
    while runs(pid):  # noqa: ASYNC110 - nothing tells when another's child ends
        await asyncio.sleep(0.02)


@pytest.fixture
async def aws() -> AsyncIterator[AwsProcess]:
    async with AwsProcess(NETWORKS[0], pace=50, traffic=False) as aws:
        yield aws


async def test_it_answers_and_leaves_nothing_behind() -> None:
    async with AwsProcess(NETWORKS[0], traffic=False, endpoint="https://127.0.0.1:6443") as aws:
        pid = aws.pid
        assert pid is not None
        [vpc] = (await call(aws, "ec2", "describe_vpcs"))["Vpcs"]
        assert vpc["VpcId"] == aws.seeded["vpc"]
        assert (await call(aws, "eks", "describe_cluster", name="gatewright"))["cluster"]["endpoint"].endswith(":6443")
        assert aws.environment["AWS_ENDPOINT_URL"] == aws.url
    assert aws.pid is None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_any_aws_client_finds_it_by_the_environment(aws: AwsProcess) -> None:
    code = "import boto3; print(boto3.client('elbv2').describe_load_balancers()['LoadBalancers'])"
    surroundings = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    answer = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", code],
        env={**surroundings, **aws.environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (answer.stdout, answer.returncode) == ("[]\n", 0), answer.stderr


async def test_two_at_once_know_nothing_of_each_other(aws: AwsProcess) -> None:
    async with AwsProcess(NETWORKS[1], traffic=False) as other:
        for one, network in ((aws, NETWORKS[0]), (other, NETWORKS[1])):
            [vpc] = (await call(one, "ec2", "describe_vpcs"))["Vpcs"]
            assert vpc["CidrBlock"] == network
        await call(other, "s3", "create_bucket", Bucket="logs")
        with pytest.raises(ClientError, match="404"):
            await call(aws, "s3", "head_bucket", Bucket="logs")


async def test_it_tells_of_changes(aws: AwsProcess) -> None:
    heard: asyncio.Queue[frozenset[str]] = asyncio.Queue()

    async def listen() -> None:
        async for changed in aws.events():
            heard.put_nowait(changed)

    listening = asyncio.create_task(listen())
    await asyncio.sleep(0)
    group = await call(
        aws,
        "elbv2",
        "create_target_group",
        Name="web",
        Protocol="HTTP",
        Port=80,
        VpcId=aws.seeded["vpc"],
        TargetType="ip",
    )
    assert await asyncio.wait_for(heard.get(), 60) == {"target_groups"}
    arn = group["TargetGroups"][0]["TargetGroupArn"]
    await call(aws, "elbv2", "register_targets", TargetGroupArn=arn, Targets=[{"Id": "10.21.0.9"}])
    assert await asyncio.wait_for(heard.get(), 60) == {"targets"}
    listening.cancel()


async def test_a_death_is_told_and_ends_the_events() -> None:
    exits: asyncio.Queue[int] = asyncio.Queue()
    async with AwsProcess(NETWORKS[0], traffic=False, on_exit=exits.put_nowait) as aws:
        assert aws.pid is not None
        os.kill(aws.pid, signal.SIGKILL)
        assert await asyncio.wait_for(exits.get(), 60) == -signal.SIGKILL
    assert exits.empty()


async def test_one_that_can_not_start_says_why() -> None:
    with pytest.raises(AwsProcessError, match=r"invalid IPv4Network value: '10\.1\.2\.3/99'"):
        async with AwsProcess("10.1.2.3/99", traffic=False):
            pass


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
async def test_it_ends_with_its_parent(how: signal.Signals) -> None:
    """Whatever ends the parent, its standard input ends, and so does it."""
    parent = (
        "import asyncio\n"
        "from gatewright.local.aws.process import AwsProcess\n"
        "async def main():\n"
        f"    async with AwsProcess({NETWORKS[0]!r}, traffic=False) as aws:\n"
        "        print(aws.pid, flush=True)\n"
        "        await asyncio.Event().wait()\n"
        "asyncio.run(main())\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", parent, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert process.stdout is not None
    pid = int(await asyncio.wait_for(process.stdout.readline(), 60))
    process.send_signal(how)
    await process.wait()
    await asyncio.wait_for(ended(pid), 60)


async def test_it_never_looks_for_credentials_or_another_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "does-not-exist")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    async with AwsProcess(NETWORKS[0], traffic=False) as aws:
        assert aws.url != "http://127.0.0.1:1"
        assert (await call(aws, "sts", "get_caller_identity"))["Account"] == "123456789012"


async def fixed_answer(aws: AwsProcess, text: str) -> dict[str, Any]:
    """Make an ALB that answers `text`, and say where it really listens."""
    subnets = [aws.seeded["subnets"][name] for name in ("public-a", "public-b")]
    balancer = await call(aws, "elbv2", "create_load_balancer", Name="edge", Subnets=subnets)
    served = asyncio.create_task(_heard(aws, "served"))
    await asyncio.sleep(0)
    response = {"StatusCode": "200", "ContentType": "text/plain", "MessageBody": text}
    await call(
        aws,
        "elbv2",
        "create_listener",
        LoadBalancerArn=balancer["LoadBalancers"][0]["LoadBalancerArn"],
        Protocol="HTTP",
        Port=18080,
        DefaultActions=[{"Type": "fixed-response", "FixedResponseConfig": response}],
    )
    await asyncio.wait_for(served, 60)
    with await asyncio.to_thread(urllib.request.urlopen, f"{aws.url}/_gatewright/sockets") as answer:
        sockets: list[dict[str, Any]] = json.load(answer)
    return sockets[0]


async def fetched(url: str) -> bytes:
    """What is answered; Envoy acknowledges a listener a moment before its workers accept connections."""
    for _ in range(100):
        with contextlib.suppress(urllib.error.URLError):
            answer = await asyncio.to_thread(urllib.request.urlopen, url, timeout=60)
            return bytes(answer.read())
        await asyncio.sleep(0.05)
    raise AssertionError(f"nothing answers at {url}")


async def _heard(aws: AwsProcess, name: str) -> None:
    async for changed in aws.events():
        if name in changed:
            return


async def test_two_at_once_carry_traffic_each_in_its_own_network() -> None:
    blocks = [Block(), Block()]
    networks = [f"10.{number}.0.0/16" if block.shared else str(block.network) for number, block in enumerate(blocks)]
    try:
        async with AwsProcess(networks[0], pace=50) as one, AwsProcess(networks[1], pace=50) as other:
            pids = [pid for aws in (one, other) for pid in descendants(aws.pid)]
            for aws, network, text in ((one, networks[0], "first"), (other, networks[1], "second")):
                socket = await fixed_answer(aws, text)
                assert IPv4Address(socket["address"]) in IPv4Network(network)
                bound = socket["bound"]
                assert await fetched(f"http://{bound['address']}:{bound['port']}/") == text.encode()
        assert len(pids) >= (4 if sys.platform == "linux" else 2)  # an emulation and its Envoy, twice
        assert not [pid for pid in pids if runs(pid)]
    finally:
        for block in blocks:
            block.close()


def descendants(pid: int | None) -> list[int]:
    """A process and those that it has started, where there is /proc."""
    found = [pid] if pid else []
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += descendants(int(child))
    return found


async def test_what_it_cannot_do_as_aws_would_is_remarked_upon() -> None:
    remarks: asyncio.Queue[str] = asyncio.Queue()
    visibility = {"SampledRequestsEnabled": True, "CloudWatchMetricsEnabled": True, "MetricName": "common"}
    managed = {"VendorName": "AWS", "Name": "AWSManagedRulesCommonRuleSet"}
    rule = {
        "Name": "common",
        "Priority": 0,
        "OverrideAction": {"None": {}},
        "Statement": {"ManagedRuleGroupStatement": managed},
        "VisibilityConfig": visibility,
    }
    async with AwsProcess(NETWORKS[0], on_remark=remarks.put_nowait) as aws:
        acl = {"Name": "acl", "Scope": "REGIONAL", "DefaultAction": {"Allow": {}}, "VisibilityConfig": visibility}
        await call(aws, "wafv2", "create_web_acl", Rules=[rule], **acl)
        remark = await asyncio.wait_for(remarks.get(), 60)
    assert remark.startswith("a rule of a web ACL can't be emulated; requests pass it (")
    assert "rule common" in remark
