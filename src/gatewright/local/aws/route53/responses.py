"""Operations that moto answers otherwise than AWS: pages of records and of zones by name."""

from __future__ import annotations

from moto.core.responses import ActionResult
from moto.core.utils import utcnow
from moto.moto_api._internal import mock_random
from moto.route53.exceptions import InvalidInput
from moto.route53.responses import Route53 as MotoResponses

from gatewright.local.aws.route53.backend import Route53

_ZONES = 100


class Responses(MotoResponses):
    """moto's answers, with ours in their place."""

    @property
    def backend(self) -> Route53:
        """Ours."""
        found = super().backend
        assert isinstance(found, Route53)
        return found

    def change_resource_record_sets(self) -> ActionResult:
        """ChangeResourceRecordSets; the change is made at once."""
        changes = self._get_param("ChangeBatch.Changes") or []
        self.backend.change_resource_record_sets(self._get_param("HostedZoneId"), changes)
        change = f"/change/C{mock_random.get_random_hex(20).upper()}"
        return ActionResult({"ChangeInfo": {"Id": change, "Status": "INSYNC", "SubmittedAt": utcnow()}})

    def list_resource_record_sets(self) -> ActionResult:
        """ListResourceRecordSets."""
        name, type_, identifier = (
            self._get_param(f"StartRecord{each}") or "" for each in ("Name", "Type", "Identifier")
        )
        if (type_ and not name) or (identifier and not type_):
            raise InvalidInput("The input is not valid")
        most = self._get_int_param("MaxItems", 300)
        found, after = self.backend.page(self._get_param("HostedZoneId"), name, type_, identifier, most)
        return ActionResult(
            {
                "ResourceRecordSets": found,
                "IsTruncated": after is not None,
                "NextRecordName": after.name if after else None,
                "NextRecordType": after.type if after else None,
                "NextRecordIdentifier": after.set_identifier if after else None,
                "MaxItems": str(most),
            }
        )

    def list_hosted_zones_by_name(self) -> ActionResult:
        """ListHostedZonesByName: all zones from a name on."""
        name, zone_id = self._get_param("DNSName") or "", self._get_param("HostedZoneId") or ""
        if zone_id and not name:
            raise InvalidInput("The input is not valid")
        most = self._get_int_param("MaxItems", _ZONES)
        found, after = self.backend.zones_from(name, zone_id, most)
        return ActionResult(
            {
                "HostedZones": found,
                "DNSName": name or None,
                "HostedZoneId": zone_id or None,
                "IsTruncated": after is not None,
                "NextDNSName": after.name if after else None,
                "NextHostedZoneId": after.resource_id if after else None,
                "MaxItems": str(most),
            }
        )
