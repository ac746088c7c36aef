"""Names of DNS records as Route 53 writes and reads them (Developer Guide, "DNS domain name format")."""

from __future__ import annotations

import re
from collections.abc import Iterable

_ESCAPED = re.compile(r"\\([0-7]{3})")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_LONGEST = 253


def plain(name: str) -> str:
    """A name in lower case, without the dot at its end; Route 53 shows `*` as `\\052`."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 8)), name).lower().rstrip(".")


def is_below(name: str, domain: str) -> bool:
    """Whether a name is a domain's own or below it."""
    return name == domain or name.endswith(f".{domain}")


def is_record_name(name: str) -> bool:
    """Whether a record may have the name: a host name whose first label may be `*`."""
    if len(name) > _LONGEST or "." not in name:
        return False
    return all(_LABEL.fullmatch(label) for label in name.removeprefix("*.").split("."))


def matches(name: str, domains: Iterable[str]) -> bool:
    """Whether any of a domain filter's entries takes a name; one that begins with a dot takes subdomains only.

    As external-dns's `--domain-filter`. Without entries every name is taken.
    """
    wanted = [domain.lower().rstrip(".") for domain in domains]
    name = name.removeprefix("*.")
    if not wanted:
        return True
    return any(name.endswith(domain) if domain.startswith(".") else is_below(name, domain) for domain in wanted)
