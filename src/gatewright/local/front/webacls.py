"""The web ACLs of an edge description and their IP sets, made and changed through WAFv2's API.

WAFv2 takes a change only with the lock token that the last one was answered with, so who changes them keeps it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from gatewright.aws.client import Aws
from gatewright.local.front.description import IpSet, WebAcl

_SCOPE = "REGIONAL"


class _Lock(NamedTuple):
    """What WAFv2 wants to be told of a thing that is to be changed."""

    id: str
    token: str


class WebAcls:
    """Makes web ACLs; nobody else changes them meanwhile. Every method raises `AwsError`."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws
        self._ip_sets: dict[str, str] = {}  # ARNs by name
        self._locks: dict[str, _Lock] = {}  # by ARN

    async def put(self, acl: WebAcl, arn: str | None = None) -> str:
        """Make a web ACL with its IP sets, or have the one of `arn` be like that; its ARN."""
        sets = {ip_set.name: await self._put_ip_set(ip_set) for ip_set in acl.ip_sets}
        parameters = {
            "Name": acl.name,
            "Scope": _SCOPE,
            "DefaultAction": {acl.default_action.title(): {}},
            "Rules": [
                {"VisibilityConfig": _visibility(str(rule.get("Name", "rule"))), **_with_arns(rule, sets)}
                for rule in acl.rules
            ],
            "VisibilityConfig": _visibility(acl.name),
        }
        if arn is None:
            return await self._create("create_web_acl", parameters)
        await self._update("update_web_acl", arn, parameters)
        return arn

    async def delete(self, name: str, arn: str) -> None:
        """Remove a web ACL that nothing is associated with."""
        lock = self._locks[arn]
        await self._aws.call("wafv2", "delete_web_acl", Name=name, Scope=_SCOPE, Id=lock.id, LockToken=lock.token)

    async def _put_ip_set(self, ip_set: IpSet) -> str:
        arn = self._ip_sets.get(ip_set.name)
        parameters = {"Name": ip_set.name, "Scope": _SCOPE, "Addresses": list(ip_set.addresses)}
        if arn is None:
            family = "IPV6" if any(":" in address for address in ip_set.addresses) else "IPV4"
            arn = await self._create("create_ip_set", {**parameters, "IPAddressVersion": family})
            self._ip_sets[ip_set.name] = arn
        else:
            await self._update("update_ip_set", arn, parameters)
        return arn

    async def _create(self, operation: str, parameters: Mapping[str, Any]) -> str:
        summary = (await self._aws.call("wafv2", operation, **parameters))["Summary"]
        arn = str(summary["ARN"])
        self._locks[arn] = _Lock(summary["Id"], summary["LockToken"])
        return arn

    async def _update(self, operation: str, arn: str, parameters: Mapping[str, Any]) -> None:
        lock = self._locks[arn]
        answer = await self._aws.call("wafv2", operation, Id=lock.id, LockToken=lock.token, **parameters)
        self._locks[arn] = lock._replace(token=answer["NextLockToken"])


def _visibility(name: str) -> dict[str, Any]:
    return {"SampledRequestsEnabled": True, "CloudWatchMetricsEnabled": True, "MetricName": name}


def _with_arns(value: Any, sets: Mapping[str, str]) -> Any:
    """A rule whose references to IP sets by name are by ARN, as the API wants them."""
    if isinstance(value, dict):
        reference = value.get("IPSetReferenceStatement")
        if isinstance(reference, dict) and "Name" in reference:
            name = str(reference["Name"])
            rest = {key: part for key, part in reference.items() if key != "Name"}
            return {"IPSetReferenceStatement": {"ARN": sets.get(name, name), **rest}}
        return {key: _with_arns(part, sets) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_with_arns(part, sets) for part in value]
    return msgspec.to_builtins(value)
