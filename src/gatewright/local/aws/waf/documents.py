"""A web ACL with all that its rules refer to, and what is said of the rules that can't be evaluated."""

from __future__ import annotations

from msgspec import Struct

from gatewright.local.aws.state import WebAclDocument


class CompleteWebAcl(WebAclDocument, frozen=True):
    """A web ACL with the account's own rule groups that it refers to."""

    rule_groups: dict[str, bytes]
    """By ARN: JSON of `RuleGroup`, as GetRuleGroup answers it."""


class Unsupported(Struct, frozen=True):
    """A part of a web ACL that has no effect here: requests pass it, are counted, and go on to the next rule.

    `rule` is the rule's name, `statement` WAFv2's name of the part, `why` the reason in words.
    """

    rule: str
    statement: str
    why: str


def rule_groups_of(document: WebAclDocument) -> dict[str, bytes]:
    """The rule groups that came with a web ACL; none with a document that has only its sets."""
    return document.rule_groups if isinstance(document, CompleteWebAcl) else {}
