"""Fixtures: edges as users have them."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.e2e.edge_process import EXAMPLE, KUBECTL, Edge, Gatewright


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Gatewright]]:
    """Start `gatewright` with arguments, in the test's own folder."""
    started: list[Gatewright] = []

    def start(*arguments: str | Path, stdin: int | None = subprocess.DEVNULL) -> Gatewright:
        started.append(Gatewright(*arguments, directory=tmp_path, stdin=stdin))
        return started[-1]

    yield start
    for process in started:
        process.close()


@pytest.fixture
def up(tmp_path: Path) -> Iterator[Callable[..., Edge]]:
    """Start `gatewright up` with arguments, and wait until it serves."""
    started: list[Edge] = []

    def start(*arguments: str | Path) -> Edge:
        started.append(Edge("up", *arguments, directory=tmp_path))
        return started[-1].serving()

    yield start
    for edge in started:
        edge.close()


@pytest.fixture(scope="session")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """The reference example, shared by the tests of one worker; each test puts its own objects beside it."""
    process = Edge("up", EXAMPLE, "--no-aws", "--no-watch", directory=tmp_path_factory.mktemp("edge"))
    try:
        yield process.serving()
    finally:
        process.close()


@pytest.fixture
def namespace(edge: Edge) -> Iterator[str]:
    """A namespace of the shared edge for this test alone."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    edge.cluster.apply(f"{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}}}}}")
    yield name
    edge.cluster.delete("Namespace", "", name)


@pytest.fixture
def kubectl(edge: Edge) -> Callable[..., str]:
    """Run kubectl on the shared edge."""
    if KUBECTL is None:
        pytest.skip("kubectl is not installed")

    def call(*arguments: str, stdin: str = "") -> str:
        command = [str(KUBECTL), "--kubeconfig", str(edge.cluster.kubeconfig), *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=90)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return call
