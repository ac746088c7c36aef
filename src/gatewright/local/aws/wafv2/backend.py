"""The backend: moto's WAFv2, with load balancers, references between its objects, capacities and quotas."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gatewright.local.aws import backends

# isort: split

from moto.wafv2.models import FakeIPSet, FakeRegexPatternSet, FakeRuleGroup, FakeWebACL, WAFV2Backend

from gatewright.local.aws.wafv2.capacity import LIMIT, needed
from gatewright.local.aws.wafv2.errors import associated, duplicate, invalid, nonexistent, too_many
from gatewright.local.aws.wafv2.validation import (
    check_action,
    check_addresses,
    check_expressions,
    check_name,
    check_rules,
)

Document = Mapping[str, Any]

_MOST = 100
_MOST_REGEX_SETS = 10
_BALANCER = re.compile(r"arn:aws[\w-]*:elasticloadbalancing:[\w-]+:\d{12}:loadbalancer/app/[\w-]+/[0-9a-f]+")
_BAD_ARN = (
    "The ARN isn't valid. A valid ARN begins with arn: and includes other information separated by colons or slashes."
)


class Backend(WAFV2Backend):
    """WAFv2 of one account in one region."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.associations: dict[str, str] = {}
        """By ARN of an ALB: that of its web ACL. Load balancers that are gone may still be in it."""
        self._next_id = ""

    # --- associations ---------------------------------------------------------------------------------------------

    def associate_web_acl(self, web_acl_arn: str, resource_arn: str) -> None:
        """AssociateWebACL: an ALB has one web ACL; a new one takes the place of the old one."""
        if not _BALANCER.fullmatch(resource_arn):
            raise invalid(_BAD_ARN, "RESOURCE_ARN", resource_arn)
        if web_acl_arn not in self.wacls or not _is_there(resource_arn):
            raise nonexistent()
        if ":regional/" not in web_acl_arn:
            raise invalid("The scope is not valid.", "SCOPE_VALUE", web_acl_arn)
        self.associations[resource_arn] = web_acl_arn

    def disassociate_web_acl(self, resource_arn: str) -> None:
        """DisassociateWebACL; nothing happens where there is no association."""
        if not _BALANCER.fullmatch(resource_arn):
            raise invalid(_BAD_ARN, "RESOURCE_ARN", resource_arn)
        if not _is_there(resource_arn):
            raise nonexistent()
        self.associations.pop(resource_arn, None)

    def get_web_acl_for_resource(self, resource_arn: str) -> FakeWebACL | None:
        """GetWebACLForResource."""
        if not _is_there(resource_arn):
            raise nonexistent()
        return self.wacls.get(self.associations.get(resource_arn, ""))

    def resources(self, web_acl_arn: str) -> list[str]:
        """ListResourcesForWebACL: the ALBs of a web ACL that are still there."""
        if web_acl_arn not in self.wacls:
            raise nonexistent()
        return [balancer for balancer, acl in self.live_associations().items() if acl == web_acl_arn]

    def live_associations(self) -> dict[str, str]:
        """By ARN of an ALB that is there: that of its web ACL."""
        return {balancer: acl for balancer, acl in self.associations.items() if _is_there(balancer)}

    # --- web ACLs and rule groups -----------------------------------------------------------------------------------

    def create_web_acl(self, name: str, *details: Any) -> FakeWebACL:
        """CreateWebACL."""
        _, default, scope, _, _, rules, *_ = details
        bodies = details[9] or {}
        check_name(name)
        if len(self.wacls) >= _MOST:
            raise too_many()
        if any(acl.name == name and _scope(acl.arn) == _scope_of(scope) for acl in self.wacls.values()):
            raise duplicate()
        units = self._checked(rules, bodies)
        check_action(default, bodies)
        # The same on every run, so that a manifest can have the ARN of what an edge description makes.
        self._next_id = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.account_id}/{self.region_name}/{scope}/{name}"))
        made = super().create_web_acl(name, *details)
        made.capacity = units
        return made

    def _generate_id(self) -> str:
        found, self._next_id = self._next_id, ""
        return found or str(super()._generate_id())

    def update_web_acl(self, name: str, _id: str, *details: Any) -> str:
        """UpdateWebACL: what isn't given is gone, except for the description."""
        default, rules, description, visibility, token, bodies, captcha, challenge, domains, association = details
        acl = self.get_web_acl(None, name, _id)
        units = self._checked(rules or [], bodies or {})
        check_action(default, bodies or {})
        made: str = super().update_web_acl(
            name, _id, default, rules, description, visibility, token, bodies, captcha, challenge, domains, association
        )
        if not rules:
            acl.rules = []
        acl.custom_response_bodies = bodies
        acl.capacity = units
        return made

    def delete_web_acl(self, name: str, scope: str, _id: str, lock_token: str) -> None:
        """DeleteWebACL: not while a load balancer has it."""
        acl = self.get_web_acl(None, name, _id)
        if acl.lock_token == lock_token and self.resources(acl.arn):
            raise associated()
        super().delete_web_acl(name, scope, _id, lock_token)
        self.associations = {key: arn for key, arn in self.associations.items() if arn != acl.arn}

    def create_rule_group(
        self,
        name: str,
        scope: str,
        capacity: int,
        description: str | None,
        rules: list[dict[str, Any]] | None,
        visibility_config: dict[str, bool | str],
        tags: list[dict[str, str]] | None,
        custom_response_bodies: dict[str, str] | None,
    ) -> FakeRuleGroup:
        """CreateRuleGroup: its capacity is for ever."""
        check_name(name)
        if len(self.rule_groups) >= _MOST:
            raise too_many()
        if any(group.name == name and group.scope == scope for group in self.rule_groups.values()):
            raise duplicate()
        if self._checked(rules or [], custom_response_bodies or {}, in_group=True) > capacity:
            raise too_many()
        return super().create_rule_group(
            name, scope, capacity, description, rules, visibility_config, tags, custom_response_bodies
        )

    def update_rule_group(
        self,
        name: str,
        scope: str,
        id: str,  # noqa: A002 - moto's name
        description: str | None,
        rules: list[dict[str, Any]] | None,
        visibility_config: dict[str, Any],
        lock_token: str,
        custom_response_bodies: dict[str, Any] | None,
    ) -> FakeRuleGroup:
        """UpdateRuleGroup."""
        group = self.get_rule_group(name, scope, id, None)
        if self._checked(rules or [], custom_response_bodies or {}, in_group=True) > group.capacity:
            raise too_many()
        made = super().update_rule_group(
            name, scope, id, description, rules, visibility_config, lock_token, custom_response_bodies
        )
        if not rules:
            group.rules = []
        return made

    def delete_rule_group(self, name: str, scope: str, id: str, lock_token: str) -> None:  # noqa: A002
        """DeleteRuleGroup: not while a web ACL refers to it."""
        group = self.get_rule_group(name, scope, id, None)
        if group.lock_token == lock_token:
            self._check_unused(group.arn)
        super().delete_rule_group(name, scope, id, lock_token)

    def check_capacity(self, rules: Sequence[Document]) -> int:
        """CheckCapacity."""
        check_rules(rules, self._check_exists, (), in_group=False)
        return needed(rules, self._capacity_of)

    # --- sets --------------------------------------------------------------------------------------------------------

    def create_ip_set(
        self, name: str, scope: str, description: str, ip_address_version: str, addresses: list[str], tags: Any
    ) -> FakeIPSet:
        """CreateIPSet."""
        check_name(name)
        if len(self.ip_sets) >= _MOST:
            raise too_many()
        if any(one.name == name and one.scope == scope for one in self.ip_sets.values()):
            raise duplicate()
        check_addresses(ip_address_version, addresses)
        made = super().create_ip_set(name, scope, description, ip_address_version, addresses, tags)
        made.lock_token = self._generate_id()
        return made

    def update_ip_set(
        self, name: str, scope: str, _id: str, description: str | None, addresses: list[str], lock_token: str
    ) -> FakeIPSet:
        """UpdateIPSet."""
        check_addresses(self.get_ip_set(name, scope, _id).ip_address_version, addresses)
        made = super().update_ip_set(name, scope, _id, description, addresses, lock_token)
        made.lock_token = self._generate_id()
        return made

    def delete_ip_set(self, name: str, scope: str, _id: str, lock_token: str) -> None:
        """DeleteIPSet: not while a rule refers to it."""
        found = self.get_ip_set(name, scope, _id)
        if found.lock_token == lock_token:
            self._check_unused(found.arn)
        super().delete_ip_set(name, scope, _id, lock_token)

    def create_regex_pattern_set(
        self, name: str, scope: str, description: str, regular_expressions: list[dict[str, str]], tags: Any
    ) -> FakeRegexPatternSet:
        """CreateRegexPatternSet."""
        check_name(name)
        if len(self.regex_pattern_sets) >= _MOST_REGEX_SETS:
            raise too_many()
        if self._is_duplicate_regex_pattern_set(name, scope):
            raise duplicate()
        check_expressions([each["RegexString"] for each in regular_expressions])
        return super().create_regex_pattern_set(name, scope, description, regular_expressions, tags)

    def update_regex_pattern_set(
        self,
        name: str,
        scope: str,
        id: str,  # noqa: A002 - moto's name
        description: str | None,
        regular_expressions: Any,
        lock_token: str,
    ) -> FakeRegexPatternSet:
        """UpdateRegexPatternSet."""
        check_expressions([each["RegexString"] for each in regular_expressions or ()])
        return super().update_regex_pattern_set(name, scope, id, description, regular_expressions, lock_token)

    def delete_regex_pattern_set(self, name: str, scope: str, id: str, lock_token: str) -> None:  # noqa: A002
        """DeleteRegexPatternSet: not while a rule refers to it."""
        found = self.get_regex_pattern_set(name, scope, id)
        if found.lock_token == lock_token:
            self._check_unused(found.arn)
        super().delete_regex_pattern_set(name, scope, id, lock_token)

    # --- references -----------------------------------------------------------------------------------------------

    def _checked(self, rules: Sequence[Document], bodies: Iterable[str], *, in_group: bool = False) -> int:
        """The capacity that rules need; raises a refusal."""
        check_rules(rules, self._check_exists, bodies, in_group=in_group)
        units = needed(rules, self._capacity_of)
        if units > LIMIT:
            raise too_many()
        return units

    def _check_exists(self, arn: str) -> None:
        if not (arn in self.ip_sets or arn in self.regex_pattern_sets or arn in self.rule_groups):
            raise nonexistent()

    def _capacity_of(self, arn: str) -> int:
        units: int = self.rule_groups[arn].capacity
        return units

    def _check_unused(self, arn: str) -> None:
        holders: list[FakeWebACL | FakeRuleGroup] = [*self.wacls.values(), *self.rule_groups.values()]
        for holder in holders:
            if any(arn in references(rule.statement) for rule in holder.rules):
                raise associated()


def references(statement: Any) -> set[str]:
    """The ARNs of all that a statement refers to."""
    if isinstance(statement, Mapping):
        own = {statement["ARN"]} if isinstance(statement.get("ARN"), str) else set()
        return own.union(*(references(each) for each in statement.values()))
    if isinstance(statement, list):
        return set[str]().union(*(references(each) for each in statement))
    return set()


def _scope(arn: str) -> str:
    return arn.split(":")[5].partition("/")[0]


def _scope_of(scope: str) -> str:
    return "global" if scope == "CLOUDFRONT" else "regional"


def _is_there(balancer: str) -> bool:
    return balancer in backends.backend("elbv2").load_balancers
