"""The calls of AWS that Terraform's provider makes, from 6.25 on, for what `deploy/aws/terraform` has.

Taken from the provider's source (`internal/service`), as far as that was to be had, in our own words: what it sends to
make a resource, what it reads until it takes it for made and at every plan, how it removes it, and when it believes
that it is gone. `needs` says what an answer must have, for the provider neither to fail nor to wait for ever nor to
find a difference at the next plan.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Call(NamedTuple):
    """One call. `$name` in its parameters is what an earlier call kept by that name, of JMESPath in its answer."""

    service: str
    operation: str
    given: Mapping[str, Any] = {}
    needs: Sequence[str] = ()
    """JMESPath, each of which has to be true."""
    keeps: Mapping[str, str] = {}
    refused: str = ""
    """The code of the refusal that is expected instead of an answer."""


class Resource(NamedTuple):
    """A type of resource, in the order of Terraform: it is made, read once more for each plan, and removed."""

    type: str
    made: Sequence[Call] = ()
    read: Sequence[Call] = ()
    removed: Sequence[Call] = ()


TAGS = [{"Key": "Name", "Value": "platform"}, {"Key": "gatewright.dev/platform", "Value": "platform"}]
TAG_MAP = {each["Key"]: each["Value"] for each in TAGS}
ACCOUNT = "123456789012"
BUCKET = f"platform-{ACCOUNT}-us-east-1-access-logs"
ANYWHERE = "0.0.0.0/0"


def tagged(path: str) -> str:
    """That the tags there are those that were given."""
    return f"sort_by({path}, &Key) == `{json.dumps(sorted(TAGS, key=lambda tag: tag['Key']))}`"


def specification(kind: str) -> list[dict[str, Any]]:
    """The tags of something in EC2 that is made."""
    return [{"ResourceType": kind, "Tags": TAGS}]


def filters(**values: str) -> list[dict[str, Any]]:
    """Filters of EC2: `_` is a hyphen of their names, `__` a dot."""
    return [{"Name": name.replace("__", ".").replace("_", "-"), "Values": [value]} for name, value in values.items()]


def document(**statement: Any) -> str:
    """A policy with one statement."""
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


def trust(service: str) -> str:
    """The policy of a role that a service of AWS takes."""
    return document(Principal={"Service": service}, Action=["sts:AssumeRole", "sts:TagSession"])


def pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    """As attributes of load balancers are given."""
    return [{"Key": key, "Value": value} for key, value in values.items()]


CONFIGURED = Resource(
    "provider and data sources",
    made=[
        Call("sts", "get_caller_identity", {}, [f"Account == '{ACCOUNT}'", "starts_with(Arn, 'arn:aws:')"]),
        Call(
            "ec2",
            "describe_availability_zones",
            {"Filters": filters(opt_in_status="opt-in-not-required", state="available")},
            ["length(AvailabilityZones) > `1`", "AvailabilityZones[?ZoneId != 'use1-az3'] | [0].ZoneName"],
        ),
    ],
)
