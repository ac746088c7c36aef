"""docs/conformance.md says what the suite's reports say, and the reports are complete."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
REPORT = yaml.safe_load((ROOT / "conformance/reports/report.yaml").read_text())
OPTIONS = yaml.safe_load((ROOT / "conformance/options.yaml").read_text())


@pytest.mark.parametrize("name", ["current", "current_aws"])
def test_the_table_is_that_of_the_reports(name: str) -> None:
    table = runpy.run_path(str(ROOT / "conformance/table.py"))[name]()
    assert table in (ROOT / "docs/conformance.md").read_text(), "write it anew: python conformance/table.py"


def test_the_report_has_every_profile_that_the_options_ask_for() -> None:
    assert [profile["name"] for profile in REPORT["profiles"]] == sorted(OPTIONS["conformanceProfiles"])


def test_nothing_failed_was_skipped_or_left_out() -> None:
    for profile in REPORT["profiles"]:
        for level in (profile["core"], profile["extended"]):
            assert (level["result"], level["statistics"]["Failed"], level["statistics"]["Skipped"]) == ("success", 0, 0)
        assert not profile["extended"].get("unsupportedFeatures")


@pytest.mark.parametrize("kind", ["alb", "nlb"])
def test_on_aws_nothing_failed_and_nothing_else_was_skipped_than_the_options_name(kind: str) -> None:
    report = yaml.safe_load((ROOT / f"conformance/reports/report-{kind}.yaml").read_text())
    options = yaml.safe_load((ROOT / f"conformance/options-{kind}.yaml").read_text())
    assert [profile["name"] for profile in report["profiles"]] == sorted(options["conformanceProfiles"])
    skipped = set()
    for profile in report["profiles"]:
        for level in (profile["core"], profile.get("extended", {"statistics": {"Failed": 0}})):
            assert level["statistics"]["Failed"] == 0
            skipped |= set(level.get("skippedTests") or ())
    assert skipped == set(options["skipTests"])
