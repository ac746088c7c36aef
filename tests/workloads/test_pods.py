"""A pod's environment, status, addresses and log."""

import asyncio
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from gatewright.local.workloads.addresses import PodAddresses
from gatewright.local.workloads.environment import Lookup, MissingReference, PodFacts, environment, expand, references
from gatewright.local.workloads.logs import ContainerLog
from gatewright.local.workloads.pod_status import ContainerView, pod_status
from gatewright.local.workloads.program import Exit
from gatewright.local.workloads.templates import Pod
from gatewright.model import core
from gatewright.model.meta import Key, ObjectMeta

FACTS = PodFacts("127.32.0.1", "127.0.0.1", "gatewright")
NOW = "2026-01-01T00:00:00Z"
CONFIG = core.ConfigMap(metadata=ObjectMeta(name="cm", namespace="ns"), data={"a": "1", "b": "2"})
SECRET = core.Secret(metadata=ObjectMeta(name="s", namespace="ns"), data={"token": b"t"})
LOOKUP = Lookup({Key("ns", "cm"): CONFIG}.get, {Key("ns", "s"): SECRET}.get)


def pod(container: dict[str, Any] | None = None, spec: dict[str, Any] | None = None, status: Any = None) -> Pod:
    return msgspec.convert(
        {
            "metadata": {"name": "p", "namespace": "ns", "uid": "u", "labels": {"app": "x"}, "annotations": {"n": "v"}},
            "spec": {"containers": [{"name": "c", "image": "i", **(container or {})}], **(spec or {})},
            "status": status or {},
        },
        Pod,
    )


def variables(*env: dict[str, Any], **container: Any) -> dict[str, str]:
    of = pod({"env": list(env), **container})
    return environment(of, of.spec.containers[0], FACTS, LOOKUP)


def field_ref(name: str, path: str) -> dict[str, Any]:
    return {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}}


def key_ref(name: str, kind: str, of: str, key: str, optional: bool = False) -> dict[str, Any]:
    return {"name": name, "valueFrom": {f"{kind}KeyRef": {"name": of, "key": key, "optional": optional}}}


class TestEnvironment:
    def test_the_pods_own_fields(self) -> None:
        found = variables(
            field_ref("POD", "metadata.name"),
            field_ref("NS", "metadata.namespace"),
            field_ref("IP", "status.podIP"),
            field_ref("NODE", "spec.nodeName"),
            field_ref("APP", "metadata.labels['app']"),
            field_ref("NOTE", "metadata.annotations['n']"),
        )
        assert found == {
            "HOSTNAME": "p",
            "POD": "p",
            "NS": "ns",
            "IP": "127.32.0.1",
            "NODE": "gatewright",
            "APP": "x",
            "NOTE": "v",
        }

    def test_config_maps_and_secrets_one_key_or_all(self) -> None:
        found = variables(
            key_ref("A", "configMap", "cm", "a"),
            key_ref("T", "secret", "s", "token"),
            key_ref("NO", "secret", "gone", "x", optional=True),
            envFrom=[{"prefix": "P_", "configMapRef": {"name": "cm"}}, {"secretRef": {"name": "s"}}],
        )
        assert found == {"HOSTNAME": "p", "P_a": "1", "P_b": "2", "token": "t", "A": "1", "T": "t"}

    @pytest.mark.parametrize(
        ("variable", "message"),
        [
            (key_ref("A", "configMap", "gone", "a"), 'configmap "gone" not found'),
            (key_ref("A", "secret", "gone", "a"), 'secret "gone" not found'),
            (key_ref("A", "configMap", "cm", "z"), "couldn't find key z in ConfigMap ns/cm"),
            (field_ref("A", "spec.nonsense"), "unsupported fieldPath: spec.nonsense"),
        ],
    )
    def test_what_is_missing_is_said(self, variable: dict[str, Any], message: str) -> None:
        with pytest.raises(MissingReference, match=message):
            variables(variable)

    def test_references_are_expanded_from_what_is_defined_before(self) -> None:
        found = variables({"name": "A", "value": "1"}, {"name": "B", "value": "$(A)-$(C)-$$(A)"}, {"name": "C"})
        assert found["B"] == "1-$(C)-$(A)"
        assert expand("-text=$(A) $(NO) $$(A) $", {"A": "x"}) == "-text=x $(NO) $(A) $"

    def test_what_grows_beyond_all_bounds_is_refused(self) -> None:
        assert len(expand("$(A)" * 13, {"A": "x" * 10_000})) == 130_000
        with pytest.raises(MissingReference, match="argument list too long"):
            expand("$(A)" * 14, {"A": "x" * 10_000})

    def test_the_sources_of_a_pod_are_known(self) -> None:
        of = pod({"env": [key_ref("A", "secret", "s", "t")], "envFrom": [{"configMapRef": {"name": "cm"}}]})
        assert references(of) == ({"cm"}, {"s"})


def conditions(status: dict[str, Any]) -> dict[str, str]:
    return {condition["type"]: condition["status"] for condition in status["conditions"]}


RUNS = ContainerView("c", "i", "id", NOW, started=True, ready=True)


