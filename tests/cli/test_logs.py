"""What a command logs goes to standard error, with nothing in it that is nobody's business."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

BROKEN = """
import sys
from gatewright.cli import app
from gatewright.platform.verify import running
from gatewright.platform.verify.inspections import Inspection

async def breaks(view):
    password = "hush"
    raise ValueError("what nobody thought of")

running.INSPECTIONS = (Inspection(("endpoint",), "the routes", "answer", breaks, ()),)
sys.argv = ["gatewright", "verify", "--kubeconfig", sys.argv[1], "--no-aws", "-o", "json"]
app()
"""
KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "http://127.0.0.1:9"}}]
users: [{name: u, user: {token: t}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
current-context: c
"""


def test_a_check_that_breaks_leaves_a_traceback_and_a_whole_report(tmp_path: Path) -> None:
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(KUBECONFIG)
    done = subprocess.run(
        [sys.executable, "-c", BROKEN, str(kubeconfig)], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert [check["id"] for check in json.loads(done.stdout)["checks"]] == ["cluster", "endpoint"]
    assert "Traceback" in done.stderr
    assert "ValueError: what nobody thought of" in done.stderr
    assert "hush" not in done.stderr
