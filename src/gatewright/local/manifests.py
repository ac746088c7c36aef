"""Manifests: files, folders and kustomizations read into objects that remember their file and line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from msgspec import Struct

from gatewright.local import tools
from gatewright.local.documents import FieldPath, Flaw, Lines, documents
from gatewright.local.front.description import AwsDescription, DescriptionError, is_description, parse
from gatewright.model.kinds import find
from gatewright.model.meta import Key

MAX_BYTES = 32 << 20
"""How large a file may be."""

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
    lines: Lines

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
        return _where(self.file, self.lines, field)


class FrontManifest(Struct, frozen=True):
    """The edge description among the manifests: what stands in front of the cluster."""

    description: AwsDescription
    file: str
    lines: Lines

    def where(self, field: str = "") -> str:
        """`file:line` of a dotted field, or of its closest parent that is there."""
        return _where(self.file, self.lines, field)


class Manifests(Struct, frozen=True):
    """What was read, and what could not be."""

    objects: tuple[Manifest, ...]
    problems: tuple[Problem, ...]
    files: tuple[Path, ...]
    """Every file and folder that was read, for watching."""
    broken: frozenset[str] = frozenset()
    """The names of the files that could not be read whole."""
    once: dict[str, str] = {}
    """The text of what can't be read again."""
    front: FrontManifest | None = None


class _Unreadable(Exception):
    def __init__(self, where: str, message: str, subject: str = "") -> None:
        super().__init__(message)
        self.problem = Problem(where, subject, message)


def _where(file: str, lines: Lines, field: str) -> str:
    path = parse_field(field)
    while path and path not in lines:
        path = path[:-1]
    line = lines.get(path)
    return f"{file}:{line}" if line else file


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


def load(paths: Iterable[str | Path], before: Manifests | None = None) -> Manifests:
    """Read every object at `paths`; a folder is read with its subfolders, or as the kustomization that it holds.

    What can be read once only, such as standard input, is taken from `before`, the last result for the same paths.
    """
    reading = _Reading(dict(before.once) if before else {})
    objects: list[Manifest] = []
    front: FrontManifest | None = None
    for text, name in reading.texts(paths):
        for found in _objects(text, name):
            if isinstance(found, Manifest):
                objects.append(found)
                continue
            if isinstance(found, FrontManifest):
                if front is None:
                    front = found
                    continue
                message = f"a second edge description; the first one is at {front.where()}: put both into one"
                found = Problem(found.where(), "", message)
            reading.problems.append(found)
            reading.broken.add(name)
    if front is None and before and before.front and before.front.file in reading.broken:
        front = before.front  # as the objects of a file stay that can't be read for now
    unique = tuple(_without_duplicates(objects, reading.problems))
    if not unique and front is None and not reading.problems:
        names = ", ".join(dict.fromkeys(map(str, paths)))
        reading.problems.append(Problem(names, "", "no object is there: add manifests, or name other files or folders"))
        reading.broken.update(map(str, paths))  # a file that is being written is empty for a moment
    files = tuple(dict.fromkeys(reading.files))
    return Manifests(unique, tuple(reading.problems), files, frozenset(reading.broken), reading.once, front)


class _Reading:
    """One pass over the paths: what is wrong with them, what is to be watched, what can't be read again."""

    def __init__(self, once: dict[str, str]) -> None:
        self.once = once
        self.problems: list[Problem] = []
        self.broken: set[str] = set()
        self.files: list[Path] = []

    def texts(self, paths: Iterable[str | Path]) -> Iterator[tuple[str, str]]:
        """The text of each file with its name, each file once; what can't be read becomes a problem."""
        seen: set[Path] = set()
        for given in paths:
            path = Path(given)
            if str(given) == _STDIN:
                text = self._text("standard input", lambda: self._once(_STDIN, sys.stdin.buffer))
                if text is not None:
                    yield text, "standard input"
                continue
            for file, read in self._files(path):
                real = file.resolve()
                if real in seen:
                    continue
                seen.add(real)
                text = self._text(str(file), read)
                if text is not None:
                    yield text, str(file)

    def _files(self, path: Path) -> Iterator[tuple[Path, Callable[[], str]]]:
        """The files at a path, each with what reads it."""
        # What isn't there is watched all the same: it may appear, or be mended.
        self.files.append(path if path.exists() else path.parent)
        if not path.is_dir():
            yield path, lambda: self._file(path)
        elif any((path / name).is_file() for name in _KUSTOMIZATIONS):
            yield path, lambda: _kustomize(path)
        else:
            found = _files_below(path)
            if not found:
                self.problems.append(Problem(str(path), "", "the folder holds no .yaml, .yml or .json file"))
            for file in found:
                yield file, partial(self._file, file)

    def _file(self, path: Path) -> str:
        if str(path) in self.once:  # to open a pipe again would wait for another writer
            return self.once[str(path)]
        with path.open("rb") as file:
            return _decoded(file) if path.is_file() else self._once(str(path), file)

    def _once(self, name: str, file: BinaryIO) -> str:
        if name not in self.once:
            self.once[name] = _decoded(file)
        return self.once[name]

    def _text(self, name: str, read: Callable[[], str]) -> str | None:
        try:
            return read()
        except FileNotFoundError:
            problem = Problem(name, "", "there is no such file or folder")
        except UnicodeDecodeError as error:
            problem = Problem(name, "", f"expected UTF-8 text: {error.reason} at byte {error.start}")
        except OSError as error:
            problem = Problem(name, "", str(error.strerror or error))
        except _Unreadable as error:
            problem = error.problem
        self.problems.append(problem)
        self.broken.add(name)
        return None


