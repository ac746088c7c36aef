"""One edge, as users have it, for other people's clients; each test works in a namespace of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.e2e.edge_process import Edge

ANYTHING = "{apiVersion: v1, kind: ConfigMap, metadata: {name: anything}}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            shared = "edge" in getattr(item, "fixturenames", ())
            item.add_marker(pytest.mark.xdist_group("clients" if shared else f"clients-{item.path.stem}"))


@pytest.fixture(scope="session")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """A `gatewright up` with nothing of its own."""
    folder = tmp_path_factory.mktemp("clients")
    (folder / "anything.yaml").write_text(ANYTHING)
    process = Edge("up", folder / "anything.yaml", "--no-watch", directory=folder)
    try:
        yield process.serving()
    finally:
        process.close()


@pytest.fixture
def namespace(edge: Edge) -> Iterator[str]:
    """A namespace for this test alone."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    edge.cluster.apply(f"{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}}}}}")
    yield name
    edge.cluster.delete("Namespace", "", name)


class Tool:
    """A command line client in a namespace."""

    def __init__(self, path: str, edge: Edge, namespace: str, home: Path) -> None:
        self.path, self.namespace = path, namespace
        self.environment = {"KUBECONFIG": str(edge.cluster.kubeconfig), "HOME": str(home), "PATH": os.environ["PATH"]}

    def run(self, *arguments: str | Path, stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Run it, and return how it ended."""
        return subprocess.run(
            [self.path, "--namespace", self.namespace, *map(str, arguments)],
            input=stdin,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def __call__(self, *arguments: str | Path, stdin: str = "") -> str:
        """What it printed; fails when it failed."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode == 0, f"{self.path} {' '.join(map(str, arguments))}: {done.stdout}{done.stderr}"
        return done.stdout

    def fails(self, *arguments: str | Path, stdin: str = "") -> str:
        """What it said as it failed."""
        done = self.run(*arguments, stdin=stdin)
        assert done.returncode != 0, done.stdout
        return done.stdout + done.stderr

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Run it beside the test."""
        command = [self.path, "--namespace", self.namespace, *arguments]
        return subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )


@pytest.fixture
def tool(edge: Edge, namespace: str, tmp_path: Path) -> Callable[[str], Tool]:
    """A client by name, from the virtual environment or the path; skips the test where it is missing."""

    def find(name: str) -> Tool:
        path = shutil.which(name, path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
        if path is None:
            pytest.skip(f"{name} is not installed")
        return Tool(path, edge, namespace, tmp_path)

    return find
