"""Whether clients get to the Gateway, as its status, its binding and its names' records say."""

from __future__ import annotations

from typing import Any

from gatewright.aws.records.records import Record
from gatewright.platform.binding import binding_look, entry, gateway_look, records_look
from gatewright.platform.outputs import Outputs


def condition(kind: str, status: str, reason: str = "R", message: str = "") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": message}


def gateway(*conditions: dict[str, str], addresses: tuple[str, ...] = ()) -> dict[str, Any]:
    status = {"conditions": list(conditions), "addresses": [{"value": each} for each in addresses]}
    return {"kind": "Gateway", "metadata": {"namespace": "edge", "name": "g"}, "status": status}


PROGRAMMED = condition("Programmed", "True")


def test_a_gateway_is_there_when_it_is_programmed_and_has_an_address() -> None:
    assert gateway_look(gateway(PROGRAMMED, addresses=("10.0.0.1",))).done
    assert gateway_look(None).text == "the Gateway isn't there"
    assert gateway_look(gateway(PROGRAMMED)).text == "Gateway edge/g has no address"
    waiting = gateway(condition("Programmed", "False", "AddressNotAssigned", "no load balancer"), addresses=("x",))
    found = gateway_look(waiting)
    assert not found.done
    assert found.text == "Gateway edge/g: Programmed is False: AddressNotAssigned: no load balancer"


def test_an_address_that_was_fixed_has_to_be_that_one() -> None:
    assert gateway_look(gateway(PROGRAMMED, addresses=("10.20.8.250",)), "10.20.8.250").done
    other = gateway_look(gateway(PROGRAMMED, addresses=("10.20.8.4",)), "10.20.8.250")
    assert not other.done
    assert other.broken
    assert "has the address 10.20.8.4, and the Application Gateway sends to 10.20.8.250" in other.text


def binding(*conditions: dict[str, str], **status: Any) -> dict[str, Any]:
    metadata = {"namespace": "edge", "name": "b"}
    return {"kind": "EdgeBinding", "metadata": metadata, "status": {"conditions": list(conditions), **status}}


def test_a_binding_is_done_when_aws_finds_its_targets_healthy() -> None:
    good = binding(condition("Bound", "True"), condition("Healthy", "True"), healthyTargets="2/2")
    assert binding_look(good).done
    assert binding_look(good).text == "EdgeBinding edge/b: 2/2 targets healthy"
    assert binding_look(None).text == "the EdgeBinding isn't there"
    assert binding_look(binding()).text == "EdgeBinding edge/b: the controller has not looked at it yet"


def test_an_unhealthy_target_is_told_with_aws_reason() -> None:
    target = {
        "address": "10.0.1.5",
        "port": 443,
        "health": "unhealthy",
        "reason": "Target.ResponseCodeMismatch",
        "description": "Health checks failed with these codes: [404]",
    }
    bad = binding(condition("Bound", "True"), condition("Healthy", "False", "Unhealthy", "0/1"), targets=[target])
    assert binding_look(bad).text == (
        "EdgeBinding edge/b: Healthy is False: Unhealthy: 0/1; target 10.0.1.5:443 is unhealthy "
        "(Target.ResponseCodeMismatch: Health checks failed with these codes: [404])"
    )


def test_all_names_need_records() -> None:
    names = ("x.example.com", "*.x.example.com")
    records = [Record(name="x.example.com", type="SOA"), Record(name="*.x.example.com", type="A")]
    assert records_look(records, names).text == "no DNS record yet of x.example.com"
    assert records_look([*records, Record(name="x.example.com", type="A")], names).done


def test_where_clients_come_in() -> None:
    outputs = Outputs(
        name="p", region="r", architecture="chained", cluster_name="p", hostnames=("a", "*.a"), entry="lb.example.com"
    )
    assert entry(outputs) == "a, *.a at lb.example.com"
    assert entry(Outputs(name="p", region="r", architecture="direct", cluster_name="p")) == ""
