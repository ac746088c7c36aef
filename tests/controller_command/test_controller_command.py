"""`gatewright controller` as a process: what a cluster, an operator and AWS see of it."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from tests.controller_command import everything
from tests.controller_command.replica_world import World
from tests.edge.service_world import endpoint_slice, service, until
from typer.testing import CliRunner

from gatewright.aws import views
from gatewright.cli import app
from gatewright.cluster import NotFound
from gatewright.model.coordination import Lease
from gatewright.model.core import Service
from gatewright.model.gateway import Gateway
from gatewright.model.meta import Key

pytestmark = pytest.mark.xdist_group("controller command")

LEASE = Key("default", "gatewright")
AT_ONCE = 25.0
"""Seconds; a cluster leaves a pod 30 to end in."""
RUN = CliRunner()


async def hostname(world: World, name: str = "web") -> str:
    """The hostname that a Service has got; waits for it."""
    found: list[str] = []

    async def there() -> bool:
        status = (await world.client.get(Service, Key("default", name))).status
        found[:] = [entry.hostname for entry in status.load_balancer.ingress]
        return bool(found)

    await until(there, 60)
    return found[0]


async def holder(world: World) -> str:
    try:
        return (await world.client.get(Lease, LEASE)).spec.holder_identity or ""
    except NotFound:
        return ""


async def test_it_serves_a_cluster_and_ends_at_sigterm(world: World) -> None:
    await world.apply(service(), endpoint_slice("web", {"10.1.0.1": True}))
    replica = world.start()
    await replica.says("running")
    assert (await replica.get("/readyz"))[0] == 200
    assert (await replica.get("/healthz"))[0] == 200
    assert await holder(world)
    name = await hostname(world)
    (made,) = await views.load_balancers(world.aws)
    assert made.dns_name == name
    assert (await views.tags_of(world.aws, [made.arn]))[made.arn]["elbv2.k8s.aws/cluster"] == "prod"

    async def counted() -> bool:  # when the run has ended, which wrote the hostname before
        text = (await replica.get("/metrics"))[1]
        return 'gatewright_reconciles_total{controller="load balancer of a Service",result="ok"}' in text

    await until(counted)
    status, text = await replica.get("/metrics")
    assert status == 200
    assert "gatewright_leader 1.0" in text
    assert 'gatewright_aws_calls_total{operation="create_load_balancer",result="ok",service="elbv2"} 1.0' in text

    replica.process.send_signal(signal.SIGTERM)
    assert await replica.ended(AT_ONCE) == 0
    assert await holder(world) == ""
    assert [each.dns_name for each in await views.load_balancers(world.aws)] == [name], "what was made stays"
    assert replica.log[-1]["event"] == "ended"
    assert len(replica.log) == len(replica.lines), "every line is JSON"


async def test_of_two_one_acts_and_the_other_is_ready_to(world: World) -> None:
    first = world.start()
    await first.says("running")
    second = world.start()
    await second.says("the lease has a holder")
    assert (await second.get("/readyz"))[0] == 200
    assert "gatewright_leader 0.0" in (await second.get("/metrics"))[1]
    before = await holder(world)
    await world.apply(service(), endpoint_slice("web", {"10.1.0.1": True}))
    await hostname(world)
    calls = (await second.get("/metrics"))[1]
    assert "elbv2" not in calls, "a follower asks AWS for nothing"

    first.process.send_signal(signal.SIGINT)
    assert await first.ended(AT_ONCE) == 0
    await second.says("running")
    assert await holder(world) not in ("", before)
    await world.apply(service("other"), endpoint_slice("other", {"10.1.0.2": True}))
    await hostname(world, "other")


async def test_one_that_lost_the_lease_stops_writing_and_ends_with_1(world: World) -> None:
    replica = world.start()
    await replica.says("running")
    replica.process.send_signal(signal.SIGSTOP)
    await world.client.patch(Lease, LEASE, {"spec": {"holderIdentity": "somebody else", "leaseDurationSeconds": 600}})
    await world.apply(service(), endpoint_slice("web", {"10.1.0.1": True}))
    replica.process.send_signal(signal.SIGCONT)
    assert await replica.ended() == 1
    assert replica.log[-1]["level"] in ("error", "info", "warning")
    await replica.says("this replica no longer leads")
    assert await holder(world) == "somebody else"


async def test_it_ends_at_once_while_aws_does_not_answer(world: World, black_hole: str) -> None:
    await world.apply(service(), endpoint_slice("web", {"10.1.0.1": True}))
    replica = world.start(aws_url=black_hole)
    await replica.says("serving")
    replica.process.send_signal(signal.SIGTERM)
    assert await replica.ended(AT_ONCE) == 0


async def test_it_ends_at_once_while_the_cluster_does_not_answer(world: World, black_hole: str) -> None:
    world.kubeconfig.write_text(world.kubeconfig.read_text().replace(world.server.url, black_hole))
    replica = world.start()
    await replica.says("starting")
    status, text = await replica.get("/readyz")
    assert (status, text) == (503, "not ready: what the cluster holds has not been listed yet\n")
    assert (await replica.get("/healthz"))[0] == 200
    replica.process.send_signal(signal.SIGTERM)
    assert await replica.ended(AT_ONCE) == 0


async def test_it_says_what_it_lacks_to_start(world: World, tmp_path: Any) -> None:
    world.kubeconfig.unlink()
    replica = world.start()
    assert await replica.ended() == 1
    said = await replica.says("can't start")
    assert "kubeconfig" in said["error"]


async def test_it_says_that_there_are_no_credentials(world: World) -> None:
    replica = world.start(AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    assert await replica.ended() == 1
    assert "set AWS_REGION and credentials" in (await replica.says("can't start"))["error"]


async def test_it_says_that_its_address_is_taken(world: World, black_hole: str) -> None:
    replica = world.start("--health-address", black_hole.removeprefix("http://"))
    assert await replica.ended() == 1
    assert (
        "name another address with --metrics-address and --health-address"
        in (await replica.says("can't start"))["error"]
    )


async def test_no_secret_is_in_its_log(world: World) -> None:
    replica = world.start("--log-level", "debug", AWS_SECRET_ACCESS_KEY="never-to-be-seen", AWS_ACCESS_KEY_ID="AKIAKEY")
    await replica.says("running")
    replica.process.send_signal(signal.SIGTERM)
    assert await replica.ended() == 0
    text = "".join(replica.lines)
    assert "never-to-be-seen" not in text
    assert world.server.token not in text


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "--cluster-name"),
        (["--cluster-name", "c", "--features", "gateways,ingress"], "found ingress, expected any of gateways"),
        (["--cluster-name", "c", "--features", ""], "found none, expected any of gateways"),
        (["--cluster-name", "c", "--health-address", "8080"], "expected HOST:PORT"),
        (["--cluster-name", "c", "--metrics-address", "x:99999"], "expected HOST:PORT"),
    ],
)
def test_wrong_usage(arguments: list[str], said: str) -> None:
    result = RUN.invoke(app, ["controller", *arguments], env={"COLUMNS": "200"})
    assert result.exit_code == 2
    assert said in result.output


async def test_a_dry_run_says_what_it_would_do_and_does_nothing(world: World) -> None:
    await everything.make(world.client, world.aws)
    reads = ("Describe", "Get", "List")
    before = {call: count for call, count in world.cloud.server.calls.items() if not call[1].startswith(reads)}
    replica = world.start("--dry-run")
    for kind, stack in (("alb", "shop/web"), ("nlb", "shop/streams"), ("ingress", "shop/old")):
        said = await replica.says("would change", kind=kind, stack=stack)
        assert said["create"] > 3
        assert said["delete"] == 0
    assert (await replica.get("/readyz"))[0] == 200
    replica.process.send_signal(signal.SIGTERM)
    assert await replica.ended() == 0
    after = {call: count for call, count in world.cloud.server.calls.items() if not call[1].startswith(reads)}
    assert after == before
    assert await holder(world) == ""
    gateway = await world.client.get(Gateway, Key("shop", "web"))
    assert not gateway.metadata.finalizers
    assert {condition.reason for condition in gateway.status.conditions} == {"Pending"}
