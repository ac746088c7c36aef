"""The hosted zones of an edge description."""

from __future__ import annotations

import uuid
from typing import Any

from gatewright.aws.client import Aws
from gatewright.aws.errors import NotFound
from gatewright.local.front.description import HostedZone

_MOST_CHANGES = 500
_OWN = ("NS", "SOA")


class HostedZones:
    """Makes and deletes zones; a private one belongs to a VPC. All methods raise `AwsError`."""

    def __init__(self, aws: Aws, region: str) -> None:
        self._aws = aws
        self._region = region

    async def create(self, zone: HostedZone, vpc: str) -> str:
        """Make one; its ID."""
        private: dict[str, Any] = {
            "VPC": {"VPCRegion": self._region, "VPCId": vpc},
            "HostedZoneConfig": {"PrivateZone": True},
        }
        answer = await self._aws.call(
            "route53",
            "create_hosted_zone",
            Name=zone.name,
            CallerReference=str(uuid.uuid4()),
            **(private if zone.private else {}),
        )
        return str(answer["HostedZone"]["Id"])

    async def delete(self, zone_id: str) -> None:
        """Delete one with all that anybody has written into it."""
        try:
            while records := await self._records(zone_id):
                changes = [{"Action": "DELETE", "ResourceRecordSet": record} for record in records]
                await self._aws.call(
                    "route53", "change_resource_record_sets", HostedZoneId=zone_id, ChangeBatch={"Changes": changes}
                )
            await self._aws.call("route53", "delete_hosted_zone", Id=zone_id)
        except NotFound:
            return

    async def _records(self, zone_id: str) -> list[Any]:
        answer = await self._aws.call("route53", "list_resource_record_sets", HostedZoneId=zone_id)
        return [raw for raw in answer["ResourceRecordSets"] if raw["Type"] not in _OWN][:_MOST_CHANGES]
