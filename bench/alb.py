"""Runs inside `gatewright up --aws bench/alb_edge --exec`: what Gateways that are ALBs cost, in time and calls of AWS.

python -m bench.alb rules SIZE...          so many rules over ALBs of 100: made, one of them changed, at rest, deleted
python -m bench.alb registration RUNS      seconds from a pod's readiness to its registration
python -m bench.alb memory TARGETS         what the process of the controllers holds for each target

Each prints one JSON line a row.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from gatewright.aws import Aws, views
from gatewright.cluster import Client
from gatewright.model.apps import Deployment
from gatewright.model.core import Pod
from gatewright.model.gateway import Gateway, HTTPRoute
from gatewright.model.meta import Key

_NAMESPACE = "bench"
_CLASS = "aws-alb"
_RULES = 100
"""Rules of a load balancer: the default quota."""
_GROUP = 1000
"""Targets of a target group: the default quota."""
_POLL = 0.005  # seconds
_READING = ("describe", "get", "list", "head")


def _calls() -> Counter[str]:
    """All calls that the emulated AWS has answered, by operation."""
    with urlopen(f"{os.environ['AWS_ENDPOINT_URL']}/_gatewright/calls", timeout=10) as answer:
        found = json.loads(answer.read())
    return Counter(
        {f"{service}:{name}": count for service, calls in found["calls"].items() for name, count in calls.items()}
    )


def _told(calls: Counter[str]) -> dict[str, Any]:
    """How many read and how many write, and which the most are."""
    reads = sum(count for name, count in calls.items() if name.partition(":")[2].lower().startswith(_READING))
    return {"reads": reads, "writes": calls.total() - reads, "most": dict(calls.most_common(6))}


def _gateway(number: int) -> dict[str, Any]:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "Gateway",
        "metadata": {"name": f"gateway-{number}", "namespace": _NAMESPACE},
        "spec": {"gatewayClassName": _CLASS, "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}]},
    }


def _route(number: int, path: str = "/", service: str = "app") -> dict[str, Any]:
    return {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": f"route-{number}", "namespace": _NAMESPACE},
        "spec": {
            "parentRefs": [{"name": f"gateway-{number // _RULES}"}],
            "hostnames": [f"host-{number}.example.com"],
            "rules": [
                {
                    "matches": [{"path": {"type": "PathPrefix", "value": path}}],
                    "backendRefs": [{"name": service, "port": 8080}],
                }
            ],
        },
    }


async def _rules(aws: Aws) -> list[Any]:
    """Every rule of every load balancer but the default ones."""
    found = []
    for balancer in await views.load_balancers(aws):
        for listener in await views.listeners(aws, balancer.arn):
            rules = await aws.pages("elbv2", "describe_rules", "Rules", ListenerArn=listener.arn)
            found += [rule for rule in rules if not rule["IsDefault"]]
    return found


async def _programmed(client: Client, count: int) -> None:
    while True:
        gateways = await client.list(Gateway, _NAMESPACE)
        good = [
            gateway
            for gateway in gateways
            for condition in gateway.status.conditions
            if (condition.type, condition.status) == ("Programmed", "True")
        ]
        if len(good) == count:
            return
        await asyncio.sleep(0.05)


async def _settled(aws: Aws, done: Any) -> float:
    """When `done(rules)` held, seen by looks whose own calls are not counted with the controller's."""
    while True:
        if done(await _rules(aws)):
            return time.perf_counter()
        await asyncio.sleep(0.1)


