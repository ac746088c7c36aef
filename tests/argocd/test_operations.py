"""What a sync does next: whatever the cluster does, waves keep their order; and when one begins or is tried again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright.local.argocd.application import (
    Application,
    ApplicationSpec,
    Automated,
    Backoff,
    IgnoreDifferences,
    Retry,
    SyncPolicy,
)
from gatewright.local.argocd.health import Health, Status
from gatewright.local.argocd.operations import (
    Begin,
    Refuse,
    Result,
    Step,
    automatic,
    pause_before,
    seconds,
    step,
    unsupported,
)
from gatewright.local.argocd.resources import Resource, ResourceId, wanted
from gatewright.model.kinds import Kind, find
from gatewright.model.meta import Key


def _resource(name: str, wave: int, kind: Kind | None = None) -> Resource:
    known = kind or find("v1", "ConfigMap")
    assert known
    metadata = {"name": name, "annotations": {"argocd.argoproj.io/sync-wave": str(wave)}}
    content = {"apiVersion": known.api_version, "kind": known.kind, "metadata": metadata}
    return wanted(content, known, "demo", "app")


def _extra(name: str) -> ResourceId:
    return ResourceId("", "ConfigMap", Key("demo", name))


_MOODS = st.sampled_from([Status.HEALTHY, Status.PROGRESSING, Status.SUSPENDED, Status.MISSING])


@given(
    st.lists(st.integers(-2, 2), max_size=6),
    st.lists(st.integers(-2, 2), max_size=4),
    st.booleans(),
    st.data(),
)
def test_no_wave_is_applied_before_the_ones_below_it_are_healthy(
    waves: list[int], extra_waves: list[int], prune_last: bool, data: st.DataObject
) -> None:
    resources = [_resource(f"r{number}", wave) for number, wave in enumerate(waves)]
    extra = {_extra(f"x{number}"): wave for number, wave in enumerate(extra_waves)}
    results: dict[ResourceId, Result] = {}
    fares = {resource.id: Status.PROGRESSING for resource in resources}
    there = set(extra)
    by_id = {resource.id: resource for resource in resources}
    for _ in range(200):
        found = step(
            resources,
            extra,
            results,
            lambda identity: Health(fares[identity]),
            lambda identity: identity not in there,
            prune_last,
        )
        assert not found.failure
        assert sum(bool(part) for part in (found.apply, found.prune, found.waits)) <= 1
        for resource in found.apply:
            assert resource.id not in results
            lower = [other for other in by_id.values() if other.wave < resource.wave]
            assert all(other.id in results and fares[other.id] is Status.HEALTHY for other in lower)
            results[resource.id] = Result("Synced")
        for identity in found.prune:
            assert all(resource.id in results for resource in resources)
            assert all(other not in there for other, wave in extra.items() if wave > extra[identity])
            if prune_last:
                assert all(fares[resource.id] is Status.HEALTHY for resource in resources)
            results[identity] = Result("Pruned")
        if not (found.apply or found.prune or found.waits):
            assert set(results) == {*by_id, *extra}
            assert not there
            return
        for identity in sorted(results, key=str):
            if identity in by_id:
                fares[identity] = data.draw(_MOODS) if data.draw(st.integers(0, 3)) == 0 else Status.HEALTHY
            else:
                there.discard(identity)
    raise AssertionError("it never ends")


def test_within_a_wave_what_others_need_comes_first() -> None:
    service = find("v1", "Service")
    account = find("v1", "ServiceAccount")
    route = find("gateway.networking.k8s.io/v1", "HTTPRoute")
    resources = [_resource("z", 0, route), _resource("b", 0), _resource("s", 0, service), _resource("a", 0, account)]
    found = step(resources, {}, {}, lambda _: None, lambda _: True)
    assert [resource.kind.kind for resource in found.apply] == ["ServiceAccount", "ConfigMap", "Service", "HTTPRoute"]


def test_a_wait_names_the_first_the_number_of_others_and_why() -> None:
    resources = [_resource("a", 0), _resource("b", 0), _resource("c", 1)]
    results = {resource.id: Result("Synced") for resource in resources[:2]}
    found = step(resources, {}, results, lambda _: Health(Status.PROGRESSING, "not yet"), lambda _: True)
    assert found.waits == "waiting for healthy state of ConfigMap/a and 1 more resources: not yet"


def test_the_last_wave_isnt_waited_for() -> None:
    resources = [_resource("a", 0), _resource("b", 1)]
    results = {resource.id: Result("Synced") for resource in resources}
    moods = {resources[0].id: Health(Status.HEALTHY), resources[1].id: Health(Status.DEGRADED, "bad")}
    found = step(resources, {}, results, moods.get, lambda _: True)
    assert found == Step()


# --- when one begins ---


def _application(automated: Automated | None, phase: str = "", revision: str = "r1") -> Application:
    status: dict[str, Any] = {}
    if phase:
        result = {"revision": revision, "source": {"repoURL": "x"}}
        status = {"operationState": {"phase": phase, "message": "why", "syncResult": result}}
    return Application(spec=ApplicationSpec(sync_policy=SyncPolicy(automated=automated)), status=status)


A, B = _extra("a"), _extra("b")
ON = Automated(prune=True, self_heal=True)


@pytest.mark.parametrize(
    ("application", "out_of_sync", "extra", "expected"),
    [
        (_application(None), [A], [], ""),
        (_application(Automated(enabled=False)), [A], [], ""),
        (_application(ON), [], [], ""),
        (_application(ON), [A], [], None),
        (_application(Automated()), [A], [A], ""),
        (_application(Automated()), [A, B], [A], None),
        (_application(Automated(), "Succeeded"), [A], [], ""),
        (_application(Automated(), "Succeeded", "r0"), [A], [], None),
        (_application(ON, "Succeeded"), [A], [], None),
        (_application(ON, "Failed"), [A], [], "Failed last sync attempt to r1: why"),
        (_application(ON, "Failed", "r0"), [A], [], None),
    ],
)
def test_a_sync_begins_by_itself(
    application: Application, out_of_sync: list[ResourceId], extra: list[ResourceId], expected: str | None
) -> None:
    found = automatic(application, "r1", {"source": {"repoURL": "x"}}, out_of_sync, extra, 3)
    if expected is None:
        assert isinstance(found, Begin)
        assert found.operation.initiated_by.automated
    else:
        assert found == Refuse(expected)


@pytest.mark.parametrize(
    ("text", "expected"), [("5s", 5.0), ("3m0s", 180.0), ("1h", 3600.0), ("500ms", 0.5), ("7", 7.0), ("", 9.0)]
)
def test_durations(text: str, expected: float) -> None:
    assert seconds(text, 9.0) == expected


def test_pauses_grow_to_their_longest_until_the_limit() -> None:
    retry = Retry(limit=4, backoff=Backoff(duration="5s", factor=3, max_duration="30s"))
    assert [pause_before(retry, number) for number in range(5)] == [5.0, 15.0, 30.0, 30.0, None]
    assert pause_before(None, 0) is None
    assert pause_before(Retry(limit=-1), 1000) == 180.0


def test_what_isnt_done_is_said() -> None:
    rule = IgnoreDifferences(kind="ConfigMap", jq_path_expressions=(".data",))
    elsewhere = IgnoreDifferences(kind="Secret", jq_path_expressions=(".data",))
    policy = SyncPolicy(sync_options=("Replace=true",))
    spec = ApplicationSpec(ignore_differences=(rule, elsewhere), sync_policy=policy)
    assert [text.partition(":")[0] for text in unsupported(Application(spec=spec), [_resource("a", 0)])] == [
        "ignoreDifferences of ConfigMap",
        "sync option Replace=true isn't followed here",
    ]
