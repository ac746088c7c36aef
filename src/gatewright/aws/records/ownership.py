"""Who made a record: TXT records beside it, as external-dns's TXT registry writes and reads them.

So that each leaves alone what the other made. Beside `A www.example.com` there is the marker `TXT a-www.example.com`
with `"heritage=external-dns,external-dns/owner=ID,external-dns/resource=httproute/ns/name"`. Older releases had markers
of the very name of the record, and `cname-` before those of alias records (kubernetes-sigs/external-dns, docs/registry/
txt.md, registry/txt, registry/mapper; issue 2903).
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

_HERITAGE: Final = "external-dns"
_TYPE: Final = "%{record_type}"
_APEX: Final = "extdns-"


class Claim(Struct, frozen=True):
    """What a marker says: the ID of who made the record, and the object that it was made for, as `gateway/ns/name`."""

    owner: str
    resource: str = ""


class Affix(Struct, frozen=True):
    """What markers' names have before or after the first label: external-dns's `--txt-prefix` and `--txt-suffix`.

    Either may have `%{record_type}` in it; otherwise the type and a hyphen go before the label.
    """

    prefix: str = ""
    suffix: str = ""


def marker_name(name: str, type_: str, affix: Affix = Affix(), zone: str = "") -> str:  # noqa: B008 - immutable
    """The name of the marker of the record that a name has of a type.

    That of the `zone`'s own name would be beside the zone, where external-dns leaves it unwritten (issue 4234). It is
    where external-dns looks when it is told to (`--txt-prefix=extdns-%{record_type}.`), which is in every zone.
    """
    kind = type_.lower()
    label, dot, rest = name.partition(".")
    if _TYPE not in affix.prefix + affix.suffix:
        label = f"{kind}-{label}"
    prefix, suffix = (part.lower().replace(_TYPE, kind) for part in (affix.prefix, affix.suffix))
    found = f"{prefix}{label}{suffix}{dot}{rest}"
    return found if name != zone or found.endswith(f".{zone}") else f"{_APEX}{kind}.{zone}"


def marker_names(
    name: str,
    type_: str,
    affix: Affix = Affix(),  # noqa: B008
    zone: str = "",
    *,
    alias: bool = False,
) -> tuple[str, ...]:
    """The names that the marker of a record may have, by whatever release, the current one's first."""
    found = [marker_name(name, type_, affix, zone)]
    if alias and type_ == "A":
        found.append(marker_name(name, "CNAME", affix, zone))
    if type_ != "AAAA":  # there were none of these before markers had types
        prefix, suffix = (part.lower().replace(_TYPE, "") for part in (affix.prefix, affix.suffix))
        label, dot, rest = name.partition(".")
        found.append(f"{prefix}{label}{suffix}{dot}{rest}")
    return tuple(found)


def read_claim(value: str) -> Claim | None:
    """What the value of a TXT record claims; None for one that is no marker."""
    parts = [token.split("=") for token in value.strip('"').split(",")]
    labels = {part[0]: part[1] for part in parts if len(part) == 2}
    if labels.get("heritage") != _HERITAGE:
        return None
    return Claim(labels.get(f"{_HERITAGE}/owner", ""), labels.get(f"{_HERITAGE}/resource", ""))


def claim_text(claim: Claim) -> str:
    """The value of a marker, as Route 53 takes it: in quotes."""
    resource = f",{_HERITAGE}/resource={claim.resource}" if claim.resource else ""
    return f'"heritage={_HERITAGE},{_HERITAGE}/owner={claim.owner}{resource}"'
