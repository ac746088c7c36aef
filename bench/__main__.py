"""Prints the tables: start-up, route propagation, and what one change costs as routes grow."""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GATEWRIGHT = [str(Path(sys.executable).with_name("gatewright")), "up"]


def start_up(runs: int) -> None:
    """From the start of the process to the first served request of examples/eks."""
    seconds = []
    command = 'curl -fsS -o /dev/null "$EDGE_URL/app1" && date +%s.%N'
    for _ in range(runs):
        start = time.time()
        done = subprocess.run(
            [*GATEWRIGHT, "examples/eks", "--exec", command], cwd=ROOT, check=True, capture_output=True, text=True
        )
        seconds.append(float(done.stdout) - start)
    print(
        f"start-up, examples/eks, {runs} runs: median {statistics.median(seconds):.2f} s, worst {max(seconds):.2f} s\n"
    )


def propagation(changes: int, sizes: list[int]) -> None:
    """A new route: from the API's answer until Envoy serves it, and the control plane's CPU time for one change."""
    print("a new HTTPRoute, from the API's answer to its creation until Envoy serves it")
    print(f"{'layout':8}{'routes':>8}{'p50 ms':>9}{'p99 ms':>9}{'worst':>9}{'CPU ms/change':>15}   other answers")
    for layout in ("hosts", "paths"):
        inner = [sys.executable, "-m", "bench.routes", layout, str(changes), *map(str, sizes)]
        process = subprocess.Popen(
            [*GATEWRIGHT, "bench/edge", "--no-watch", "--exec", "exec " + shlex.join(inner)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout
        cost = {}
        for line in process.stdout:
            row = json.loads(line)
            cost[row["routes"]] = row["cpu"]
            others = ", ".join(map(str, row["others"])) or "none"
            print(
                f"{layout:8}{row['routes']:>8}{row['p50'] * 1000:>9.1f}{row['p99'] * 1000:>9.1f}"
                f"{row['worst'] * 1000:>9.1f}{row['cpu'] * 1000:>15.2f}   {others}",
                flush=True,
            )
        if process.wait():
            sys.exit(f"the measurement of layout {layout} failed")
        if 100 in cost and 5000 in cost:
            print(
                f"{layout}: one change at 5,000 routes costs {cost[5000] / cost[100]:.2f} times the CPU of 100 routes"
            )
    print()


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=7, help="start-ups (default 7)")
    parser.add_argument("--changes", type=int, default=200, help="routes created a size (default 200)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 100, 1000, 3000, 5000])
    parser.add_argument("--only", choices=["start-up", "propagation"])
    arguments = parser.parse_args()
    if arguments.only != "propagation":
        start_up(arguments.runs)
    if arguments.only != "start-up":
        propagation(arguments.changes, sorted(arguments.sizes))


if __name__ == "__main__":
    main()
