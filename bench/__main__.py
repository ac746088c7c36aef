"""Prints the tables: start-up, and the tests of gateway-api-bench (howardjohn) at its sizes, with their growth."""

from __future__ import annotations

import argparse
import json
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench import datapath

ROOT = Path(__file__).resolve().parent.parent
GATEWRIGHT = [str(Path(sys.executable).with_name("gatewright")), "up"]


def start_up(runs: int) -> None:
    """From the start of the process to the first served request of examples/eks, without and with AWS in front."""
    for option, what in (("--no-aws", "the Gateway alone"), ("--aws", "the chain")):
        seconds = []
        command = 'curl -fsS --cacert "$EDGE_CA" -o /dev/null "$EDGE_HTTPS_URL/app1" && date +%s.%N'
        for _ in range(runs):
            start = time.time()
            done = subprocess.run(
                [*GATEWRIGHT, "examples/eks", option, "--exec", command],
                cwd=ROOT,
                check=True,
                capture_output=True,
                text=True,
            )
            seconds.append(float(done.stdout) - start)
        median, worst = statistics.median(seconds), max(seconds)
        print(f"start-up, examples/eks, {what}, {runs} runs: median {median:.2f} s, worst {worst:.2f} s")
    print()


def inside(module: str, *arguments: object, edge: str = "bench/edge", aws: bool = False) -> Iterator[dict[str, Any]]:
    """The rows that a module prints when it runs beside an edge; `aws`: with an AWS that its files don't ask for."""
    inner = [sys.executable, "-m", module, *map(str, arguments)]
    process = subprocess.Popen(
        [*GATEWRIGHT, edge, *(["--aws"] if aws else []), "--no-watch", "--exec", "exec " + shlex.join(inner)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    for line in process.stdout:
        yield json.loads(line)
    if process.wait():
        sys.exit(f"the measurement {shlex.join(inner[2:])} failed")


def propagation(changes: int, sizes: list[int]) -> None:
    """A new route: from the API's answer until Envoy serves it, and the control plane's CPU time for one change."""
    print("a new HTTPRoute, from the API's answer to its creation until Envoy serves it")
    print(f"{'layout':8}{'routes':>8}{'p50 ms':>9}{'p99 ms':>9}{'worst':>9}{'CPU ms/change':>15}   other answers")
    for layout in ("hosts", "paths"):
        cost = {}
        for row in inside("bench.routes", layout, changes, *sizes):
            cost[row["routes"]] = row["cpu"]
            others = ", ".join(map(str, row["others"])) or "none"
            print(
                f"{layout:8}{row['routes']:>8}{row['p50'] * 1000:>9.1f}{row['p99'] * 1000:>9.1f}"
                f"{row['worst'] * 1000:>9.1f}{row['cpu'] * 1000:>15.2f}   {others}",
                flush=True,
            )
        if 100 in cost and 5000 in cost:
            print(
                f"{layout}: one change at 5,000 routes costs {cost[5000] / cost[100]:.2f} times the CPU of 100 routes"
            )
    print()


def attached_routes(routes: list[int], runs: int) -> None:
    """Routes created and deleted: until the Gateway's `attachedRoutes` is right, and the writes of its status."""
    print("attachedRoutes, 16 requests at a time; seconds until it is right, from the last and from the first request")
    print(f"{'routes':>8}{'':>10}{'from last':>11}{'from first':>12}{'CPU s':>8}{'CPU s, all':>12}{'writes':>8}")
    cost: dict[int, list[float]] = {}
    for size in routes:
        for row in inside("bench.attached", size, runs):
            for phase in ("setup", "teardown"):
                found, writes = row[phase], row["writes"] if phase == "teardown" else ""
                print(
                    f"{size:>8}{phase:>10}{found['after']:>11.3f}{found['all']:>12.3f}{found['cpu']:>8.2f}"
                    f"{found['cpu_all']:>12.2f}{writes:>8}",
                    flush=True,
                )
            cost.setdefault(size, []).append((row["setup"]["cpu_all"] + row["teardown"]["cpu_all"]) / size)
    each = {size: statistics.median(found) for size, found in cost.items()}
    for size, found in each.items():
        print(f"{size} routes: {found * 1000:.2f} ms of CPU a route, {found / each[min(each)]:.2f} times the smallest")
    print()


def _laps(row: dict[str, Any], names: list[str]) -> None:
    print(f"{'':16}{'seconds':>9}{'control plane CPU s':>21}{'MiB':>7}{'Envoy CPU s':>13}{'MiB':>7}")
    for name in names:
        lap = row[name]
        control, envoy = lap["control plane"], lap["envoy"]
        print(
            f"{name:16}{lap['seconds']:>9.1f}{control['cpu']:>21.2f}{control['memory']:>7.0f}"
            f"{envoy['cpu']:>13.2f}{envoy['memory']:>7.0f}"
        )


def route_scale(namespaces: list[int], applications: int, seconds: int) -> None:
    """Applications with a Service, a pod and a route each; then pods come and go and routes are edited."""
    cost = {}
    for size in namespaces:
        for row in inside("bench.scale", "routes", size, applications, seconds):
            print(f"route scale: {row['routes']} routes in {size} namespaces; the API server is in the control plane")
            _laps(row, ["applications", "created", "statuses", "steady"])
            steady, grown = row["steady"], sum(row[lap]["control plane"]["grown"] for lap in row if lap in _GROWING)
            change = steady["control plane"]["cpu"] / steady["changes"]
            created = (row["created"]["control plane"]["cpu"] + row["statuses"]["control plane"]["cpu"]) / row["routes"]
            cost[row["routes"]] = created
            print(
                f"{created * 1000:.2f} ms of CPU and {grown / row['routes'] * 1024:.1f} KiB an application, "
                f"{change * 1000:.1f} ms a change in the steady state",
                flush=True,
            )
    if len(cost) > 1:
        print(f"{max(cost)} routes: {cost[max(cost)] / cost[min(cost)]:.2f} times the CPU a route of {min(cost)}")
    print()


_GROWING = ("applications", "listener sets", "created", "statuses")


def listener_set_scale(namespaces: list[int], sets: int, routes: int, changes: int) -> None:
    """ListenerSets with an HTTPS listener and routes each; then one route comes and goes."""
    for size in namespaces:
        for row in inside("bench.scale", "listenersets", size, sets, routes, changes, edge="bench/sets"):
            print(f"ListenerSet scale: {row['sets']} ListenerSets with {row['routes']} routes in {size} namespaces")
            _laps(row, ["applications", "listener sets", "created", "statuses"])
            change, grown = row["changes"], sum(row[lap]["control plane"]["grown"] for lap in row if lap in _GROWING)
            print(
                f"one more route is served after {change['p50'] * 1000:.1f} ms (p50), {change['worst'] * 1000:.1f} ms "
                f"(worst of {change['count'] // 2}); {grown / row['routes'] * 1024:.1f} KiB a route; "
                f"{change['control plane']['cpu'] / change['count'] * 1000:.1f} ms of CPU a change",
                flush=True,
            )
    print()


def chain(runs: int, sizes: list[int]) -> None:
    """The chain ALB, NLB, Gateway: how fast a replaced NLB is bound, what AWS is called for, what goes through it."""
    example = "examples/eks"
    seconds = [row["seconds"] for row in inside("bench.chain", "rebind", runs, edge=example)]
    print("from a deleted NLB to a healthy target of the next one, at the pace of AWS's clocks")
    print(f"{runs} runs: median {statistics.median(seconds):.2f} s, worst {max(seconds):.2f} s\n")
    print("calls of AWS by number of routes: a minute at rest; a route made and deleted; an NLB replaced, no polls")
    for row in inside("bench.chain", "calls", *sizes, edge=example):
        rest, route = (sum(row[what].values()) for what in ("rest", "route"))
        # The bench itself has asked for the target group and its health, by turns.
        change = sum(row["change"].values()) - row["change"]["elbv2:DescribeTargetHealth"] - row["mine"] // 2
        told = ", ".join(f"{name} {count}" for name, count in sorted(row["rest"].items())) or "none"
        print(f"{row['routes']:>8}  {rest} ({told}); {route}; {change}", flush=True)
    rates = {
        row["way"]: statistics.median(row["rates"]) for row in inside("bench.chain", "throughput", 5, edge=example)
    }
    print("\nrequests a second, 16 connections, median of 3 turns")
    alone = next(iter(rates.values()))
    for way, rate in rates.items():
        print(f"{way:28}{rate:>8.0f}{rate / alone:>7.2f}")
    print()


def alb(sizes: list[int], runs: int, targets: int) -> None:
    """Gateways that are ALBs: calls of AWS for rules, from a pod's readiness to its registration, memory of targets."""
    edge = "bench/alb_edge"
    print("rules over ALBs of 100 each: seconds, and calls of AWS that read and that write")
    print(f"{'rules':>8}{'made':>18}{'one changed':>18}{'a minute at rest':>18}{'deleted':>18}   left over")
    for row in inside("bench.alb", "rules", *sizes, edge=edge, aws=True):
        cells = [
            f"{row[what].get('seconds', 0):.1f} s {row[what]['reads']}+{row[what]['writes']}"
            for what in ("made", "changed", "rest", "deleted")
        ]
        print(f"{row['rules']:>8}{''.join(f'{cell:>18}' for cell in cells)}   {row['left']}", flush=True)
    seconds = [row["seconds"] for row in inside("bench.alb", "registration", runs, edge=edge, aws=True)]
    print(
        f"from a ready pod to its registration, {runs} runs: median {statistics.median(seconds) * 1000:.0f} ms, ",
        end="",
    )
    print(f"worst {max(seconds) * 1000:.0f} ms")
    for row in inside("bench.alb", "memory", targets, edge=edge, aws=True):
        held = row["after"] - row["before"]
        print(
            f"{targets} targets: registered in {row['seconds']:.1f} s; the process has {row['after'] / 1e6:.0f} MB, "
            f"{held / targets / 1e3:.1f} kB more for each"
        )
    print()


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--runs", type=int, default=7, help="start-ups (default 7)")
    parser.add_argument("--changes", type=int, default=200, help="routes created a size (default 200)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10, 100, 1000, 3000, 5000])
    parser.add_argument("--routes", type=int, nargs="+", default=[100, 1000], help="of attached-routes")
    parser.add_argument("--namespaces", type=int, nargs="+", default=[5, 50], help="of route-scale, listenerset-scale")
    parser.add_argument("--applications", type=int, default=100, help="of route-scale, a namespace (default 100)")
    parser.add_argument("--seconds", type=int, default=60, help="of route-scale's steady state (default 60)")
    parser.add_argument("--sets", type=int, default=50, help="of listenerset-scale, a namespace (default 50)")
    parser.add_argument("--set-routes", type=int, default=16, help="of listenerset-scale, a ListenerSet (default 16)")
    parser.add_argument("--targets", type=int, default=5000, help="of alb (default 5000)")
    parser.add_argument("--only", choices=_SCENARIOS)
    found = parser.parse_args()
    for name, scenario in _SCENARIOS.items():
        if found.only in (None, name):
            scenario(found)


_SCENARIOS: dict[str, Callable[[argparse.Namespace], None]] = {
    "start-up": lambda found: start_up(found.runs),
    "propagation": lambda found: propagation(found.changes, sorted(found.sizes)),
    "attached-routes": lambda found: attached_routes(sorted(found.routes), 3),
    "route-scale": lambda found: route_scale(sorted(found.namespaces), found.applications, found.seconds),
    "listenerset-scale": lambda found: listener_set_scale(sorted(found.namespaces), found.sets, found.set_routes, 50),
    "chain": lambda found: chain(found.runs, sorted(size for size in found.sizes if size <= 1000)),
    "alb": lambda found: alb(sorted(size for size in found.sizes if 100 <= size <= 1000), found.runs, found.targets),
    "data-path": lambda _: datapath.table(inside("bench.datapath", 25, 1000)),
}


if __name__ == "__main__":
    main()
