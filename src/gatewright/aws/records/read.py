"""What Route 53 holds: zones and records, read with as few calls as there are pages (100 zones, 300 records a page).

All raise `AwsError`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gatewright.aws.client import Aws
from gatewright.aws.records.names import plain
from gatewright.aws.records.records import AliasTarget, Record, Zone

_PREFIX = "/hostedzone/"


async def read_zones(aws: Aws) -> list[Zone]:
    """All hosted zones of the account. route53:ListHostedZones."""
    found: list[Zone] = []
    marker: dict[str, str] = {}
    while True:
        answer = await aws.call("route53", "list_hosted_zones", **marker)
        for raw in answer.get("HostedZones") or ():
            private = bool((raw.get("Config") or {}).get("PrivateZone"))
            found.append(Zone(raw["Id"].removeprefix(_PREFIX), plain(raw["Name"]), private))
        if not answer.get("IsTruncated"):
            return found
        marker = {"Marker": answer["NextMarker"]}


async def read_records(aws: Aws, zone: str) -> list[Record]:
    """All records of a zone, by its ID. route53:ListResourceRecordSets."""
    found: list[Record] = []
    start: dict[str, str] = {}
    while True:
        answer = await aws.call("route53", "list_resource_record_sets", HostedZoneId=zone, **start)
        found += map(read_record, answer.get("ResourceRecordSets") or ())
        if not answer.get("IsTruncated"):
            return found
        start = {
            f"Start{name}": answer[f"Next{name}"]
            for name in ("RecordName", "RecordType", "RecordIdentifier")
            if answer.get(f"Next{name}")
        }


def read_record(raw: Mapping[str, Any]) -> Record:
    """A ResourceRecordSet of the Route 53 API."""
    alias = raw.get("AliasTarget")
    return Record(
        name=plain(raw["Name"]),
        type=raw["Type"],
        values=tuple(each["Value"] for each in raw.get("ResourceRecords") or ()),
        ttl=raw.get("TTL"),
        alias=AliasTarget(plain(alias["DNSName"]), alias["HostedZoneId"], bool(alias.get("EvaluateTargetHealth")))
        if alias
        else None,
        set_identifier=raw.get("SetIdentifier") or "",
    )
