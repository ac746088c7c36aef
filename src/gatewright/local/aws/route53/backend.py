"""moto's hosted zones, with the order, the paging and the checks of AWS's."""

from __future__ import annotations

from typing import Any

from moto.route53.exceptions import InvalidActionValue, Route53ClientError
from moto.route53.models import FakeZone, RecordSet, Route53Backend

from gatewright.local.aws.route53.changes import carry_out
from gatewright.local.aws.route53.names import position, stored

_PAGE = 300
_ACTIONS = ("CREATE", "UPSERT", "DELETE")


class Route53(Route53Backend):
    """moto's Route 53."""

    def create_hosted_zone(self, name: str, private_zone: bool, *args: Any, **kwargs: Any) -> FakeZone:
        """As moto's; the zone's own records have the form of all others, and the same reference isn't taken twice."""
        reference = kwargs.get("caller_reference")
        if reference and any(zone.caller_reference == reference for zone in self.zones.values()):
            raise Route53ClientError(
                "HostedZoneAlreadyExists",
                "A hosted zone has already been created with the specified caller reference.",
            )
        zone = super().create_hosted_zone(stored(name), private_zone, *args, **kwargs)
        for record in zone.rrsets:
            values = [each["Value"] if isinstance(each, dict) else each for each in record.records]
            record.records = [f"{value.rstrip('.')}." for value in values] if record.type == "NS" else values
            record.ttl = int(record.ttl or 0)
        return zone

    def change_resource_record_sets(self, zoneid: str, change_list: list[dict[str, Any]]) -> None:
        """All changes of a batch, or none."""
        zone = self.get_hosted_zone(zoneid)
        for change in change_list:
            if change.get("Action") not in _ACTIONS:
                raise InvalidActionValue(str(change.get("Action")))
        carry_out(zone, change_list)

    def page(
        self, zone_id: str, name: str, type_: str, identifier: str, most: int
    ) -> tuple[list[RecordSet], RecordSet | None]:
        """Records from a place on, in order, and the one that the next page begins with."""
        ordered = sorted(self.get_hosted_zone(zone_id).rrsets, key=_order)
        if name:
            start = (position(name), type_, identifier)
            ordered = [record for record in ordered if _order(record) >= start]
        most = max(1, min(most, _PAGE))
        return ordered[:most], ordered[most] if len(ordered) > most else None

    def zones_from(self, name: str, zone_id: str, most: int) -> tuple[list[FakeZone], FakeZone | None]:
        """Zones by name from one on, and the one that the next page begins with (ListHostedZonesByName)."""
        ordered = sorted(self.zones.values(), key=lambda zone: (position(zone.name), zone.resource_id))
        if name:
            start = (position(name), zone_id.removeprefix("/hostedzone/"))
            ordered = [zone for zone in ordered if (position(zone.name), zone.resource_id) >= start]
        return ordered[:most], ordered[most] if len(ordered) > most else None


def _order(record: Any) -> tuple[tuple[str, ...], str, str]:
    return position(record.name), record.type, record.set_identifier or ""
