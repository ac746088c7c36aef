"""What Route 53's API takes, refuses and answers, by boto3."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from gatewright.local.aws.emulation import EmulatedAws


async def zone(aws: EmulatedAws, name: str = "example.com") -> str:
    made = await aws.call("route53", "create_hosted_zone", Name=name, CallerReference=name)
    return str(made["HostedZone"]["Id"])


async def change(aws: EmulatedAws, zone: str, *changes: dict[str, Any]) -> Any:
    batch = {"Changes": list(changes)}
    return await aws.call("route53", "change_resource_record_sets", HostedZoneId=zone, ChangeBatch=batch)


async def refusal(aws: EmulatedAws, zone: str, *changes: dict[str, Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        await change(aws, zone, *changes)
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def record(action: str, name: str, type_: str = "A", value: str = "192.0.2.1", **more: Any) -> dict[str, Any]:
    values = [{"Value": value}]
    return {
        "Action": action,
        "ResourceRecordSet": {"Name": name, "Type": type_, "TTL": 60, "ResourceRecords": values} | more,
    }


def alias(action: str, name: str, target: str, zone: str) -> dict[str, Any]:
    at = {"DNSName": target, "HostedZoneId": zone, "EvaluateTargetHealth": True}
    return {"Action": action, "ResourceRecordSet": {"Name": name, "Type": "A", "AliasTarget": at}}


async def listed(aws: EmulatedAws, zone: str, **options: Any) -> list[str]:
    answer = await aws.call("route53", "list_resource_record_sets", HostedZoneId=zone, **options)
    return [f"{raw['Type']} {raw['Name']}" for raw in answer["ResourceRecordSets"]]


async def test_names_are_stored_escaped_in_lower_case_and_listed_by_their_last_labels(aws: EmulatedAws) -> None:
    made = await zone(aws)
    await change(aws, made, record("CREATE", "*.Shop.example.com"), record("CREATE", "z.example.com."))
    assert await listed(aws, made) == [
        "NS example.com.",
        "SOA example.com.",
        "A \\052.shop.example.com.",
        "A z.example.com.",
    ]


async def test_a_batch_is_made_as_a_whole_or_not_at_all(aws: EmulatedAws) -> None:
    made = await zone(aws)
    await change(aws, made, record("CREATE", "a.example.com"))
    code, message = await refusal(aws, made, record("CREATE", "b.example.com"), record("CREATE", "a.example.com"))
    assert (code, message) == (
        "InvalidChangeBatch",
        "[Tried to create resource record set [name='a.example.com.', type='A'] but it already exists]",
    )
    assert "A b.example.com." not in await listed(aws, made)


async def test_what_is_deleted_has_to_be_named_exactly(aws: EmulatedAws) -> None:
    made = await zone(aws)
    await change(aws, made, record("CREATE", "a.example.com"))
    other = record("DELETE", "a.example.com", value="192.0.2.2")
    assert "do not match the current values" in (await refusal(aws, made, other))[1]
    assert "but it was not found" in (await refusal(aws, made, record("DELETE", "b.example.com")))[1]
    await change(
        aws, made, record("DELETE", "a.example.com"), record("CREATE", "a.example.com", "CNAME", "x.example.net")
    )
    assert "CNAME a.example.com." in await listed(aws, made)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (
            [record("CREATE", "a.example.org")],
            "RRSet with DNS name a.example.org. is not permitted in zone example.com.",
        ),
        ([record("CREATE", "example.com", "CNAME", "x.net")], "is not permitted at apex in zone example.com."),
        (
            [record("CREATE", "a.example.com"), record("CREATE", "a.example.com", "CNAME", "x.net")],
            "is not permitted as it conflicts with other records with the same DNS name in zone example.com.",
        ),
        (
            [record("CREATE", "a.example.com", value="x")],
            "ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address)",
        ),
        ([record("CREATE", "a.example.com", "TXT", "x")], "Value should be enclosed in quotation marks"),
        (
            [record("CREATE", "a.example.com"), record("CREATE", "a.example.com")],
            "invalid set of changes for a resource record set 'A a.example.com.'",
        ),
        (
            [record("UPSERT", f"n{number}.example.com") for number in range(501)],
            "Number of records limit of 1000 exceeded.",
        ),
        (
            [record("CREATE", f"n{number}.example.com", "TXT", f'"{"x" * 250}"') for number in range(130)],
            "Number of characters limit of 32000 exceeded.",
        ),
    ],
    ids=["outside", "apex", "beside-others", "address", "text", "twice", "records", "characters"],
)
async def test_what_no_zone_may_hold(aws: EmulatedAws, changes: list[dict[str, Any]], expected: str) -> None:
    made = await zone(aws)
    code, message = await refusal(aws, made, *changes)
    assert code == "InvalidChangeBatch"
    assert expected in message


async def test_weighted_records_are_several_and_can_have_no_simple_one_beside_them(aws: EmulatedAws) -> None:
    made = await zone(aws)
    for name in ("blue", "green"):
        await change(aws, made, record("CREATE", "a.example.com", SetIdentifier=name, Weight=1))
    assert "cannot be created as other RRSets exist" in (await refusal(aws, made, record("CREATE", "a.example.com")))[1]
    await change(aws, made, record("DELETE", "a.example.com", SetIdentifier="blue", Weight=1))
    answer = await aws.call("route53", "list_resource_record_sets", HostedZoneId=made, StartRecordName="a.example.com")
    assert [(raw["SetIdentifier"], raw["Weight"]) for raw in answer["ResourceRecordSets"]] == [("green", 1)]


async def test_an_alias_leads_to_a_load_balancer_that_is_there(aws: EmulatedAws) -> None:
    made = await zone(aws)
    answer = await aws.call("elbv2", "create_load_balancer", Name="edge", Subnets=aws.seeded.public)
    balancer = answer["LoadBalancers"][0]
    await change(aws, made, alias("CREATE", "a.example.com", balancer["DNSName"], balancer["CanonicalHostedZoneId"]))
    dualstack = f"dualstack.{balancer['DNSName']}."
    await change(aws, made, alias("CREATE", "b.example.com", dualstack, balancer["CanonicalHostedZoneId"]))
    wrong = alias("CREATE", "c.example.com", balancer["DNSName"], "Z0000000000000")
    assert "does not lie within the target zone" in (await refusal(aws, made, wrong))[1]
    gone = alias("CREATE", "c.example.com", "x-1.us-east-1.elb.amazonaws.com", balancer["CanonicalHostedZoneId"])
    assert "but that target was not found" in (await refusal(aws, made, gone))[1]


async def test_records_and_zones_come_in_pages(aws: EmulatedAws) -> None:
    made = await zone(aws)
    await change(aws, made, *(record("CREATE", f"n{number:03}.example.com") for number in range(400)))
    first = await aws.call("route53", "list_resource_record_sets", HostedZoneId=made, MaxItems="500")
    assert (len(first["ResourceRecordSets"]), first["IsTruncated"]) == (300, True)
    start = {"StartRecordName": first["NextRecordName"], "StartRecordType": first["NextRecordType"]}
    second = await aws.call("route53", "list_resource_record_sets", HostedZoneId=made, **start)
    assert (len(second["ResourceRecordSets"]), second["IsTruncated"]) == (102, False)
    for name in ("b.org", "a.org"):
        await zone(aws, name)
    by_name = await aws.call("route53", "list_hosted_zones_by_name", DNSName="a.org", MaxItems="1")
    assert [found["Name"] for found in by_name["HostedZones"]] == ["a.org."]
    assert by_name["NextDNSName"] == "b.org."


async def test_a_zone_with_records_stays(aws: EmulatedAws) -> None:
    made = await zone(aws)
    await change(aws, made, record("CREATE", "a.example.com"))
    with pytest.raises(ClientError, match="HostedZoneNotEmpty"):
        await aws.call("route53", "delete_hosted_zone", Id=made)
    await change(aws, made, record("DELETE", "a.example.com"))
    await aws.call("route53", "delete_hosted_zone", Id=made)
    assert not aws.state.hosted_zones
