"""Server-side apply: ownership of fields, conflicts, and the sets that `managedFields` holds."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatewright.local.apiserver import apply, builtin
from gatewright.local.apiserver.errors import StatusError
from gatewright.local.apiserver.fieldsets import difference, field_set, intersection, merge, ownable, paths, union
from gatewright.local.apiserver.request import Target
from gatewright.local.apiserver.resources import Catalog

CATALOG = Catalog()
RESOURCE = CATALOG.named("", "services")
assert RESOURCE is not None
TARGET = Target(RESOURCE, "v1", "a", "web")
SCHEMA = builtin.kind_schema("", "v1", "Service") or {}


def service(ports: Any = None, labels: Any = None, **spec: Any) -> Any:
    metadata: Any = {"name": "web", "namespace": "a"}
    if labels:
        metadata["labels"] = labels
    if ports is not None:
        spec["ports"] = [{"port": port, "protocol": "TCP", **rest} for port, rest in ports.items()]
    obj = {"apiVersion": "v1", "kind": "Service", "metadata": metadata}
    return {**obj, "spec": spec} if spec else obj


def applied(old: Any, new: Any, manager: str, *, force: bool = False) -> Any:
    return apply.apply(TARGET, SCHEMA, old, new, manager, force=force)


def owners(obj: Any) -> dict[str, set[str]]:
    return {entry["manager"]: set(paths(entry["fieldsV1"])) for entry in obj["metadata"]["managedFields"]}


port_maps = st.dictionaries(
    st.sampled_from([80, 81, 443]),
    st.fixed_dictionaries({}, optional={"name": st.sampled_from(["a", "b"])}),
    max_size=3,
)
label_maps = st.dictionaries(st.sampled_from(["x", "y", "z"]), st.sampled_from(["1", "2"]), max_size=3)
services = st.builds(
    lambda ports, labels, spec: service(ports, labels, **spec),
    port_maps,
    label_maps,
    st.fixed_dictionaries({}, optional={"type": st.sampled_from(["ClusterIP", "NodePort"]), "selector": label_maps}),
)


def without_metadata(obj: Any) -> Any:
    return ownable(obj)


@given(services)
def test_applying_twice_changes_nothing(config: Any) -> None:
    once = applied(None, config, "me")
    twice = applied(once, config, "me")
    assert twice == once


@given(services, services)
def test_the_sole_applier_gets_exactly_its_configuration(first: Any, second: Any) -> None:
    result = applied(applied(None, first, "me"), second, "me")
    assert field_set(SCHEMA, without_metadata(result)) == field_set(SCHEMA, without_metadata(second)) or not second.get(
        "spec"
    )
    for entry in result["metadata"].get("managedFields", []):
        assert entry["fieldsV1"] == field_set(SCHEMA, without_metadata(second))


@given(services, services)
@settings(max_examples=60)
def test_two_managers_that_agree_share_and_a_forced_one_wins(first: Any, second: Any) -> None:
    mine = applied(None, first, "me")
    both = applied(mine, second, "you", force=True)
    merged = merge(SCHEMA, without_metadata(mine), without_metadata(second))
    assert without_metadata(both) == merged
    # What you apply is what there is, and taking everything back leaves nothing of yours that I didn't share.
    back = applied(both, service(), "you")
    mine_now = owners(back).get("me", set())
    assert mine_now <= set(paths(field_set(SCHEMA, without_metadata(first))))
    assert "you" not in owners(back)


@given(services, services)
def test_conflicts_are_exactly_the_owned_fields_that_would_change(first: Any, second: Any) -> None:
    mine = applied(None, first, "me")
    forced = applied(mine, second, "you", force=True)
    lost = owners(mine).get("me", set()) - owners(forced).get("me", set())
    refused: Any = {}
    try:
        applied(mine, second, "you")
    except StatusError as error:
        refused = error.status()
    assert refused.get("code", 409) == 409
    assert {cause["field"] for cause in refused.get("details", {}).get("causes", [])} == lost


def test_a_conflict_is_worded_as_a_real_one() -> None:
    mine = applied(None, service({80: {"name": "a"}}, type="ClusterIP"), "me")
    with pytest.raises(StatusError) as refused:
        applied(mine, service({80: {"name": "b"}}), "you")
    assert refused.value.message == (
        'Apply failed with 1 conflict: conflict with "me": .spec.ports[port=80,protocol="TCP"].name'
    )


def test_fields_that_are_no_longer_applied_go() -> None:
    both = applied(None, service({80: {}, 81: {}}, {"x": "1", "y": "1"}), "me")
    fewer = applied(both, service({80: {}}, {"x": "1"}), "me")
    assert [port["port"] for port in fewer["spec"]["ports"]] == [80]
    assert fewer["metadata"]["labels"] == {"x": "1"}


def test_fields_that_another_manager_owns_stay() -> None:
    mine = applied(None, service(labels={"x": "1", "y": "1"}), "me")
    both = applied(mine, service(labels={"x": "1"}), "you")
    after = applied(both, service(), "me")
    assert after["metadata"]["labels"] == {"x": "1"}


def test_an_update_takes_fields_over() -> None:
    mine = applied(None, service(type="ClusterIP", labels={"x": "1"}), "me")
    changed = {**mine, "metadata": {**mine["metadata"], "labels": {"x": "2"}}}
    updated = apply.updated(TARGET, SCHEMA, mine, changed, "kubectl")
    assert owners(updated) == {"me": {".spec.type"}, "kubectl": {".metadata.labels.x"}}
    with pytest.raises(StatusError, match=r'conflict with "kubectl" using v1 at .*: \.metadata\.labels\.x'):
        applied(updated, service(type="ClusterIP", labels={"x": "1"}), "me")


tries: Any = st.recursive(
    st.just({}), lambda inner: st.dictionaries(st.sampled_from(["f:a", "f:b", "f:c"]), inner, max_size=3), max_leaves=8
)


def members(trie: Any) -> set[str]:
    return set(paths(trie))


@given(tries, tries)
def test_sets_are_sets(left: Any, right: Any) -> None:
    assert members(union(left, right)) == members(left) | members(right)
    assert members(difference(left, right)) == members(left) - members(right)
    assert members(intersection(left, right)) == members(left) & members(right)
