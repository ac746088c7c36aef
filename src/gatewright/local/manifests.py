"""Manifests: files, folders and kustomizations read into objects that remember their file and line."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

import yaml
from msgspec import Struct

from gatewright.model.meta import Key

FieldPath: TypeAlias = tuple[str | int, ...]
"""The way from an object's root to a field: names and list positions."""

_SUFFIXES = {".yaml", ".yml", ".json"}
_KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_STDIN = "-"


class Problem(Struct, frozen=True):
    """Something wrong with a manifest: where, in which object (empty where it isn't known), what and the remedy."""

    where: str
    subject: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.where, self.subject, self.message) if part)


class Manifest(Struct, frozen=True):
    """One object of a file. `lines` holds the line on which each field starts, from 1."""

    content: dict[str, Any]
    file: str
    lines: dict[FieldPath, int]

    @property
    def api_version(self) -> str:
        """`apiVersion`."""
        return str(self.content["apiVersion"])

    @property
    def kind(self) -> str:
        """`kind`."""
        return str(self.content["kind"])

    @property
    def key(self) -> Key:
        """Namespace (as written: may be empty) and name."""
        metadata = self.content["metadata"]
        return Key(metadata.get("namespace") or "", metadata["name"])

    @property
    def subject(self) -> str:
        """The object as messages name it."""
        return f"{self.kind} {self.key}"

    def where(self, field: str = "") -> str:
        """`file:line` of a dotted field such as `spec.rules[0].matches`, or of its closest parent that is there."""
        path = parse_field(field)
        while path and path not in self.lines:
            path = path[:-1]
        line = self.lines.get(path)
        return f"{self.file}:{line}" if line else self.file


class Manifests(Struct, frozen=True):
    """What was read, and what could not be."""

    objects: tuple[Manifest, ...]
    problems: tuple[Problem, ...]
    files: tuple[Path, ...]
    """Every file and folder that was read, for watching."""


class _Unreadable(Exception):
    def __init__(self, where: str, message: str, subject: str = "") -> None:
        super().__init__(message)
        self.problem = Problem(where, subject, message)


def parse_field(field: str) -> FieldPath:
    """The path that a dotted field such as `spec.rules[0].name` stands for."""
    path: list[str | int] = []
    for part in field.replace("[", ".[").split("."):
        if part.startswith("["):
            inner = part.strip("[]")
            path.append(int(inner) if inner.isdigit() else inner)
        elif part:
            path.append(part)
    return tuple(path)


def load(paths: Iterable[str | Path]) -> Manifests:
    """Read every object at `paths`; a folder is read with its subfolders, or as the kustomization that it holds."""
    objects: list[Manifest] = []
    problems: list[Problem] = []
    files: list[Path] = []
    for text, name, watched in _texts(paths, problems):
        files += watched
        for found in _objects(text, name):
            if isinstance(found, Manifest):
                objects.append(found)
            else:
                problems.append(found)
    return Manifests(tuple(_without_duplicates(objects, problems)), tuple(problems), tuple(dict.fromkeys(files)))


def _texts(paths: Iterable[str | Path], problems: list[Problem]) -> Iterator[tuple[str, str, list[Path]]]:
    """The text of each file with its name; what can't be read becomes a problem."""
    for given in paths:
        if str(given) == _STDIN:
            yield sys.stdin.read(), "standard input", []
            continue
        path = Path(given)
        if path.is_dir():
            kustomization = next((path / name for name in _KUSTOMIZATIONS if (path / name).is_file()), None)
            found = [path] if kustomization else _files_below(path)
            if not found:
                problems.append(Problem(str(path), "", "the folder holds no .yaml, .yml or .json file"))
        else:
            kustomization = None
            found = [path]
        for file in found:
            try:
                text = _kustomize(path) if kustomization else file.read_text(encoding="utf-8")
            except FileNotFoundError:
                problems.append(Problem(str(file), "", "there is no such file or folder"))
            except UnicodeDecodeError as error:
                problems.append(Problem(str(file), "", f"expected UTF-8 text: {error.reason} at byte {error.start}"))
            except OSError as error:
                problems.append(Problem(str(file), "", str(error.strerror)))
            except _Unreadable as error:
                problems.append(error.problem)
            else:
                yield text, str(file), [path, file] if path.is_dir() else [file]
                continue
            # Watched all the same: the file may appear or be mended.
            yield "", str(file), [path if path.exists() else path.parent]


