"""What is said against a value of a configuration, and the checks that several kinds share."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from gatewright.aws.stack.desired import OWNERSHIP
from gatewright.model.meta import Object

_PREFIX_LIST: Final = re.compile(r"pl-[0-9a-f]+")
_NAME: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,30}[A-Za-z0-9])?")
_CERTIFICATE: Final = re.compile(
    r"arn:[\w-]+:(acm:[\w-]+:\d{12}:certificate/[\w-]+|iam::\d{12}:server-certificate/[\w+=,.@/-]+)", re.ASCII
)
_WEB_ACL: Final = re.compile(r"arn:[\w-]+:wafv2:[\w-]+:\d{12}:regional/webacl/[\w-]+/[\w-]+", re.ASCII)
_TAG: Final = re.compile(r"[\w\s.:/=+@-]*")


class Objection(NamedTuple):
    """What was found in a field, why it can't be, and what to use instead."""

    field: str
    found: str
    why: str

    def __str__(self) -> str:
        return f"{self.field}: found {self.found}; {self.why}"

    def about(self, owner: str) -> str:
        """The same, naming the object that the field is in."""
        return f"{self.field} of {owner}: found {self.found}; {self.why}"


def label(obj: Object) -> str:
    """How messages name an object."""
    return f"{obj.kind} {obj.key}"


def shown(value: str) -> str:
    """A text that was found, as messages have it."""
    return repr(value) if not value or value != value.strip() else value


def is_network(value: str) -> bool:
    """Whether a text is a CIDR of either family; as with EC2, bits of the host don't matter."""
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        return False
    return "/" in value


def networks(field: str, values: Iterable[str]) -> list[Objection]:
    """The values that are no CIDRs."""
    why = "expected a CIDR such as 192.0.2.0/24 or 2001:db8::/32"
    return [Objection(f"{field}[{i}]", shown(v), why) for i, v in enumerate(values) if not is_network(v)]


def prefix_lists(field: str, values: Iterable[str]) -> list[Objection]:
    """The values that are no IDs of prefix lists."""
    why = "expected the ID of a prefix list, as pl-0123456789abcdef0"
    return [Objection(f"{field}[{i}]", shown(v), why) for i, v in enumerate(values) if not _PREFIX_LIST.fullmatch(v)]


def is_name(value: str) -> bool:
    """Whether a load balancer or a target group may have the name (ELBv2 API, CreateTargetGroup)."""
    return bool(_NAME.fullmatch(value))


def is_certificate(value: str) -> bool:
    """Whether a text is the ARN of a certificate of ACM or IAM."""
    return bool(_CERTIFICATE.fullmatch(value))


def is_web_acl(value: str) -> bool:
    """Whether a text is the ARN of a web ACL of WAFv2 that a load balancer can have: a regional one."""
    return bool(_WEB_ACL.fullmatch(value))


def is_https(value: str) -> bool:
    """Whether a text is a full URL of scheme https."""
    scheme, _, rest = value.partition("://")
    return scheme == "https" and bool(rest) and not rest.startswith("/") and not any(map(str.isspace, value))


def tags(field: str, given: Mapping[str, str]) -> tuple[dict[str, str], list[Objection]]:
    """The tags that AWS takes and that aren't ours to set; and what is said of the others (AWS, "Tag restrictions")."""
    taken: dict[str, str] = {}
    objections: list[Objection] = []
    for key, value in given.items():
        why = ""
        if key.lower().startswith("aws:"):
            why = "tags that begin with aws: are AWS's own; use another name"
        elif key.startswith(OWNERSHIP):
            why = "tags that begin so say whose a load balancer is; use another name"
        elif not 1 <= len(key) <= 128 or len(value) > 256:
            why = "a tag has 1 to 128 characters, its value at most 256; shorten it"
        elif not (_TAG.fullmatch(key) and _TAG.fullmatch(value)):
            why = "a tag has letters, digits, spaces and _ . : / = + - @ only; leave the others out"
        if why:
            objections.append(Objection(f"{field}[{key}]", shown(value), why))
        else:
            taken[key] = value
    return taken, objections


def codes(value: str, least: int, most: int) -> bool:
    """Whether a text lists codes and ranges of them between the two, as `200,301-399` (ELBv2 API, Matcher)."""
    for part in value.split(","):
        numbers = part.split("-")
        if len(numbers) > 2 or not all(n.isascii() and n.isdecimal() and len(n) <= 3 for n in numbers):
            return False
        bounds = [int(number) for number in numbers]
        if bounds[0] < least or bounds[-1] > most or bounds[0] > bounds[-1]:
            return False
    return True
