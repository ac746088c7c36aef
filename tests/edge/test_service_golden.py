"""Golden cases of load balancers of Services: tests/golden/nlb/NAME.in.yaml gives NAME.out.yaml.

An input holds a Service, its EndpointSlices and the cluster's Nodes. A further Service is the next version of the
first: each has a plan of its own, from what the one before it came to. The network is that of `nlb_cases`, unless a
document `network` replaces parts of it.

An output holds, for each version, the problems that are told and what is done at AWS; `later` is what is done when the
load balancer that was replaced is no longer used. After a change that is meant,
`pytest tests/resolve tests/edge/test_service_golden.py --regenerate` rewrites the outputs; review them as a diff.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from tests.edge.nlb_cases import NETWORK, done

from gatewright.edge.nlb.actual import Actual
from gatewright.edge.nlb.desired import desired_load_balancer
from gatewright.edge.nlb.operations import Operation
from gatewright.edge.nlb.plan import plan
from gatewright.edge.nlb.subnets import Network
from gatewright.model.codec import decode
from gatewright.model.core import Node, Service
from gatewright.model.discovery import EndpointSlice

GOLDEN = Path(__file__).parents[1] / "golden" / "nlb"
CASES = sorted(path.name.removesuffix(".in.yaml") for path in GOLDEN.glob("*.in.yaml"))


@pytest.mark.parametrize("name", CASES)
def test_case(name: str, pytestconfig: pytest.Config) -> None:
    source = (GOLDEN / f"{name}.in.yaml").read_text()
    assert source.startswith("# "), "a case begins with the behaviour in a sentence"
    found = yaml.dump(picture(list(yaml.safe_load_all(source))), sort_keys=False, width=120, allow_unicode=True)
    golden = GOLDEN / f"{name}.out.yaml"
    if pytestconfig.getoption("--regenerate", default=False):
        golden.write_text(found)
    assert found == golden.read_text()


def test_every_output_has_an_input() -> None:
    assert sorted(path.name.removesuffix(".out.yaml") for path in GOLDEN.glob("*.out.yaml")) == CASES


def picture(documents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the versions of the Service come to, one after the other."""
    versions = [decode(Service, each) for each in documents if each.get("kind") == "Service"]
    slices = [decode(EndpointSlice, each) for each in documents if each.get("kind") == "EndpointSlice"]
    nodes = [decode(Node, each) for each in documents if each.get("kind") == "Node"]
    network = NETWORK
    for each in documents:
        if "network" in each:
            network = msgspec.convert({**msgspec.to_builtins(NETWORK), **each["network"]}, Network)
    actual, found = Actual(), []
    for version in versions:
        desired, problems = desired_load_balancer(version, slices, nodes, network, "prod")
        told = [("nothing is done: " if each.fatal else "") + str(each) for each in problems]
        entry: dict[str, Any] = {"problems": told} if told else {}
        if desired is not None:
            wanted = plan(desired, actual)
            entry["now"] = written(wanted.operations)
            if wanted.retirement:
                entry["later"] = written(wanted.retirement)
            actual = done(done(actual, wanted.operations), wanted.retirement)
        found.append(entry)
    return found


def written(operations: Iterable[Operation]) -> list[dict[str, Any]]:
    """Each operation by its name, without what is empty, and with no ARN that differs from run to run."""
    found = []
    for operation in operations:
        fields = msgspec.to_builtins(operation)
        name = fields.pop("type")
        if "arn" in fields:
            fields["arn"] = re.sub("/[0-9a-f]{16}", "", fields["arn"].split(":", 5)[5])
        found.append({name: _full(fields)})
    return found


def _full(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _full(each) for key, each in value.items() if each not in ("", (), [], {}, None)}
    return [_full(each) for each in value] if isinstance(value, list | tuple) else value
