"""Hosted zones and the records in them, as values."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from msgspec import Struct

from gatewright.aws.records.ownership import Affix
from gatewright.resolve.inputs import ObjectId

ADDRESS_TYPES: Final = ("A", "AAAA", "CNAME")
"""The types of records that lead to an address, and that we make and remove; markers (TXT) besides."""

VALIDATIONS: Final = ".acm-validations.aws"
"""What the names end with that ACM's validation records (CNAME) lead to."""

Visibility: TypeAlias = Literal["everywhere", "public", "private"]
"""Who is to find a name: everybody, within VPCs too; who asks the public DNS; who asks from within a VPC."""


class Zone(Struct, frozen=True, order=True):
    """A hosted zone. `id` is without `/hostedzone/`, `name` without the dot at its end."""

    id: str
    name: str
    private: bool = False


class AliasTarget(Struct, frozen=True, order=True):
    """What an alias record stands for (Route 53 API, AliasTarget). `dns_name` is without the dot at its end."""

    dns_name: str
    hosted_zone: str
    evaluate_health: bool = True


class Record(Struct, frozen=True):
    """A record set: `values` as in a zone file, or an `alias`, which has no `ttl` (seconds) of its own.

    `name` is without the dot at its end. One of several of a name and type has a `set_identifier`, by which a routing
    policy chooses.
    """

    name: str
    type: str
    values: tuple[str, ...] = ()
    ttl: int | None = None
    alias: AliasTarget | None = None
    set_identifier: str = ""

    @property
    def size(self) -> int:
        """The characters of its values, which a change batch may have 32,000 of."""
        return sum(map(len, self.values))


class Place(Struct, frozen=True):
    """A load balancer that names may lead to; `hosted_zone` is the one that its own DNS name is in."""

    dns_name: str
    hosted_zone: str
    scheme: Literal["internal", "internet-facing"]
    dualstack: bool = False


class Wish(Struct, frozen=True):
    """A name, and the records that it is to have; of none it isn't known yet where it leads, and what it has stays.

    `resources` are the objects that ask for it, as external-dns writes them: the first is the one that markers name.
    `asked_by` are the same, for what has to be told. A `shared` one is content with the same record of anybody's.
    `remarks` are told of single objects, (reason, message).

    `others` are the same name for others who ask for it: whose records it has keeps it.
    """

    name: str
    records: tuple[Record, ...]
    visibility: Visibility
    resources: tuple[str, ...]
    asked_by: tuple[ObjectId, ...]
    shared: bool = False
    remarks: tuple[tuple[ObjectId, tuple[str, str]], ...] = ()
    others: tuple[Wish, ...] = ()


class DnsOptions(Struct, frozen=True):
    """What of Route 53 is ours to change. `owner` is the ID that our markers have: one for each cluster.

    `policy`: `sync` also removes what nobody asks for any more. `domains` and `excluded_domains` limit the names (as
    external-dns's `--domain-filter`), `zones` the hosted zones by ID, `zone_type` by whom they answer; empty is no
    limit. `ttl` is that of records which aren't aliases, in seconds. `keep_validations`: records that validate
    certificates are never removed, since nobody knows here which ones are in use.
    """

    owner: str
    policy: Literal["upsert-only", "sync"] = "upsert-only"
    domains: tuple[str, ...] = ()
    excluded_domains: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    zone_type: Literal["public", "private", ""] = ""
    affix: Affix = Affix()
    evaluate_target_health: bool = True
    ttl: int = 300
    keep_validations: bool = True
