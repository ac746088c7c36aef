"""The emulated AWS answers the pinned provider as it needs to be answered: what it calls is in `provider_*.py`.

Rehearsals in other tests have version 3.39, where there is no way to Terraform's registry; users have 6.25 or later.
"""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from string import Template
from typing import Any

import jmespath  # type: ignore[import-untyped]
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from tests.deploy import provider_cluster, provider_front, provider_names, provider_network, provider_storage
from tests.deploy.provider_calls import CONFIGURED, Call, Resource
from tests.deploy.terraform import AWS, REHEARSAL

from gatewright.local.aws.emulation import EmulatedAws

_WAITED = 10.0
"""Seconds in which the emulation has to come to what a call needs; its clocks run faster, too."""
_PACE = 100.0
RESOURCES: Sequence[Resource] = (
    CONFIGURED,
    *provider_storage.ALL,
    *provider_network.ALL,
    *provider_cluster.ALL,
    *provider_names.ALL,
    *provider_front.ALL,
    provider_names.ALIAS,
)


@pytest.fixture
async def aws() -> AsyncIterator[EmulatedAws]:
    async with EmulatedAws("10.32.0.0/16", pace=_PACE, seed=False, traffic=False) as aws:
        yield aws


class Provider:
    """Makes calls as the provider does: with what it knows of earlier ones, again until an answer is what it needs."""

    def __init__(self, aws: EmulatedAws) -> None:
        self._aws = aws
        self._known: dict[str, Any] = {}
        self.wrong: list[str] = []
        """What an answer lacked."""

    def make(self, resource: Resource, calls: Sequence[Call]) -> None:
        """Make calls for a resource."""
        for call in calls:
            last = time.monotonic() + _WAITED
            while (lacking := self._lacking(call)) and call.operation.startswith(("describe", "get", "list")):
                if time.monotonic() > last or call.refused:
                    break
                time.sleep(0.02)  # the provider polls, too
            self.wrong += [f"{resource.type}: {call.service} {call.operation}: {each}" for each in lacking]

    def _lacking(self, call: Call) -> list[str]:
        try:
            answer = getattr(self._client(call.service), call.operation)(**self._filled(call.given))
        except ClientError as refusal:
            error = refusal.response["Error"]
            return [] if error["Code"] == call.refused else [f"refused, {error['Code']}: {error['Message']}"]
        answer.pop("ResponseMetadata")
        if call.refused:
            return [f"expected to be refused with {call.refused}, found {answer}"]
        for name, path in call.keeps.items():
            found = jmespath.search(path, answer)
            self._known[name] = found.removeprefix("/hostedzone/") if isinstance(found, str) else found
            if name == "balancer":
                self._known["balancer_path"] = found.partition("/")[2]
        needs = [self._filled(need) for need in call.needs]
        return [f"needs {need}, found {_short(answer)}" for need in needs if not jmespath.search(need, answer)]

    def _client(self, service: str) -> Any:
        # Its calls go to ACCOUNT.127.0.0.1; so the provider has a proxy, by `http_proxy` in a rehearsal.
        proxied = {"config": Config(proxies={"http": self._aws.url})} if service == "s3control" else {}
        return self._aws.client(service, **proxied)

    def _filled(self, value: Any) -> Any:
        if isinstance(value, Mapping):
            return {name: self._filled(each) for name, each in value.items()}
        if isinstance(value, list):
            return [self._filled(each) for each in value]
        if not isinstance(value, str):
            return value
        whole = re.fullmatch(r"\$(\w+)", value)
        return self._known[whole[1]] if whole else Template(value).safe_substitute(self._known)


def _short(answer: Any) -> str:
    return json.dumps(answer, default=str)[:600]


async def test_what_the_provider_calls_is_answered_as_it_needs_it(aws: EmulatedAws) -> None:
    provider = Provider(aws)

    def platform() -> None:
        for resource in RESOURCES:
            provider.make(resource, resource.made)
            provider.make(resource, resource.read)
        for resource in RESOURCES:  # the next plan, when all is there
            provider.make(resource, resource.read)
        for resource in reversed(RESOURCES):
            provider.make(resource, resource.removed)

    await asyncio.to_thread(platform)
    assert not provider.wrong, "\n".join(provider.wrong)


def test_every_type_of_the_configuration_is_there() -> None:
    used = {
        name
        for path in AWS.rglob("*.tf")
        for name in re.findall(r'^resource "(aws_\w+)"', path.read_text(), re.MULTILINE)
    }
    known = {name for resource in RESOURCES for name in re.findall(r"aws_\w+", resource.type)}
    assert used - known == set()


def test_every_service_has_its_endpoint_in_a_rehearsal() -> None:
    text = (REHEARSAL / "common/provider_override.tf").read_text()
    pointed = set(re.findall(r"^ {4}(\w+) +=", text, re.MULTILINE))
    assert {call.service for resource in RESOURCES for call in resource.made} - pointed == set()
    assert pointed == {
        call.service for each in RESOURCES for part in (each.made, each.read, each.removed) for call in part
    }
