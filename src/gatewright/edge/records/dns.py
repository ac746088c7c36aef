"""Writes the records of hostnames into Route 53, for as long as it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence

import structlog
from msgspec import structs

from gatewright.aws import Aws, AwsError
from gatewright.aws.records.apply import apply
from gatewright.aws.records.desired import desired_records
from gatewright.aws.records.plan import Problem, RecordPlan, Step, ZoneRecords, plan
from gatewright.aws.records.read import read_records, read_zones
from gatewright.aws.records.records import DnsOptions, Wish, Zone
from gatewright.aws.records.zones import in_reach, zones_of
from gatewright.cluster import Client, ClusterError, Reconciler
from gatewright.edge.records.places import Places
from gatewright.edge.records.telling import Said, Telling, collected
from gatewright.flow import Change, Collection, Source
from gatewright.model.edgebinding import EdgeBinding
from gatewright.model.meta import Key
from gatewright.resolve import Inputs, Resolution
from gatewright.resolve.inputs import ObjectId

_log = structlog.get_logger(__name__)

_ALL = "records"
_AGAIN = 30.0  # seconds until what AWS refuses, or doesn't know yet, is looked at again
_READ_AT_ONCE = 4  # zones


class DnsRecords:
    """Keeps hosted zones as Gateways and routes ask, while it runs (`async with`).

    `resolutions` are those of Gateways that are load balancers, `fronted` those of Gateways that `bindings` put behind
    one. Without a hosted zone that `options` leave to us nothing is ever written. What AWS holds is read at the start,
    every `resync` seconds and after a call that failed; in between it is known from what was done. `inputs` hold the
    cluster's objects already when it starts, and somebody keeps them so.

    `validations` are further names by whoever needs them, as `CertificateRequests` does. With `hostnames` False they
    are all; with `dry_run` nothing is written, and `planned` says what would be.
    """

    def __init__(
        self,
        client: Client,
        aws: Aws,
        inputs: Inputs,
        resolutions: Iterable[Resolution],
        *,
        options: DnsOptions,
        fronted: Iterable[Resolution] = (),
        bindings: Collection[Key, EdgeBinding] | None = None,
        hostnames: bool = True,
        dry_run: bool = False,
        resync: float = 300.0,
        again: float = _AGAIN,
    ) -> None:
        flow = inputs.flow
        self._aws = aws
        self._inputs = inputs
        self._options = options
        self._dry_run = dry_run
        self._resync = resync
        self._again = again
        self._telling = Telling(client, inputs, "dns records")
        self._places = Places(aws, flow, bindings)
        self.validations: Source[str, Wish] = flow.source("names of validations")
        self._wishes: Collection[str, Wish] = self.validations
        if hostnames:
            desired = desired_records(inputs, resolutions, fronted, self._places.places, self._places.fronts, options)
            self._wishes = flow.merge("names to write", self.validations, desired)
        self._steps: dict[tuple[str, str], Step] = {}  # by zone and name: what is left to do
        self._problems: dict[str, list[Problem]] = {}  # by name
        self._kept: dict[str, Wish] = {}  # by name: whose it stays, though others come before
        self._zones: list[Zone] | None = None
        self._records: dict[str, ZoneRecords] = {}
        self._changed: set[str] | None = None  # names that were not looked at since; None: none was
        self._looked = 0.0  # when load balancers were last read, in the loop's time
        self._work: Reconciler[str] = Reconciler(
            "dns records", self._reconcile, settle=0.1, longest=1.0, transient=(ClusterError, AwsError)
        )
        self._running = False
        self._wishes.subscribe(self._wishes_changed)
        if hostnames:
            inputs.addresses.subscribe(self._enqueue)
        if bindings is not None:
            bindings.subscribe(self._enqueue)

    async def __aenter__(self) -> DnsRecords:
        await self._work.__aenter__()
        self._running = True
        self._enqueue()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._running = False
        await self._work.__aexit__()

    async def idle(self) -> None:
        """Return when all names have the records that they can have for now."""
        await self._work.idle()

    def look_again(self) -> None:
        """Take nothing of AWS for granted: read it anew, and put right what somebody changed."""
        self._doubt()
        self._enqueue()

    def knows_validations(self) -> None:
        """Say that `validations` has all names that certificates need: others of ours may go."""
        if self._options.keep_validations:
            self._options = structs.replace(self._options, keep_validations=False)
            self._changed = None
            self._enqueue()

    @property
    def planned(self) -> RecordPlan:
        """What is left to do, and what can't be done, as of the last look."""
        steps = sorted(self._steps.values(), key=lambda step: (step.zone.name, step.zone.id, step.name))
        return RecordPlan(
            tuple(steps), tuple(problem for name in sorted(self._problems) for problem in self._problems[name])
        )

    def _wishes_changed(self, changes: Iterable[Change[str, Wish]]) -> None:
        if self._changed is not None:
            self._changed.update(change.key for change in changes)
        self._enqueue()

    def _enqueue(self, _: object = None) -> None:
        if self._running:
            self._work.enqueue(_ALL)

    def _doubt(self) -> None:
        self._zones = self._changed = None
        self._records.clear()
        self._looked = 0.0

    # --- one look ----------------------------------------------------------------------------------------------------

    async def _reconcile(self, _: str) -> None:
        try:
            await self._bring_about()
        except AwsError as error:
            self._doubt()
            if error.retryable:
                raise
            _log.warning("DNS records can't be written", error=str(error))
            await self._telling.warn(collected((id_, ("DnsRecordsFailed", str(error))) for id_ in self._askers()))
            self._work.enqueue_later(_ALL, self._again)

    async def _bring_about(self) -> None:
        now = asyncio.get_running_loop().time()
        if not self._looked or now - self._looked >= self._resync:
            self._doubt()
        zones = await self._known_zones()
        if not zones:
            self._work.enqueue_later(_ALL, self._resync)
            return
        if not self._looked or (self._places.missing(self._names()) and now - self._looked >= self._again):
            await self._places.look()
            self._looked = now
        refused = await self._settle(zones)
        said: list[tuple[ObjectId, Said]] = [
            (id_, (problem.reason, problem.message)) for problem in self.planned.problems for id_ in problem.about
        ]
        said += [remark for name in self._wishes for wish in self._granted(name) for remark in wish.remarks]
        await self._telling.warn(collected([*said, *refused]))
        soon = self._places.missing(self._names()) or bool(refused)
        self._work.enqueue_later(_ALL, self._again if soon else self._resync)

    async def _settle(self, zones: Sequence[Zone]) -> list[tuple[ObjectId, Said]]:
        """Plan for the names that have changed, or for all, and carry it out; what is refused."""
        names, self._changed = self._changed, set()
        found = (self._wishes.get(name) for name in names) if names is not None else self._wishes.values()
        wishes = [wish for wish in found if wish]
        try:
            await self._read(self._concerned(wishes, zones))
            arguments = (wishes, zones, self._records, self._options, names)
            # All of them take a while, in which nobody else should have to wait.
            planned = plan(*arguments) if names is not None else await asyncio.to_thread(plan, *arguments)
            self._note(planned, names)
            return [] if self._dry_run or not planned.steps else await self._apply(planned.steps)
        except BaseException:
            self._changed = None
            raise

    def _note(self, planned: RecordPlan, names: set[str] | None) -> None:
        """Replace what was planned for names, or for all."""
        kept = self._steps if names is not None else {}
        self._steps = {place: step for place, step in kept.items() if place[1] not in (names or ())}
        self._steps |= {(step.zone.id, step.name): step for step in planned.steps}
        known = self._problems if names is not None else {}
        self._problems = {name: of for name, of in known.items() if name not in (names or ())}
        if names is None:
            self._kept = {}
        else:
            self._kept = {name: wish for name, wish in self._kept.items() if name not in names}
        self._kept |= {wish.name: wish for wish in planned.kept}
        for problem in planned.problems:
            self._problems.setdefault(problem.name, []).append(problem)

    async def _apply(self, steps: Sequence[Step]) -> list[tuple[ObjectId, Said]]:
        """Carry the steps out; what Route 53 refuses is said of those who ask for it."""
        done: list[Step] = []

        def remember(batch: Sequence[Step]) -> None:
            for step in batch:
                self._records[step.zone.id].take(step)
                self._steps.pop((step.zone.id, step.name), None)
                _log.info("DNS records written", name=step.name, zone=step.zone.name, verb=step.verb)
            done.extend(batch)

        refused = await apply(self._aws, steps, remember)
        for step, error in refused:
            _log.warning("DNS records refused", name=step.name, zone=step.zone.name, verb=step.verb, error=str(error))
        for step in done:
            for wish in self._granted(step.name):
                await self._telling.say(wish.asked_by, ("DnsRecordsWritten", _written(step, wish)))
        if refused:  # somebody else writes there, perhaps
            self._changed = None
            for zone in {step.zone.id for step, _ in refused}:
                self._records.pop(zone, None)
        return [
            (id_, ("DnsRecordsRefused", f"hostname {step.name}: {error}"))
            for step, error in refused
            for wish in self._granted(step.name)
            for id_ in wish.asked_by
        ]

    def _granted(self, name: str) -> list[Wish]:
        """The wish for a name that is to be fulfilled, if there is one."""
        wish = self._wishes.get(name)
        return [self._kept.get(name, wish)] if wish else []

    # --- what there is -----------------------------------------------------------------------------------------------

    async def _known_zones(self) -> list[Zone]:
        if self._zones is None:
            self._zones = in_reach(await read_zones(self._aws), self._options)
        return self._zones

    def _concerned(self, wishes: Iterable[Wish], zones: Sequence[Zone]) -> set[str]:
        """Zones whose records matter."""
        if self._options.policy == "sync":
            return {zone.id for zone in zones}
        every = (each for wish in wishes for each in (wish, *wish.others))
        return {zone.id for wish in every for zone in zones_of(wish.name, wish.visibility, zones)}

    async def _read(self, zones: set[str]) -> None:
        slots = asyncio.Semaphore(_READ_AT_ONCE)

        async def read(zone: str) -> None:
            async with slots:
                found = await read_records(self._aws, zone)
            self._records[zone] = ZoneRecords(found)

        await asyncio.gather(*(read(zone) for zone in sorted(zones - self._records.keys())))

    def _names(self) -> list[str]:
        """DNS names of load balancers that Gateways are at."""
        return [
            address.value
            for addresses in self._inputs.addresses.values()
            for address in addresses.values
            if address.type == "Hostname"
        ]

    def _askers(self) -> set[ObjectId]:
        return {id_ for wish in self._wishes.values() for id_ in wish.asked_by}


def _written(step: Step, wish: Wish) -> str:
    lead = [
        f"{record.type} {record.alias.dns_name}" if record.alias else f"{record.type} {', '.join(record.values)}"
        for record in wish.records
    ]
    return f"{wish.name} leads to {'; '.join(lead)} (hosted zone {step.zone.name}, {step.zone.id})"
