"""Sources into objects: what Argo CD's repository server does, with folders in the place of Git repositories."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from gatewright.local.argocd import trees
from gatewright.local.argocd.application import Application, ApplicationSource, Directory
from gatewright.local.argocd.builds import Cluster, SourceError, build_chart, build_kustomization, value_file
from gatewright.local.argocd.provided import PROVIDED, Provided, find
from gatewright.local.documents import Flaw, documents

_SUFFIXES: Final = {".yaml", ".yml", ".json"}
_NO_REVISION: Final = "0" * 40


class Rendered(Struct, frozen=True):
    """What the sources of an Application come to."""

    objects: tuple[dict[str, Any], ...]
    revision: str
    """40 hexadecimal digits that follow from all files that were read."""
    provided: tuple[str, ...]
    """A sentence for each source that the local edge provides itself."""


class Sources:
    """Renders sources. What was rendered once is kept until a file that it depends on changes."""

    def __init__(
        self,
        repositories: Mapping[str, Path],
        cluster: Callable[[], Awaitable[Cluster]],
        provided: Sequence[Provided] = PROVIDED,
    ) -> None:
        """`repositories`: a repository's folder by its URL. `cluster` tells what charts may ask of the cluster."""
        self._repositories = {normal(url): folder.resolve() for url, folder in repositories.items()}
        self._cluster = cluster
        self._provided = tuple(provided)
        self._trees = trees.Trees()
        # By an Application's name and the number of its source: what was rendered, and out of what.
        self._kept: dict[tuple[str, int], tuple[tuple[Any, ...], tuple[dict[str, Any], ...]]] = {}

    def folders(self, sources: Iterable[ApplicationSource]) -> frozenset[Path]:
        """The folders, and files, whose change may change what sources come to."""
        found: set[Path] = set()
        for source in sources:
            root = self._repositories.get(normal(source.repo_url))
            if root is not None:
                folder = (root / source.path).resolve()
                found.update(self._trees.read(root, folder)[0] if folder.is_dir() else [folder])
        return frozenset(found)

    async def render(self, application: Application) -> Rendered:
        """All objects of an Application's sources, in the order of the sources. Raises SourceError."""
        sources = application.spec.all_sources
        if not sources:
            raise SourceError("spec.source: found none, expected a repository with a path or a chart")
        objects: list[dict[str, Any]] = []
        revisions: list[str] = []
        provided: list[str] = []
        for number, source in enumerate(sources, 1):
            entry = find(source, self._provided)
            if entry is not None:
                what = f"chart {source.chart}" if source.chart else f"path {source.path}"
                provided.append(
                    f"{what} of {source.repo_url} at {source.target_revision or 'HEAD'} isn't fetched: "
                    f"the local edge provides it by {entry.by}"
                )
                revisions.append(source.target_revision or _NO_REVISION)
                continue
            try:
                found, revision = await self._one(application, number, sources)
            except SourceError as error:
                where = f"source {number} of {len(sources)}"
                raise SourceError(
                    f"Failed to load target state: failed to generate manifest for {where}: {error}"
                ) from (error)
            objects += found
            revisions.append(revision)
        return Rendered(tuple(objects), _joined(revisions), tuple(provided))

    async def _one(
        self, application: Application, number: int, sources: Sequence[ApplicationSource]
    ) -> tuple[tuple[dict[str, Any], ...], str]:
        source = sources[number - 1]
        root = self._root(source)
        if source.ref and not source.path and not source.chart:
            return (), trees.digest(root, [])  # only there for other sources' value files
        if source.chart:
            raise SourceError(f"chart {source.chart}: charts are taken out of a repository's folder here; set path")
        if source.plugin is not None:
            raise SourceError("plugin: config management plugins are not run here; render into files instead")
        folder = _inside(root, source.path)
        values = {
            other.ref: self._root(other)
            for other in sources
            if other.ref and normal(other.repo_url) in self._repositories
        }
        also = {value_file(name, root, folder, values) for name in (source.helm.value_files if source.helm else ())}
        revision = self._trees.read(root, folder, also)[1]
        cluster = await self._cluster() if source.helm is not None or (folder / trees.CHART).is_file() else None
        made_of = (source, application.spec.destination.namespace, revision, cluster)
        known = self._kept.get((application.name, number))
        if known and known[0] == made_of:
            return known[1], revision
        if cluster is not None:
            text = await build_chart(application, source, root, folder, values, cluster)
        elif source.kustomize is not None or trees.kustomization(folder):
            text = await build_kustomization(source, folder)
        else:
            text = None
        found = (
            _directory(root, folder, source.directory or Directory()) if text is None else _objects(text, source.path)
        )
        objects = tuple(found)
        self._kept[application.name, number] = (made_of, objects)
        return objects, revision

    def _root(self, source: ApplicationSource) -> Path:
        root = self._repositories.get(normal(source.repo_url))
        if root is None:
            known = ", ".join(sorted(self._repositories)) or "none"
            raise SourceError(
                f"repository {source.repo_url}: nothing is fetched from the network here, and it is none of the "
                f"repositories that are folders ({known}); set repoURL to one of them"
            )
        if not root.is_dir():
            raise SourceError(f"repository {source.repo_url}: its folder {root} isn't there")
        return root


