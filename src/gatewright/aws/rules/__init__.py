"""Rules of the topology as rules of an ALB listener: conditions, actions, transforms, and what can't be one."""

from gatewright.aws.rules.actions import EMPTY_GROUP, RuleContext
from gatewright.aws.rules.drafts import RuleRefusal
from gatewright.aws.rules.listeners import NOT_FOUND, ListenerRules, in_order, listener_rules

__all__ = ["EMPTY_GROUP", "NOT_FOUND", "ListenerRules", "RuleContext", "RuleRefusal", "in_order", "listener_rules"]
