"""moto's backends, which hold the API's state: one account in one region, made anew for each emulation.

moto keeps them in globals, so a process runs one emulation at a time. Whoever reads or changes them holds `LOCK`: moto
itself doesn't care for threads.
"""

from __future__ import annotations

from threading import RLock
from typing import Any

from gatewright.local.aws import startup  # noqa: F401 - imports moto quickly

# isort: split

from moto.acm.models import acm_backends
from moto.core.base_backend import BackendDict
from moto.core.common_models import BaseModel
from moto.ec2.models import ec2_backends
from moto.ec2.models.availability_zones_and_regions import RegionsAndZonesBackend
from moto.elbv2.models import elbv2_backends
from moto.iam.models import iam_backends
from moto.route53.models import route53_backends
from moto.s3.models import s3_backends
from moto.sts.models import sts_backends
from moto.wafv2.models import wafv2_backends

from gatewright.local.aws.eks import eks_backends
from gatewright.local.aws.endpoint import ACCOUNT, REGION

LOCK = RLock()
"""Held while a request is worked on, and by whoever reads the state in the meantime."""

_GLOBAL = "aws"
_all: Any = BackendDict
_EMULATED: dict[str, tuple[Any, str]] = {
    "acm": (acm_backends, REGION),
    "ec2": (ec2_backends, REGION),
    "eks": (eks_backends, REGION),
    "elbv2": (elbv2_backends, REGION),
    "iam": (iam_backends, _GLOBAL),
    "route53": (route53_backends, _GLOBAL),
    "s3": (s3_backends, _GLOBAL),
    "sts": (sts_backends, _GLOBAL),
    "wafv2": (wafv2_backends, REGION),
}


def backend(service: str) -> Any:
    """The backend of a service, by boto3's name of it, as `elbv2`; KeyError for one that isn't emulated."""
    backends, region = _EMULATED[service]
    return backends[ACCOUNT][region]


def forget() -> None:
    """Start over: no backend has any state."""
    with LOCK:
        for backends in _all._instances:
            backends.clear()
        _all._instances.clear()
        s3_backends.bucket_accounts.clear()


def _untracked(cls: type[Any], *_: Any, **__: Any) -> Any:
    """As moto's, without keeping every object that there ever was for moto's dashboard."""
    return object.__new__(cls)


_model: Any = BaseModel
_model.__new__ = _untracked

_regions = [region.name for region in RegionsAndZonesBackend.regions]
for _service in ("acm", "ec2", "eks", "elbv2", "wafv2"):
    # The regions that botocore's models have, without reading the models.
    _backends = _EMULATED[_service][0]
    _backends._use_boto3_regions = False
    _backends._additional_regions = [*_regions, *(_backends._additional_regions or ())]
