"""AWS for a controller whose identity has our policy and no other: in full, and by moto as far as that goes."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import moto.settings
from moto.core import responses
from moto.iam import access_control
from tests.iam.authorization import Tags, allows, asked

from gatewright.aws import Aws
from gatewright.aws.errors import AccessDenied
from gatewright.local.aws.endpoint import Clients


class Enforced(Aws):
    """Every call is authorized against a policy first, with conditions; `denied` are those that weren't."""

    def __init__(self, url: str, policy: Mapping[str, Any], **options: Any) -> None:
        super().__init__(region="us-east-1", endpoint_url=url, **{"credentials": ("test", "test"), **options})
        self.denied: list[str] = []
        self._policy = policy
        self._account = Clients(url)

    def _send(self, service: str, operation: str, parameters: dict[str, Any]) -> Any:
        if (service, operation) != ("sts", "get_caller_identity"):  # it needs no permission
            for each in asked(service, operation, parameters, self._tags):
                if not allows(self._policy, each):
                    self.denied.append(f"{service}:{operation}: {each}")
                    raise AccessDenied("AccessDenied", f"not authorized: {each}", f"{service}:{operation}")
        return super()._send(service, operation, parameters)

    def _tags(self, thing: str) -> Tags:
        """The tags of a thing by its ARN or ID, as the account has them; none where there is no such thing."""
        found: list[dict[str, str]] = []
        with contextlib.suppress(Exception):
            if thing.startswith("arn:aws:elasticloadbalancing:"):
                answer = self._account.client("elbv2").describe_tags(ResourceArns=[thing])
                found = answer["TagDescriptions"][0]["Tags"]
            elif thing.startswith("arn:aws:acm:"):
                found = self._account.client("acm").list_tags_for_certificate(CertificateArn=thing)["Tags"]
            elif thing.startswith("sg-"):
                (group,) = self._account.client("ec2").describe_security_groups(GroupIds=[thing])["SecurityGroups"]
                found = group.get("Tags", [])
        return {tag["Key"]: tag.get("Value", "") for tag in found}


def user_with(url: str, policy: Mapping[str, Any]) -> tuple[str, str]:
    """Access key and secret key of a new user of an emulated account, who has a policy.

    moto takes a condition that isn't met for a denial, knows no tags, and asks for everything on "*": the policy is
    given without conditions and resources, so that actions are what is enforced.
    """
    statements = [{"Effect": each["Effect"], "Action": each["Action"], "Resource": "*"} for each in policy["Statement"]]
    iam = Clients(url).client("iam")
    iam.create_user(UserName="controller")
    document = json.dumps({"Version": "2012-10-17", "Statement": statements})
    iam.put_user_policy(UserName="controller", PolicyName="gatewright", PolicyDocument=document)
    key = iam.create_access_key(UserName="controller")["AccessKey"]
    return key["AccessKeyId"], key["SecretAccessKey"]


@contextlib.contextmanager
def moto_enforces() -> Iterator[None]:
    """moto checks signatures and policies from now on, for all of this process.

    Of REST requests without a body, as Route 53 has them, it computes another signature than botocore; there it checks
    the policy alone.
    """
    checks: Any = vars(responses)["ActionAuthenticatorMixin"]
    requests: Any = access_control.IAMRequestBase
    before = moto.settings.INITIAL_NO_AUTH_ACTION_COUNT, checks.request_count
    check = requests.check_signature
    moto.settings.INITIAL_NO_AUTH_ACTION_COUNT = checks.request_count = 0
    requests.check_signature = lambda each: None if each._service == "route53" else check(each)
    try:
        yield
    finally:
        moto.settings.INITIAL_NO_AUTH_ACTION_COUNT, checks.request_count = before
        requests.check_signature = check
