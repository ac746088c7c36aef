"""Objects of any kind, as JSON, read out of a cluster: for looking at what stands there, whatever it is."""

from __future__ import annotations

from typing import Any

import msgspec

from gatewright.cluster import Client, Conflict, NotFound

Json = dict[str, Any]

APPLICATIONS = "argoproj.io/v1alpha1"


def path(api_version: str, plural: str, namespace: str = "", name: str = "") -> str:
    """The URL path of an object, or of a collection without a name."""
    parts = [f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"]
    if namespace:
        parts += ["namespaces", namespace]
    parts.append(plural)
    if name:
        parts.append(name)
    return "/".join(parts)


async def read(client: Client, api_version: str, plural: str, namespace: str, name: str) -> Json | None:
    """One object; None where it, or its kind, isn't there."""
    try:
        body = await client.request("GET", path(api_version, plural, namespace, name))
    except NotFound:
        return None
    found: Json = msgspec.json.decode(body)
    return found


async def items(client: Client, api_version: str, plural: str, namespace: str = "", selector: str = "") -> list[Json]:
    """All objects of a kind, of one namespace or of all, each with its kind; none where that isn't there."""
    parameters = {"labelSelector": selector} if selector else {}
    try:
        body = await client.request("GET", path(api_version, plural, namespace), parameters)
    except NotFound:
        return []
    found = msgspec.json.decode(body)
    # A list names the kind of its items once.
    kind = {"apiVersion": api_version, "kind": found.get("kind", "").removesuffix("List")}
    return [{**kind, **item} for item in found.get("items") or ()]


async def find(client: Client, group: str, version: str, kind: str, namespace: str, name: str) -> Json | None:
    """One object by its kind's name, whose place the API is asked for; None where there is none."""
    api_version = f"{group}/{version}" if group else version
    try:
        body = await client.request("GET", f"/apis/{api_version}" if group else f"/api/{api_version}")
    except NotFound:
        return None
    for resource in msgspec.json.decode(body).get("resources") or []:
        if resource.get("kind") == kind and "/" not in resource.get("name", ""):
            return await read(client, api_version, resource["name"], namespace if resource["namespaced"] else "", name)
    return None


async def end_sync(client: Client, application: str, namespace: str) -> None:
    """End the sync of an Application that runs, as `argocd app terminate-op` does."""
    try:
        await client.request(
            "PATCH",
            path(APPLICATIONS, "applications", namespace, application),
            body=b'{"status": {"operationState": {"phase": "Terminating"}}}',
            content_type="application/merge-patch+json",
        )
    except (NotFound, Conflict):
        return


def label(found: Json) -> str:
    """How an object is called in a text: `Kind namespace/name`."""
    metadata = found.get("metadata") or {}
    return title(found.get("kind", ""), metadata.get("namespace", ""), metadata.get("name", ""))


def title(kind: str, namespace: str, name: str) -> str:
    """How an object is called in a text: `Kind namespace/name`."""
    return f"{kind} {namespace}/{name}" if namespace else f"{kind} {name}"
