"""AWS takes what we ask for: the golden cases' stacks, made in the emulated account, leave nothing to do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import yaml
from tests.aws_gateways.gateway_world import World
from tests.aws_stack.stack_world import EAGER, NETWORK, Account

from gatewright.aws import Aws
from gatewright.aws.gateways import shared_access
from gatewright.aws.network import read_network
from gatewright.aws.stack.access import apply_access, plan_access, read_access
from gatewright.aws.stack.actual import read
from gatewright.aws.stack.apply import apply
from gatewright.aws.stack.plan import plan
from gatewright.local.aws.backends import forget
from gatewright.local.aws.seed import seed
from gatewright.local.aws.server import ApiServer

GOLDEN = Path(__file__).parents[1] / "golden" / "alb"
ELSEWHERE = {
    "configured",
    "https-configured",
    "nlb-addresses-public",
    "nlb-instance-local",
    "nlb-subnet-addresses",
    "security-given",
    "targets-instance",
}
"""They name things that this account doesn't have."""


def cases() -> list[str]:
    """Those that come to something, and whose surroundings are no others than this account's."""
    found = []
    for path in sorted(GOLDEN.glob("*.in.yaml")):
        name = path.name.removesuffix(".in.yaml")
        documents = [each for each in yaml.safe_load_all(path.read_text()) if each]
        own = {key for each in documents for key in each.get("surroundings", {})} - {"now", "interfaces"}
        if not own and name not in ELSEWHERE and "stack:" in path.with_name(f"{name}.out.yaml").read_text():
            found.append(name)
    return found


@pytest.fixture(scope="module")
def api() -> Iterator[ApiServer]:
    server = ApiServer(lambda service: None)
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def aws(api: ApiServer) -> Aws:
    return Aws(region="us-east-1", endpoint_url=api.url, credentials=("test", "test"))


@pytest.fixture
async def account(api: ApiServer, aws: Aws) -> AsyncIterator[Account]:
    account = Account(api, aws)
    account.seeded = seed(NETWORK, "prod")
    yield account
    forget()


@pytest.mark.parametrize("name", cases())
async def test_it_is_made_as_it_is_asked_for(account: Account, name: str) -> None:
    network = await read_network(account.aws, cluster="prod")
    assert not network.problem
    world = World(network)
    for text in ("base.yaml", f"{name}.in.yaml"):
        world.load((GOLDEN / text).read_text())
    nodes = (account.seeded.node_security_group,)
    world.surroundings.interfaces.replace(dict.fromkeys(world.surroundings.interfaces, nodes))
    pieces = [piece for side in (world.albs, world.nlbs) for piece in side.access.values()]
    access = await read_access(account.aws, "prod")
    access = await apply_access(account.aws, access, plan_access(shared_access("prod", pieces), access))
    stacks = [stack for side in (world.albs, world.nlbs) for stack in side.stacks.values()]
    assert stacks
    for stack in stacks:
        actual = await read(account.aws, stack.key, desired=stack)
        actual = await apply(account.aws, actual, plan(stack, actual), patience=EAGER)
        assert plan(stack, actual).empty
        again = await read(account.aws, stack.key, desired=stack)
        assert not plan(stack, again).changes
