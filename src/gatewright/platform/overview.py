"""What stands in a workspace: steps, edge, applications, load balancers, and the last verification."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

import aiohttp
import msgspec

from gatewright.aws.errors import AwsError
from gatewright.cluster import ClusterError
from gatewright.platform import binding, objects, orphans, rehearsal
from gatewright.platform.applications import NAMESPACE, Application, standing
from gatewright.platform.deployment import Deployment
from gatewright.platform.errors import PlatformError
from gatewright.platform.gitops import NAME
from gatewright.platform.outputs import Outputs
from gatewright.platform.report import Outcome, Report
from gatewright.platform.steps import BEGUN
from gatewright.platform.targets import Settings, Target
from gatewright.platform.verify.names import NoSuchNameError, addresses_of

_SHELL = ("AWS_ENDPOINT_URL", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_TLS = 443


class StepState(msgspec.Struct, frozen=True):
    """A step of a deployment: `done`, `begun` or `open`."""

    id: str
    title: str
    state: str


class Front(msgspec.Struct, frozen=True):
    """Something in the cluster that has, or waits for, a load balancer."""

    object: str
    addresses: tuple[str, ...]


class Overview(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of a platform, with nothing changed. What can't be asked is empty; `problems` says why."""

    folder: str
    settings: Settings
    steps: tuple[StepState, ...]
    outputs: Outputs | None
    edge: int | None
    """Process of the local edge; None where none runs."""
    applications: tuple[Application, ...]
    fronts: tuple[Front, ...]
    balancers: tuple[str, ...]
    """Names of load balancers in AWS that the cluster's controllers made."""
    report: Report | None
    commands: tuple[str, ...]
    """See `commands`."""
    problems: tuple[str, ...]


async def look(deployment: Deployment) -> Overview:
    """Look at everything; never raises for what doesn't answer."""
    workspace, settings = deployment.workspace, deployment.settings
    problems: list[str] = []
    applications: tuple[Application, ...] = ()
    fronts: tuple[Front, ...] = ()
    balancers: tuple[str, ...] = ()
    edge = rehearsal.find(workspace.edge) if deployment.local else None
    if deployment.local and edge is None:
        problems.append(f"the local edge doesn't run: `{deployment.command('deploy')}` starts it")
    elif workspace.kubeconfig.exists():
        try:
            async with deployment.client() as client:
                found = await objects.items(client, objects.APPLICATIONS, "applications", NAMESPACE)
                applications = standing(NAME, found).children
                fronts = tuple(map(_front, await orphans.fronts(client)))
        except ClusterError as error:
            problems.append(f"the cluster doesn't answer: {error}")
    if settings.cloud is Target.AWS and not problems and deployment.digest("terraform") is not None:
        try:
            async with deployment.aws() as aws:
                balancers = tuple(each.name for each in await orphans.balancers(aws, settings.name))
        except (AwsError, PlatformError) as error:
            problems.append(f"AWS doesn't answer: {error}")
    return Overview(
        folder=str(workspace.folder),
        settings=settings,
        steps=tuple(StepState(step.id, step.title, _state(deployment.digest(step.id))) for step in deployment.steps()),
        outputs=deployment.known_outputs,
        edge=edge.pid if edge else None,
        applications=applications,
        fronts=fronts,
        balancers=balancers,
        report=_report(deployment),
        commands=await commands(deployment),
        problems=tuple(problems),
    )


async def commands(deployment: Deployment) -> tuple[str, ...]:
    """With what a shell gets at the platform: its cluster; of a rehearsal also its AWS, and one of its routes."""
    kubeconfig = deployment.workspace.kubeconfig
    found = [f"export KUBECONFIG={shlex.quote(str(kubeconfig))}"] if kubeconfig.exists() else []
    edge = deployment.edge
    if edge is not None:
        settings = " ".join(f"{name}={shlex.quote(edge.aws[name])}" for name in _SHELL if name in edge.aws)
        found += [f"export {settings}", *await _request(deployment, edge)]
    return tuple(found)


async def _request(deployment: Deployment, edge: rehearsal.RehearsalEdge) -> list[str]:
    """A request as clients make it; only the edge's own resolver knows the name."""
    report, host = _report(deployment), deployment.settings.domain
    urls = [
        check.subject
        for check in (report.checks if report else ())
        if check.id == "endpoint" and check.outcome is Outcome.PASSED and check.subject.startswith(f"https://{host}/")
    ]
    if not urls:
        return []
    try:
        door = f"{(await addresses_of(host, edge.dns))[0]}:{_TLS}"
        place = (await edge.sockets()).get(door, door)
    except (NoSuchNameError, aiohttp.ClientError, OSError):
        return []
    return [f"curl --cacert {shlex.quote(edge.ca)} --connect-to {host}:{_TLS}:{place} {shlex.quote(urls[0])}"]


def _state(digest: str | None) -> str:
    return "open" if digest is None else "begun" if digest == BEGUN else "done"


def _front(found: objects.Json) -> Front:
    ingress = ((found.get("status") or {}).get("loadBalancer") or {}).get("ingress") or ()
    balanced = [each.get("hostname") or each.get("ip") or "" for each in ingress]
    return Front(objects.label(found), tuple(binding.addresses(found) or balanced))


def _report(deployment: Deployment) -> Report | None:
    try:
        return msgspec.json.decode(deployment.workspace.report.read_bytes(), type=Report)
    except (OSError, msgspec.DecodeError):
        return None


def lines(overview: Overview) -> Iterator[str]:
    """An overview as text."""
    settings = overview.settings
    yield f"{settings.name} on {settings.target}, {settings.architecture}, in {overview.folder}"
    if overview.edge is not None:
        yield f"local edge: process {overview.edge}"
    yield "steps: " + ", ".join(f"{step.id} {step.state}" for step in overview.steps)
    if overview.outputs is not None:
        where = binding.entry(overview.outputs)
        if where:
            yield f"clients come in {where}"
    if overview.applications:
        ready = sum(each.ready for each in overview.applications)
        yield f"applications: {ready} of {len(overview.applications)} synced and healthy"
        yield from (f"  {each.line()}" for each in overview.applications if not each.ready)
    for front in overview.fronts:
        yield f"{front.object}: {', '.join(front.addresses) or 'no address'}"
    if overview.balancers:
        yield f"load balancers of the cluster in AWS: {', '.join(overview.balancers)}"
    if overview.report is not None:
        checks = overview.report.checks
        failed = [check for check in checks if check.outcome is Outcome.FAILED]
        passed = sum(check.outcome is Outcome.PASSED for check in checks)
        yield f"verified at {overview.report.at}: {passed} of {len(checks)} checks passed, {len(failed)} failed"
        yield from (f"  {check.id} {check.subject}: {check.found}" for check in failed)
    yield from (f"  {command}" for command in overview.commands)
    yield from (f"problem: {problem}" for problem in overview.problems)
