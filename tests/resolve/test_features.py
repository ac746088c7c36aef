"""What a GatewayClass says to support is what the conformance suite proves."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from gatewright.aws.dialects import ALB, NLB
from gatewright.resolve.dialects import PROXY, Dialect

OPTIONS = Path(__file__).parents[2] / "conformance"


@pytest.mark.parametrize(("dialect", "name"), [(PROXY, "options"), (ALB, "options-alb"), (NLB, "options-nlb")])
def test_the_features_are_those_that_the_suite_runs(dialect: Dialect, name: str) -> None:
    options = yaml.safe_load((OPTIONS / f"{name}.yaml").read_text())
    assert sorted(options["supportedFeatures"]) == list(dialect.features)
