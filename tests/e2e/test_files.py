"""Edits of the files while the edge runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.e2e.edge_process import SMALL, Edge, app, eventually, fetch, route

Up = Callable[..., Edge]


def answers(url: str, text: str) -> bool:
    """Whether only `text` is answered: while a Deployment rolls, old pods answer too."""
    return {fetch(url).body.strip() for _ in range(8)} == {text}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "manifests"
    folder.mkdir()
    (folder / "edge.yaml").write_text(SMALL)
    (folder / "more.yaml").write_text(app("more", "more") + "---" + route("more", "more", "/more"))
    return folder


def test_edits_removals_and_mistakes(up: Up, folder: Path) -> None:
    edge = up(folder)
    assert fetch(f"{edge.url}/more").body.strip() == "more"

    # An edit is applied.
    edited = folder / "edge.yaml"
    edited.write_text(SMALL.replace("-text=small", "-text=edited"))
    edge.says("Deployment app configured")
    eventually(lambda: answers(edge.url, "edited"))

    # A mistake is told with its line, and deletes nothing.
    edited.write_text("apiVersion: v1\nkind: [\n")
    edge.says("edge.yaml:3:1: not valid YAML")
    assert answers(edge.url, "edited")

    # What the API refuses is told too, and the rest goes on.
    edited.write_text(SMALL.replace("-text=small", "-text=again").replace("backendRefs:", "backendRef:"))
    edge.says("spec.rules[0].backendRef: unknown field; did you mean backendRefs?")
    eventually(lambda: answers(edge.url, "again"))

    # Mended, it applies.
    edited.write_text(SMALL.replace("-text=small", "-text=mended"))
    eventually(lambda: answers(edge.url, "mended"))

    # An object that is gone from the files is deleted, with the file or without; so is what a new file brings applied.
    (folder / "more.yaml").write_text(app("more", "more"))
    edge.says("HTTPRoute more deleted")
    eventually(lambda: fetch(f"{edge.url}/more").body.strip() == "mended")
    (folder / "more.yaml").unlink()
    edge.says("Deployment more deleted")
    (folder / "new.yaml").write_text(route("new", "app", "/new"))
    edge.says("HTTPRoute new created")
    assert edge.interrupt() == 130
    assert edge.left() == []


def test_a_file_that_an_editor_replaces(up: Up, folder: Path) -> None:
    path = folder / "edge.yaml"
    edge = up(path)
    replacement = folder / ".edge.yaml.new"
    replacement.write_text(SMALL.replace("-text=small", "-text=replaced"))
    replacement.rename(path)
    eventually(lambda: answers(edge.url, "replaced"))


def test_no_watch_leaves_the_edge_alone(up: Up, folder: Path) -> None:
    edge = up(folder, "--no-watch")
    (folder / "edge.yaml").unlink()
    (folder / "more.yaml").write_text(route("more", "more", "/other"))
    edge.cluster.apply(route("sign", "app", "/sign"), "default")
    edge.says("HTTPRoute default/sign")
    assert fetch(f"{edge.url}/more").body.strip() == "more"
