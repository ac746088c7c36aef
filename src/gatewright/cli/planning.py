"""A run of `gatewright plan`: reads the objects and the account, and tells what would be changed."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
from rich.console import Console

from gatewright.aws import Aws, AwsError
from gatewright.aws.errors import NotConfigured
from gatewright.aws.stack import costs, rendering
from gatewright.aws.stack.actual import read_all
from gatewright.aws.stack.changes import Change, changes_of
from gatewright.aws.stack.desired import StackKey
from gatewright.aws.stack.holdings import ActualStack
from gatewright.aws.stack.plan import Plan
from gatewright.aws.stack.quotas import read_quotas
from gatewright.aws.stack.steps import Step
from gatewright.cli.exits import FAILED, OK
from gatewright.cli.formats import Format, rendered
from gatewright.cli.pages import Screen
from gatewright.cluster import Client, ClusterError
from gatewright.controller.logs import configure
from gatewright.edge.gateways.feedback import Feedback
from gatewright.edge.gateways.ingresses import NameLookups
from gatewright.edge.gateways.ingresspipeline import IngressOutcome, outcomes
from gatewright.edge.gateways.outcomes import Provisioned
from gatewright.edge.gateways.pipeline import Pipeline
from gatewright.edge.preview import Kind, StackPlan, fill, preview, preview_access
from gatewright.flow import Collection, Flow, Source
from gatewright.local import whatif
from gatewright.local.aws.process import AwsProcessError
from gatewright.local.manifests import Manifests, Problem, load
from gatewright.local.news import standing_problems
from gatewright.model.core import Node, Pod
from gatewright.model.meta import Key
from gatewright.resolve import Inputs
from gatewright.resolve.inputs import NOW

CHANGES = 2
"""Exit status: there is something to change, as Terraform's `plan -detailed-exitcode` says it."""

_NAMES = (
    "Names of what is made for a Gateway end with a hash of its UID, which the cluster chooses: they will be others."
)


@dataclass(frozen=True)
class Planning:
    """What `gatewright plan` was asked for; an empty text is "find it out"."""

    cluster: str
    files: tuple[str, ...]
    namespace: str
    form: Format
    offline: bool
    region: str
    vpc: str
    tags: Mapping[str, str]
    target_type: Literal["ip", "instance"]
    trust_store_bucket: str
    kubeconfig: Path | None
    context: str | None

    @property
    def alone(self) -> bool:
        """Whether the files are all that is looked at."""
        return bool(self.files) and self.kubeconfig is None and self.context is None


def run(planning: Planning) -> int:
    """Make and show a plan. Returns the exit status."""
    configure("console", "warning")
    told = Screen(Console(stderr=True), quiet=True)
    manifests = load(planning.files) if planning.files else None
    if manifests and manifests.problems:
        told.problems(manifests.problems)
        return FAILED
    try:
        return asyncio.run(_Run(planning, manifests, told).run())
    except NotConfigured as error:
        told.error(f"{error}; or plan for an empty account with --offline")
        return FAILED
    except (ClusterError, AwsError, AwsProcessError, OSError) as error:
        told.error(str(error))
        return FAILED


