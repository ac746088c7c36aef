"""A controller with the rights of config/rbac and no others, and what it uses of them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import yaml

from gatewright.cluster import Client
from gatewright.local.apiserver import ApiServer
from gatewright.local.apiserver.authorization import Attributes, Decision, User

FOLDER = Path(__file__).parents[2] / "config/rbac"
NAMESPACE = "gatewright-system"
ACCOUNT = "gatewright"


class Permission(NamedTuple):
    """A verb on a resource (with its subresource) of a group; `name` is empty for any."""

    verb: str
    group: str
    resource: str
    name: str = ""


def objects() -> list[dict[str, Any]]:
    """The objects of config/rbac, namespaces first."""
    found = [each for file in sorted(FOLDER.glob("*.yaml")) for each in yaml.safe_load_all(file.read_text())]
    return sorted(found, key=lambda each: each["kind"] != "Namespace")


def granted(*roles: dict[str, Any]) -> Iterator[Permission]:
    """What the rules of roles give, each combination on its own."""
    for role in roles:
        for rule in role["rules"]:
            for group in rule["apiGroups"]:
                for resource in rule["resources"]:
                    for verb in rule["verbs"]:
                        for name in rule.get("resourceNames", [""]):
                            yield Permission(verb, group, resource, name)


class Used:
    """Hears what an API decides. `denied` is what somebody asked for and didn't get; `refused` tells of the first.

    `by_user` is what each got, `granted` all of it.
    """

    def __init__(self, server: ApiServer) -> None:
        self.by_user: defaultdict[str, set[Permission]] = defaultdict(set)
        self.denied: set[tuple[str, Attributes]] = set()
        self.refused = asyncio.Event()
        server.api.audit = self._hear

    def _hear(self, user: User, asked: Attributes, decision: Decision) -> None:
        if not decision.allowed:
            self.denied.add((user.name, asked))
            self.refused.set()
        elif decision.granted and not asked.path:
            rule = decision.granted[2]
            name = asked.name if rule.get("resourceNames") else ""
            self.by_user[user.name].add(Permission(asked.verb, asked.group, asked.whole, name))

    @property
    def granted(self) -> set[Permission]:
        return set[Permission]().union(*self.by_user.values())


async def kubeconfig(server: ApiServer, client: Client, folder: Path, name: str = ACCOUNT) -> Path:
    """A kubeconfig of a ServiceAccount, as its pods are."""
    path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/{name}/token"
    answer = msgspec.json.decode(await client.request("POST", path, body=b'{"kind": "TokenRequest"}'))
    config = yaml.safe_load(server.kubeconfig())
    config["users"][0]["user"]["token"] = answer["status"]["token"]
    config["contexts"][0]["context"]["namespace"] = NAMESPACE
    file = folder / f"{name}.kubeconfig"
    file.write_text(yaml.safe_dump(config))
    return file
