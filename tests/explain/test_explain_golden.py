"""Golden cases of explanations: tests/golden/explain/NAME.in.yaml gives NAME.out.yaml.

An input holds manifests beside those of `base.yaml`, and a document `requests`; an output says what comes of each.
After a change that is meant, `pytest tests/resolve tests/explain -k explain --regenerate` rewrites the outputs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.resolve.test_golden import CONTROLLER, TYPES, fill

from gatewright.explain import Outcome, Request, Sent, answer, describe
from gatewright.flow import Flow
from gatewright.model.codec import decode
from gatewright.model.meta import Key
from gatewright.resolve import Inputs, resolve

GOLDEN = Path(__file__).parents[1] / "golden" / "explain"
CASES = sorted(path.name.removesuffix(".in.yaml") for path in GOLDEN.glob("*.in.yaml"))
GATEWAY = Key("infra", "edge")


@pytest.mark.parametrize("name", CASES)
def test_explain(name: str, pytestconfig: pytest.Config) -> None:
    source = GOLDEN / f"{name}.in.yaml"
    assert source.read_text().startswith("# "), "a case begins with the behaviour in a sentence"
    inputs = Inputs(Flow())
    resolution = resolve(inputs, {CONTROLLER})
    asked: list[dict[str, Any]] = []
    for path in (GOLDEN / "base.yaml", source):
        with inputs.flow.batch():
            for document in yaml.safe_load_all(path.read_text()):
                if "requests" in document:
                    asked += document["requests"]
                    continue
                document["metadata"] = {"generation": 1, "resourceVersion": "1"} | document["metadata"]
                fill(document)
                obj = decode(TYPES[document["kind"]], document)
                inputs.by_type[type(obj)].set(obj.key, obj)
    told = []
    for each in asked:
        port = each.pop("port", 80)
        request = Request(**{**each, "headers": tuple(each.get("headers", {}).items())})
        told.append(
            {"port": port, "request": str(request), **picture(answer(resolution.topology, GATEWAY, port, request))}
        )
    found = yaml.dump(told, sort_keys=False, width=120, allow_unicode=True)
    golden = GOLDEN / f"{name}.out.yaml"
    if pytestconfig.getoption("--regenerate", default=False):
        golden.write_text(found)
    assert found == golden.read_text()


def picture(outcome: Outcome) -> dict[str, Any]:
    found: dict[str, Any] = {"outcome": str(outcome)}
    if outcome.host:
        found["hostname"] = outcome.host.hostname
    if outcome.rule:
        found["rule"] = describe(outcome.rule)
    if isinstance(outcome.result, Sent):
        found["backend sees"] = f"{outcome.result.host} {outcome.result.path}"
    if outcome.asks:
        found["asks"] = outcome.asks.address
    if outcome.decided_by:
        found["decided by"] = [f"{origin} {origin.field}" for origin in outcome.decided_by]
    if outcome.near_misses:
        found["near misses"] = [str(miss) for miss in outcome.near_misses]
    return found


def test_every_output_has_an_input() -> None:
    assert sorted(path.name.removesuffix(".out.yaml") for path in GOLDEN.glob("*.out.yaml")) == CASES
