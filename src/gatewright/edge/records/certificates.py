"""Requests certificates of ACM for listeners, for as long as it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime

import structlog

from gatewright.aws import Aws, AwsError
from gatewright.aws.errors import InUse
from gatewright.aws.records.certificates import (
    CertificatePlan,
    OwnCertificate,
    RequestedCertificates,
    WantedCertificate,
    by_domain,
    plan_certificates,
    validation_wishes,
    wanted_certificates,
)
from gatewright.aws.records.names import plain
from gatewright.cluster import Client, ClusterError, Reconciler
from gatewright.edge.records.dns import DnsRecords
from gatewright.edge.records.telling import Said, Telling, collected
from gatewright.flow import Collection
from gatewright.resolve import Inputs, Resolution
from gatewright.resolve.inputs import ObjectId

_log = structlog.get_logger(__name__)

_ALL = "certificates"
_AGAIN = 60.0  # seconds until what AWS refuses is tried again


class CertificateRequests:
    """Gives listeners whose objects are annotated so certificates of ACM, while it runs (`async with`).

    Validation records are written by `dns`, which has to run, too. ACM is asked every `poll` seconds while a
    certificate is pending, every `resync` seconds otherwise. `issued` is called when there are others than before. What
    is tagged as `cluster`'s requests, and nobody asks for, is deleted once no load balancer uses it; nothing else ever
    is. `also` are asked for by others than listeners. `inputs` hold the cluster's objects already when it starts, and
    somebody keeps them so.
    """

    def __init__(
        self,
        client: Client,
        aws: Aws,
        inputs: Inputs,
        resolutions: Iterable[Resolution],
        dns: DnsRecords,
        *,
        cluster: str,
        also: Collection[tuple[str, ObjectId], WantedCertificate] | None = None,
        issued: Callable[[], None] = lambda: None,
        poll: float = 10.0,
        resync: float = 600.0,
        again: float = _AGAIN,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._dns = dns
        self._issued = issued
        self._poll = poll
        self._resync = resync
        self._again = again
        self._now = now
        self._acm = RequestedCertificates(aws, cluster)
        self._telling = Telling(client, inputs, "certificates")
        listeners = wanted_certificates(inputs, resolutions)
        self._wanted = inputs.flow.merge("wanted certificates", listeners, also) if also else listeners
        self._kept: tuple[OwnCertificate, ...] = ()
        self._issued_arns: frozenset[str] | None = None
        self._work: Reconciler[str] = Reconciler(
            "certificate requests", self._reconcile, settle=0.1, longest=1.0, transient=(ClusterError, AwsError)
        )
        self._running = False
        self._wanted.subscribe(self._enqueue)

    async def __aenter__(self) -> CertificateRequests:
        await self._work.__aenter__()
        self._running = True
        self._enqueue()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._running = False
        await self._work.__aexit__()

    async def idle(self) -> None:
        """Return when nothing is left to do for now; what is pending is looked at again later."""
        await self._work.idle()

    def pending(self) -> list[str]:
        """Certificates that will be issued before long, in words: their validation records can be written."""
        told = {problem.name for problem in self._dns.planned.problems}
        return [
            f"certificate for {each.domain}: ACM looks for its validation record"
            for each in self._kept
            if each.status == "PENDING_VALIDATION" and not {plain(name) for name, _ in each.records} & told
        ]

    def _enqueue(self, _: object = None) -> None:
        if self._running:
            self._work.enqueue(_ALL)

    async def _reconcile(self, _: str) -> None:
        wanted = by_domain(self._wanted.values())
        said = [
            (id_, ("CertificateNotRequested", each.problem))
            for each in self._wanted.values()
            if each.problem
            for id_ in each.asked_by
        ]
        try:
            todo = plan_certificates(wanted, await self._acm.read(), self._now())
            for domain in todo.request:
                await self._acm.request(domain)
                await self._telling.say(
                    wanted[domain].asked_by,
                    ("CertificateRequested", f"a certificate for {domain} is requested of ACM, to be validated by DNS"),
                )
            if todo.request:
                todo = plan_certificates(wanted, await self._acm.read(), self._now())
            left = await self._delete(todo)
        except AwsError as error:
            if error.retryable:
                raise
            _log.warning("certificates can't be requested", error=str(error))
            said += [
                (id_, ("CertificateRequestFailed", str(error))) for each in wanted.values() for id_ in each.asked_by
            ]
            await self._telling.warn(collected(said))
            self._work.enqueue_later(_ALL, self._again)
            return
        self._kept = todo.keep
        own = [*todo.keep, *left]
        self._dns.validations.replace(validation_wishes(own, wanted))
        self._dns.knows_validations()
        said += await self._tell(todo, wanted)
        await self._telling.warn(collected(said))
        waiting = any(each.status == "PENDING_VALIDATION" or not each.records for each in todo.keep)
        soon = waiting or bool(todo.request)
        self._work.enqueue_later(_ALL, self._poll if soon else self._again if left else self._resync)

    async def _delete(self, todo: CertificatePlan) -> list[OwnCertificate]:
        """Delete what nobody asks for; those that are in use still."""
        left = []
        for each in todo.delete:
            try:
                await self._acm.delete(each)
            except InUse:
                left.append(each)
            else:
                _log.info("certificate deleted", domain=each.domain, arn=each.arn)
        return left

    async def _tell(
        self, todo: CertificatePlan, wanted: Mapping[str, WantedCertificate]
    ) -> list[tuple[ObjectId, Said]]:
        """Tell what has been issued; what has failed is returned."""
        issued = frozenset(each.arn for each in todo.keep if each.status == "ISSUED")
        before, self._issued_arns = self._issued_arns or frozenset(), issued
        for each in todo.keep:
            if each.arn in issued - before:
                text = f"ACM has issued the certificate for {each.domain}: {each.arn}"
                await self._telling.say(wanted[each.domain].asked_by, ("CertificateIssued", text))
        if issued != before:
            self._issued()
        bad = [each for each in todo.keep if each.status not in ("ISSUED", "PENDING_VALIDATION")]
        return [(id_, ("CertificateFailed", _failed(each))) for each in bad for id_ in wanted[each.domain].asked_by]


def _failed(certificate: OwnCertificate) -> str:
    reasons = {
        "VALIDATION_TIMED_OUT": "its validation record was not found within 72 hours; is the hosted zone the one that "
        "the domain is delegated to?",
        "FAILED": f"ACM says {certificate.failure or 'no reason'}",
    }
    why = reasons.get(certificate.status, f"it is {certificate.status}")
    return f"the certificate for {certificate.domain} was not issued: {why}; another one is requested after an hour"
