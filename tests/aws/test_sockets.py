"""Where nodes of load balancers really listen."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import random
import socket
from collections.abc import Iterator

import pytest
from msgspec.structs import replace
from tests.aws.nlb_world import ZONES, Cloud

from gatewright.local.aws import sockets
from gatewright.local.aws.sockets import Sockets, real_port
from gatewright.local.aws.state import Bound, Socket, Transport


@pytest.fixture
def cloud() -> Cloud:
    return Cloud()


@pytest.fixture
def address() -> str:
    return "127." + ".".join(str(random.randint(1, 250)) for _ in range(3))


@pytest.fixture
def taken(address: str) -> Iterator[int]:
    """A port of the address that someone else has."""
    with socket.socket() as other:
        other.bind((address, 0))
        other.listen(1)
        yield other.getsockname()[1]


def test_a_free_port_is_had_as_it_is(address: str) -> None:
    assert real_port(Socket(address, 8443, "TCP")) == (address, 8443)


def test_a_port_in_use_is_stood_in_for(address: str, taken: int) -> None:
    found = real_port(Socket(address, taken, "TCP"))
    assert found is not None
    assert found.address == address
    assert found.port != taken
    assert real_port(Socket(address, taken, "UDP")) == (address, taken)


def test_a_port_that_is_reserved_is_shifted(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def as_an_ordinary_user(address: str, port: int, transport: Transport) -> int:
        if 0 < port < 1024:
            raise PermissionError
        return port

    monkeypatch.setattr(sockets, "try_bind", as_an_ordinary_user)
    assert real_port(Socket(address, 443, "TCP")) == (address, 8443)
    assert real_port(Socket(address, 443, "TCP"), [Bound(address, 8443)]) == (address, 8444)


def test_an_address_that_isnt_here_is_stood_in_for_by_the_one_that_is(cloud: Cloud) -> None:
    Sockets(cloud.state)
    balancer = cloud.load_balancer("one", zones=ZONES[:1])
    node = replace(balancer.nodes[0], address="192.0.2.1")
    cloud.state.load_balancers.set(balancer.arn, replace(balancer, nodes=(node,)))
    cloud.listener(balancer, cloud.group("backends"))
    bound = cloud.state.sockets[Socket("192.0.2.1", 80, "TCP")]
    assert bound.address == "127.0.0.1"


@pytest.mark.parametrize("shared", [True, False])
def test_every_node_has_a_socket_of_its_own_for_each_listener(cloud: Cloud, shared: bool) -> None:
    Sockets(cloud.state, shared=shared)
    one, two, group = cloud.load_balancer("one"), cloud.load_balancer("two"), cloud.group("backends")
    for balancer in (one, two):
        cloud.listener(balancer, group)
        cloud.listener(balancer, group, port=53, protocol="TCP_UDP")
    assert len(cloud.state.sockets) == 2 * 2 * 3
    bound = [(key.transport, place) for key, place in cloud.state.sockets.items()]
    assert len(set(bound)) == len(bound)
    if shared:
        assert {place.address for _, place in bound} == {"127.0.0.1"}


@pytest.mark.parametrize("shared", [True, False])
def test_what_comes_back_is_found_where_it_was(cloud: Cloud, shared: bool) -> None:
    Sockets(cloud.state, shared=shared)
    balancer, group = cloud.load_balancer("one"), cloud.group("backends")
    listener = cloud.listener(balancer, group)
    before = dict(cloud.state.sockets.items())
    cloud.state.load_balancers.delete(balancer.arn)
    assert not len(cloud.state.sockets)
    cloud.state.listeners.delete(listener.arn)
    again = replace(balancer, arn=balancer.arn.replace("0123", "4567"))
    cloud.state.load_balancers.set(again.arn, again)
    cloud.listener(again, group)
    assert dict(cloud.state.sockets.items()) == before


def test_a_node_that_moves_takes_its_listeners_along(cloud: Cloud) -> None:
    Sockets(cloud.state)
    balancer = cloud.load_balancer("one", zones=ZONES[:1])
    cloud.listener(balancer, cloud.group("backends"))
    moved = replace(balancer.nodes[0], address=cloud.address())
    cloud.state.load_balancers.set(balancer.arn, replace(balancer, nodes=(moved,)))
    assert [key.address for key in cloud.state.sockets] == [moved.address]