async def rules(sizes: list[int]) -> None:
    """One row a number of rules."""
    async with Client.connect(os.environ["KUBECONFIG"]) as client, Aws() as aws:
        for size in sizes:
            balancers = -(-size // _RULES)
            before, own = _calls(), aws.calls.total()
            start = time.perf_counter()
            await asyncio.gather(*(client.create(_gateway(number)) for number in range(balancers)))
            await asyncio.gather(*(client.create(_route(number)) for number in range(size)))
            await _programmed(client, balancers)
            seconds = await _settled(aws, lambda found, size=size: len(found) == size) - start
            made = _told(_calls() - before) | {"mine": aws.calls.total() - own, "seconds": seconds}

            await asyncio.sleep(3)
            before = _calls()
            start = time.perf_counter()
            await client.apply(_route(size // 2, "/changed"), field_manager="bench")
            while (_calls() - before).total() == 0:  # noqa: ASYNC110 - AWS tells nobody
                await asyncio.sleep(_POLL)
            first = time.perf_counter() - start
            await asyncio.sleep(2)
            changed = _told(_calls() - before) | {"seconds": first}

            before = _calls()
            await asyncio.sleep(60)
            rest = _told(_calls() - before)

            before = _calls()
            start = time.perf_counter()
            await asyncio.gather(*(client.delete(HTTPRoute, Key(_NAMESPACE, f"route-{n}")) for n in range(size)))
            await asyncio.gather(*(client.delete(Gateway, Key(_NAMESPACE, f"gateway-{n}")) for n in range(balancers)))
            while await client.list(Gateway, _NAMESPACE):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            deleted = _told(_calls() - before) | {"seconds": time.perf_counter() - start}
            left = len(await views.load_balancers(aws)) + len(await views.target_groups(aws))
            row = {"rules": size, "balancers": balancers, "made": made, "changed": changed, "rest": rest}
            print(json.dumps({**row, "deleted": deleted, "left": left}), flush=True)


async def registration(runs: int) -> None:
    """One row a run: the time between a pod that is seen to be ready and its address among the targets."""
    deployment = Key(_NAMESPACE, "app")
    async with Client.connect(os.environ["KUBECONFIG"]) as client, Aws() as aws:
        await client.create(_gateway(0))
        await client.create(_route(0))
        await _programmed(client, 1)
        await _settled(aws, lambda found: len(found) == 1)
        (group,) = await views.target_groups(aws)
        for run in range(runs):
            replicas = run + 2
            await client.patch(Deployment, deployment, {"spec": {"replicas": replicas}})
            ready = registered = 0.0
            known = {each.target.id for each in await views.target_health(aws, group.arn)}
            while not ready or not registered:
                pods, health = await asyncio.gather(client.list(Pod, _NAMESPACE), views.target_health(aws, group.arn))
                now = time.perf_counter()
                good = {pod.status.pod_ip for pod in pods if _is_ready(pod)}
                if not ready and len(good) == replicas:
                    ready = now
                if not registered and {each.target.id for each in health} - known:
                    registered = now
                await asyncio.sleep(_POLL)
            print(json.dumps({"seconds": registered - ready}), flush=True)


def _is_ready(pod: Pod) -> bool:
    return any((each.type, each.status) == ("Ready", "True") for each in pod.status.conditions)


def _resident() -> int:
    """Bytes of the process that runs the edge: this one's parent's parent, or parent."""
    process = os.getppid()
    while "gatewright" not in Path(f"/proc/{process}/cmdline").read_text():
        process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) * 1024


async def memory(targets: int) -> None:
    """One row: bytes before and with so many targets, in groups of 1,000."""
    groups = -(-targets // _GROUP)
    async with Client.connect(os.environ["KUBECONFIG"]) as client, Aws() as aws:
        for number in range(groups):  # a load balancer has as many targets as a group may have
            await client.create(_gateway(number))
            await client.create(_service(number))
            await client.create(_rarely_checked(number))
            await client.create(_route(number * _RULES, service=f"many-{number}"))
        await _programmed(client, groups)
        await _settled(aws, lambda found: len(found) == groups)
        await asyncio.sleep(2)
        before = _resident()
        start = time.perf_counter()
        for number in range(groups):
            for part in range(_GROUP // 100):
                await client.create(_slice(number, part))
        while await _registered(aws) < targets:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
        seconds = time.perf_counter() - start
        await asyncio.sleep(2)
        row = {"targets": targets, "before": before, "after": _resident(), "seconds": seconds}
        print(json.dumps(row), flush=True)


async def _registered(aws: Aws) -> int:
    return sum([len(await views.target_health(aws, group.arn)) for group in await views.target_groups(aws)])


def _service(number: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": f"many-{number}", "namespace": _NAMESPACE},
        "spec": {"ports": [{"port": 8080}]},
    }


def _rarely_checked(number: int) -> dict[str, Any]:
    """Nobody answers at the targets: that isn't what is measured."""
    check = {"healthCheckInterval": 300, "unhealthyThresholdCount": 10}
    return {
        "apiVersion": "gateway.k8s.aws/v1",
        "kind": "TargetGroupConfiguration",
        "metadata": {"name": f"many-{number}", "namespace": _NAMESPACE},
        "spec": {
            "targetReference": {"name": f"many-{number}"},
            "defaultConfiguration": {"healthCheckConfig": check},
        },
    }


def _slice(number: int, part: int) -> dict[str, Any]:
    addresses = [f"10.{number}.{part}.{each + 1}" for each in range(100)]
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": f"many-{number}-{part}",
            "namespace": _NAMESPACE,
            "labels": {"kubernetes.io/service-name": f"many-{number}"},
        },
        "addressType": "IPv4",
        "ports": [{"port": 8080, "protocol": "TCP"}],
        "endpoints": [{"addresses": [each], "conditions": {"ready": True}} for each in addresses],
    }


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    if what == "rules":
        asyncio.run(rules([int(each) for each in arguments]))
    elif what == "registration":
        asyncio.run(registration(int(arguments[0])))
    else:
        asyncio.run(memory(int(arguments[0])))
