"""The controller's chart, rendered by Helm."""

from __future__ import annotations

import functools
import json
import subprocess
from pathlib import Path
from typing import Any

import yaml
from tests.deploy.tools import helm

FOLDER = Path(__file__).parents[2] / "deploy/chart/gatewright"
NAMESPACE = "gatewright-system"
CLUSTER = {"clusterName": "prod"}


def template(values: dict[str, Any], release: str = "gatewright") -> subprocess.CompletedProcess[str]:
    """What `helm template` says to these values."""
    return _template(helm(), release, json.dumps(values))


@functools.cache
def _template(program: str, release: str, values: str) -> subprocess.CompletedProcess[str]:
    command = [program, "template", release, str(FOLDER), "--namespace", NAMESPACE, "--values", "-"]
    return subprocess.run(command, input=values, capture_output=True, text=True, timeout=300)


def rendered(values: dict[str, Any], release: str = "gatewright") -> list[dict[str, Any]]:
    """The objects of the chart."""
    told = template(values, release)
    assert told.returncode == 0, told.stderr
    return [each for each in yaml.safe_load_all(told.stdout) if each]


def by_kind(objects: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Objects by kind, where there is one of each."""
    found = {each["kind"]: each for each in objects}
    assert len(found) == len(objects)
    return found
