"""Volumes as a container sees them: the content of a path, from Secrets, ConfigMaps and the pod's own fields.

Nothing is written to disk. Whoever reads a path gets what the API has then, as a kubelet's atomic updates give it.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Iterable, Mapping

from gatewright.local.workloads.environment import Lookup, MissingReference, PodFacts, expand, field
from gatewright.local.workloads.templates import (
    ConfigMapVolume,
    Container,
    DownwardFile,
    KeyToPath,
    Pod,
    SecretVolume,
    Volume,
)
from gatewright.model.meta import Key

Read = Callable[[str], bytes | None]
"""The content of an absolute path in the container, or None when there is no such file."""


class MissingVolume(Exception):
    """A volume can't be set up yet; worded as the kubelet words it in its `FailedMount` event."""


def check_volumes(pod: Pod, facts: PodFacts, lookup: Lookup) -> None:
    """Raise MissingVolume when a volume that a container mounts lacks its source."""
    mounted = {
        mount.name
        for container in (*pod.spec.containers, *pod.spec.init_containers)
        for mount in container.volume_mounts
    }
    for volume in pod.spec.volumes:
        if volume.name in mounted:
            files(volume, pod, facts, lookup)


def reader(
    pod: Callable[[], Pod], container: Container, facts: PodFacts, lookup: Lookup, env: Mapping[str, str]
) -> Read:
    """What reads a container's paths; the mount whose path is the longest wins."""
    mounts = []
    for mount in sorted(container.volume_mounts, key=lambda mount: -len(_clean(mount.mount_path))):
        sub_path = expand(mount.sub_path_expr, dict(env)) if mount.sub_path_expr else mount.sub_path
        mounts.append((_clean(mount.mount_path), mount.name, sub_path))

    def read(path: str) -> bytes | None:
        wanted = _clean(path)
        for root, name, sub_path in mounts:
            if wanted != root and not wanted.startswith(root.rstrip("/") + "/"):
                continue
            inside = posixpath.normpath(posixpath.join(sub_path, wanted[len(root) :].lstrip("/")))
            of = pod()
            volume = next((volume for volume in of.spec.volumes if volume.name == name), None)
            try:
                return files(volume, of, facts, lookup).get(inside) if volume else None
            except MissingVolume:
                return None
        return None

    return read


def files(volume: Volume, pod: Pod, facts: PodFacts, lookup: Lookup) -> dict[str, bytes]:
    """A volume's files by path. Empty for kinds that begin empty, or that nothing here provides.

    Raises MissingVolume when a source that isn't optional, or a key of it, is missing.
    """
    try:
        return _files(volume, pod, facts, lookup)
    except MissingReference as missing:
        raise MissingVolume(f'MountVolume.SetUp failed for volume "{volume.name}" : {missing}') from None


def volume_references(pod: Pod) -> tuple[set[str], set[str]]:
    """The names of the ConfigMaps and of the Secrets that the pod's volumes show."""
    config_maps: set[str] = set()
    secrets: set[str] = set()
    for volume in pod.spec.volumes:
        if volume.config_map:
            config_maps.add(volume.config_map.name)
        if volume.secret:
            secrets.add(volume.secret.secret_name)
        for source in volume.projected.sources if volume.projected else ():
            if source.config_map:
                config_maps.add(source.config_map.name)
            if source.secret:
                secrets.add(source.secret.name)
    return config_maps, secrets


def _files(volume: Volume, pod: Pod, facts: PodFacts, lookup: Lookup) -> dict[str, bytes]:
    if volume.secret:
        return _secret(volume.secret, volume.secret.secret_name, pod.namespace, lookup)
    if volume.config_map:
        return _config_map(volume.config_map, pod.namespace, lookup)
    if volume.downward_api:
        return _downward(volume.downward_api.items, pod, facts)
    found: dict[str, bytes] = {}
    for source in volume.projected.sources if volume.projected else ():
        if source.secret:
            found |= _secret(source.secret, source.secret.name, pod.namespace, lookup)
        if source.config_map:
            found |= _config_map(source.config_map, pod.namespace, lookup)
        if source.downward_api:
            found |= _downward(source.downward_api.items, pod, facts)
    return found


def _secret(volume: SecretVolume, name: str, namespace: str, lookup: Lookup) -> dict[str, bytes]:
    secret = lookup.secret(Key(namespace, name))
    if secret is None:
        if volume.optional:
            return {}
        raise MissingReference(f'secret "{name}" not found')
    plain = {key: value.encode() for key, value in secret.string_data.items()}
    return _chosen({**secret.data, **plain}, volume.items, volume.optional, "secret")


def _config_map(volume: ConfigMapVolume, namespace: str, lookup: Lookup) -> dict[str, bytes]:
    config_map = lookup.config_map(Key(namespace, volume.name))
    if config_map is None:
        if volume.optional:
            return {}
        raise MissingReference(f'configmap "{volume.name}" not found')
    plain = {key: value.encode() for key, value in config_map.data.items()}
    return _chosen({**plain, **config_map.binary_data}, volume.items, volume.optional, "config")


def _chosen(content: dict[str, bytes], items: tuple[KeyToPath, ...], optional: bool, noun: str) -> dict[str, bytes]:
    if not items:
        return content
    found: dict[str, bytes] = {}
    for item in items:
        if item.key in content:
            found[posixpath.normpath(item.path)] = content[item.key]
        elif not optional:
            raise MissingReference(f"references non-existent {noun} key: {item.key}")
    return found


def _downward(items: Iterable[DownwardFile], pod: Pod, facts: PodFacts) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for item in items:
        if item.field_ref is None:
            continue
        path = item.field_ref.field_path
        if path in ("metadata.labels", "metadata.annotations"):
            pairs = pod.metadata.labels if path.endswith("labels") else pod.metadata.annotations
            text = "\n".join(f'{name}="{value}"' for name, value in sorted(pairs.items()))
        else:
            text = field(path, pod, facts)
        found[posixpath.normpath(item.path)] = text.encode()
    return found


def _clean(path: str) -> str:
    return posixpath.normpath("/" + path.lstrip("/"))