class _Run:
    def __init__(self, planning: Planning, manifests: Manifests | None, told: Screen) -> None:
        self._planning = planning
        self._manifests = manifests
        self._told = told
        self._inputs = Inputs(Flow())
        self._pipeline = Pipeline(
            self._inputs,
            cluster=planning.cluster,
            tags=planning.tags,
            default_target_type=planning.target_type,
            trust_store_bucket=planning.trust_store_bucket,
        )
        self._provisioned: dict[Kind, Source[Key, Provisioned]] = {}
        self._ingresses: Collection[Key, IngressOutcome] | None = None
        self._expect()

    def _expect(self) -> None:
        """Let the statuses follow from what would come of the load balancers."""
        flow, inputs = self._inputs.flow, self._inputs
        for side in self._pipeline.sides:
            source = self._provisioned[side.kind] = flow.source(f"{side.kind} load balancers as they would be")
            Feedback(inputs, side.resolution, side.balancers, source).write()
        if self._pipeline.ingress:
            source = self._provisioned["ingress"] = flow.source("load balancers of Ingresses as they would be")
            self._ingresses = outcomes(inputs, self._pipeline.ingress, source)

    async def run(self) -> int:
        planning, pipeline = self._planning, self._pipeline
        with self._told.progress("reading the objects"):
            problems = await self._read()
        if problems:
            self._told.problems(problems)
            return FAILED
        sides: dict[Kind, Any] = {side.kind: side.balancers for side in pipeline.sides}
        if pipeline.ingress:
            sides["ingress"] = pipeline.ingress.balancers
        with self._told.progress("reading AWS"):
            async with self._account() as aws:
                held, quotas = await asyncio.gather(
                    read_all(aws, planning.cluster, bucket=planning.trust_store_bucket), read_quotas(aws)
                )
                await fill(aws, pipeline.surroundings, held, cluster=planning.cluster, vpc=planning.vpc)
                if pipeline.ingress:
                    async with NameLookups(aws, pipeline.ingress):
                        pass
                plans, access = await asyncio.gather(
                    preview(
                        aws,
                        sides,
                        held,
                        quotas,
                        cluster=planning.cluster,
                        bucket=planning.trust_store_bucket,
                        alone=planning.alone,
                    ),
                    preview_access(aws, sides, cluster=planning.cluster, alone=planning.alone),
                )
        for plan in plans:
            if plan.provisioned:
                self._provisioned[plan.key.kind].set(_owner(plan.key), plan.provisioned)
        shown = _Shown(
            [plan for plan in plans if self._is_asked_for(_owner(plan.key))],
            ()
            if planning.namespace
            else changes_of(map(Step, access), ActualStack(StackKey(planning.cluster, "alb", ""))),
            list(self._problems()),
            planning.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "",
            planning.alone,
        )
        if planning.form is Format.TEXT:
            colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ
            print("\n".join(shown.lines(colours=colours)))  # noqa: T201 - it is what was asked for
        else:
            print(rendered(shown.document(), planning.form))  # noqa: T201
        return OK if shown.empty else CHANGES

    async def _read(self) -> list[Problem]:
        """Fill the sources. Returns what is wrong with the manifests."""
        inputs, pipeline, planning = self._inputs, self._pipeline, self._planning
        surroundings = pipeline.surroundings
        sources: whatif.Sources = {
            **inputs.by_type,
            **pipeline.configurations.by_type,
            **(pipeline.ingress.sources.by_type if pipeline.ingress else {}),
            Node: surroundings.nodes,
            Pod: surroundings.pods,
        }
        inputs.clock.set(NOW, datetime.now(UTC))
        if self._manifests and planning.alone:
            async with whatif.cluster_of(self._manifests) as (client, problems):
                await whatif.read(client, sources)
            return problems
        async with Client.connect(planning.kubeconfig, planning.context) as client:
            await whatif.read(client, sources)
            return await whatif.overlay(client, self._manifests, sources) if self._manifests else []

    @asynccontextmanager
    async def _account(self) -> AsyncIterator[Aws]:
        """The account to plan for."""
        if not self._planning.offline:
            async with Aws(region=self._planning.region) as aws:
                yield aws
            return
        from gatewright.local.aws.endpoint import CREDENTIALS, REGION
        from gatewright.local.aws.process import AwsProcess
        from gatewright.local.certificates import Authority
        from gatewright.local.front.provision import FrontProvisioner

        async with (
            AwsProcess("10.0.0.0/16", cluster=self._planning.cluster, traffic=False) as process,
            Aws(region=REGION, endpoint_url=process.url, credentials=CREDENTIALS) as aws,
        ):
            if self._manifests and self._manifests.front:
                authority = Authority.create()
                problems, _ = await FrontProvisioner(aws, authority.issue, authority.pem).update(self._manifests.front)
                if problems:
                    self._told.problems(problems)
            yield aws

    def _is_asked_for(self, owner: Key) -> bool:
        return not self._planning.namespace or owner.namespace in ("", self._planning.namespace)

    def _problems(self) -> Iterator[tuple[str, str, str]]:
        """Where, about what, and what is wrong: as the statuses would say it."""
        places = {}
        if self._manifests:
            places = {(each.kind, each.key.name): each for each in self._manifests.objects}
        for news in standing_problems(self._inputs, *(side.resolution for side in self._pipeline.sides)):
            if news.about and not self._is_asked_for(news.about[1]):
                continue
            if news.about and news.about[0] == "Service" and self._planning.alone:
                continue  # that it has no endpoint: files have none
            manifest = places.get((news.about[0], news.about[1].name)) if news.about else None
            where = manifest.where(news.about[2]) if manifest and news.about else ""
            yield where, news.subject, news.text
        for key, outcome in sorted(self._ingresses.items()) if self._ingresses is not None else ():
            if self._is_asked_for(key):
                manifest = places.get(("Ingress", key.name))
                for _, message in sorted(outcome.warnings):
                    yield manifest.where() if manifest else "", f"Ingress {key}", message