class TestStatus:
    def test_a_ready_pod(self) -> None:
        status = pod_status(pod(), [RUNS], FACTS, NOW, NOW)
        assert (status["phase"], status["podIP"], status["hostIP"]) == ("Running", "127.32.0.1", "127.0.0.1")
        assert set(conditions(status).values()) == {"True"}
        assert status["containerStatuses"][0]["state"] == {"running": {"startedAt": NOW}}

    def test_a_container_that_is_not_ready(self) -> None:
        status = pod_status(pod(), [RUNS._replace(ready=False)], FACTS, NOW, NOW)
        ready = next(condition for condition in status["conditions"] if condition["type"] == "Ready")
        assert (ready["status"], ready["reason"]) == ("False", "ContainersNotReady")
        assert ready["message"] == "containers with unready status: [c]"

    def test_a_readiness_gate_holds_the_pod_back_until_its_condition_is_true_and_is_never_lost(self) -> None:
        gate = {"readinessGates": [{"conditionType": "example.com/gate"}]}
        assert conditions(pod_status(pod(spec=gate), [RUNS], FACTS, NOW, NOW))["Ready"] == "False"
        opened = pod(spec=gate, status={"conditions": [{"type": "example.com/gate", "status": "True"}]})
        status = pod_status(opened, [RUNS], FACTS, NOW, NOW)
        assert conditions(status)["Ready"] == "True"
        assert conditions(status)["example.com/gate"] == "True"

    def test_a_condition_that_does_not_change_keeps_its_time(self) -> None:
        first = pod_status(pod(), [RUNS], FACTS, NOW, NOW)
        again = pod_status(pod(status=first), [RUNS._replace(ready=False)], FACTS, NOW, "2026-01-02T00:00:00Z")
        times = {condition["type"]: condition["lastTransitionTime"] for condition in again["conditions"]}
        assert times["Initialized"] == NOW
        assert times["Ready"] == "2026-01-02T00:00:00Z"

    def test_a_program_that_ends_is_waited_for_or_done_as_the_restart_policy_says(self) -> None:
        ended = ContainerView("c", "i", exit=Exit(2, ()), exited_at=NOW, waiting=("CrashLoopBackOff", "m"))
        crash = pod_status(pod(), [ended], FACTS, NOW, NOW)["containerStatuses"][0]
        assert crash["state"]["waiting"]["reason"] == "CrashLoopBackOff"
        assert crash["lastState"]["terminated"]["exitCode"] == 2
        never = pod_status(pod(spec={"restartPolicy": "Never"}), [ended._replace(waiting=None)], FACTS, NOW, NOW)
        assert never["phase"] == "Failed"

    def test_a_missing_reference_leaves_the_pod_pending(self) -> None:
        waits = ContainerView("c", "i", waiting=("CreateContainerConfigError", "m"))
        assert pod_status(pod(), [waits], FACTS, NOW, NOW)["phase"] == "Pending"


class TestAddresses:
    def test_each_pod_has_its_own_and_an_address_given_back_is_used_again_last(self) -> None:
        addresses = PodAddresses("127.32.0.0/29", own=True)
        first, second = addresses.allot(), addresses.allot()
        assert (first, second) == ("127.32.0.1", "127.32.0.2")
        addresses.release(first)
        assert [addresses.allot() for _ in range(5)][-1] == first
        with pytest.raises(RuntimeError, match="in use"):
            addresses.allot()

    def test_a_pod_gets_its_former_address_when_it_is_free(self) -> None:
        addresses = PodAddresses(own=True)
        assert addresses.allot("127.32.7.7") == "127.32.7.7"
        assert addresses.allot("127.32.7.7") != "127.32.7.7"
        assert addresses.allot("10.0.0.1").startswith("127.32.")

    def test_where_there_is_one_address_all_share_it(self) -> None:
        addresses = PodAddresses(own=False)
        assert (addresses.allot(), addresses.allot()) == ("127.0.0.1", "127.0.0.1")

    def test_only_loopback_is_handed_out(self) -> None:
        with pytest.raises(ValueError, match=r"expected a part of 127\.0\.0\.0/8"):
            PodAddresses("10.0.0.0/8")


@dataclass(frozen=True)
class Query:
    namespace: str = "ns"
    pod: str = "p"
    container: str = ""
    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail: int | None = None
    since: float | None = None


async def read(log: ContainerLog, query: Query) -> bytes:
    return b"".join([chunk async for chunk in log.read(query)])


class TestLog:
    async def test_keeps_the_last_lines(self) -> None:
        log = ContainerLog(capacity=3)
        for number in range(5):
            log.write(f"line {number}")
        assert await read(log, Query()) == b"line 2\nline 3\nline 4\n"
        assert await read(log, Query(tail=1)) == b"line 4\n"
        assert await read(log, Query(tail=0)) == b""
        assert await read(log, Query(since=0)) == b""
        assert (await read(log, Query(tail=1, timestamps=True))).endswith(b"Z line 4\n")

    async def test_a_reader_follows_until_the_container_ends(self) -> None:
        log = ContainerLog()
        log.write("before")
        following = asyncio.create_task(read(log, Query(follow=True)))
        await asyncio.sleep(0)
        log.write("after")
        await asyncio.sleep(0)
        log.write("last")
        log.close()
        assert await asyncio.wait_for(following, 60) == b"before\nafter\nlast\n"
