"""What the provider calls for names and their certificate; see `provider_calls`."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.deploy.provider_calls import TAGS, Call, Resource, tagged

_ZONE = {"Id": "$zone"}
_NAME, _WILDCARD = "platform.example.com", "*.platform.example.com"
ZONE = Resource(
    "aws_route53_zone",
    made=[
        Call(
            "route53",
            "create_hosted_zone",
            {"Name": _NAME, "CallerReference": "once", "HostedZoneConfig": {"Comment": "Names of the platform"}},
            keeps={"zone": "HostedZone.Id", "change": "ChangeInfo.Id"},
        ),
        Call("route53", "get_change", {"Id": "$change"}, ["ChangeInfo.Status == 'INSYNC'"]),
        Call(
            "route53",
            "change_tags_for_resource",
            {"ResourceType": "hostedzone", "ResourceId": "$zone", "AddTags": TAGS},
        ),
    ],
    read=[
        Call(
            "route53",
            "get_hosted_zone",
            _ZONE,
            [
                "HostedZone.Config.Comment == 'Names of the platform'",
                "HostedZone.Config.PrivateZone == `false`",
                "length(DelegationSet.NameServers) == `4`",
            ],
        ),
        Call(
            "route53",
            "list_tags_for_resource",
            {"ResourceType": "hostedzone", "ResourceId": "$zone"},
            [tagged("ResourceTagSet.Tags")],
        ),
    ],
    removed=[
        # What others left in it goes first, with `force_destroy`; then it is asked whether it is signed.
        Call(
            "route53",
            "list_resource_record_sets",
            {"HostedZoneId": "$zone"},
            ['sort(ResourceRecordSets[].Type) == `["NS", "SOA"]`'],
        ),
        Call("route53", "get_dnssec", {"HostedZoneId": "$zone"}, ["Status.ServeSignature == 'NOT_SIGNING'"]),
        Call("route53", "delete_hosted_zone", _ZONE),
        Call("route53", "get_hosted_zone", _ZONE, refused="NoSuchHostedZone"),
    ],
)


def record(name: str, records: dict[str, Any], *needs: str) -> Resource:
    """A record of the zone."""
    kind = "CNAME" if "TTL" in records else "A"
    whole = {"Name": name, "Type": kind, **records}
    asked = {"HostedZoneId": "$zone", "StartRecordName": name, "StartRecordType": kind}

    def change(action: str) -> Call:
        batch = {"Comment": "Managed by Terraform", "Changes": [{"Action": action, "ResourceRecordSet": whole}]}
        given = {"HostedZoneId": "$zone", "ChangeBatch": batch}
        return Call("route53", "change_resource_record_sets", given, keeps={"change": "ChangeInfo.Id"})

    waited = Call("route53", "get_change", {"Id": "$change"}, ["ChangeInfo.Status == 'INSYNC'"])
    return Resource(
        "aws_route53_record",
        made=[change("UPSERT"), waited],
        read=[
            Call("route53", "get_hosted_zone", _ZONE),
            Call("route53", "list_resource_record_sets", asked, [f"ResourceRecordSets[0].{need}" for need in needs]),
        ],
        removed=[change("DELETE"), waited],
    )


_CERTIFICATE = {"CertificateArn": "$certificate"}
CERTIFICATE = Resource(
    "aws_acm_certificate",
    made=[
        Call(
            "acm",
            "request_certificate",
            {
                "DomainName": _NAME,
                "SubjectAlternativeNames": [_WILDCARD],
                "ValidationMethod": "DNS",
                "IdempotencyToken": "once",
                "Tags": TAGS,
            },
            keeps={"certificate": "CertificateArn"},
        ),
        # It waits for the records of all names, which take a while.
        Call(
            "acm",
            "describe_certificate",
            _CERTIFICATE,
            ["length(Certificate.DomainValidationOptions[?ResourceRecord]) == `2`"],
            {
                "proof": "Certificate.DomainValidationOptions[0].ResourceRecord.Name",
                "proved": "Certificate.DomainValidationOptions[0].ResourceRecord.Value",
            },
        ),
    ],
    read=[
        Call(
            "acm",
            "describe_certificate",
            _CERTIFICATE,
            [
                f"Certificate.DomainName == '{_NAME}'",
                f"contains(Certificate.SubjectAlternativeNames, '{_WILDCARD}')",
                "Certificate.Options.CertificateTransparencyLoggingPreference == 'ENABLED'",
                "Certificate.Options.Export == 'DISABLED'",
                "Certificate.DomainValidationOptions[0].ValidationMethod == 'DNS'",
            ],
        ),
        Call("acm", "list_tags_for_certificate", _CERTIFICATE, [tagged("Tags")]),
    ],
    removed=[
        Call("acm", "delete_certificate", _CERTIFICATE),
        Call("acm", "describe_certificate", _CERTIFICATE, refused="ResourceNotFoundException"),
    ],
)
PROOF = record("$proof", {"TTL": 300, "ResourceRecords": [{"Value": "$proved"}]}, "TTL == `300`", "Name == '$proof'")
VALIDATION = Resource(
    "aws_acm_certificate_validation",
    made=[Call("acm", "describe_certificate", _CERTIFICATE, ["Certificate.Status == 'ISSUED'"])],
    read=[Call("acm", "describe_certificate", _CERTIFICATE, ["Certificate.IssuedAt"])],
)

ALIAS = record(
    _WILDCARD,
    {
        "AliasTarget": {
            "DNSName": "$balancer_name",
            "HostedZoneId": "$balancer_zone",
            "EvaluateTargetHealth": True,
        }
    },
    "AliasTarget.DNSName == '$balancer_name.'",
    "AliasTarget.EvaluateTargetHealth",
)

ALL: Sequence[Resource] = (ZONE, CERTIFICATE, PROOF, VALIDATION)
