"""Where a platform stands, which shape it has, and what somebody asked for when it was deployed."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec


class Target(StrEnum):
    """Where a platform stands."""

    AWS = "aws"
    AZURE = "azure"
    LOCAL = "local"
    """The rehearsal: the configuration of AWS, applied to the emulated AWS and an embedded Kubernetes API."""


class Architecture(StrEnum):
    """What stands between clients and pods."""

    CHAINED = "chained"
    """A load balancer that Terraform makes, an internal one for the Gateway's Service, Istio's gateway, pods."""
    DIRECT = "direct"
    """The Gateway is the load balancer: an ALB that the controller makes. On AWS only."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for; kept in the workspace, so that a command that is run again needs no flags."""

    target: Target
    architecture: Architecture = Architecture.CHAINED
    name: str = "platform"
    """Of the platform and its cluster; at most 20 characters, since names of load balancers begin with it."""
    region: str = ""
    """An AWS region, or a location of Azure."""
    domain: str = "platform.example.com"
    """The name that clients use; the certificate is for it and for `*.` of it."""
    repository: str = ""
    """URL of the Git repository from which Argo CD gets `deploy/gitops`."""
    revision: str = "main"
    image: str = ""
    """Of the controller, as `REPOSITORY:TAG` or `REPOSITORY@sha256:...`; empty is what `deploy/gitops` says."""
    variables: dict[str, Any] = {}
    """Further variables for Terraform, which win over ours."""
    backend: dict[str, str] = {}
    """Terraform's `-backend-config`; empty is a state file in the workspace."""

    @property
    def cloud(self) -> Target:
        """Whose Terraform configuration it is."""
        return Target.AZURE if self.target is Target.AZURE else Target.AWS

    @property
    def overlay(self) -> str:
        """The overlay of `deploy/gitops/overlays`."""
        return f"{self.cloud}-{self.architecture}"