def _decoded(file: BinaryIO) -> str:
    content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise _Unreadable(str(file.name), f"found more than {MAX_BYTES >> 20} MiB, which is too much for manifests")
    return content.decode("utf-8-sig")


def _files_below(folder: Path) -> list[Path]:
    return sorted(
        file
        for file in folder.rglob("*")
        if file.suffix in _SUFFIXES
        and file.name not in _KUSTOMIZATIONS
        and file.is_file()
        and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    )


def _kustomize(folder: Path) -> str:
    try:
        command = tools.kustomize()
    except tools.ToolError as error:
        raise _Unreadable(str(folder), str(error)) from error
    done = subprocess.run(  # noqa: S603 - a program that the user has installed, on a folder the user named
        [*command, str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise _Unreadable(str(folder), f"{' '.join(command)} failed: {done.stderr.strip()}")
    return done.stdout


def _without_duplicates(objects: list[Manifest], problems: list[Problem]) -> Iterator[Manifest]:
    seen: dict[tuple[str, str, Key], Manifest] = {}
    for manifest in objects:
        group = manifest.api_version.rpartition("/")[0]
        kind = find(manifest.api_version, manifest.kind)
        namespace = manifest.key.namespace or "default"
        key = Key(namespace if kind is None or kind.namespaced else "", manifest.key.name)
        first = seen.setdefault((group, manifest.kind, key), manifest)
        if first is manifest:
            yield manifest
        else:
            message = f"defined twice; the first one is at {first.where()}: remove or rename one"
            problems.append(Problem(manifest.where(), manifest.subject, message))


# --- objects ----------------------------------------------------------------------------------------------------------


def _objects(text: str, name: str) -> Iterator[Manifest | FrontManifest | Problem]:
    """Each document's objects; a document that isn't one costs the others nothing, a syntax error the rest."""
    for document in documents(text):
        if isinstance(document, Flaw):
            where = f"{name}:{document.line}:{document.column}" if document.column else f"{name}:{document.line}"
            yield Problem(where, "", document.message)
        elif is_description(document.value):
            yield _described(document.value, document.lines, name)
        else:
            yield from _checked(document.value, document.lines, name)


def _described(content: dict[str, Any], lines: Lines, name: str) -> FrontManifest | Problem:
    try:
        return FrontManifest(parse(content), name, lines)
    except DescriptionError as error:
        return Problem(_where(name, lines, error.field), "", str(error))


def _checked(content: Any, lines: Lines, name: str) -> Iterator[Manifest | Problem]:
    """The object, or the items of a List; a problem where it isn't an object of the Kubernetes kind."""
    where = f"{name}:{lines[()]}"
    if not isinstance(content, dict):
        yield Problem(where, "", f"found {_type(content)}, expected an object with apiVersion, kind and metadata")
        return
    for field in ("apiVersion", "kind"):
        if not isinstance(content.get(field), str) or not content[field]:
            yield Problem(where, "", f"{field}: found {_type(content.get(field))}, expected a string")
            return
    if content["kind"].endswith("List") and isinstance(content.get("items"), list):
        for index, item in enumerate(content["items"]):
            prefix: FieldPath = ("items", index)
            inner = {path[2:]: line for path, line in lines.items() if path[:2] == prefix}
            yield from _checked(item, inner or {(): lines[()]}, name)
        return
    metadata = content.get("metadata")
    if not isinstance(metadata, dict):
        yield Problem(where, content["kind"], f"metadata: found {_type(metadata)}, expected an object with a name")
        return
    for field in ("name", "namespace", "labels", "annotations"):
        value = metadata.get(field)
        wrong = value is not None and not isinstance(value, dict if field in ("labels", "annotations") else str)
        if wrong or (field == "name" and not value):
            line = lines.get(("metadata", field), lines.get(("metadata",), lines[()]))
            expected = "an object" if field in ("labels", "annotations") else "a string"
            message = f"metadata.{field}: found {_type(value)}, expected {expected}"
            yield Problem(f"{name}:{line}", content["kind"], message)
            return
    yield Manifest(content, name, lines)


def _type(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", int: "a number", float: "a number"}
    if value == "" and isinstance(value, str):
        return "an empty string"
    return "nothing" if value is None else names.get(type(value), type(value).__name__)
