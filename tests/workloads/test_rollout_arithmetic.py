"""How a Deployment shares its replicas among its ReplicaSets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright.local.workloads.deployments import (
    HASH_LABEL,
    REVISION_ANNOTATION,
    Owned,
    Progress,
    annotations_of,
    deployment_status,
    is_complete,
    owned,
    replica_set_of,
)
from gatewright.local.workloads.rollout import (
    DESIRED_ANNOTATION,
    Bounds,
    bounds,
    first_replicas,
    outlived,
    scales,
)
from gatewright.local.workloads.templates import Deployment, DeploymentSpec, ReplicaSet, ReplicaSetSpec
from gatewright.model import apps
from gatewright.model.meta import LabelSelector, ObjectMeta

NOW = "2026-01-01T00:00:00Z"


def deployment(
    replicas: int,
    surge: int | str = "25%",
    unavailable: int | str = "25%",
    strategy: str = "RollingUpdate",
    **spec: object,
) -> Deployment:
    rolling = apps.RollingUpdate(max_surge=surge, max_unavailable=unavailable)
    return Deployment(
        metadata=ObjectMeta(name="web", namespace="ns", uid="d", generation=3),
        spec=DeploymentSpec(
            replicas=replicas,
            selector=LabelSelector(match_labels={"app": "web"}),
            template={"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "new"}]}},
            strategy=apps.DeploymentStrategy(type=strategy, rolling_update=rolling),
            **spec,  # type: ignore[arg-type]
        ),
    )


def replica_set(
    name: str, replicas: int, available: int, of: Deployment, image: str = "old", **meta: str
) -> ReplicaSet:
    annotations = {DESIRED_ANNOTATION: meta.pop("desired", str(of.spec.replicas))}
    if "revision" in meta:
        annotations[REVISION_ANNOTATION] = meta.pop("revision")
    template = {
        "metadata": {"labels": {"app": "web", HASH_LABEL: name}},
        "spec": {"containers": [{"name": "c", "image": image}]},
    }
    return ReplicaSet(
        metadata=ObjectMeta(name=name, namespace="ns", uid=name, annotations=annotations, **meta),  # type: ignore[arg-type]
        spec=ReplicaSetSpec(replicas=replicas, template=template),
        status=apps.ReplicaSetStatus(replicas=replicas, ready_replicas=available, available_replicas=available),
    )


@pytest.mark.parametrize(
    ("replicas", "surge", "unavailable", "expected"),
    [
        (10, "25%", "25%", Bounds(3, 2)),
        (1, "25%", "25%", Bounds(1, 0)),
        (4, 0, "10%", Bounds(0, 1)),
        (3, 0, 0, Bounds(0, 1)),
        (2, 1, 5, Bounds(1, 2)),
        (0, "25%", "25%", Bounds(0, 1)),
    ],
)
def test_surge_rounds_up_and_unavailable_down(
    replicas: int, surge: int | str, unavailable: int | str, expected: Bounds
) -> None:
    assert bounds(deployment(replicas, surge, unavailable)) == expected


@given(
    replicas=st.integers(1, 12),
    before=st.integers(1, 12),
    surge=st.integers(0, 4),
    unavailable=st.integers(0, 4),
    failing=st.booleans(),
)
def test_a_rolling_update_ends_and_never_strays_beyond_its_bounds(
    replicas: int, before: int, surge: int, unavailable: int, failing: bool
) -> None:
    of = deployment(replicas, surge, unavailable)
    limits = bounds(of)
    size = min(before, replicas)
    old, new = replica_set("old", size, size, of), replica_set("new", 0, 0, of, "new")
    for _ in range(100):
        changes = scales(of, new, [old], terminating=0)
        if not changes:
            break
        old_size, new_size = changes.get(old.key, old.spec.replicas), changes.get(new.key, new.spec.replicas)
        assert old_size + new_size <= max(replicas + limits.surge, size)
        up = 0 if failing else new_size
        assert old_size + up >= min(size, replicas - limits.unavailable)
        old, new = replica_set("old", old_size, old_size, of), replica_set("new", new_size, up, of, "new")
    assert not changes
    if not failing:
        assert (old.spec.replicas, new.spec.replicas) == (0, replicas)


def test_recreate_makes_new_pods_only_when_the_old_ones_are_gone() -> None:
    of = deployment(2, strategy="Recreate")
    old, new = replica_set("old", 2, 2, of), replica_set("new", 0, 0, of, "new")
    assert first_replicas(of, [old]) == 0
    assert scales(of, new, [old], 0) == {old.key: 0}
    gone = replica_set("old", 0, 0, of)
    assert scales(of, new, [gone], terminating=2) == {}
    assert scales(of, new, [gone], terminating=0) == {new.key: 2}


def test_scaling_during_a_rollout_is_shared_in_proportion() -> None:
    of = deployment(20, 4, 0)
    old = replica_set("old", 8, 8, of, desired="10")
    new = replica_set("new", 6, 2, of, "new", desired="10")
    changes = scales(of, new, [old], 0)
    assert changes[old.key] + changes[new.key] == 24
    assert changes[old.key] > changes[new.key]


def test_scaling_outside_a_rollout_scales_the_one_replica_set() -> None:
    of = deployment(5)
    new = replica_set("new", 2, 2, of, "new", desired="2")
    assert scales(of, new, [], 0) == {new.key: 5}
    assert scales(deployment(0), replica_set("new", 2, 2, of, "new", desired="2"), [], 0) == {new.key: 0}


def test_a_paused_deployment_rolls_nothing_but_scales() -> None:
    of = deployment(3, paused=True)
    old = replica_set("old", 3, 3, of)
    assert scales(of, None, [old], 0) == {}
    assert scales(of, None, [replica_set("old", 2, 2, of, desired="2")], 0) == {old.key: 3}


def test_the_oldest_idle_replica_sets_beyond_the_limit_are_let_go() -> None:
    of = deployment(1, revision_history_limit=1)
    idle = [replica_set(name, 0, 0, of) for name in ("a", "b", "c")]
    assert [r.name for r in outlived(of, [*idle, replica_set("d", 1, 1, of)])] == ["a", "b"]


def test_the_template_finds_its_replica_set_again_and_a_rollback_gets_a_new_revision() -> None:
    of = deployment(1)
    former = replica_set("former", 0, 0, of, "new", revision="1", creation_timestamp="2026-01-01T00:00:00Z")
    latest = replica_set("latest", 1, 1, of, "old", revision="2", creation_timestamp="2026-01-02T00:00:00Z")
    those = owned(of, [latest, former])
    assert those == Owned(former, (latest,))
    annotations = annotations_of(of, those)
    assert annotations[REVISION_ANNOTATION] == "3"
    assert annotations["deployment.kubernetes.io/revision-history"] == "1"


def test_a_replica_set_carries_the_hash_in_name_labels_selector_and_template() -> None:
    of = deployment(2)
    body = replica_set_of(of, Owned(None, ()), 2)
    suffix = body["metadata"]["labels"][HASH_LABEL]
    assert body["metadata"]["name"] == f"web-{suffix}"
    assert body["spec"]["selector"]["matchLabels"] == {"app": "web", HASH_LABEL: suffix}
    assert body["spec"]["template"]["metadata"]["labels"][HASH_LABEL] == suffix
    assert body["spec"]["template"]["spec"] == of.spec.template["spec"]
    assert HASH_LABEL not in of.spec.template["metadata"]["labels"]


class TestStatus:
    def test_a_rollout_under_way(self) -> None:
        of = deployment(4)
        those = Owned(replica_set("new", 2, 1, of, "new"), (replica_set("old", 3, 3, of),))
        status = deployment_status(of, those, Progress(), NOW)
        assert (status.replicas, status.updated_replicas, status.available_replicas) == (5, 2, 4)
        assert status.unavailable_replicas == 1
        available, progressing = status.conditions
        assert (available.type, available.status) == ("Available", "True")
        assert (progressing.status, progressing.reason) == ("True", "ReplicaSetUpdated")
        assert not is_complete(of, status)

    def test_complete_and_stays_so_when_a_pod_fails_later(self) -> None:
        of = deployment(2)
        status = deployment_status(of, Owned(replica_set("new", 2, 2, of, "new"), ()), Progress(), NOW)
        assert status.conditions[1].reason == "NewReplicaSetAvailable"
        assert is_complete(of, status)
        later = Deployment(metadata=of.metadata, spec=of.spec, status=status)
        failed = deployment_status(later, Owned(replica_set("new", 2, 0, of, "new"), ()), Progress(), "later")
        assert failed.conditions[0].reason == "MinimumReplicasUnavailable"
        assert failed.conditions[1] == status.conditions[1]

    def test_a_stalled_rollout_says_so(self) -> None:
        of = deployment(2)
        those = Owned(replica_set("new", 2, 0, of, "new"), ())
        condition = deployment_status(of, those, Progress(stalled=True), NOW).conditions[1]
        assert (condition.status, condition.reason) == ("False", "ProgressDeadlineExceeded")
