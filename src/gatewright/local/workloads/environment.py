"""A container's environment: variables from literals, the pod's own fields, ConfigMaps and Secrets; and `$(VAR)`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from gatewright.local.workloads.templates import Container, EnvFromSource, Pod
from gatewright.model import core
from gatewright.model.meta import Key

_REFERENCE = re.compile(r"\$\$|\$\(([^()]+)\)")
_LONGEST = 128 * 1024  # Linux, MAX_ARG_STRLEN
_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['([^']+)'\]")


class PodFacts(NamedTuple):
    """What the node knows of a pod that its manifest doesn't say."""

    pod_ip: str
    host_ip: str
    node: str


class Lookup(NamedTuple):
    """Where ConfigMaps and Secrets are read."""

    config_map: Callable[[Key], core.ConfigMap | None]
    secret: Callable[[Key], core.Secret | None]


class MissingReference(Exception):
    """A variable names what isn't there, or can't be expanded; worded as the kubelet words it."""


def environment(pod: Pod, container: Container, facts: PodFacts, lookup: Lookup) -> dict[str, str]:
    """The container's variables. Raises MissingReference when a required source is missing."""
    env: dict[str, str] = {"HOSTNAME": pod.spec.hostname or pod.name}
    for source in container.env_from:
        env.update((source.prefix + name, value) for name, value in _all_of(source, pod.namespace, lookup))
    for variable in container.env:
        value = _value(variable, pod, facts, lookup, env)
        if value is not None:
            env[variable.name] = value
    return env


def expand(text: str, env: dict[str, str]) -> str:
    """Replace `$(VAR)`; `$$` is a dollar sign, and a name without a value stays as it is written.

    Raises MissingReference for what becomes longer than the system lets an argument or variable be: variables that
    name one another many times would grow without bound.
    """
    grown = 0

    def value(match: re.Match[str]) -> str:
        nonlocal grown
        found = "$" if match[1] is None else env.get(match[1], match[0])
        grown += len(found)
        if grown > _LONGEST:
            raise MissingReference(f"argument list too long: more than {_LONGEST} characters after expansion")
        return found

    return _REFERENCE.sub(value, text)


def references(pod: Pod) -> tuple[set[str], set[str]]:
    """The names of the ConfigMaps and of the Secrets that the pod's containers read variables from."""
    config_maps: set[str] = set()
    secrets: set[str] = set()
    for container in pod.spec.containers:
        for source in container.env_from:
            if source.config_map_ref:
                config_maps.add(source.config_map_ref.name)
            if source.secret_ref:
                secrets.add(source.secret_ref.name)
        for variable in container.env:
            if variable.value_from and variable.value_from.config_map_key_ref:
                config_maps.add(variable.value_from.config_map_key_ref.name)
            if variable.value_from and variable.value_from.secret_key_ref:
                secrets.add(variable.value_from.secret_key_ref.name)
    return config_maps, secrets


def _value(variable: core.EnvVar, pod: Pod, facts: PodFacts, lookup: Lookup, env: dict[str, str]) -> str | None:
    source = variable.value_from
    if source is None:
        return expand(variable.value, env)
    if source.field_ref:
        return field(source.field_ref.field_path, pod, facts)
    if source.config_map_key_ref:
        reference = source.config_map_key_ref
        config_map = lookup.config_map(Key(pod.namespace, reference.name))
        if config_map and reference.key in config_map.data:
            return config_map.data[reference.key]
        _missing("configmap", reference, pod.namespace, found=config_map is not None)
        return None
    if source.secret_key_ref:
        reference = source.secret_key_ref
        secret = lookup.secret(Key(pod.namespace, reference.name))
        value = secret.value(reference.key) if secret else None
        if value is not None:
            return value.decode("utf-8", "replace")
        _missing("secret", reference, pod.namespace, found=secret is not None)
        return None
    return ""


def field(path: str, pod: Pod, facts: PodFacts) -> str:
    """A field of the pod by the downward API's path. Raises MissingReference for a path that it doesn't have."""
    plain = {
        "metadata.name": pod.name,
        "metadata.namespace": pod.namespace,
        "metadata.uid": pod.metadata.uid,
        "spec.nodeName": facts.node,
        "spec.serviceAccountName": pod.spec.service_account_name or "default",
        "status.hostIP": facts.host_ip,
        "status.hostIPs": facts.host_ip,
        "status.podIP": facts.pod_ip,
        "status.podIPs": facts.pod_ip,
    }
    if path in plain:
        return plain[path]
    match = _SUBSCRIPT.fullmatch(path)
    if not match:
        raise MissingReference(f"unsupported fieldPath: {path}")
    return (pod.metadata.labels if match[1] == "labels" else pod.metadata.annotations).get(match[2], "")


def _missing(kind: str, reference: core.KeySelector, namespace: str, *, found: bool) -> None:
    if reference.optional:
        return
    if not found:
        raise MissingReference(f'{kind} "{reference.name}" not found')
    noun = "ConfigMap" if kind == "configmap" else "Secret"
    raise MissingReference(f"couldn't find key {reference.key} in {noun} {namespace}/{reference.name}")


def _all_of(source: EnvFromSource, namespace: str, lookup: Lookup) -> Iterable[tuple[str, str]]:
    config_map_ref, secret_ref = source.config_map_ref, source.secret_ref
    if config_map_ref:
        config_map = lookup.config_map(Key(namespace, config_map_ref.name))
        if config_map:
            return config_map.data.items()
        if not config_map_ref.optional:
            raise MissingReference(f'configmap "{config_map_ref.name}" not found')
    if secret_ref:
        secret = lookup.secret(Key(namespace, secret_ref.name))
        if secret:
            plain = {key: value.decode("utf-8", "replace") for key, value in secret.data.items()}
            return {**plain, **secret.string_data}.items()
        if not secret_ref.optional:
            raise MissingReference(f'secret "{secret_ref.name}" not found')
    return ()
