"""What EKS holds: clusters, and all that belongs to one."""

from __future__ import annotations

import base64
import time
import uuid
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from moto.core.base_backend import BaseBackend

from gatewright.local.aws.eks.errors import NotFound, ResourceNotFound
from gatewright.local.certificates import Authority

Document = dict[str, Any]
"""JSON in the API's names; times in seconds since 1970."""


@dataclass
class AccessEntry:
    """Who may use a cluster: DescribeAccessEntry's document, and the policies that are associated, by ARN."""

    document: Document
    policies: dict[str, Document] = field(default_factory=dict)


@dataclass
class Nodegroup:
    """A managed node group: DescribeNodegroup's document, and its instances' ids."""

    document: Document
    instances: list[str] = field(default_factory=list)
    updates: dict[str, Document] = field(default_factory=dict)


@dataclass
class Addon:
    """DescribeAddon's document."""

    document: Document
    updates: dict[str, Document] = field(default_factory=dict)


@dataclass
class Cluster:
    """A cluster: DescribeCluster's document, and what there is of it, by name, id, or ARN of a principal."""

    document: Document
    nodegroups: dict[str, Nodegroup] = field(default_factory=dict)
    addons: dict[str, Addon] = field(default_factory=dict)
    associations: dict[str, Document] = field(default_factory=dict)
    entries: dict[str, AccessEntry] = field(default_factory=dict)
    updates: dict[str, Document] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.document["name"])

    def nodegroup(self, name: str) -> Nodegroup:
        """One by name; raises ResourceNotFound."""
        if name not in self.nodegroups:
            raise ResourceNotFound(f"No node group found for name: {name}.", clusterName=self.name, nodegroupName=name)
        return self.nodegroups[name]

    def addon(self, name: str) -> Addon:
        """One by name; raises ResourceNotFound."""
        if name not in self.addons:
            raise ResourceNotFound(
                f"No addon: {name} found in cluster: {self.name}", clusterName=self.name, addonName=name
            )
        return self.addons[name]

    def association(self, association_id: str) -> Document:
        """A pod identity association by id; raises ResourceNotFound."""
        if association_id not in self.associations:
            raise ResourceNotFound(f"Association not found: {association_id}")
        return self.associations[association_id]

    def entry(self, principal: str) -> AccessEntry:
        """An access entry by the principal's ARN; raises ResourceNotFound."""
        if principal not in self.entries:
            raise ResourceNotFound(f"The specified principalArn could not be found: {principal}")
        return self.entries[principal]


class Eks(BaseBackend):
    """EKS in one region of one account."""

    def __init__(self, region_name: str, account_id: str) -> None:
        super().__init__(region_name, account_id)
        self.clusters: dict[str, Cluster] = {}
        self._endpoint = ""
        self._authority = b""

    def offer(self, endpoint: str, certificate_authority: bytes) -> None:
        """Have clusters that are made from now on be at this URL, with a certificate of this authority (PEM)."""
        self._endpoint, self._authority = endpoint, certificate_authority

    @property
    def endpoint(self) -> str:
        """URL of the Kubernetes API of a new cluster; nothing answers there unless one was offered."""
        return self._endpoint or f"https://{uuid.uuid4().hex.upper()}.gr7.{self.region_name}.eks.amazonaws.com"

    @property
    def certificate_authority(self) -> str:
        """Of a new cluster: PEM, in base64."""
        return base64.b64encode(self._authority or Authority.create("kubernetes").pem).decode()

    def cluster(self, name: str) -> Cluster:
        """One by name; raises ResourceNotFound."""
        if name not in self.clusters:
            raise ResourceNotFound(f"No cluster found for name: {name}.")
        return self.clusters[name]

    def arn(self, kind: str, *parts: str) -> str:
        """The ARN of something: its kind as ARNs have it, and the parts of its name."""
        return f"arn:aws:eks:{self.region_name}:{self.account_id}:{kind}/{'/'.join(parts)}"

    def tags(self, arn: str) -> dict[str, str]:
        """The tags of what has this ARN, to be changed; raises NotFound."""
        for cluster in self.clusters.values():
            documents = (
                (cluster.document, "arn"),
                *((group.document, "nodegroupArn") for group in cluster.nodegroups.values()),
                *((addon.document, "addonArn") for addon in cluster.addons.values()),
                *((association, "associationArn") for association in cluster.associations.values()),
                *((entry.document, "accessEntryArn") for entry in cluster.entries.values()),
            )
            for document, name in documents:
                if document[name] == arn:
                    found: dict[str, str] = document["tags"]
                    return found
        raise NotFound(f"Resource was not found for ARN {quote(arn, safe=':/')}")


def now() -> float:
    """The time, as documents have it."""
    return round(time.time(), 3)


def updated(kept: dict[str, Document], kind: str, params: dict[str, Any]) -> Document:
    """The update that an Update* call answers; what DescribeUpdate will say of it goes into `kept`.

    Everything is done at once, so that an update is over when it is first asked for.
    """
    update: Document = {
        "id": str(uuid.uuid4()),
        "status": "Successful",
        "type": kind,
        "params": [{"type": name, "value": str(value)} for name, value in params.items()],
        "createdAt": now(),
        "errors": [],
    }
    kept[update["id"]] = update
    return {"update": {**update, "status": "InProgress"}}
