"""Golden cases of the chain: tests/golden/chain/NAME.in.yaml gives the tree NAME.out.txt.

An input holds manifests and a document `front` with what AWS says. Each starts from the base of resolution's cases.
After a change that is meant, `GATEWRIGHT_REGENERATE=1 pytest tests/edge/test_chain.py` rewrites the outputs.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest
import yaml
from tests.resolve.test_golden import CONTROLLER, GOLDEN, TYPES

from gatewright.edge.chain import Hop, chain, lines
from gatewright.edge.front import Front
from gatewright.flow import Flow
from gatewright.model.codec import decode
from gatewright.resolve import Inputs, resolve

CHAINS = GOLDEN.parent / "chain"
CASES = sorted(path.name.removesuffix(".in.yaml") for path in CHAINS.glob("*.in.yaml"))


def found(source: Path) -> tuple[Hop, ...]:
    inputs = Inputs(Flow())
    resolution = resolve(inputs, {CONTROLLER})
    front = Front()
    for text in ((GOLDEN / "base.yaml").read_text(), source.read_text()):
        for document in yaml.safe_load_all(text):
            if "front" in document:
                front = msgspec.convert(document["front"], Front)
            elif "kind" in document:
                obj = decode(TYPES[document["kind"]], document)
                inputs.by_type[type(obj)].set(obj.key, obj)
    return chain(front, inputs, resolution)


@pytest.mark.parametrize("name", CASES)
def test_case(name: str) -> None:
    source, golden = CHAINS / f"{name}.in.yaml", CHAINS / f"{name}.out.txt"
    assert source.read_text().startswith("# "), "a case begins with the behaviour in a sentence"
    tree = "\n".join(lines(found(source), lambda hop, text: f"{_MARKS[hop.health]} {text}")) + "\n"
    if os.environ.get("GATEWRIGHT_REGENERATE"):
        golden.write_text(tree)
    assert tree == golden.read_text()


_MARKS = {"good": "+", "bad": "!", "unknown": "?"}
