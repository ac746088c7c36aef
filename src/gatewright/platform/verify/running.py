"""Carries out inspections at once, each within its time, and puts what they found in an order that stays the same."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Final

import structlog

from gatewright.aws.errors import AccessDenied, AwsError, NotConfigured
from gatewright.cluster import ApiError, ClusterError
from gatewright.model.meta import timestamp
from gatewright.platform.report import Check, Report
from gatewright.platform.verify.advice import advise
from gatewright.platform.verify.findings import CannotLookError, failed, passed, skipped
from gatewright.platform.verify.inspections import INSPECTIONS, Inspection
from gatewright.platform.verify.surroundings import Surroundings
from gatewright.platform.verify.view import View

_log = structlog.get_logger(__name__)

_AT_ONCE: Final = 8
"""How many inspections run at the same time; each of them asks several things at once, too."""

_REACH: Final = {"cluster": "the cluster's API answers", "aws": "AWS answers with these credentials"}


async def verify(surroundings: Surroundings, *, only: Collection[str] = (), timeout: float = 60.0) -> Report:  # noqa: ASYNC109
    """Look at the platform, changing nothing. Never raises for what is wrong with it: that is what the report says.

    `only` are the ids of the checks to make (`IDS`), all where it is empty; `timeout` is for each inspection, in
    seconds.
    """
    view = View(surroundings)
    slots = asyncio.Semaphore(_AT_ONCE)
    wanted = [each for each in INSPECTIONS if not only or not each.ids.isdisjoint(only)]
    made = {id_ for each in wanted if not _not_here(each, surroundings) for id_ in each.ids}
    try:
        reach = await asyncio.gather(_cluster(surroundings, timeout), _aws(surroundings, timeout))
        lost = {check.id: check for check in reach if check and check.advice}

        async def inspect(inspection: Inspection) -> list[Check]:
            why = _not_here(inspection, surroundings)
            if why:
                asked = not inspection.ids.isdisjoint({*only} - made)
                return [skipped(_first(inspection), inspection.subject, inspection.expected, why)] if asked else []
            for need in inspection.needs:
                if need in lost:
                    words = f"not looked at, since {lost[need].subject} can't be asked"
                    return [skipped(_first(inspection), inspection.subject, inspection.expected, words)]
            async with slots:
                return await _carry_out(inspection, view, timeout)

        found = await asyncio.gather(*map(inspect, wanted))
    finally:
        await view.close()
    checks = [check for check in reach if check and (not only or check.advice)]
    checks += [check for each in found for check in each if not only or check.id in only]
    return Report(
        target=surroundings.settings.target.value,
        architecture=surroundings.settings.architecture.value,
        at=timestamp(surroundings.clock()),
        checks=tuple(checks),
    )


def _first(inspection: Inspection) -> str:
    return inspection.order[0]


def _not_here(inspection: Inspection, surroundings: Surroundings) -> str:
    """Why it is no inspection of such a platform; empty where it is."""
    settings = surroundings.settings
    if settings.architecture not in inspection.architectures:
        return f"not of a {settings.architecture} platform"
    if settings.target not in inspection.targets:
        return f"not of a platform on {settings.target}"
    return ""


async def _cluster(surroundings: Surroundings, seconds: float) -> Check:
    subject, expected = "the cluster", _REACH["cluster"]
    try:
        async with asyncio.timeout(seconds):
            await surroundings.client.request("GET", "/version")
    except (ClusterError, TimeoutError) as error:
        return failed("cluster", subject, expected, _words(error), advise("reach", "cluster"))
    return passed("cluster", subject, expected, f"{surroundings.client.server} answers")


async def _aws(surroundings: Surroundings, seconds: float) -> Check | None:
    if surroundings.aws is None:
        return None
    subject, expected = "AWS", _REACH["aws"]
    try:
        async with asyncio.timeout(seconds):
            told = await surroundings.aws.call("sts", "get_caller_identity")
    except (AwsError, TimeoutError) as error:
        reason = "credentials" if isinstance(error, NotConfigured) else "aws"
        return failed("aws", subject, expected, _words(error), advise("reach", reason))
    account = str(told.get("Account", ""))
    wanted = surroundings.outputs.account_id if surroundings.outputs else ""
    if wanted and account != wanted:
        text = f"credentials of account {account}, but the platform is in account {wanted}"
        return failed("aws", subject, expected, text, advise("reach", "credentials"))
    return passed("aws", subject, expected, f"{told.get('Arn') or account} answers")


async def _carry_out(inspection: Inspection, view: View, seconds: float) -> list[Check]:
    subject, expected = inspection.subject, inspection.expected
    try:
        async with asyncio.timeout(seconds):
            return await inspection.look(view)
    except CannotLookError as error:
        return [skipped(_first(inspection), subject, expected, str(error))]
    except TimeoutError:
        text = f"not looked at completely within {seconds:g} s"
        return [failed(_first(inspection), subject, expected, text, advise("reach", "slow"))]
    except ApiError as error:
        if error.status in (401, 403):
            return [skipped(_first(inspection), subject, expected, f"not permitted to look: {error}")]
        return [failed(_first(inspection), subject, expected, _words(error), advise("reach", "cluster"))]
    except ClusterError as error:
        return [failed(_first(inspection), subject, expected, _words(error), advise("reach", "cluster"))]
    except AccessDenied as error:
        return [skipped(_first(inspection), subject, expected, f"not permitted to look: {error}")]
    except AwsError as error:
        return [failed(_first(inspection), subject, expected, _words(error), advise("reach", "aws"))]
    except Exception as error:  # noqa: BLE001 a check that breaks must not take the others with it
        _log.error("a check broke", check=_first(inspection), exc_info=error)
        text = f"the check itself broke: {_words(error)}"
        return [failed(_first(inspection), subject, expected, text, advise("reach", "broken"))]


def _words(error: BaseException) -> str:
    name = type(error).__name__
    return f"{name}: {error}" if str(error) else name
