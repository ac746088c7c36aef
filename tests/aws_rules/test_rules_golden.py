"""Golden cases of the translation: tests/golden/alb_rules/NAME.in.yaml gives NAME.out.yaml.

An input holds routes beside the objects of `base.yaml`, and may hold a document `settings` with what
ListenerRuleConfigurations say, by key. An output holds, port by port, the rules of the load balancer's listener in
order, and what is told of those that it can't have. After a change that is meant,
`pytest tests/resolve tests/aws_rules -k rules_golden --regenerate` rewrites the outputs; review them as a diff.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from tests.aws_rules.test_rules_agree import TYPES, hosts_of

from gatewright.aws.configuration.settings import FixedResponse, RuleSettings
from gatewright.aws.dialects import ALB, ALB_CONTROLLER
from gatewright.aws.rules import ListenerRules, RuleContext, listener_rules
from gatewright.aws.stack.desired import (
    Action,
    AuthenticateCognito,
    AuthenticateOidc,
    DesiredRule,
    Forward,
    RedirectTo,
    Respond,
    RuleCondition,
    ValidateJwt,
)
from gatewright.flow import Flow
from gatewright.model.codec import decode
from gatewright.model.meta import Key
from gatewright.resolve import Inputs, resolve
from gatewright.topology import Topology, Verdict

GOLDEN = Path(__file__).parents[1] / "golden" / "alb_rules"
CASES = sorted(path.name.removesuffix(".in.yaml") for path in GOLDEN.glob("*.in.yaml"))


@pytest.mark.parametrize("name", CASES)
def test_rules(name: str, pytestconfig: pytest.Config) -> None:
    source = GOLDEN / f"{name}.in.yaml"
    assert source.read_text().startswith("# "), "a case begins with the behaviour in a sentence"
    inputs = Inputs(Flow())
    resolution = resolve(inputs, {ALB_CONTROLLER}, ALB)
    settings: dict[Key, RuleSettings] = {}
    with inputs.flow.batch():
        for path in (GOLDEN / "base.yaml", source):
            for document in yaml.safe_load_all(path.read_text()):
                if "settings" in document:
                    settings = settings_of(document["settings"])
                    for key in settings:
                        inputs.verdicts.set(("ListenerRuleConfiguration", key), Verdict())
                    continue
                document["metadata"] = {"generation": 1, "resourceVersion": "1"} | document["metadata"]
                obj: Any = decode(TYPES[document["kind"]], document)
                inputs.by_type[type(obj)].set(obj.key, obj)
    ports = {port: translated(resolution.topology, port, settings) for port in (80, 443, 8080)}
    shown = {f"port {port}": picture(rules) for port, rules in ports.items() if rules.rules or rules.refusals}
    found = yaml.dump(shown, sort_keys=False, width=160, allow_unicode=True)
    golden = GOLDEN / f"{name}.out.yaml"
    if pytestconfig.getoption("--regenerate", default=False):
        golden.write_text(found)
    assert found == golden.read_text()


def settings_of(document: dict[str, Any]) -> dict[Key, RuleSettings]:
    found = {}
    for name, fields in document.items():
        fixed = fields.pop("fixed_response", None)
        settings = msgspec.convert(fields, RuleSettings)
        if fixed:
            settings = msgspec.structs.replace(settings, fixed_response=msgspec.convert(fixed, FixedResponse))
        found[Key(*name.split("/"))] = settings
    return found


def translated(topology: Topology, port: int, settings: dict[Key, RuleSettings]) -> ListenerRules:
    protocol: Any = "HTTPS" if port == 443 else "HTTP"
    context = RuleContext(protocol, port, settings, lambda backend, _: backend.service)
    return listener_rules(hosts_of(topology, port), context)


def picture(found: ListenerRules) -> dict[str, Any]:
    shown: dict[str, Any] = {"rules": [rule_picture(rule) for rule in found.rules]}
    if found.refusals:
        shown["told"] = [
            f"{each.rule.kind} {each.rule.route}{'' if each.dropped else ', served without'}: {each.message}"
            for each in found.refusals
        ]
    return shown


def rule_picture(rule: DesiredRule) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "if": [condition_picture(each) for each in rule.conditions],
        "then": [action_picture(each) for each in rule.actions],
    }
    if rule.transforms:
        shown["after"] = [f"{each.type} {each.regex} -> {each.replace}" for each in rule.transforms]
    if rule.tags:
        shown["tags"] = dict(rule.tags)
    shown["from"] = [f"{origin} {origin.field}" for origin in rule.origins] or "guard"
    return shown


def condition_picture(condition: RuleCondition) -> str:
    kind = f"{condition.field} {condition.name}".strip()
    if condition.regex_values:
        return f"{kind} ~ {' | '.join(condition.regex_values)}"
    values = condition.values or tuple("=".join(pair) for pair in condition.pairs)
    return f"{kind} = {' | '.join(values)}"


def action_picture(action: Action) -> str:
    match action:
        case Forward():
            shares = ", ".join(f"{share.target_group} {share.weight}" for share in action.shares)
            return f"forward {shares}" + (f", sticky {action.stickiness}s" if action.stickiness else "")
        case RedirectTo():
            where = f"{action.protocol}://{action.host}:{action.port}{action.path}?{action.query}"
            return f"redirect {action.status_code} {where}"
        case Respond():
            return f"respond {action.status_code} {action.body}".strip()
        case AuthenticateOidc() | AuthenticateCognito() | ValidateJwt():
            return f"authenticate {action.issuer if isinstance(action, ValidateJwt) else 'users'}"


def test_every_output_has_an_input() -> None:
    assert sorted(path.name.removesuffix(".out.yaml") for path in GOLDEN.glob("*.out.yaml")) == CASES
