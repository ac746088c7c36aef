"""external-dns's annotations on Gateways and routes (kubernetes-sigs/external-dns, docs/annotations/annotations.md).

Those of a Gateway count for all its names; of them external-dns itself reads `target` only, the others on routes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

PREFIX: Final = "external-dns.alpha.kubernetes.io/"
_CONTROLLER: Final = "dns-controller"
_UNITS: Final = {"h": 3600, "m": 60, "s": 1}
_DURATION: Final = re.compile(r"(?:\d{1,9}[hms])+")
_LONGEST_TTL: Final = 2_147_483_647
_WITHOUT: Final = ("set-identifier", "aws-weight", "aws-region", "aws-failover", "aws-multi-value-answer")
_WITHOUT_PREFIXES: Final = ("aws-geolocation-", "aws-geoproximity-", "aws-health-check-id")

Remark = tuple[str, str]
"""A reason and a message."""


class DnsAnnotations(Struct, frozen=True):
    """What an object's annotations say. `ignored`: it is another controller's. `ttl` is in seconds.

    `defined_names`: whether the hostnames of the object itself count besides `hostnames`.
    """

    ignored: bool = False
    hostnames: tuple[str, ...] = ()
    defined_names: bool = True
    targets: tuple[str, ...] = ()
    ttl: int | None = None
    evaluate_health: bool | None = None
    remarks: tuple[Remark, ...] = ()


def read_annotations(annotations: Mapping[str, str]) -> DnsAnnotations:
    """Read the annotations of one object."""
    told = {name.removeprefix(PREFIX): value for name, value in annotations.items() if name.startswith(PREFIX)}
    if not told:
        return DnsAnnotations()
    source = told.get("gateway-hostname-source", "").lower()
    hostnames = () if source == "defined-hosts-only" else _names(told.get("hostname", ""))
    ttl, bad_ttl = _ttl(told.get("ttl", ""))
    health = told.get("aws-evaluate-target-health", "").lower()
    return DnsAnnotations(
        ignored=told.get("controller", _CONTROLLER) != _CONTROLLER,
        hostnames=hostnames,
        defined_names=source != "annotation-only",
        targets=_names(told.get("target", "")),
        ttl=ttl,
        evaluate_health={"true": True, "false": False}.get(health),
        remarks=(*bad_ttl, *(_without(name, told[name]) for name in sorted(told) if _is_left_out(name))),
    )


def _names(text: str) -> tuple[str, ...]:
    found = (name.strip().lower().rstrip(".") for name in text.split(","))
    return tuple(dict.fromkeys(name for name in found if name))


def _ttl(text: str) -> tuple[int | None, tuple[Remark, ...]]:
    text = text.strip()
    if not text:
        return None, ()
    seconds = -1
    if re.fullmatch(r"\d{1,10}", text):
        seconds = int(text)
    elif _DURATION.fullmatch(text):
        seconds = sum(int(number) * _UNITS[unit] for number, unit in re.findall(r"(\d+)([hms])", text))
    if not 0 <= seconds <= _LONGEST_TTL:
        message = (
            f"metadata.annotations[{PREFIX}ttl]: found {text!r}, expected seconds from 1 to {_LONGEST_TTL} or a "
            "duration as 5m; the usual one is used"
        )
        return None, (("InvalidAnnotation", message),)
    return seconds or None, ()


def _is_left_out(name: str) -> bool:
    return name in _WITHOUT or name.startswith(_WITHOUT_PREFIXES)


def _without(name: str, value: str) -> Remark:
    return (
        "UnsupportedAnnotation",
        f"metadata.annotations[{PREFIX}{name}]: found {value!r}; records are made without routing policies and health "
        f"checks; leave the name to external-dns by {PREFIX}controller, or make that record by hand",
    )