def normal(url: str) -> str:
    """A repository's URL as it is compared: without `.git`, a closing slash, and the difference of letters' case."""
    return url.strip().removesuffix("/").removesuffix(".git").lower()


def _joined(revisions: Sequence[str]) -> str:
    return revisions[0] if len(revisions) == 1 else ",".join(revisions)


def _inside(root: Path, path: str) -> Path:
    if path.startswith("/"):
        raise SourceError(f"{path}: app path is absolute")
    folder = (root / path).resolve()
    if not folder.is_relative_to(root):
        raise SourceError(f"{path}: app path is outside of the repository")
    if not folder.exists():
        raise SourceError(f"{path}: app path does not exist")
    if not folder.is_dir():
        raise SourceError(f"{path}: app path is not a directory")
    return folder


def _directory(root: Path, folder: Path, options: Directory) -> Iterator[dict[str, Any]]:
    """The objects of a plain folder's files, by name."""
    if options.jsonnet:
        raise SourceError("directory.jsonnet: Jsonnet is not evaluated here; render into files instead")
    for file in sorted(folder.rglob("*") if options.recurse else folder.iterdir()):
        name = file.relative_to(folder).as_posix()
        if not file.is_file() or file.suffix not in _SUFFIXES:
            continue
        if (options.include and not _matches(name, options.include)) or _matches(name, options.exclude):
            continue
        if not file.resolve().is_relative_to(root):
            raise SourceError(f"{file.relative_to(root)}: is a link to what is outside of the repository")
        try:
            text = file.read_text("utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise SourceError(f"{file.relative_to(root)}: can't be read: {error}") from error
        yield from _objects(text, str(file.relative_to(root)))


def _matches(name: str, pattern: str) -> bool:
    """Whether a file's name fits a glob, of which `{a,b}` may hold several."""
    if pattern.startswith("{") and pattern.endswith("}"):
        return any(fnmatchcase(name, part) for part in pattern[1:-1].split(","))
    return bool(pattern) and fnmatchcase(name, pattern)


def _objects(text: str, where: str) -> Iterator[dict[str, Any]]:
    """The objects of a text of YAML documents, Lists taken apart. Raises SourceError with place and reason."""
    for document in documents(text):
        if isinstance(document, Flaw):
            raise SourceError(f"{where}:{document.line}: {document.message}")
        yield from _checked(document.value, f"{where}:{document.lines[()]}")


def _checked(value: Any, where: str) -> Iterator[dict[str, Any]]:
    if not isinstance(value, dict):
        raise SourceError(
            f"{where}: found {type(value).__name__}, expected an object with apiVersion, kind and metadata"
        )
    for field in ("apiVersion", "kind"):
        if not isinstance(value.get(field), str) or not value[field]:
            raise SourceError(f"{where}: {field}: found {value.get(field)!r}, expected a string")
    if value["kind"].endswith("List") and isinstance(value.get("items"), list):
        for item in value["items"]:
            yield from _checked(item, where)
        return
    metadata = value.get("metadata")
    if not isinstance(metadata, dict) or not isinstance(metadata.get("name"), str):
        if isinstance(metadata, dict) and isinstance(metadata.get("generateName"), str):
            raise SourceError(
                f"{where}: {value['kind']}: metadata.generateName: only hooks have it, and none are run here"
            )
        raise SourceError(f"{where}: {value['kind']}: metadata.name: found none, expected a string")
    yield value
