"""Operations on rules."""

from __future__ import annotations

from moto.moto_api._internal import mock_random

from gatewright.local.aws.elbv2 import actions, conditions, forwarding, listeners, paging, quotas, tags, transforms
from gatewright.local.aws.elbv2.backend import Backend
from gatewright.local.aws.elbv2.errors import Refusal, invalid
from gatewright.local.aws.elbv2.models import Document, Rule


def create_rule(elb: Backend, request: Document) -> Document:
    """CreateRule."""
    listener = elb.listener(request["ListenerArn"])
    load_balancer = elb.load_balancers[listener.load_balancer_arn]
    if load_balancer.type != "application":
        raise invalid("Rules are unsupported for Network Load Balancer listeners")
    asked = tags.checked(request.get("Tags"))
    priority = request["Priority"]
    checked_conditions = conditions.checked(request["Conditions"])
    checked_actions = actions.checked(request["Actions"], listeners.place(elb, listener))
    checked_transforms = transforms.checked(request.get("Transforms", []))
    if any(rule.priority == priority for rule in listener.other_rules.values()):
        raise _in_use(priority)
    if sum(len(one.other_rules) for one in load_balancer.listeners.values()) >= quotas.RULES:
        raise Refusal(
            "TooManyRules", f"The maximum number of rules on load balancer {load_balancer.arn} has been reached"
        )
    forwarding.check(elb, load_balancer, listener.protocol, actions.groups(checked_actions))
    arn = f"{listener.arn.replace(':listener/', ':listener-rule/')}/{mock_random.get_random_hex(16)}"
    rule = Rule(arn, listener.arn, priority, checked_conditions, checked_actions, checked_transforms)
    listener.other_rules[arn] = rule
    tags.set_tags(elb, arn, asked)
    return {"Rules": [rule.document()]}


def _in_use(priority: int) -> Refusal:
    return Refusal("PriorityInUse", f"Priority '{priority}' is currently in use")


def modify_rule(elb: Backend, request: Document) -> Document:
    """ModifyRule: what isn't given stays."""
    listener, rule = elb.rule(request["RuleArn"])
    if rule.is_default:
        raise Refusal("OperationNotPermitted", f"Default rule '{rule.arn}' cannot be modified")
    reset = request.get("ResetTransforms", False)
    if reset and request.get("Transforms"):
        raise invalid("You cannot specify both Transforms and ResetTransforms")
    if not reset and not any(request.get(name) for name in ("Conditions", "Actions", "Transforms")):
        raise invalid("Either conditions or actions must be specified")
    after_conditions, after_actions, after_transforms = rule.conditions, rule.actions, rule.transforms
    if request.get("Conditions"):
        after_conditions = conditions.checked(request["Conditions"])
    if request.get("Actions"):
        after_actions = actions.checked(request["Actions"], listeners.place(elb, listener))
        load_balancer = elb.load_balancers[listener.load_balancer_arn]
        forwarding.check(elb, load_balancer, listener.protocol, actions.groups(after_actions), instead_of=rule)
    if reset:
        after_transforms = []
    elif request.get("Transforms"):
        after_transforms = transforms.checked(request["Transforms"])
    rule.conditions, rule.actions, rule.transforms = after_conditions, after_actions, after_transforms
    return {"Rules": [rule.document()]}


def delete_rule(elb: Backend, request: Document) -> Document:
    """DeleteRule."""
    listener, rule = elb.rule(request["RuleArn"])
    if rule.is_default:
        raise Refusal("OperationNotPermitted", f"Default rule '{rule.arn}' cannot be deleted")
    del listener.other_rules[rule.arn]
    tags.forget(elb, rule.arn)
    return {}


def describe_rules(elb: Backend, request: Document) -> Document:
    """DescribeRules: of a listener, by priority, the default one last; or by ARN."""
    arn, arns = request.get("ListenerArn"), request.get("RuleArns") or []
    if not arn and not arns:
        raise invalid("You must specify either listener rule ARNs or a listener ARN")
    if arn and arns:
        raise invalid("Listener rule ARNs and a listener ARN cannot be specified at the same time")
    paging.check_count(arns, "listener rules")
    found = list(elb.listener(arn).rules.values()) if arn else [elb.rule(one)[1] for one in arns]
    return paging.page(found, request, "Rules", Rule.document, lambda rule: str(rule.arn))


def set_rule_priorities(elb: Backend, request: Document) -> Document:
    """SetRulePriorities: of one listener's rules, all or none."""
    wanted: dict[str, int] = {}
    changed: list[Rule] = []
    if not request["RulePriorities"]:
        raise invalid("At least one rule priority must be specified")
    for pair in request["RulePriorities"]:
        if "RuleArn" not in pair or "Priority" not in pair:
            raise invalid("A rule ARN and a priority must be specified")
        listener, rule = elb.rule(pair["RuleArn"])
        if rule.is_default:
            raise Refusal("OperationNotPermitted", f"Default rule '{rule.arn}' priority cannot be modified")
        if pair["Priority"] in wanted.values():
            raise invalid(f"Priority '{pair['Priority']}' was provided multiple times")
        if rule.arn in wanted:
            raise invalid(f"Rule '{rule.arn}' was provided multiple times")
        if changed and listener.arn != changed[0].listener_arn:
            raise invalid("All rules must belong to the same listener")
        wanted[rule.arn] = pair["Priority"]
        changed.append(rule)
    for rule in listener.other_rules.values():
        if rule.arn not in wanted and rule.priority in wanted.values():
            raise _in_use(int(rule.priority))
    for rule in changed:
        rule.priority = wanted[rule.arn]
    return {"Rules": [rule.document() for rule in changed]}
