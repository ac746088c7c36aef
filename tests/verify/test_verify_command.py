"""`gatewright verify` as people use it: its usage, its exit statuses, its formats."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
import yaml
from typer.testing import CliRunner

from gatewright.cli import app
from gatewright.local.apiserver import ApiServer, Store
from gatewright.platform.report import Report


def _run(*arguments: str | Path) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["verify", *map(str, arguments)])
    return done.exit_code, done.stdout, done.stderr


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KUBECONFIG", raising=False)
    return tmp_path


def test_where_there_is_no_platform(elsewhere: Path) -> None:
    code, out, err = _run()
    assert (code, out) == (2, "")
    assert "there is no platform in" in err
    assert "`gatewright deploy` makes one" in err
    assert _run("--dir", elsewhere / "other")[0] == 2


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--only", "endpoint,nonsense"), "found nonsense, expected some of cluster, aws, dns, endpoint"),
        (("--timeout", "0"), "--timeout"),
        (("--output", "xml"), "--output"),
        (("--kubeconfig", "x", "--dir", "y"), "name one"),
    ],
)
def test_wrong_usage(elsewhere: Path, arguments: tuple[str, ...], words: str) -> None:
    code, out, err = _run(*arguments)
    assert (code, out) == (2, "")
    assert words in err


def test_a_kubeconfig_that_is_not_there(elsewhere: Path) -> None:
    code, _, err = _run("--kubeconfig", elsewhere / "nowhere")
    assert code == 1
    assert "nowhere" in err
    assert "Traceback" not in err


async def test_any_cluster_by_its_kubeconfig(elsewhere: Path) -> None:
    import asyncio

    async with ApiServer(Store.memory()) as server:
        kubeconfig = elsewhere / "kubeconfig"
        server.write_kubeconfig(kubeconfig)
        options = ("--kubeconfig", kubeconfig, "--no-aws")
        code, out, err = await asyncio.to_thread(_run, *options, "-o", "json")
        assert (code, err) == (0, "")
        report = msgspec.json.decode(out, type=Report)
        assert report.ok
        assert json.loads(out)["checks"][0]["id"] == "cluster"
        code, out, _ = await asyncio.to_thread(_run, *options, "-o", "yaml")
        assert msgspec.convert(yaml.safe_load(out), Report).ok
        code, out, _ = await asyncio.to_thread(_run, *options, "--only", "status,deletion")
        assert code == 0
        assert out.splitlines()[-1].startswith("verified: ")
