"""The user's own AWS account and the emulated one never meet: no credential of the one is used with the other."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gatewright.aws import Aws
from gatewright.local.aws.emulation import EmulatedAws
from gatewright.local.aws.endpoint import environment, surroundings

REAL = {
    "AWS_PROFILE": "production",
    "AWS_ACCESS_KEY_ID": "AKIAREALREALREALREAL",
    "AWS_SECRET_ACCESS_KEY": "the-real-secret",
    "AWS_SESSION_TOKEN": "the-real-token",
    "AWS_SECURITY_TOKEN": "the-real-token",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    "AWS_ENDPOINT_URL_ELASTIC_LOAD_BALANCING_V2": "http://127.0.0.1:1",
    "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:1",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true",
    "AWS_USE_FIPS_ENDPOINT": "true",
    "AWS_USE_DUALSTACK_ENDPOINT": "true",
    "AWS_ROLE_ARN": "arn:aws:iam::1:role/admin",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "/nowhere",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:1",
    "AWS_REGION": "eu-central-1",
    "AWS_DEFAULT_REGION": "eu-central-1",
    "BOTO_CONFIG": "/nowhere",
}
PROXIES = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:1")


@pytest.fixture
def account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """All that a user of AWS may have set."""
    (tmp_path / "config").write_text("[default]\nregion = eu-central-1\nendpoint_url = http://127.0.0.1:1\n")
    (tmp_path / "credentials").write_text("[default]\naws_access_key_id = AKIAFILE\naws_secret_access_key = real\n")
    files = {
        "AWS_CONFIG_FILE": str(tmp_path / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "credentials"),
    }
    for name, value in {**REAL, **PROXIES, **files}.items():
        monkeypatch.setenv(name, value)
    return tmp_path


async def test_our_controllers_reach_the_emulation_as_its_own_account(
    aws: EmulatedAws, account: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    answer = aws.server.answer

    def listen(request: Any, body: bytes) -> Any:
        heard.append(str(request.headers))
        return answer(request, body)

    monkeypatch.setattr(aws.server, "answer", listen)
    async with Aws(region="us-east-1", endpoint_url=aws.url, credentials=("test", "test")) as client:
        for service, operation in (
            ("elbv2", "describe_load_balancers"),
            ("ec2", "describe_vpcs"),
            ("s3", "list_buckets"),
        ):
            await client.call(service, operation)
        assert (await client.call("sts", "get_caller_identity"))["Account"] == "123456789012"
    assert len(heard) == 4
    for headers in heard:
        assert "Credential=test/" in headers
        assert "real" not in headers.lower().replace("credential=", "")


async def test_what_a_command_is_given_leads_to_the_emulation_alone(aws: EmulatedAws, account: Path) -> None:
    given = surroundings({**os.environ, **dict.fromkeys(PROXIES, "")}, environment(aws.url))
    assert not [name for name, value in given.items() if "real" in value.lower() and name.startswith("AWS_")]
    assert {name for name in given if name.startswith(("AWS_", "BOTO_"))} == environment(aws.url).keys()
    code = "import boto3; print(boto3.client('elbv2').describe_load_balancers()['LoadBalancers'])"
    answer = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", code], env=given, capture_output=True, text=True, check=False
    )
    assert (answer.stdout, answer.returncode) == ("[]\n", 0), answer.stderr


async def test_a_command_that_names_a_profile_of_the_user_reaches_nothing(aws: EmulatedAws, account: Path) -> None:
    given = surroundings(os.environ, environment(aws.url))
    code = "import boto3; boto3.Session(profile_name='default').client('sts').get_caller_identity()"
    answer = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", code], env=given, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 1
    assert "config profile (default) could not be found" in answer.stderr
