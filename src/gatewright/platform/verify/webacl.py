"""The web ACL in front: associated, and blocking what one of its rules is there to block."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import quote

from gatewright.platform.report import Check
from gatewright.platform.targets import Target
from gatewright.platform.verify.advice import advise
from gatewright.platform.verify.balancers import albs
from gatewright.platform.verify.doors import Door
from gatewright.platform.verify.endpoints import names_of_platform, places
from gatewright.platform.verify.findings import failed, judged, passed, skipped
from gatewright.platform.verify.knocking import NoAnswerError, ask, trusting
from gatewright.platform.verify.names import NoSuchNameError
from gatewright.platform.verify.requests import concrete_name
from gatewright.platform.verify.view import View

_MANAGED: Final = {
    "AWSManagedRulesCommonRuleSet": "/?q=" + quote("<script>alert(1)</script>", safe=""),
    "AWSManagedRulesKnownBadInputsRuleSet": "/?q=" + quote("${jndi:ldap://example.com/a}", safe=""),
}
"""Targets of requests that rule groups of AWS's block (AWS WAF, list of managed rule groups)."""


async def web_acl(view: View) -> list[Check]:
    """Each ALB in front has the web ACL, which blocks a request that one of its rules is about."""
    found = await asyncio.gather(*(_of(view, door) for door in await albs(view)))
    return [check for each in found for check in each]


async def _of(view: View, door: Door) -> list[Check]:
    outputs = view.surroundings.outputs
    wanted = outputs.web_acl_arn if outputs else ""
    told = await view.aws.call("wafv2", "get_web_acl_for_resource", ResourceArn=door.arn)
    acl: Mapping[str, Any] = told.get("WebACL") or {}
    subject, expected = door.name, f"has web ACL {wanted}" if wanted else "has a web ACL"
    if not acl:
        if not wanted and outputs is None:
            return [skipped("web-acl", subject, expected, "it has none, and nobody says that it should")]
        return [failed("web-acl", subject, expected, "has none", advise("web-acl", "none", door=door.name))]
    other = bool(wanted) and acl.get("ARN") != wanted
    text = f"web ACL {acl.get('Name')}, {len(acl.get('Rules') or ())} rules"
    advice = advise("web-acl", "other", door=door.name)
    return [judged("web-acl", subject, expected, text, text if other else "", advice), await _blocks(view, door, acl)]


async def _blocks(view: View, door: Door, acl: Mapping[str, Any]) -> Check:
    subject, expected = f"{door.name}, web ACL {acl.get('Name')}", "403 for a request that one of its rules blocks"
    emulated = view.surroundings.settings.target is Target.LOCAL
    target, rule = next(blocked_targets(acl, managed=not emulated), ("", ""))
    if not target:
        why = "no request follows from its rules"
        why += ", since the emulated WAF doesn't have AWS's managed rule groups" if emulated else ""
        return skipped("web-acl", subject, expected, why)
    host = concrete_name(next(iter(names_of_platform(view)), door.host))
    secure = door.port("HTTPS")
    try:
        address, *_ = await places(view, door)
        at = view.surroundings.open_at(address, secure or door.port("HTTP") or 80)
        answer = await ask(at, host, target, tls=trusting(view.surroundings.trust) if secure else None)
    except (NoSuchNameError, NoAnswerError, OSError) as error:
        return skipped("web-acl", subject, expected, str(error))
    if answer.status != 403:
        text = f"{target} is answered {answer.status}, though rule {rule} is to block it"
        return failed("web-acl", subject, expected, text, advise("web-acl", "passes", door=door.name))
    return passed("web-acl", subject, expected, f"{target} is blocked by rule {rule}")


def blocked_targets(acl: Mapping[str, Any], *, managed: bool = True) -> Iterator[tuple[str, str]]:
    """Targets of requests that rules of a web ACL block, each with the rule's name; `managed` with AWS's own groups."""
    for rule in acl.get("Rules") or ():
        statement: Mapping[str, Any] = rule.get("Statement") or {}
        group: Mapping[str, Any] = statement.get("ManagedRuleGroupStatement") or {}
        counts = "Count" in (rule.get("OverrideAction") or {})
        if managed and group.get("Name") in _MANAGED and not counts and not group.get("ScopeDownStatement"):
            yield _MANAGED[group["Name"]], str(rule.get("Name"))
        words: Mapping[str, Any] = statement.get("ByteMatchStatement") or {}
        if "Block" in (rule.get("Action") or {}) and "UriPath" in (words.get("FieldToMatch") or {}):
            searched = words.get("SearchString") or b""
            text = searched.decode(errors="replace") if isinstance(searched, bytes) else str(searched)
            path = text if text.startswith("/") else f"/{text}"
            if words.get("PositionalConstraint") in ("CONTAINS", "STARTS_WITH", "EXACTLY"):
                yield quote(path, safe="/.%"), str(rule.get("Name"))
