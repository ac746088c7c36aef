"""Events are one storage behind two APIs: core/v1, as which they are stored, and events.k8s.io/v1."""

from __future__ import annotations

from gatewright.local.apiserver.store import Json

CORE = "v1"
_TO_CORE = {
    "regarding": "involvedObject",
    "note": "message",
    "reportingController": "reportingComponent",
    "reportingInstance": "reportingInstance",
    "deprecatedSource": "source",
    "deprecatedFirstTimestamp": "firstTimestamp",
    "deprecatedLastTimestamp": "lastTimestamp",
    "deprecatedCount": "count",
}
_FROM_CORE = {core: other for other, core in _TO_CORE.items()}


def convert_event(obj: Json, api_version: str) -> Json:
    """The event as the API of that version shows it."""
    if obj.get("apiVersion") == api_version:
        return obj
    names = _TO_CORE if api_version == CORE else _FROM_CORE
    converted = {names.get(name, name): value for name, value in obj.items()}
    converted["apiVersion"] = api_version
    return converted
