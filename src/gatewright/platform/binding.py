"""Whether clients get to the Gateway: it has its load balancer, and what stands in front is bound to it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from gatewright.aws.records.records import Record
from gatewright.platform.diagnosis import bad_conditions
from gatewright.platform.objects import Json, label
from gatewright.platform.outputs import Outputs
from gatewright.platform.waiting import Look


def condition(found: Json, kind: str) -> Json:
    """A condition of an object's status; empty where it has none of that type."""
    conditions = (found.get("status") or {}).get("conditions") or ()
    return next((each for each in conditions if each.get("type") == kind), {})


def addresses(gateway: Json) -> list[str]:
    """A Gateway's addresses."""
    return [each.get("value", "") for each in (gateway.get("status") or {}).get("addresses") or ()]


def gateway_look(gateway: Json | None, fixed: str = "") -> Look:
    """Whether a Gateway is programmed and has an address: where one was `fixed`, that one."""
    if gateway is None:
        return Look(False, "the Gateway isn't there")
    found = addresses(gateway)
    text = f"{label(gateway)}: " + "; ".join(bad_conditions(gateway))
    signature: Any = [gateway.get("status")]
    if condition(gateway, "Programmed").get("status") != "True" or not found:
        return Look(
            False, text if text.strip(": ") != label(gateway) else f"{label(gateway)} has no address", signature
        )
    if fixed and fixed not in found:
        wrong = f"{label(gateway)} has the address {', '.join(found)}, and the Application Gateway sends to {fixed}"
        return Look(False, wrong, signature, broken=True)
    return Look(True, f"{label(gateway)} is at {', '.join(found)}", signature)


def binding_look(binding: Json | None) -> Look:
    """Whether an EdgeBinding is bound, and AWS finds its targets healthy."""
    if binding is None:
        return Look(False, "the EdgeBinding isn't there")
    status = binding.get("status") or {}
    targets = status.get("targets") or ()
    signature: Any = [status.get("conditions"), [(each.get("address"), each.get("health")) for each in targets]]
    wrong = list(bad_conditions(binding))
    if all(condition(binding, kind).get("status") == "True" for kind in ("Bound", "Healthy")):
        return Look(True, f"{label(binding)}: {status.get('healthyTargets', '')} targets healthy", signature)
    told = "; ".join([*wrong, *_unwell(targets)]) or "the controller has not looked at it yet"
    return Look(False, f"{label(binding)}: {told}", signature)


def records_look(records: Iterable[Record], names: Iterable[str]) -> Look:
    """Whether all names have address records among those of a hosted zone."""
    there = {record.name for record in records if record.type in ("A", "CNAME")}
    missing = [name for name in names if name not in there]
    return Look(not missing, f"no DNS record yet of {', '.join(missing)}", sorted(there))


def _unwell(targets: Iterable[Json]) -> Iterable[str]:
    for target in targets:
        if target.get("health") not in ("healthy", None, ""):
            why = ": ".join(part for part in (target.get("reason"), target.get("description")) if part)
            place = f"{target.get('address')}:{target.get('port')}"
            yield f"target {place} is {target.get('health')}" + (f" ({why})" if why else "")


def entry(outputs: Outputs) -> str:
    """Where clients come in, in words."""
    names = ", ".join(outputs.hostnames[:2])
    return " at ".join(part for part in (names, outputs.entry) if part)
