"""What an AppProject lets its Applications do. Texts are those that Argo CD's users look for."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from gatewright.local.argocd.application import (
    IN_CLUSTER,
    Application,
    ApplicationSource,
    AppProject,
    Destination,
    ProjectSpec,
    ResourceKind,
)
from gatewright.local.argocd.resources import Resource
from gatewright.local.argocd.sources import normal

DEFAULT = AppProject(
    spec=ProjectSpec(
        source_repos=("*",),
        destinations=(Destination(server="*", namespace="*"),),
        cluster_resource_whitelist=(ResourceKind(group="*", kind="*"),),
    )
)
"""What the project `default` allows until somebody writes another: everything."""


def refusals(application: Application, project: AppProject | None) -> list[str]:
    """Why an Application may not be what it is; empty where it may (Argo CD's InvalidSpecError)."""
    spec = application.spec
    if project is None:
        return [f"Application referencing project {spec.project} which does not exist"]
    found: list[str] = []
    destination = spec.destination
    if destination.server and destination.name:
        found.append(
            f"application destination can't have both name and server defined: {destination.name} {destination.server}"
        )
    elif destination.name not in ("", "in-cluster"):
        found.append(f"there are no clusters with this name: {destination.name}; expected in-cluster")
    elif destination.server not in ("", IN_CLUSTER):
        found.append(f"cluster '{destination.server}' has not been configured; expected {IN_CLUSTER}")
    elif not destination.server and not destination.name:
        found.append("Destination server missing from app spec")
    elif not destination_permitted(project, destination, destination.namespace):
        found.append(
            f"application destination server '{destination.server or IN_CLUSTER}' and namespace "
            f"'{destination.namespace}' do not match any of the allowed destinations in project '{spec.project}'"
        )
    found += [
        f"application repo {source.repo_url} is not permitted in project '{spec.project}'"
        for source in spec.all_sources
        if not _source_permitted(project, source)
    ]
    return found


def forbidden(project: AppProject, name: str, destination: Destination, resource: Resource) -> str:
    """Why a resource may not be managed; empty where it may. `name` is the project's."""
    group, kind = resource.group, resource.kind.kind
    spec = project.spec
    if resource.kind.namespaced:
        allowed = spec.namespace_resource_whitelist is None or _listed(
            group, kind, "", spec.namespace_resource_whitelist
        )
        denied = _listed(group, kind, "", spec.namespace_resource_blacklist)
    else:
        allowed = _listed(group, kind, resource.key.name, spec.cluster_resource_whitelist)
        denied = _listed(group, kind, resource.key.name, spec.cluster_resource_blacklist)
    if denied or not allowed:
        return f"resource {group}:{kind} is not permitted in project {name}"
    if resource.kind.namespaced and not destination_permitted(project, destination, resource.key.namespace):
        return f"namespace {resource.key.namespace} is not permitted in project '{name}'"
    return ""


def destination_permitted(project: AppProject, destination: Destination, namespace: str) -> bool:
    """Whether a namespace of the cluster is among a project's destinations; `!` before a glob denies."""
    server = destination.server or IN_CLUSTER
    permitted = False
    for allowed in project.spec.destinations:
        by_name = allowed.name and fnmatchcase("in-cluster", allowed.name.removeprefix("!"))
        where = allowed.server.removeprefix("!")
        is_server = by_name or (where and fnmatchcase(server, where))
        is_namespace = fnmatchcase(namespace, allowed.namespace.removeprefix("!"))
        if not (is_server and is_namespace):
            continue
        if any(text.startswith("!") for text in (allowed.server, allowed.name, allowed.namespace)):
            return False
        permitted = True
    return permitted


def _source_permitted(project: AppProject, source: ApplicationSource) -> bool:
    url = normal(source.repo_url)
    patterns = project.spec.source_repos
    if any(pattern.startswith("!") and _is_repository(url, normal(pattern[1:])) for pattern in patterns):
        return False
    return any(pattern == "*" or _is_repository(url, normal(pattern)) for pattern in patterns)


def _is_repository(url: str, pattern: str) -> bool:
    """Whether a URL fits a glob whose `*` ends at a slash, so that it admits no repository further below."""
    if "**" in pattern:
        return fnmatchcase(url, pattern)
    parts, wanted = url.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))


def _listed(group: str, kind: str, name: str, listed: Iterable[ResourceKind]) -> bool:
    return any(
        fnmatchcase(group, entry.group)
        and fnmatchcase(kind, entry.kind)
        and (not entry.name or fnmatchcase(name, entry.name))
        for entry in listed
    )
