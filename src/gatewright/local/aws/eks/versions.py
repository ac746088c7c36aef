"""Versions of Kubernetes that EKS has."""

from __future__ import annotations

import re
from typing import Final

from gatewright.local.aws.eks.backend import Document, Eks
from gatewright.local.aws.eks.errors import InvalidParameter
from gatewright.local.aws.eks.paging import page

PLATFORM: Final = "eks.9"
_FIRST: Final = 30
_STANDARD: Final = 33
_LAST: Final = 36
"""The oldest with extended support, the oldest with standard support, and the newest one: 1.30 to 1.36."""


def newest() -> str:
    """What a cluster gets that asks for none."""
    return f"1.{_LAST}"


def minor(version: str) -> int:
    """The second number of a version."""
    return int(version.partition(".")[2])


def check_version(version: str) -> None:
    """Raises InvalidParameter for one that isn't there."""
    if not re.fullmatch(r"1\.\d{2}", version) or not _FIRST <= minor(version) <= _LAST:
        raise InvalidParameter(f"unsupported Kubernetes version {version}")


def describe_cluster_versions(_: Eks, request: Document) -> Document:
    """DescribeClusterVersions."""
    asked = request.get("clusterVersions") or ()
    found = [
        {
            "clusterVersion": f"1.{number}",
            "clusterType": "eks",
            "defaultPlatformVersion": PLATFORM,
            "defaultVersion": number == _LAST,
            "status": "STANDARD_SUPPORT" if number >= _STANDARD else "EXTENDED_SUPPORT",
            "versionStatus": "STANDARD_SUPPORT" if number >= _STANDARD else "EXTENDED_SUPPORT",
            "kubernetesPatchVersion": f"1.{number}.1",
        }
        for number in range(_LAST, _FIRST - 1, -1)
        if not asked or f"1.{number}" in asked
    ]
    if request.get("defaultOnly"):
        found = [version for version in found if version["defaultVersion"]]
    wanted = request.get("versionStatus") or (request.get("status") or "").upper()
    if wanted:
        found = [version for version in found if version["versionStatus"] == wanted]
    return page("clusterVersions", found, request)