def _files_below(folder: Path) -> list[Path]:
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix in _SUFFIXES and file.is_file() and not any(part.startswith(".") for part in file.parts)
    )


def _kustomize(folder: Path) -> str:
    for command in (["kustomize", "build"], ["kubectl", "kustomize"]):
        program = shutil.which(command[0])
        if program:
            done = subprocess.run(  # noqa: S603 - a program that the user has installed, on a folder the user named
                [program, *command[1:], str(folder)], capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise _Unreadable(str(folder), f"{' '.join(command)} failed: {done.stderr.strip()}")
            return done.stdout
    raise _Unreadable(str(folder), "a kustomization needs `kustomize` or `kubectl` on the PATH; neither is there")


def _without_duplicates(objects: list[Manifest], problems: list[Problem]) -> Iterator[Manifest]:
    seen: dict[tuple[str, str, Key], Manifest] = {}
    for manifest in objects:
        group = manifest.api_version.rpartition("/")[0]
        first = seen.setdefault((group, manifest.kind, manifest.key), manifest)
        if first is manifest:
            yield manifest
        else:
            message = f"defined twice; the first one is at {first.where()}: remove or rename one"
            problems.append(Problem(manifest.where(), manifest.subject, message))


# --- YAML ------------------------------------------------------------------------------------------------------------

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _objects(text: str, name: str) -> Iterator[Manifest | Problem]:
    """Each document's objects; a document that isn't one costs the others nothing, a syntax error the rest."""
    loader = _Loader(text)
    try:
        while loader.check_node():
            node = loader.get_node()
            lines: dict[FieldPath, int] = {}
            try:
                content = _construct(loader, node, (), lines, name)
                if content is not None:
                    yield from _checked(content, lines, name)
            except _Unreadable as error:
                yield error.problem
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}:{mark.column + 1}" if mark else name
        yield Problem(where, "", f"not valid YAML: {error.problem or error.context}")
    except yaml.YAMLError as error:
        yield Problem(name, "", f"not valid YAML: {error}")
    finally:
        loader.dispose()


def _construct(loader: Any, node: yaml.Node, path: FieldPath, lines: dict[FieldPath, int], name: str) -> Any:
    lines[path] = node.start_mark.line + 1
    if isinstance(node, yaml.MappingNode):
        given: dict[str, int] = {}
        for key_node, _ in node.value:
            line = key_node.start_mark.line + 1
            first = given.setdefault(key_node.value, line)
            if first != line:
                message = f"field {key_node.value} is given twice; the first is on line {first}"
                raise _Unreadable(f"{name}:{line}", message)
        loader.flatten_mapping(node)  # `<<`
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            mapping[key] = _construct(loader, value_node, (*path, key), lines, name)
            lines[(*path, key)] = key_node.start_mark.line + 1
        return mapping
    if isinstance(node, yaml.SequenceNode):
        return [_construct(loader, item, (*path, index), lines, name) for index, item in enumerate(node.value)]
    if node.tag in ("tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:value"):
        return node.value  # JSON has no such types; Kubernetes reads them as strings
    return loader.construct_object(node)


def _checked(content: Any, lines: dict[FieldPath, int], name: str) -> Iterator[Manifest]:
    """The object, or the items of a List; raises where it isn't an object of the Kubernetes kind."""
    where = f"{name}:{lines[()]}"
    if not isinstance(content, dict):
        raise _Unreadable(where, f"found {_type(content)}, expected an object with apiVersion, kind and metadata")
    for field in ("apiVersion", "kind"):
        if not isinstance(content.get(field), str) or not content[field]:
            raise _Unreadable(where, f"{field}: found {_type(content.get(field))}, expected a string")
    if content["kind"].endswith("List") and isinstance(content.get("items"), list):
        for index, item in enumerate(content["items"]):
            prefix: FieldPath = ("items", index)
            inner = {path[2:]: line for path, line in lines.items() if path[:2] == prefix}
            yield from _checked(item, inner, name)
        return
    metadata = content.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str) or not metadata["name"]:
        found = _type(metadata.get("name") if isinstance(metadata, dict) else metadata)
        raise _Unreadable(where, f"metadata.name: found {found}, expected a name", content["kind"])
    yield Manifest(content, name, lines)


def _type(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    return "nothing" if value is None else names.get(type(value), type(value).__name__)
