"""The table of docs/conformance.md: our report beside those that other implementations have published.

python conformance/table.py                       write the table anew, from the reports in this folder
python conformance/table.py --published FOLDER    first make published.yaml anew, from the folder conformance/reports
                                                  of kubernetes-sigs/gateway-api
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any, TypeAlias

import yaml

HERE = Path(__file__).resolve().parent
DOCUMENT = HERE.parent / "docs/conformance.md"
REPORT = HERE / "reports/report.yaml"
PUBLISHED = HERE / "published.yaml"
NONE = "-"
BEGIN, END = "<!-- table -->", "<!-- end of the table -->"
PROFILES = ("HTTP", "GRPC", "TLS", "TCP", "UDP")
LINES = ("v1.6", "v1.5")
"""The lines of the Gateway API whose published reports are considered, the newest first."""

Row: TypeAlias = dict[str, Any]
"""One report in short: project, version, api, channel, date, file, and `profiles`: by name `core` and `extended`, each
[passed, failed, skipped], and how many extended features are `unsupported` ("all" where none is claimed)."""


def row(report: dict[str, Any], file: str) -> Row:
    """A ConformanceReport in short."""
    profiles = {}
    for profile in report["profiles"]:
        name = profile["name"].removeprefix("GATEWAY-")
        if name in PROFILES:
            extended = profile.get("extended")
            profiles[name] = {
                "core": _numbers(profile["core"]),
                "extended": _numbers(extended) if extended else [0, 0, 0],
                "unsupported": len(extended.get("unsupportedFeatures") or ()) if extended else "all",
            }
    return {
        "project": report["implementation"]["project"],
        "version": str(report["implementation"]["version"]),
        "api": report["gatewayAPIVersion"],
        "channel": report["gatewayAPIChannel"],
        "date": str(report["date"])[:10],
        "file": file,
        "profiles": {name: profiles[name] for name in PROFILES if name in profiles},
    }


def _numbers(level: dict[str, Any]) -> list[int]:
    statistics = level["statistics"]
    return [statistics["Passed"], statistics["Failed"], statistics["Skipped"]]


def passed(short: Row) -> int:
    """How many tests passed, over all profiles."""
    return sum(profile["core"][0] + profile["extended"][0] for profile in short["profiles"].values())


def published(folder: Path) -> list[Row]:
    """Of each implementation, the report for the newest line of the API with the most passed tests."""
    best: dict[str, Row] = {}
    for line in LINES:
        for implementation in sorted((folder / line).iterdir()):
            files = sorted(implementation.glob("*.yaml"))
            if files and implementation.name not in best:
                rows = [row(yaml.safe_load(file.read_text()), str(file.relative_to(folder))) for file in files]
                best[implementation.name] = max(rows, key=passed)
    return sorted(best.values(), key=lambda short: (-passed(short), short["project"]))


def table(ours: Row, others: Iterable[Row]) -> str:
    """Markdown; each profile's cell is the passed core tests + the passed extended ones."""
    head = ["implementation", "Gateway API", "date", *PROFILES, "features of HTTP left out"]
    lines = [head, ["---"] * len(head)]
    for short in [ours, *others]:
        name = f"{short['project']} {short['version']}"
        lines.append(
            [
                f"**{name}**" if short is ours else name,
                f"{short['api']} {short['channel']}",
                short["date"],
                *(_cell(short["profiles"].get(profile)) for profile in PROFILES),
                str(short["profiles"]["HTTP"]["unsupported"]) if "HTTP" in short["profiles"] else NONE,
            ]
        )
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(profile: dict[str, Any] | None) -> str:
    if profile is None:
        return NONE
    return " + ".join(_level(*profile[level]) for level in ("core", "extended"))


def _level(succeeded: int, failed: int, skipped: int) -> str:
    rest = [f"{number} {word}" for number, word in ((failed, "failed"), (skipped, "skipped")) if number]
    return f"{succeeded} ({', '.join(rest)})" if rest else str(succeeded)


def current() -> str:
    """The table, from the files as they are."""
    ours = row(yaml.safe_load(REPORT.read_text()), str(REPORT.relative_to(HERE)))
    return table(ours, yaml.safe_load(PUBLISHED.read_text()))


def main() -> None:
    """Write what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--published", type=Path, metavar="FOLDER")
    folder = parser.parse_args().published
    if folder is not None:
        PUBLISHED.write_text(yaml.safe_dump(published(folder), sort_keys=False, default_flow_style=None, width=120))
    before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    DOCUMENT.write_text(f"{before}{BEGIN}\n\n{current()}\n\n{END}{after}")


if __name__ == "__main__":
    main()
