"""Golden cases of Ingresses: tests/golden/ingress/NAME.in.yaml gives NAME.out.yaml.

An input holds manifests, and may hold a document `names` with the ARNs of web ACLs and target groups by name. There is
always the IngressClass `alb`. A Secret annotated `hosts` gets a certificate for them.

An output holds the groups with the settings of their load balancers and their rules, the target groups, and what is
told of each Ingress. After a change that is meant, `pytest tests/resolve tests/aws_ingress --regenerate` rewrites the
outputs; review them as a diff.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from tests.aws_ingress.ingress_world import World, picture

GOLDEN = Path(__file__).parents[1] / "golden" / "ingress"
CASES = sorted(path.name.removesuffix(".in.yaml") for path in GOLDEN.glob("*.in.yaml"))


@pytest.mark.parametrize("name", CASES)
def test_case(name: str, pytestconfig: pytest.Config) -> None:
    source = (GOLDEN / f"{name}.in.yaml").read_text()
    assert source.startswith("# "), "a case begins with the behaviour in a sentence"
    found = yaml.dump(picture(World(source)), sort_keys=False, width=120, allow_unicode=True)
    golden = GOLDEN / f"{name}.out.yaml"
    if pytestconfig.getoption("--regenerate", default=False):
        golden.write_text(found)
    assert found == golden.read_text()


def test_every_output_has_an_input() -> None:
    assert sorted(path.name.removesuffix(".out.yaml") for path in GOLDEN.glob("*.out.yaml")) == CASES
