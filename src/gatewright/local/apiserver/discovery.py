"""What is served and in which versions: `/api`, `/apis` (aggregated too), `/version`."""

from __future__ import annotations

from typing import Any

import msgspec

from gatewright.local.apiserver.errors import no_such_path
from gatewright.local.apiserver.exchange import Answer
from gatewright.local.apiserver.resources import VERBS, Catalog, Resource
from gatewright.local.apiserver.reviews import NAMESPACED, REVIEWS
from gatewright.local.apiserver.store import Json

VERSION: Json = {
    "major": "1",
    "minor": "35",
    "emulationMajor": "1",
    "emulationMinor": "35",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "34",
    "gitVersion": "v1.35.0+gatewright",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z",
    "goVersion": "",
    "compiler": "",
    "platform": "linux/amd64",
}
"""The Kubernetes version whose behaviour the embedded API follows."""

_AGGREGATED = ("v2", "v2beta1")


def paths(catalog: Catalog) -> list[str]:
    """The root paths, as `GET /` lists them."""
    groups = [group for group in catalog.groups() if group]
    served = ["/api", "/api/v1", "/apis"] + [f"/apis/{group}" for group in groups]
    return [*served, "/healthz", "/livez", "/openapi/v2", "/openapi/v3", "/readyz", "/version"]


def _groups(catalog: Catalog) -> dict[str, dict[str, list[Resource]]]:
    groups = {group: dict(versions) for group, versions in catalog.groups().items()}
    for group, _plural in REVIEWS:
        groups.setdefault(group, {"v1": []})
    return groups


def answer(catalog: Catalog, parts: list[str], accept: str, url: str) -> Answer:
    """The answer to `/api`, `/api/v1`, `/apis`, `/apis/GROUP` and `/apis/GROUP/VERSION`."""
    groups = _groups(catalog)
    if len(parts) == 1:
        aggregated = _aggregated_type(accept)
        if aggregated is not None:
            chosen = {g: v for g, v in groups.items() if (not g) == (parts[0] == "api")}
            body = _aggregated(chosen, aggregated)
            media = f"application/json;g=apidiscovery.k8s.io;v={aggregated};as=APIGroupDiscoveryList"
            return Answer(msgspec.json.encode(body), media_type=media)
    return Answer.json(_plain(groups, parts, url))


def _plain(groups: dict[str, dict[str, list[Resource]]], parts: list[str], url: str) -> Json:
    match parts:
        case ["api"]:
            address = url.split("://", 1)[-1]
            return {
                "kind": "APIVersions",
                "versions": ["v1"],
                "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}],
            }
        case ["api", version] if version in groups[""]:
            return _resource_list("", version, groups[""][version])
        case ["apis"]:
            named = [_group(group, versions) for group, versions in groups.items() if group]
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": named}
        case ["apis", group] if group in groups:
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(group, groups[group])}
        case ["apis", group, version] if version in groups.get(group, {}):
            return _resource_list(group, version, groups[group][version])
    raise no_such_path()


def _group(group: str, versions: dict[str, list[Resource]]) -> Json:
    listed = [{"groupVersion": f"{group}/{version}", "version": version} for version in versions]
    return {"name": group, "versions": listed, "preferredVersion": listed[0]}


def _subresources(resource: Resource) -> list[tuple[str, str, str, str, list[str]]]:
    """Name, group, version and kind, and verbs of each subresource."""
    own = (resource.group, resource.storage_version, resource.kind)
    found: list[tuple[str, str, str, str, list[str]]] = []
    if resource.has_status:
        found.append(("status", *own, ["get", "patch", "update"]))
    if resource.has_scale:
        found.append(("scale", "autoscaling", "v1", "Scale", ["get", "patch", "update"]))
    if resource.qualified == "pods":
        found.append(("log", *own, ["get"]))
        found.append(("binding", "", "v1", "Binding", ["create"]))
        found.append(("eviction", "policy", "v1", "Eviction", ["create"]))
    if resource.qualified == "serviceaccounts":
        found.append(("token", "authentication.k8s.io", "v1", "TokenRequest", ["create"]))
    if resource.qualified == "namespaces":
        found.append(("finalize", *own, ["update"]))
    return found


def _resource_list(group: str, version: str, resources: list[Resource]) -> Json:
    listed: list[Json] = []
    for resource in resources:
        entry: Json = {
            "name": resource.plural,
            "singularName": resource.singular,
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": list(VERBS),
        }
        if resource.short_names:
            entry["shortNames"] = list(resource.short_names)
        if resource.categories:
            entry["categories"] = list(resource.categories)
        listed.append(entry)
        for name, sub_group, sub_version, kind, verbs in _subresources(resource):
            sub: Json = {
                "name": f"{resource.plural}/{name}",
                "singularName": "",
                "namespaced": resource.namespaced,
                "kind": kind,
                "verbs": verbs,
            }
            if (sub_group, sub_version) != (resource.group, resource.storage_version):
                sub["group"], sub["version"] = sub_group, sub_version
            listed.append(sub)
    for (review_group, plural), (kind, _) in REVIEWS.items():
        if review_group == group:
            listed.append(
                {
                    "name": plural,
                    "singularName": kind.lower(),
                    "namespaced": plural in NAMESPACED,
                    "kind": kind,
                    "verbs": ["create"],
                }
            )
    group_version = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": listed}


def _aggregated_type(accept: str) -> str | None:
    for choice in accept.split(","):
        parameters = [part.strip() for part in choice.split(";")]
        if "as=APIGroupDiscoveryList" in parameters and parameters[0] == "application/json":
            for version in _AGGREGATED:
                if f"v={version}" in parameters:
                    return version
    return None


def _aggregated(groups: dict[str, dict[str, list[Resource]]], aggregated: str) -> Json:
    items: list[Json] = []
    for group, versions in groups.items():
        listed: list[Json] = []
        for version, resources in versions.items():
            entries = [_aggregated_resource(resource, version) for resource in resources]
            for (review_group, plural), (kind, _) in REVIEWS.items():
                if review_group == group:
                    entries.append(
                        {
                            "resource": plural,
                            "responseKind": {"group": group, "version": "v1", "kind": kind},
                            "scope": "Namespaced" if plural in NAMESPACED else "Cluster",
                            "singularResource": kind.lower(),
                            "verbs": ["create"],
                        }
                    )
            listed.append({"version": version, "resources": entries, "freshness": "Current"})
        metadata: Json = {"name": group} if group else {}
        items.append({"metadata": {**metadata, "creationTimestamp": None}, "versions": listed})
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"apidiscovery.k8s.io/{aggregated}",
        "metadata": {},
        "items": items,
    }


def _aggregated_resource(resource: Resource, version: str) -> Json:
    entry: Json = {
        "resource": resource.plural,
        "responseKind": {"group": resource.group, "version": version, "kind": resource.kind},
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": list(VERBS),
    }
    if resource.short_names:
        entry["shortNames"] = list(resource.short_names)
    if resource.categories:
        entry["categories"] = list(resource.categories)
    subresources: list[Json] = []
    for name, group, sub_version, kind, verbs in _subresources(resource):
        shown = version if (group, sub_version) == (resource.group, resource.storage_version) else sub_version
        response: dict[str, Any] = {"group": group, "version": shown, "kind": kind}
        subresources.append({"subresource": name, "responseKind": response, "verbs": verbs})
    if subresources:
        entry["subresources"] = subresources
    return entry
