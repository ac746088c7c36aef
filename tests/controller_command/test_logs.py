"""The log: a JSON object a line, whoever writes it, and never a secret."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from gatewright.controller.logs import configure


@pytest.fixture(autouse=True)
def put_back() -> Iterator[None]:
    """The log of the other tests stays as it is."""
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    yield
    structlog.configure(**before)
    root.handlers[:] = handlers
    root.setLevel(level)


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_ours_and_those_of_libraries_have_one_form() -> None:
    out = io.StringIO()
    configure("json", "info", out)
    structlog.get_logger("gatewright.part").info("made", arn="arn:1", count=2)
    logging.getLogger("botocore").warning("slow %s", "answer")
    logging.getLogger("botocore").info("not of interest")
    ours, theirs = lines(out)
    assert (ours["event"], ours["level"], ours["logger"], ours["arn"], ours["count"]) == (
        "made",
        "info",
        "gatewright.part",
        "arn:1",
        2,
    )
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("slow answer", "warning", "botocore")
    assert ours.keys() >= {"timestamp"}
    assert theirs.keys() >= {"timestamp"}


def test_what_is_below_the_level_is_left_out() -> None:
    out = io.StringIO()
    configure("json", "warning", out)
    log = structlog.get_logger("x")
    log.info("no")
    log.warning("yes")
    assert [line["event"] for line in lines(out)] == ["yes"]


@pytest.mark.parametrize("format_", ["json", "console"])
def test_no_secret_and_no_local_variable_is_written(format_: Any) -> None:
    out = io.StringIO()
    configure(format_, "info", out)
    log = structlog.get_logger("x")
    private_key = "never-to-be-seen"
    log.info("made", private_key=private_key, Token=private_key)
    try:
        raise ValueError("it failed")
    except ValueError:
        log.exception("failed")
    assert private_key not in out.getvalue()
    assert "it failed" in out.getvalue()
    assert "(hidden)" in out.getvalue()
