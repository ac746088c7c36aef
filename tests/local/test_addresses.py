"""Blocks of loopback addresses, and what Gateways get of them."""

from __future__ import annotations

import ipaddress
import socket
import sys
from collections.abc import Iterator

import pytest

from gatewright.local.addresses import AddressError, Allocator
from gatewright.local.block import Block

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux answers on all of 127.0.0.0/8")


@pytest.fixture(params=["own", "shared"])
def block(request: pytest.FixtureRequest) -> Iterator[Block]:
    found = Block()
    if request.param == "shared":
        found.close()
        found.network = ipaddress.IPv4Network("127.0.0.1/32")
    yield found
    found.close()


def test_a_block_is_claimed_by_one_edge_at_a_time() -> None:
    first, second = Block(), Block()
    try:
        assert not first.network.overlaps(second.network)
        assert not first.shared
    finally:
        first.close()
        second.close()
    first.close()  # twice is no harm


def test_pods_and_gateways_have_ranges_of_their_own() -> None:
    block = Block()
    try:
        gateways = {ipaddress.ip_address(address) for address in block.gateways}
        assert not any(address in block.pods for address in gateways)
        assert all(address in block.network for address in gateways)
    finally:
        block.close()


def test_gateways_never_share_a_socket(block: Block) -> None:
    allocator = Allocator(block)
    bindings = [allocator.bind(name, [18080, 18443]) for name in "abc"]
    sockets = [(binding.host, port) for binding in bindings for port in binding.ports.values()]
    assert len(set(sockets)) == 6
    if block.shared:
        assert {binding.host for binding in bindings} == {"127.0.0.1"}
    else:
        assert [binding.ports for binding in bindings] == [{18080: 18080, 18443: 18443}] * 3


def test_a_gateway_keeps_its_address_and_ports(block: Block) -> None:
    allocator = Allocator(block)
    before = allocator.bind("a", [18080])
    allocator.bind("b", [18080])
    after = allocator.bind("a", [18080, 18081])
    assert after.host == before.host
    assert after.ports[18080] == before.ports[18080]
    allocator.release("a")
    if block.shared:
        assert allocator.bind("c", [18080]) == before
        return
    assert allocator.bind("c", [18080]).host not in (before.host, allocator.bind("b", []).host)
    assert allocator.bind("a", [18080, 18081]) == after, "made anew, it is found where it was"


def test_an_address_that_a_proxy_has_not_let_go_of_yet_is_not_handed_on() -> None:
    block = Block()
    try:
        allocator = Allocator(block)
        before = allocator.bind("a", [18080])
        with socket.socket() as proxy:
            proxy.bind((before.host, 18080))
            proxy.listen()
            allocator.bind("a", [])
            assert allocator.bind("a", [18080]) == before, "a port that comes back is the same one"
            allocator.release("a")
            other = allocator.bind("b", [18080])
            assert (other.host != before.host, other.ports) == (True, {18080: 18080})
            assert allocator.bind("a", [18080]) == before
    finally:
        block.close()


def test_addresses_go_round() -> None:
    block = Block()
    try:
        allocator = Allocator(block)
        count = len(list(block.gateways))
        hosts = []
        for number in range(count + 3):
            hosts.append(allocator.bind(number, []).host)
            allocator.release(number)
        assert len(set(hosts)) == count
        assert hosts[count:] == hosts[:3]
    finally:
        block.close()


def test_a_port_that_is_taken_is_shifted(block: Block) -> None:
    allocator = Allocator(block)
    with socket.socket() as other:
        other.bind(("0.0.0.0", 0))
        other.listen()
        port = other.getsockname()[1]
        bound = allocator.bind("a", [port]).ports[port]
    assert bound != port
    assert allocator.bind("a", [port]).ports[port] == bound, "it stays where it is"


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("nonsense", "found 'nonsense', expected an IP address"),
        ("192.0.2.1", "expected a loopback address"),
        ("127.250.1.1", "belongs to another Gateway"),
        ("0.0.0.0", "expected a loopback address"),
        ("::ffff:127.250.1.1", "expected a loopback address"),
        ("::1%lo", "expected a loopback address"),
        ("::1%a\0b", "expected a loopback address"),
        ("::1%" + "a" * 100, "expected a loopback address"),
    ],
)
def test_an_address_that_can_not_be_had(wanted: str, message: str) -> None:
    block = Block()
    try:
        allocator = Allocator(block)
        assert allocator.bind("first", [18080], "127.250.1.1").host == "127.250.1.1"
        with pytest.raises(AddressError, match=message):
            allocator.bind("second", [18080], wanted)
    finally:
        block.close()


def test_the_pods_range_is_no_gateways() -> None:
    block = Block()
    try:
        with pytest.raises(AddressError, match="the pods' range"):
            Allocator(block).bind("a", [18080], str(block.pods[7]))
    finally:
        block.close()


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_one_address_in_two_spellings_is_one() -> None:
    block = Block()
    try:
        allocator = Allocator(block)
        try:
            first = allocator.bind("a", [18080], "0:0:0:0:0:0:0:1")
        except AddressError as error:
            pytest.skip(str(error))
        assert first.host == "::1"
        assert allocator.bind("a", [18080], "0::1") == first
        with pytest.raises(AddressError, match="belongs to another Gateway"):
            allocator.bind("b", [18080], "::1")
    finally:
        block.close()
