"""Which operations of AWS's API the source of the controllers names."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.iam.authorization import action_of, operations

SOURCE = Path(__file__).parents[2] / "src/gatewright"
ROOMS = ("aws", "edge", "cli/operating.py")
SERVICES = ("acm", "ec2", "elbv2", "route53", "s3", "shield", "sts", "wafv2")
"""Those that controllers call, by boto3's names."""
_ONLY = {"describe_tags": "elbv2", "modify_capacity_reservation": "elbv2"}
"""Whose an operation is that several services have, and the controllers call of one."""


def named() -> dict[str, set[str]]:
    """IAM actions of all operations that are named in a text of the source, and in which files they are.

    Calls name their operation by such a text, wherever it is made; a docstring or message that is nothing but the name
    of an operation would count as well, and there is none.
    """
    found: dict[str, set[str]] = {}
    for file in _files():
        for text in _texts(file):
            for service in SERVICES:
                if text in operations(service) and _ONLY.get(text, service) == service:
                    found.setdefault(action_of(service, text), set()).add(str(file.relative_to(SOURCE)))
    return found


def _files() -> Iterator[Path]:
    for room in ROOMS:
        path = SOURCE / room
        yield from [path] if path.is_file() else sorted(path.rglob("*.py"))


def _texts(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
