"""Which files of a repository the manifests of a path depend on, and a digest of them that stands for a revision."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final, TypeAlias

from gatewright.local.documents import Document, documents

KUSTOMIZATIONS: Final = ("kustomization.yaml", "kustomization.yml", "Kustomization")
"""The names that a kustomization's file may have."""
CHART: Final = "Chart.yaml"

_PATHS: Final = (
    "resources",
    "components",
    "bases",
    "crds",
    "configurations",
    "generators",
    "transformers",
    "validators",
)


def kustomization(folder: Path) -> Path | None:
    """The file that makes a folder a kustomization."""
    return next((folder / name for name in KUSTOMIZATIONS if (folder / name).is_file()), None)


def dependencies(folder: Path) -> tuple[Path, ...]:
    """The folder, and every folder or file outside of it that its kustomization draws on, each once, sorted.

    What a kustomization refers to by URL is left out; what isn't there is in, since it may come to be.
    """
    found: dict[Path, None] = {}
    _collect(folder.resolve(), found)
    return tuple(sorted(found))


def digest(root: Path, paths: Iterable[Path]) -> str:
    """40 hexadecimal digits, as a commit has, that follow from the names and contents of all files of `paths`.

    Names count relative to `root`, so that the same tree in another place has the same digest.
    """
    total = hashlib.sha1(usedforsecurity=False)
    for file in sorted(set(_files(paths))):
        try:
            content = file.read_bytes()
        except OSError:  # went a moment ago
            continue
        name = str(file.relative_to(root)) if file.is_relative_to(root) else str(file)
        total.update(f"{len(name)} {name} {len(content)} ".encode())
        total.update(content)
    return total.hexdigest()


class Trees:
    """Remembers trees for as long as no file of theirs changes."""

    def __init__(self) -> None:
        self._known: dict[tuple[Path, tuple[Path, ...]], tuple[Mark, tuple[Path, ...], str]] = {}

    def read(self, root: Path, folder: Path, also: Iterable[Path] = ()) -> tuple[tuple[Path, ...], str]:
        """What a folder and the paths `also` depend on, and the digest of all of it."""
        key = (folder, tuple(sorted(also)))
        known = self._known.get(key)
        if known is not None and known[0] == _mark(known[1]):
            return known[1:]
        paths = tuple(sorted({*dependencies(folder), *key[1]}))
        # The mark is taken first: what is edited in between is read anew the next time.
        mark = _mark(paths)
        self._known[key] = (mark, paths, digest(root, paths))
        return self._known[key][1:]


Mark: TypeAlias = tuple[tuple[str, int, int], ...]
"""The name, the time of the last change and the size of each file."""


def _mark(paths: Iterable[Path]) -> Mark:
    found: list[tuple[str, int, int]] = []
    for file in sorted(set(_files(paths))):
        with contextlib.suppress(OSError):  # it went a moment ago
            told = file.stat()
            found.append((str(file), told.st_mtime_ns, told.st_size))
    return tuple(found)


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from (file for file in path.rglob("*") if file.is_file())
        elif path.is_file():
            yield path


def _collect(path: Path, found: dict[Path, None]) -> None:
    if path in found:
        return
    found[path] = None
    if not path.is_dir():
        return
    # A folder below may be a kustomization that reaches out of this one.
    for file in sorted(file for name in KUSTOMIZATIONS for file in path.rglob(name)):
        for name in _references(file):
            target = (file.parent / name).resolve()
            if not target.is_relative_to(path):
                _collect(target, found)


def _references(file: Path) -> Iterator[str]:
    """The local paths that a kustomization names."""
    try:
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return
    for document in documents(text):
        if isinstance(document, Document) and isinstance(document.value, dict):
            yield from (name for name in _named(document.value) if "://" not in name and "\n" not in name)


def _named(content: dict[str, Any]) -> Iterator[str]:
    for field in _PATHS:
        yield from (item for item in _items(content, field) if isinstance(item, str))
    for field in ("patches", "patchesJson6902", "replacements"):
        yield from (item["path"] for item in _items(content, field) if isinstance(_get(item, "path"), str))
    yield from (item for item in _items(content, "patchesStrategicMerge") if isinstance(item, str))
    for field in ("configMapGenerator", "secretGenerator"):
        for item in _items(content, field):
            for source in ("files", "envs"):
                yield from (str(name).rpartition("=")[2] for name in _items(item, source))


def _items(content: Any, field: str) -> list[Any]:
    found = _get(content, field)
    return found if isinstance(found, list) else []


def _get(content: Any, field: str) -> Any:
    return content.get(field) if isinstance(content, dict) else None
