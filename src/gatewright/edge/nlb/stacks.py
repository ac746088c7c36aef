"""What AWS is known to hold of each Service: read as a whole, then kept up to date by what is done."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager

from gatewright.aws import Aws
from gatewright.edge.nlb.actual import Actual
from gatewright.edge.nlb.apply import look
from gatewright.edge.nlb.subnets import Network, read_network


class Change:
    """One operation under way; whoever carries it out sets `result`, what AWS holds after it."""

    def __init__(self) -> None:
        self.result = Actual()


class Stacks:
    """The stacks of a cluster by name (`namespace/name` of the Service), and the network that they can be put into.

    A stack is doubtful when a call failed whose effect isn't known; before it is asked for again, AWS is read anew.
    """

    def __init__(self, aws: Aws, cluster: str) -> None:
        self.network = Network()
        self.with_listener_attributes: AbstractSet[str] = frozenset()
        self._aws = aws
        self._cluster = cluster
        self._known: dict[str, Actual] = {}
        self._doubtful: set[str] = set()
        self._all_doubtful = True
        self._changes: Counter[str] = Counter()  # how often each stack was changed: twice for each operation
        self._looking = asyncio.Lock()
        self._network_began = -math.inf  # when the newest look at the network began, in the loop's time
        self._began = -1.0  # when the newest look that succeeded began, in the loop's time

    def names(self) -> list[str]:
        """Of what AWS holds anything."""
        return [stack for stack, actual in self._known.items() if actual]

    def known(self, stack: str) -> Actual:
        """What is known, doubtful or not."""
        return self._known.get(stack, Actual())

    def doubt(self, stack: str) -> None:
        """What is known of it may be wrong."""
        self._doubtful.add(stack)

    def doubt_all(self) -> None:
        """What is known may be wrong."""
        self._all_doubtful = True

    def forget(self, stack: str) -> None:
        """There is nothing of it any more."""
        self._known.pop(stack, None)

    async def actual(self, stack: str) -> Actual:
        """What AWS holds of a stack; read anew if that is doubtful. Raises `AwsError`."""
        if self._all_doubtful or stack in self._doubtful:
            await self.look()
        return self.known(stack)

    @contextmanager
    def changing(self, stack: str) -> Iterator[Change]:
        """While one operation on the stack is carried out. If it fails the stack is doubtful."""
        change = Change()
        self._changes[stack] += 1
        try:
            yield change
            self._known[stack] = change.result
        except BaseException:
            self._doubtful.add(stack)
            raise
        finally:
            self._changes[stack] += 1

    async def look_at_network(self, age: float) -> None:
        """Read the network, unless that was done in the last `age` seconds. Raises `AwsError`."""
        async with self._looking:
            now = asyncio.get_running_loop().time()
            if now - self._network_began >= age:
                self.network, self._network_began = await read_network(self._aws), now

    async def look(self) -> None:
        """Read everything from AWS. Those who ask at once are served by one look, begun after they asked."""
        loop = asyncio.get_running_loop()
        asked = loop.time()
        async with self._looking:
            if self._began >= asked:
                return
            began, before = loop.time(), Counter(self._changes)
            found, network = await asyncio.gather(
                look(self._aws, self._cluster, self.with_listener_attributes), read_network(self._aws)
            )
            self.network, self._network_began = network, began
            for stack in found.keys() | self._known.keys() | self._doubtful:
                # What was changed meanwhile is known better by whoever changed it.
                if self._changes[stack] == before[stack] and not before[stack] % 2:
                    self._known[stack] = found.get(stack, Actual())
                    self._doubtful.discard(stack)
            self._all_doubtful = False
            self._began = began
