"""The tables of docs/conformance.md: our reports beside those that other implementations have published.

python conformance/table.py                       write the tables anew, from the reports in this folder
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
AWS = {"ALB": HERE / "reports/report-alb.yaml", "NLB": HERE / "reports/report-nlb.yaml"}
RIVAL = "aws-load-balancer-controller"
PUBLISHED = HERE / "published.yaml"
NONE = "-"
TABLE, AWS_TABLE = "<!-- table -->", "<!-- table of AWS -->"
END = "<!-- end of the table -->"
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


def table(ours: Iterable[Row], others: Iterable[Row]) -> str:
    """Markdown; each profile's cell is the passed core tests + the passed extended ones."""
    head = ["implementation", "Gateway API", "date", *PROFILES, "features of HTTP left out"]
    lines = [head, ["---"] * len(head)]
    own = list(ours)
    for short in [*own, *others]:
        name = " ".join(filter(None, (short["project"], short["version"], short.get("on"))))
        lines.append(
            [
                f"**{name}**" if short in own else name,
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
    """The table of the proxy beside all others, from the files as they are."""
    return table([_ours(REPORT)], yaml.safe_load(PUBLISHED.read_text()))


def current_aws() -> str:
    """The table of the load balancers of AWS beside the controller of AWS's own."""
    ours = [{**_ours(report), "on": kind} for kind, report in AWS.items()]
    return table(ours, [short for short in yaml.safe_load(PUBLISHED.read_text()) if short["project"] == RIVAL])


def _ours(report: Path) -> Row:
    return row(yaml.safe_load(report.read_text()), str(report.relative_to(HERE)))


def main() -> None:
    """Write what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--published", type=Path, metavar="FOLDER")
    folder = parser.parse_args().published
    if folder is not None:
        PUBLISHED.write_text(yaml.safe_dump(published(folder), sort_keys=False, default_flow_style=None, width=120))
    document = DOCUMENT.read_text()
    for begin, lines in ((TABLE, current()), (AWS_TABLE, current_aws())):
        before, _, rest = document.partition(begin)
        after = rest.partition(END)[2]
        document = f"{before}{begin}\n\n{lines}\n\n{END}{after}"
    DOCUMENT.write_text(document)


if __name__ == "__main__":
    main()
