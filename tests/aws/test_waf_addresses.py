"""The law of address sets: an address is in a set exactly if it is in one of its blocks."""
# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import re
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from gatewright.local.aws.waf.statements import Vocabulary


def _blocks(bits: int, highest: int) -> st.SearchStrategy[str]:
    kind = IPv4Network if bits == 32 else IPv6Network
    return st.builds(
        lambda number, length: str(kind((number, length), strict=False)), st.integers(0, highest), st.integers(1, bits)
    )


@given(
    st.lists(_blocks(32, 2**32 - 1) | _blocks(128, 2**128 - 1) | _blocks(32, 2**10), max_size=20),
    st.lists(st.ip_addresses(), max_size=20),
)
def test_ranges_hold_what_the_blocks_hold(blocks: list[str], others: list[object]) -> None:
    vocabulary = Vocabulary({"arn": tuple(blocks)}, {})
    assert vocabulary.address_set("arn") == "SETS[1]"
    code = vocabulary.sets["arn"]
    ranges = [
        (int(first, 16), int(last, 16), len(first)) for first, last in re.findall("([0-9a-f]+)-([0-9a-f]+)", code)
    ]
    for digits in (8, 32):
        own = [(first, last) for first, last, length in ranges if length == digits]
        assert own == sorted(own)
        assert all(before[1] < after[0] for before, after in pairwise(own))
    networks = [ip_network(block) for block in blocks]
    candidates = [*others, *(each for network in networks for each in (network[0], network[-1]))]
    for candidate in candidates:
        address = ip_address(str(candidate))
        digits = 8 if address.version == 4 else 32
        listed = any(first <= int(address) <= last for first, last, length in ranges if length == digits)
        assert listed == any(address in network for network in networks)