@dataclass(frozen=True)
class _Shown:
    """What is shown."""

    plans: list[StackPlan]
    access: tuple[Change, ...]
    problems: list[tuple[str, str, str]]
    region: str
    alone: bool

    @property
    def empty(self) -> bool:
        """Whether there is nothing to change."""
        return not self.access and all(each.plan is None or each.plan.empty for each in self.plans)

    @property
    def _plans(self) -> list[Plan]:
        return [each.plan for each in self.plans if each.plan]

    @property
    def _cost(self) -> costs.Estimate:
        return costs.estimate(
            [each.desired for each in self.plans if each.desired], self.region or costs.DEFAULT_REGION
        )

    def lines(self, *, colours: bool) -> Iterator[str]:
        """As text."""
        if self.problems:
            yield "Not as asked for:"
            for where, subject, text in self.problems:
                yield f"  {where}: {subject}: {text}" if where else f"  {subject}: {text}"
            yield ""
        for plan in self.plans:
            if plan.held:
                yield f"# {plan.key.kind} {plan.key.id}: nothing is done, and what AWS has stays"
                yield from (f"  ! {text}" for text in plan.held)
                yield ""
        over = [problem for plan in self.plans for problem in plan.over]
        if over:
            yield "Over AWS's quotas:"
            yield from (f"  ! {problem.message}" for problem in over)
            yield ""
        yield rendering.text(self._plans, access=self.access, colours=colours)
        if self.alone and any(each.desired and not each.actual.load_balancers for each in self.plans):
            yield _NAMES
        cost = self._cost
        if cost.items:
            yield ""
            yield f"Base cost of all of it: about {cost.monthly:.2f} USD a month ({cost.region})."
            yield from (f"  {each.quantity:g} {each.item}: {each.monthly:.2f}" for each in cost.items)
            yield from (f"  {note}" for note in cost.notes)

    def document(self) -> dict[str, Any]:
        """As JSON: that of the plans (`aws.stack.rendering`) with `problems`, `held`, `quotas` and `cost`."""
        cost = self._cost
        return {
            **rendering.document(self._plans, self.access),
            "problems": [{"where": where, "subject": about, "message": text} for where, about, text in self.problems],
            "held": [
                {"kind": each.key.kind, "id": each.key.id, "reasons": each.held} for each in self.plans if each.held
            ],
            "quotas": [
                {"quota": each.quota, "found": each.found, "allowed": each.allowed, "message": each.message}
                for plan in self.plans
                for each in plan.over
            ],
            "cost": {
                "currency": "USD",
                "monthly": cost.monthly,
                "region": cost.region,
                "items": msgspec.to_builtins(cost.items),
                "notes": cost.notes,
            },
        }


def _owner(key: StackKey) -> Key:
    namespace, _, name = key.id.rpartition("/")
    return Key(namespace, name)
