"""Kustomizations and charts into text, by the programs that Argo CD itself calls: kustomize and Helm."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from gatewright.local import tools
from gatewright.local.argocd.application import Application, ApplicationSource, Helm, Kustomize

SECONDS: Final = 90
"""How long a program may take, as Argo CD's repository server has it by default."""


class SourceError(Exception):
    """A source can't be made into objects; the text says where, why, and what to do."""


class Cluster(msgspec.Struct, frozen=True):
    """What a chart may ask about the cluster: `.Capabilities`."""

    version: str
    """As `1.34.0`."""
    api_versions: tuple[str, ...]
    """`GROUP/VERSION` and `GROUP/VERSION/KIND` of everything that is served."""


async def build_kustomization(source: ApplicationSource, folder: Path) -> str:
    """The objects of a kustomization as YAML, with what the source adds to it. Raises SourceError."""
    try:
        command = tools.kustomize()
    except tools.ToolError as error:
        raise SourceError(str(error)) from error
    added = addition(source.kustomize or Kustomize(), folder)
    if not added:
        return await _run(source.path, *command, str(folder))
    with _folder() as temporary:
        # The kustomization isn't written to, as it would be in a clone: one around it says what is added.
        (temporary / "kustomization.yaml").write_bytes(msgspec.json.encode(_around(folder, added, temporary)))
        return await _run(source.path, *command, str(temporary))


def addition(options: Kustomize, folder: Path) -> dict[str, Any]:
    """A kustomization's fields that say what a source's `kustomize` does. Reads patches that are files of `folder`."""
    components = [(folder / name).resolve() for name in options.components]
    if options.ignore_missing_components:
        components = [path for path in components if path.is_dir()]
    labels = {
        "pairs": options.common_labels,
        "includeSelectors": not options.label_without_selector,
        "includeTemplates": options.label_include_templates or not options.label_without_selector,
    }
    fields = {
        "namePrefix": options.name_prefix,
        "nameSuffix": options.name_suffix,
        "namespace": options.namespace,
        "images": [image(text) for text in options.images],
        "replicas": [{"name": replica.name, "count": int(replica.count)} for replica in options.replicas],
        "labels": [labels] if options.common_labels else [],
        "commonAnnotations": options.common_annotations,
        "patches": [_patch(patch, folder) for patch in options.patches],
        "components": [str(path) for path in components],
    }
    return {name: value for name, value in fields.items() if value}


def _around(folder: Path, added: Mapping[str, Any], place: Path) -> dict[str, Any]:
    """A kustomization in the folder `place`, around the one of `folder`; kustomize takes relative paths only."""
    content = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [os.path.relpath(folder, place)],
        **added,
    }
    if "components" in content:
        content["components"] = [os.path.relpath(path, place) for path in content["components"]]
    return content


def image(text: str) -> dict[str, str]:
    """`[NAME=]NEW[:TAG|@DIGEST]` as an entry of a kustomization's `images`."""
    name, _, new = text.rpartition("=")
    found: dict[str, str] = {}
    new, _, digest = new.partition("@")
    head, slash, last = new.rpartition("/")
    last, _, tag = last.partition(":")
    new = f"{head}{slash}{last}"
    found["name"] = name or new
    if name:
        found["newName"] = new
    if tag:
        found["newTag"] = tag
    if digest:
        found["digest"] = digest
    return found


def _patch(patch: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    if "path" not in patch:
        return dict(patch)
    file = (folder / str(patch["path"])).resolve()
    if not file.is_relative_to(folder.resolve()):
        raise SourceError(f"kustomize.patches: {patch['path']}: is not in or below the kustomization's folder")
    try:
        text = file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"kustomize.patches: {patch['path']}: can't be read: {error}") from error
    return {**{name: value for name, value in patch.items() if name != "path"}, "patch": text}


async def build_chart(
    application: Application,
    source: ApplicationSource,
    root: Path,
    folder: Path,
    values: Mapping[str, Path],
    cluster: Cluster,
) -> str:
    """The objects of a chart as YAML (`helm template`), as Argo CD calls it. Raises SourceError.

    `values`: the folders of sources that have a `ref`, by which value files may be named: `$REF/PATH`.
    """
    helm = source.helm or Helm()
    namespace = helm.namespace or application.spec.destination.namespace or "default"
    try:
        program = tools.need("helm", "to render charts")
    except tools.ToolError as error:
        raise SourceError(str(error)) from error
    command = [str(program), "template", helm.release_name or application.name, str(folder)]
    command += ["--namespace", namespace, "--kube-version", helm.kube_version or cluster.version]
    for version in helm.api_versions or cluster.api_versions:
        command += ["--api-versions", version]
    if not helm.skip_crds:
        command.append("--include-crds")
    if helm.skip_tests:
        command.append("--skip-tests")
    if helm.skip_schema_validation:
        command.append("--skip-schema-validation")
    for name in helm.value_files:
        file = value_file(name, root, folder, values)
        if not file.is_file():
            if helm.ignore_missing_value_files:
                continue
            raise SourceError(f"{source.path}: helm.valueFiles: {name}: there is no such file")
        command += ["--values", str(file)]
    with _folder() as temporary:
        # Argo CD lets valuesObject win over values.
        given = msgspec.json.encode(helm.values_object) if helm.values_object else helm.values.encode()
        if given:
            (temporary / "values.yaml").write_bytes(given)
            command += ["--values", str(temporary / "values.yaml")]
        for parameter in helm.parameters:
            command += ["--set-string" if parameter.force_string else "--set", f"{parameter.name}={parameter.value}"]
        for parameter_file in helm.file_parameters:
            file = (folder / parameter_file.path).resolve()
            if not file.is_relative_to(root):
                raise SourceError(f"helm.fileParameters: {parameter_file.path}: is outside of the repository")
            command += ["--set-file", f"{parameter_file.name}={file}"]
        homes = {f"HELM_{name}_HOME": str(temporary / name.lower()) for name in ("CACHE", "CONFIG", "DATA")}
        return await _run(source.path, *command, environment=homes)


def value_file(name: str, root: Path, folder: Path, values: Mapping[str, Path]) -> Path:
    """Where a value file is: relative to the chart, `/` to the repository, `$REF/` to another source's. May be absent.

    Raises SourceError for one that is outside of the repository, and for a `ref` that no source has.
    """
    if name.startswith("$"):
        reference, _, rest = name[1:].partition("/")
        if reference not in values:
            raise SourceError(f"helm.valueFiles: {name}: no source has ref {reference}")
        base, path = values[reference], rest
    else:
        base, path = (root, name[1:]) if name.startswith("/") else (folder, name)
        values = {"": root}
    file = (base / path).resolve()
    if not any(file.is_relative_to(allowed) for allowed in values.values()):
        raise SourceError(f"helm.valueFiles: {name}: is outside of the repository")
    return file


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="gatewright-source-")).resolve()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _run(where: str, *command: str, environment: Mapping[str, str] | None = None) -> str:
    """What a program writes. Raises SourceError with what it complains of."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **(environment or {})},
    )
    said = f"{where}: {Path(command[0]).name} {command[1]}"
    try:
        async with asyncio.timeout(SECONDS):
            out, complaints = await process.communicate()
    except TimeoutError:
        raise SourceError(f"{said} took longer than {SECONDS} s") from None
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode:
        text = complaints.decode(errors="replace").strip() or f"it ended with {process.returncode}"
        raise SourceError(f"{said} failed: {text}")
    return out.decode()
