"""Files and folders as objects that know their file and line."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright.local import manifests, tools
from gatewright.local.manifests import load, parse_field

CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  a: b\n"


def problems(*paths: Path) -> list[str]:
    return [str(problem) for problem in load(paths).problems]


def test_a_folder_is_read_with_its_subfolders_and_no_hidden_files(tmp_path: Path) -> None:
    # A hidden folder above what was named is no reason to leave anything out.
    root = tmp_path / ".hidden" / "root"
    for name in ("b.yaml", "a.yml", "deep/c.json", ".git/d.yaml", "notes.txt", "deep/.e.yaml"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(CONFIG_MAP.format(name=Path(name).stem.strip(".")))
    assert sorted(found.key.name for found in load([root]).objects) == ["a", "b", "c"]


def test_a_file_that_is_named_twice_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(CONFIG_MAP.format(name="a"))
    found = load([tmp_path, tmp_path / "a.yaml"])
    assert len(found.objects) == 1
    assert found.problems == ()


def test_fields_are_found_by_the_names_that_the_api_gives_them(tmp_path: Path) -> None:
    path = tmp_path / "route.yaml"
    path.write_text("kind: X\napiVersion: v1\nmetadata: {name: x}\nspec:\n  rules:\n  - a: 1\n  - b:\n      c: 2\n")
    (found,) = load([path]).objects
    assert found.where() == f"{path}:1"
    assert found.where("spec.rules[1].b.c") == f"{path}:8"
    assert found.where("spec.rules[1].nothing.here") == f"{path}:7"
    assert found.where("elsewhere") == f"{path}:1"
    assert parse_field("a.b[2].c[x]") == ("a", "b", 2, "c", "x")


def test_the_items_of_a_list_are_objects_with_their_own_lines(tmp_path: Path) -> None:
    path = tmp_path / "list.yaml"
    path.write_text(
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: a}\n"
        "- apiVersion: v1\n  kind: ConfigMap\n  metadata:\n    name: b\n- 3\n"
    )
    found = load([path])
    assert [(item.key.name, item.where("metadata.name")) for item in found.objects] == [
        ("a", f"{path}:6"),
        ("b", f"{path}:10"),
    ]
    assert problems(path) == [f"{path}:11: found a number, expected an object with apiVersion, kind and metadata"]


def test_duplicates_are_told_apart_by_group_and_namespace(tmp_path: Path) -> None:
    path = tmp_path / "twice.yaml"
    one = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"
    other = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: other}\n"
    same = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x, namespace: default}\n"
    path.write_text("---\n".join((one, other, same)))
    (problem,) = problems(path)
    message = "defined twice; the first one is at"
    assert problem == f"{path}:9: ConfigMap default/x: {message} {path}:1: remove or rename one"


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ("", "metadata: found nothing, expected an object with a name"),
        ("metadata: {}", "metadata.name: found nothing, expected a string"),
        ("metadata: {name: 3}", "metadata.name: found a number, expected a string"),
        ("metadata: {name: x, namespace: [a]}", "metadata.namespace: found a list, expected a string"),
        ("metadata: {name: x, labels: z}", "metadata.labels: found a string, expected an object"),
    ],
)
def test_an_object_has_a_name(tmp_path: Path, metadata: str, message: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(f"apiVersion: v1\nkind: ConfigMap\n{metadata}\n")
    (problem,) = problems(path)
    assert problem.endswith(f": ConfigMap: {message}")


def test_a_file_too_large_for_manifests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifests, "MAX_BYTES", 1 << 20)
    path = tmp_path / "large.yaml"
    path.write_bytes(b"#" * ((1 << 20) + 1))
    assert problems(path) == [f"{path}: found more than 1 MiB, which is too much for manifests"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "secret.yaml"
    path.touch(mode=0o000)
    assert problems(path) == [f"{path}: Permission denied"]


def test_what_can_be_read_once_is_kept_for_the_next_reading(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(CONFIG_MAP.format(name="piped"),))
    writer.start()
    first = load([pipe])
    writer.join()
    assert [item.key.name for item in first.objects] == ["piped"]
    assert load([pipe], first) == first


@pytest.mark.skipif(not (tools.find("kubectl") or tools.find("kustomize")), reason="needs kubectl or kustomize")
def test_a_kustomization_is_built(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(CONFIG_MAP.format(name="a"))
    (tmp_path / "kustomization.yaml").write_text("namePrefix: pre-\nresources: [a.yaml]\n")
    assert [item.key.name for item in load([tmp_path]).objects] == ["pre-a"]


def test_a_kustomization_needs_a_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kustomization.yaml").write_text("resources: []\n")
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    (problem,) = problems(tmp_path)
    assert "kubectl: not found" in problem
    assert "it is needed to build kustomizations, where there is no kustomize: install it" in problem


@given(content=st.binary(max_size=200))
def test_no_file_makes_it_raise(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(content)
    found = load([path])
    assert found.objects or found.problems
