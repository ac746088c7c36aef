"""Imports moto in a third of the time that it takes by itself. Imported before any other module that imports moto.

botocore's models of our services have 20 MB of JSON, which its loader decodes slowly, and moto asks for the regions of
EC2, thrice, by way of EC2's whole model.
"""

from __future__ import annotations

import functools
import gzip
import importlib
import os
from collections.abc import Callable
from typing import Any

import botocore.loaders
import msgspec

from gatewright.local.aws.endpoint import REGION


def _load_json(_: object, path: str, open_method: Callable[..., Any]) -> Any:
    """What botocore's loader does, in a tenth of its time."""
    if not os.path.isfile(path):
        return None
    with open_method(path, "rb") as file:
        return msgspec.json.decode(file.read())


_files: Any = botocore.loaders.JSONFileLoader
_files._load_file = _load_json
_loader = functools.cache(botocore.loaders.create_loader)


class _Regions:
    """Stands in for boto3's Session, of which moto only wants the regions of EC2 while it is imported."""

    def get_available_regions(self, service_name: str, partition_name: str = "aws") -> list[str]:
        for partition in _loader().load_data("endpoints")["partitions"]:
            if partition["partition"] == partition_name:
                endpoints = partition["services"][service_name]["endpoints"]
                return [region for region in endpoints if region in partition["regions"]]
        return []


def _import() -> None:
    import boto3
    import moto.utilities.utils

    library: Any = boto3
    utilities: Any = moto.utilities.utils
    session, load_resource = library.Session, utilities.load_resource

    def quick_resource(resource: str) -> Any:
        if "instance_type_offerings" in resource and REGION not in resource:
            return []  # which types there are in 30 regions that nobody emulates
        try:
            packed = utilities.load_resource_as_bytes(resource.removesuffix(".gz") + ".gz")
            return msgspec.json.decode(gzip.decompress(packed))
        except FileNotFoundError:
            return load_resource(resource)

    importlib.import_module("moto.core.responses")  # before all others: they import each other
    library.Session, utilities.load_resource = _Regions, quick_resource
    try:
        importlib.import_module("moto.ec2.models")
    finally:
        library.Session, utilities.load_resource = session, load_resource


_import()
