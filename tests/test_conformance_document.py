"""docs/conformance.md says what the suite's report says, and the report is complete."""

from __future__ import annotations

import runpy
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent
REPORT = yaml.safe_load((ROOT / "conformance/reports/report.yaml").read_text())
OPTIONS = yaml.safe_load((ROOT / "conformance/options.yaml").read_text())


def test_the_table_is_that_of_the_reports() -> None:
    table = runpy.run_path(str(ROOT / "conformance/table.py"))["current"]()
    assert table in (ROOT / "docs/conformance.md").read_text(), "write it anew: python conformance/table.py"


def test_the_report_has_every_profile_that_the_options_ask_for() -> None:
    assert [profile["name"] for profile in REPORT["profiles"]] == sorted(OPTIONS["conformanceProfiles"])


def test_nothing_failed_was_skipped_or_left_out() -> None:
    for profile in REPORT["profiles"]:
        for level in (profile["core"], profile["extended"]):
            assert (level["result"], level["statistics"]["Failed"], level["statistics"]["Skipped"]) == ("success", 0, 0)
        assert not profile["extended"].get("unsupportedFeatures")
