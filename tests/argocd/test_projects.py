"""What an AppProject lets its Applications do (Argo CD's "Projects")."""

from __future__ import annotations

import msgspec
import pytest

from gatewright.local.argocd.application import (
    Application,
    ApplicationSource,
    ApplicationSpec,
    AppProject,
    Destination,
    ProjectSpec,
    ResourceKind,
)
from gatewright.local.argocd.projects import DEFAULT, destination_permitted, forbidden, refusals
from gatewright.local.argocd.resources import wanted
from gatewright.model.kinds import find

HERE = "https://kubernetes.default.svc"


def _project(*destinations: tuple[str, str], repositories: tuple[str, ...] = ("*",)) -> AppProject:
    found = tuple(Destination(server=server, namespace=namespace) for server, namespace in destinations)
    return AppProject(spec=ProjectSpec(source_repos=repositories, destinations=found))


@pytest.mark.parametrize(
    ("destinations", "namespace", "permitted"),
    [
        ([], "a", False),
        ([("*", "*")], "a", True),
        ([(HERE, "a")], "a", True),
        ([(HERE, "team-*")], "team-1", True),
        ([(HERE, "team-*")], "other", False),
        ([("https://else.example.com", "a")], "a", False),
        ([(HERE, "*"), (HERE, "!kube-system")], "kube-system", False),
        ([(HERE, "*"), (HERE, "!kube-system")], "a", True),
    ],
)
def test_destinations(destinations: list[tuple[str, str]], namespace: str, permitted: bool) -> None:
    assert destination_permitted(_project(*destinations), Destination(server=HERE), namespace) is permitted


@pytest.mark.parametrize(
    ("repositories", "url", "permitted"),
    [
        ((), "https://git.example.com/a", False),
        (("*",), "https://git.example.com/a", True),
        (("https://git.example.com/*",), "https://git.example.com/a.git", True),
        (("https://git.example.com/*",), "https://git.example.com/a/b", False),
        (("https://git.example.com/**",), "https://git.example.com/a/b", True),
        (("https://git.example.com/a.git",), "https://GIT.example.com/a/", True),
        (("*", "!https://git.example.com/a"), "https://git.example.com/a", False),
    ],
)
def test_repositories(repositories: tuple[str, ...], url: str, permitted: bool) -> None:
    project = _project(("*", "*"), repositories=repositories)
    spec = ApplicationSpec(source=ApplicationSource(repo_url=url), destination=Destination(server=HERE, namespace="a"))
    refused = refusals(Application(spec=spec), project)
    assert refused == ([] if permitted else [f"application repo {url} is not permitted in project 'default'"])


@pytest.mark.parametrize(
    ("destination", "says"),
    [
        (Destination(), "Destination server missing from app spec"),
        (Destination(server=HERE, name="in-cluster"), "can't have both name and server defined"),
        (Destination(name="other"), "there are no clusters with this name: other"),
        (Destination(server="https://other"), "cluster 'https://other' has not been configured"),
        (Destination(name="in-cluster"), ""),
        (Destination(server=HERE), ""),
    ],
)
def test_clusters(destination: Destination, says: str) -> None:
    found = refusals(Application(spec=ApplicationSpec(destination=destination)), DEFAULT)
    assert len(found) == bool(says)
    assert all(says in text for text in found)


@pytest.mark.parametrize(
    ("spec", "kind", "permitted"),
    [
        (ProjectSpec(), ("v1", "ConfigMap"), True),
        (ProjectSpec(), ("v1", "Namespace"), False),
        (ProjectSpec(cluster_resource_whitelist=(ResourceKind(group="*", kind="*"),)), ("v1", "Namespace"), True),
        (
            ProjectSpec(cluster_resource_whitelist=(ResourceKind(group="", kind="Namespace", name="team-*"),)),
            *(("v1", "Namespace"), False),
        ),
        (ProjectSpec(namespace_resource_whitelist=()), ("v1", "ConfigMap"), False),
        (
            ProjectSpec(namespace_resource_whitelist=(ResourceKind(group="gateway.networking.k8s.io", kind="*Route"),)),
            *(("gateway.networking.k8s.io/v1", "HTTPRoute"), True),
        ),
        (
            ProjectSpec(namespace_resource_blacklist=(ResourceKind(group="", kind="Config*"),)),
            *(("v1", "ConfigMap"), False),
        ),
    ],
)
def test_kinds(spec: ProjectSpec, kind: tuple[str, str], permitted: bool) -> None:
    known = find(*kind)
    assert known
    here = (Destination(server=HERE, namespace="demo"),)
    project = AppProject(spec=msgspec.structs.replace(spec, destinations=here))
    content = {"apiVersion": kind[0], "kind": kind[1], "metadata": {"name": "x"}}
    found = forbidden(project, "team", Destination(server=HERE), wanted(content, known, "demo", "app"))
    assert bool(found) is not permitted
    if found:
        assert found == f"resource {known.group}:{known.kind} is not permitted in project team"
