"""What is kept of each request of an ALB: its entry in the access log, and what its web ACL made of it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import structlog
from envoy.config.accesslog.v3.accesslog_pb2 import AccessLog

from gatewright.flow import Change, Context
from gatewright.local.aws.accesslogs import access_log, static_cluster
from gatewright.local.aws.accesslogs.collector import Collector
from gatewright.local.aws.accesslogs.delivery import Delivery, Put, destination
from gatewright.local.aws.accesslogs.entries import Place, address_of, entry, outcome, started
from gatewright.local.aws.accesslogs.records import flush_interval, record_of
from gatewright.local.aws.state import CloudState, Listener, LoadBalancer, Node, WebAclDocument
from gatewright.local.aws.waf import Unsupported, unsupported
from gatewright.local.aws.waf.journal import Journal, Sample

_log = structlog.get_logger(__name__)

_SAMPLED_HEADERS = (("Host", "host"), ("User-Agent", "user_agent"), ("Content-Type", "content_type"))


class RequestLogs:
    """Keeps the access logs of a state's ALBs, and the journal of its web ACLs; an async context manager.

        async with RequestLogs(state, directory / "logs.sock", put=buckets.put, journal=journal) as logs:
            alb.translate(state, targets, logs_of=logs.of)

    `logs.cluster` has to be among the static clusters of Envoy's bootstrap. `put` stores an object in S3. Leave the
    context when Envoy has ended, after `flushed()`: what it has told until then is delivered.
    """

    def __init__(
        self, state: CloudState, socket: Path, *, put: Put, journal: Journal | None = None, pace: float = 1.0
    ) -> None:
        flow = state.flow
        self.journal = journal or Journal()
        self.delivery = Delivery(put, pace=pace)
        self.cluster = static_cluster(str(socket))
        self._state = state
        self._pace = pace
        self._collector = Collector(socket, self._take)
        self._seed = secrets.token_bytes(16)
        self._destinations = flow.derive(
            "destinations of access logs", state.load_balancers, lambda _, __, balancer: destination(balancer)
        )
        self._unsupported = flow.derive("what web ACLs can't do here", state.web_acls, _unsupported)
        self._known = flow.derive_many("sockets by address", state.sockets, lambda _, key, bound: {bound: key})
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> RequestLogs:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.delivery)
            await stack.enter_async_context(self._collector)
            self._stack = stack.pop_all()
        for arn, found in list(self._unsupported.items()):
            self._tell(arn, found)
        self._unsupported.subscribe(self._told)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    def of(self, ctx: Context, balancer: LoadBalancer, listener: Listener, node: Node) -> tuple[AccessLog, ...]:
        """The access logs of a listener at a node."""
        is_kept = ctx.get(self._destinations, balancer.arn) or ctx.get(self._state.associations, balancer.arn)
        return (access_log(listener, node, self._pace),) if is_kept else ()

    async def flushed(self) -> None:
        """Wait until Envoy has told of all requests that have ended by now; it has to run still."""
        if any(self.is_kept(arn) for arn in self._state.load_balancers):
            await asyncio.sleep(flush_interval(self._pace) * 1.5)

    def is_kept(self, balancer: str) -> bool:
        """Whether anything is kept of the requests of an ALB."""
        return balancer in self._destinations or balancer in self._state.associations

    def _told(self, changes: list[Change[str, tuple[Unsupported, ...]]]) -> None:
        for change in changes:
            if change.new is None:
                self.journal.forget(change.key)
            else:
                self._tell(change.key, change.new)

    def _tell(self, acl: str, found: Sequence[Unsupported]) -> None:
        self.journal.tell(acl, found)
        for each in found:
            _log.warning(
                "a rule of a web ACL can't be emulated; requests pass it",
                web_acl=acl,
                rule=each.rule,
                statement=each.statement,
                why=each.why,
            )

    def _take(self, tag: str, text: str) -> None:
        """A record of Envoy's."""
        arn, _, node = tag.partition(" ")
        listener = self._state.listeners.get(arn)
        balancer = self._state.load_balancers.get(listener.load_balancer) if listener else None
        if listener is None or balancer is None:
            return  # both are gone, and so is whoever wanted to know
        try:
            record = record_of(text)
        except ValueError:
            _log.warning(
                "a request can't be logged", listener=arn
            )  # its text may hold what is a secret of the client's
            return
        where = self._destinations.get(balancer.arn)
        if where:
            found = [self._state.certificates.get(each) for each in listener.certificates]
            certificates = [each for each in found if each]
            place = Place(balancer.id, listener, node, certificates, self._known.get, self._seed)
            self.delivery.add(balancer.id, node, where, entry(record, place))
        acl = self._state.associations.get(balancer.arn)
        evaluated = outcome(record)
        if acl and evaluated:
            self.journal.take(acl, evaluated, _sample(record))


def _unsupported(_: Context, __: str, document: WebAclDocument) -> tuple[Unsupported, ...]:
    return unsupported(document)


def _sample(record: Mapping[str, str]) -> Sample:
    headers = tuple((name, record[part]) for name, part in _SAMPLED_HEADERS if record[part] != "-")
    return Sample(
        at=started(record),
        verdict="ALLOW",
        client=address_of(record["client"]),
        method=record["method"],
        uri=record["path"],
        version=record["protocol"],
        headers=headers,
        labels=(),
        status=int(record["status"]) if record["status"].isdigit() else 0,
    )
