"""Watches: what they deliver, from where, and how they end."""

from __future__ import annotations

import asyncio
from typing import Any

from gatewright.local.apiserver import store as storage
from gatewright.local.apiserver.request import Options, Target
from gatewright.local.apiserver.watch import Watch

MAPS = "/api/v1/namespaces/default/configmaps"
MERGE = "application/merge-patch+json"


def config_map(name: str = "a", **labels: str) -> Any:
    return {"kind": "ConfigMap", "apiVersion": "v1", "metadata": {"name": name, "labels": labels}}


def summary(events: list[Any]) -> list[tuple[str, str]]:
    return [(event["type"], event["object"]["metadata"].get("name", "")) for event in events]


async def watched(api: Any, query: str, **options: Any) -> list[Any]:
    """The events of a watch of the config maps from the first on, ended by the closing of the store."""
    api.store.closed = False
    task = asyncio.ensure_future(api.watch(f"{MAPS}?watch=true&{query}", **options))
    await asyncio.sleep(0)
    while not api.store.table("configmaps")._waiting and not task.done():  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0)
    api.store.closed = True
    api.store.table("configmaps").wake()
    events: list[Any] = await task
    api.store.closed = False
    return events


async def test_from_a_revision_everything_after_it_is_delivered_in_order(api: Any) -> None:
    _, first = await api("POST", MAPS, config_map("a"))
    revision = first["metadata"]["resourceVersion"]
    await api("POST", MAPS, config_map("b"))
    await api("PATCH", f"{MAPS}/b", {"data": {"x": "1"}}, content_type=MERGE)
    await api("DELETE", f"{MAPS}/a")
    events = await watched(api, f"resourceVersion={revision}")
    assert summary(events) == [("ADDED", "b"), ("MODIFIED", "b"), ("DELETED", "a")]
    revisions = [int(event["object"]["metadata"]["resourceVersion"]) for event in events]
    assert revisions == sorted(revisions)
    assert revisions[0] > int(revision)


async def test_without_a_revision_it_begins_with_what_is_there(api: Any) -> None:
    await api("POST", MAPS, config_map("a"))
    await api("POST", MAPS, config_map("b"))
    assert summary(await watched(api, "")) == [("ADDED", "a"), ("ADDED", "b")]
    assert summary(await watched(api, "resourceVersion=0")) == [("ADDED", "a"), ("ADDED", "b")]


async def test_a_watch_list_ends_its_beginning_with_a_bookmark(api: Any) -> None:
    await api("POST", MAPS, config_map("a"))
    query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    events = await watched(api, query)
    assert summary(events) == [("ADDED", "a"), ("BOOKMARK", "")]
    bookmark = events[-1]["object"]
    assert bookmark["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}
    assert bookmark["metadata"]["resourceVersion"] == str(api.store.revision)
    code, _ = await api("GET", f"{MAPS}?watch=true&sendInitialEvents=true")
    assert code == 400


async def test_objects_enter_and_leave_a_selection(api: Any) -> None:
    _, made = await api("POST", MAPS, config_map("a", tier="back"))
    revision = made["metadata"]["resourceVersion"]
    for tier in ("front", "front2", "front", "back"):
        await api("PATCH", f"{MAPS}/a", {"metadata": {"labels": {"tier": tier}}}, content_type=MERGE)
    await api("PATCH", f"{MAPS}/a", {"data": {"x": "1"}}, content_type=MERGE)
    events = await watched(api, f"resourceVersion={revision}&labelSelector=tier%3Dfront")
    assert [event["type"] for event in events] == ["ADDED", "DELETED", "ADDED", "DELETED"]
    # What left is shown as it was last selected, with the revision at which it left.
    assert events[1]["object"]["metadata"]["labels"] == {"tier": "front"}
    by_name = await watched(api, f"resourceVersion={revision}&fieldSelector=metadata.name%3Db")
    assert by_name == []


async def test_history_that_is_gone_is_410(api: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(storage, "LOG_LENGTH", 4)
    _, made = await api("POST", MAPS, config_map("a"))
    for value in range(12):
        await api("PATCH", f"{MAPS}/a", {"data": {"x": str(value)}}, content_type=MERGE)
    code, status = await api("GET", f"{MAPS}?watch=true&resourceVersion={made['metadata']['resourceVersion']}")
    assert (code, status["reason"]) == (410, "Expired")
    assert status["message"].startswith("too old resource version")


async def test_a_slow_watcher_is_cut_with_410_and_holds_up_nobody(api: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(storage, "LOG_LENGTH", 4)
    _, made = await api("POST", MAPS, config_map("a"))
    resource = api.api.catalog.named("", "configmaps")
    target = Target(resource, "v1", "default")
    options = Options({"resourceVersion": made["metadata"]["resourceVersion"]})
    stream = Watch(api.store, target, options, "", api.api.reading).stream()
    await api("PATCH", f"{MAPS}/a", {"data": {"x": "first"}}, content_type=MERGE)
    assert b'"MODIFIED"' in await anext(stream)
    for value in range(12):
        await api("PATCH", f"{MAPS}/a", {"data": {"x": str(value)}}, content_type=MERGE)
    rest = [chunk async for chunk in stream]
    assert len(rest) == 1
    assert b'"type":"ERROR"' in rest[0]
    assert b'"code":410' in rest[0]


async def test_a_watch_ends_when_its_time_is_up(api: Any) -> None:
    events = await api.watch(f"{MAPS}?watch=true&timeoutSeconds=1&allowWatchBookmarks=true")
    assert [event["type"] for event in events] == ["BOOKMARK"]


async def test_a_revision_from_the_future_is_refused(api: Any) -> None:
    code, status = await api("GET", f"{MAPS}?watch=true&resourceVersion=99999")
    assert (code, status["reason"]) == (504, "Timeout")


async def test_an_object_is_encoded_once_for_all(api: Any) -> None:
    _, made = await api("POST", MAPS, config_map("a"))
    resource = api.api.catalog.named("", "configmaps")
    options = Options({"resourceVersion": str(int(made["metadata"]["resourceVersion"]) - 1)})
    accept = "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io"
    event = api.store.table("configmaps").read(0)[-1]
    for form, encoded in (("", event.record.raw), (accept, b"PartialObjectMetadata")):
        for _ in range(2):
            stream = Watch(api.store, Target(resource, "v1", "default"), options, form, api.api.reading).stream()
            assert encoded in await anext(stream)
    assert len(event.record.encodings) == 1


async def test_rows_of_a_table(api: Any) -> None:
    await api("POST", MAPS, config_map("a"))
    await api("POST", MAPS, config_map("b"))
    accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    events = await watched(api, "", accept=accept)
    assert [event["object"]["rows"][0]["cells"][0] for event in events] == ["a", "b"]
    assert [event["object"]["columnDefinitions"] is None for event in events] == [False, True]
