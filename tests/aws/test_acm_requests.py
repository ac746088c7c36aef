"""Certificates that are requested of the emulated ACM: pending until their records are there, then issued for real."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from botocore.exceptions import ClientError
from cryptography import x509

from gatewright.local.aws.emulation import EmulatedAws
from gatewright.local.certificates import Authority, names_of


async def request(aws: EmulatedAws, name: str = "shop.example.com", **options: Any) -> str:
    given = {"ValidationMethod": "DNS", **options}
    return str((await aws.call("acm", "request_certificate", DomainName=name, **given))["CertificateArn"])


async def described(aws: EmulatedAws, arn: str) -> dict[str, Any]:
    found: dict[str, Any] = (await aws.call("acm", "describe_certificate", CertificateArn=arn))["Certificate"]
    return found


async def records(aws: EmulatedAws, arn: str) -> list[dict[str, str]]:
    """The records that validate it; they come a while after the request."""
    async with asyncio.timeout(60):
        while True:
            options = (await described(aws, arn))["DomainValidationOptions"]
            if all("ResourceRecord" in option for option in options):
                return [option["ResourceRecord"] for option in options]
            await asyncio.sleep(0.01)


async def zone(aws: EmulatedAws, name: str = "example.com", **options: Any) -> str:
    made = await aws.call("route53", "create_hosted_zone", Name=name, CallerReference=name, **options)
    return str(made["HostedZone"]["Id"])


async def validate(aws: EmulatedAws, zone_id: str, wanted: list[dict[str, str]], value: str = "") -> None:
    changes = [
        {
            "Action": "UPSERT",
            "ResourceRecordSet": {
                "Name": each["Name"],
                "Type": "CNAME",
                "TTL": 60,
                "ResourceRecords": [{"Value": value or each["Value"]}],
            },
        }
        for each in {each["Name"]: each for each in wanted}.values()
    ]
    await aws.call("route53", "change_resource_record_sets", HostedZoneId=zone_id, ChangeBatch={"Changes": changes})


async def issued(aws: EmulatedAws, arn: str) -> bytes:
    """The chain that load balancers serve, once it is issued; nobody has to ask."""
    done = asyncio.Event()
    aws.state.certificates.subscribe(lambda _: done.set())
    if arn not in aws.state.certificates:
        await asyncio.wait_for(done.wait(), 60)
    return aws.state.certificates[arn].chain


async def test_the_records_make_it_a_certificate_that_the_authority_signed(aws: EmulatedAws) -> None:
    authority = Authority.create()
    aws.sign_with(authority)
    arn = await request(aws, SubjectAlternativeNames=["*.shop.example.com", "api.example.com"])
    pending = await described(aws, arn)
    assert (pending["Status"], pending["Type"]) == ("PENDING_VALIDATION", "AMAZON_ISSUED")
    assert "NotAfter" not in pending
    wanted = await records(aws, arn)
    assert wanted[0] == wanted[1], "a wildcard is validated by the record of its parent"
    await validate(aws, await zone(aws), wanted)
    chain = await issued(aws, arn)
    assert authority.issued(chain)
    assert names_of(chain) == {"shop.example.com", "*.shop.example.com", "api.example.com"}
    found = await described(aws, arn)
    assert (found["Status"], found["KeyAlgorithm"]) == ("ISSUED", "RSA_2048")
    assert {option["ValidationStatus"] for option in found["DomainValidationOptions"]} == {"SUCCESS"}


async def test_no_other_record_will_do(aws: EmulatedAws) -> None:
    arn = await request(aws)
    wanted = await records(aws, arn)
    vpc = {"VPCRegion": "us-east-1", "VPCId": aws.seeded.vpc}
    private = await zone(aws, "example.com", VPC=vpc, HostedZoneConfig={"PrivateZone": True})
    await validate(aws, private, wanted)
    made = await zone(aws, "shop.example.com")
    await validate(aws, made, wanted, "_elsewhere.acm-validations.aws.")
    await asyncio.sleep(0.2)
    assert (await described(aws, arn))["Status"] == "PENDING_VALIDATION"
    await validate(aws, made, wanted)
    assert await issued(aws, arn)


async def test_one_that_is_validated_already_needs_nothing_more(aws: EmulatedAws) -> None:
    first = await request(aws)
    await validate(aws, await zone(aws), await records(aws, first))
    await issued(aws, first)
    second = await request(aws)
    assert second != first
    assert await issued(aws, second)


async def test_the_same_token_is_the_same_request(aws: EmulatedAws) -> None:
    tags = [{"Key": "a", "Value": "b"}]
    first = await request(aws, IdempotencyToken="once", Tags=tags)
    assert await request(aws, IdempotencyToken="once", Tags=tags) == first
    assert await request(aws, "other.example.com", IdempotencyToken="once") != first
    await aws.call("acm", "delete_certificate", CertificateArn=first)
    assert await request(aws, IdempotencyToken="once") != first


async def test_lists_show_keys_of_the_usual_type_unless_asked(aws: EmulatedAws) -> None:
    usual = await request(aws)
    elliptic = await request(aws, KeyAlgorithm="EC_prime256v1")

    async def listed(**options: Any) -> set[str]:
        answer = await aws.call("acm", "list_certificates", **options)
        return {raw["CertificateArn"] for raw in answer["CertificateSummaryList"]}

    assert await listed() == {usual}
    assert await listed(Includes={"keyTypes": ["RSA_2048", "EC_prime256v1"]}) == {usual, elliptic}


async def test_names_that_nobody_can_prove(aws: EmulatedAws) -> None:
    for name in ("localhost", "a b.example.com"):
        with pytest.raises(ClientError, match="ValidationException"):
            await request(aws, name)


def test_an_authority_goes_through_its_pem() -> None:
    authority = Authority.create()
    again = Authority.of(authority.pem, authority.private_key)
    assert authority.issued(again.issue(["a.example.com"]).chain)
    assert x509.load_pem_x509_certificate(again.pem) == x509.load_pem_x509_certificate(authority.pem)
