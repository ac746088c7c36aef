"""What a GatewayClass says to support is what the conformance suite proves."""

from __future__ import annotations

from pathlib import Path

import yaml

from gatewright.resolve.features import FEATURES

OPTIONS = Path(__file__).parents[2] / "conformance" / "options.yaml"


def test_the_features_are_those_that_the_suite_runs() -> None:
    assert sorted(yaml.safe_load(OPTIONS.read_text())["supportedFeatures"]) == list(FEATURES)
