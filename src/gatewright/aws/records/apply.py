"""Carries out steps in Route 53: whole change batches, and no others suffer for one that is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from gatewright.aws.client import Aws
from gatewright.aws.errors import Invalid
from gatewright.aws.records.plan import Change, Step, batches
from gatewright.aws.records.records import Record


async def apply(
    aws: Aws, steps: Iterable[Step], done: Callable[[Sequence[Step]], None] = lambda _: None
) -> list[tuple[Step, Invalid]]:
    """Make the changes, a batch after the other; `done` is called with the steps of each that has been made.

    Returns the steps that Route 53 refuses, which are found by halving a batch that it refuses. Raises `AwsError` for
    everything else; what was done until then stays. route53:ChangeResourceRecordSets.
    """
    refused: list[tuple[Step, Invalid]] = []
    left = batches(steps)
    while left:
        batch = left.pop(0)
        try:
            await aws.call(
                "route53",
                "change_resource_record_sets",
                HostedZoneId=batch[0].zone.id,
                ChangeBatch={"Changes": [raw_change(change) for step in batch for change in step.changes]},
            )
        except Invalid as error:
            if len(batch) == 1:
                refused.append((batch[0], error))
            else:
                half = len(batch) // 2
                left[:0] = [batch[:half], batch[half:]]
        else:
            done(batch)
    return refused


def raw_change(change: Change) -> dict[str, Any]:
    """A Change of the Route 53 API."""
    return {"Action": change.action, "ResourceRecordSet": raw_record(change.record)}


def raw_record(record: Record) -> dict[str, Any]:
    """A ResourceRecordSet of the Route 53 API."""
    raw: dict[str, Any] = {"Name": f"{record.name}.", "Type": record.type}
    if record.set_identifier:
        raw["SetIdentifier"] = record.set_identifier
    if record.alias:
        raw["AliasTarget"] = {
            "DNSName": f"{record.alias.dns_name}.",
            "HostedZoneId": record.alias.hosted_zone,
            "EvaluateTargetHealth": record.alias.evaluate_health,
        }
        return raw
    raw["TTL"] = record.ttl
    raw["ResourceRecords"] = [{"Value": value} for value in record.values]
    return raw
