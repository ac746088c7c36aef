"""Golden cases of Gateways that are load balancers: tests/golden/alb/NAME.in.yaml gives NAME.out.yaml.

An input holds manifests, and may hold a document `surroundings` with what AWS holds, and the `bucket` for trust stores;
each starts from `base.yaml` and the network of `gateway_world`. An output holds for each Gateway its stack, what it is
served without and why it is blocked; and what is said of routes. After a change that is meant,
`pytest tests/resolve tests/aws_gateways --regenerate` rewrites the outputs; review them as a diff.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from tests.aws_gateways.gateway_world import World, picture

GOLDEN = Path(__file__).parents[1] / "golden" / "alb"
CASES = sorted(path.name.removesuffix(".in.yaml") for path in GOLDEN.glob("*.in.yaml"))


@pytest.mark.parametrize("name", CASES)
def test_case(name: str, pytestconfig: pytest.Config) -> None:
    source = (GOLDEN / f"{name}.in.yaml").read_text()
    assert source.startswith("# "), "a case begins with the behaviour in a sentence"
    surroundings = [each["surroundings"] for each in yaml.safe_load_all(source) if each and "surroundings" in each]
    world = World(bucket=next((each["bucket"] for each in surroundings if "bucket" in each), ""))
    world.load((GOLDEN / "base.yaml").read_text())
    world.load(source)
    assert not world.errors()
    found = yaml.dump(picture(world), sort_keys=False, width=120, allow_unicode=True)
    golden = GOLDEN / f"{name}.out.yaml"
    if pytestconfig.getoption("--regenerate", default=False):
        golden.write_text(found)
    assert found == golden.read_text()


def test_every_output_has_an_input() -> None:
    assert sorted(path.name.removesuffix(".out.yaml") for path in GOLDEN.glob("*.out.yaml")) == CASES
