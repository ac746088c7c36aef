"""What AWS is known to hold of each stack: read when it has to be, else known from what was done."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from gatewright.aws import Aws
from gatewright.aws.stack.actual import read, read_all
from gatewright.aws.stack.desired import Stack, StackKey
from gatewright.aws.stack.holdings import ActualStack
from gatewright.aws.stack.quotas import counted


class Knowledge:
    """The stacks of a cluster in AWS.

    A stack is doubtful when a call failed whose effect isn't known, or when it was never read; before it is asked for,
    it is read. Everything is read together by `look`.
    """

    def __init__(self, aws: Aws, cluster: str, bucket: str = "") -> None:
        """`bucket` is the one of S3 that has what trust stores are made from."""
        self._aws = aws
        self._cluster = cluster
        self._bucket = bucket
        self._known: dict[StackKey, ActualStack] = {}
        self._doubtful: set[StackKey] = set()
        self.looked = False
        """Whether everything was read at least once."""
        self._changes: Counter[StackKey] = Counter()  # how often each was changed: twice for each change
        self._looking = asyncio.Lock()

    def stacks(self) -> list[StackKey]:
        """Of what AWS is known to hold anything."""
        return list(self._known)

    def known(self, key: StackKey) -> ActualStack | None:
        """What is known, doubtful or not."""
        return self._known.get(key)

    def doubt(self, key: StackKey) -> None:
        """What is known of it may be wrong."""
        self._doubtful.add(key)

    def others(self, but: Stack) -> dict[str, int]:
        """How much there is of what AWS counts in an account, as far as it is this cluster's; without one stack."""
        return counted(self._known.values(), but)

    def forget(self, key: StackKey) -> None:
        """There is nothing of it any more."""
        self._known.pop(key, None)
        self._doubtful.discard(key)

    def learn(self, key: StackKey, actual: ActualStack) -> None:
        """What AWS holds of it, from whoever knows."""
        self._known[key] = actual
        self._doubtful.discard(key)

    async def actual(self, key: StackKey, desired: Stack | None = None) -> ActualStack:
        """What AWS holds of a stack; read if that is doubtful, or lacks what `desired` speaks of. Raises `AwsError`."""
        if not self.looked:
            await self.look()
        known = self._known.get(key)
        if key in self._doubtful or (known and desired and _lacks(known, desired)):
            known = await read(self._aws, key, desired=desired, known=known, bucket=self._bucket)
            self.learn(key, known)
        return known if known is not None else ActualStack(key)

    @contextmanager
    def changing(self, key: StackKey) -> Iterator[None]:
        """While a stack is changed: what is read meanwhile doesn't count."""
        self._changes[key] += 1
        try:
            yield
        finally:
            self._changes[key] += 1

    async def look(self) -> None:
        """Read everything from AWS. Raises `AwsError`."""
        async with self._looking:
            before = Counter(self._changes)
            found = await read_all(self._aws, self._cluster, known=self._known, bucket=self._bucket)
            for key in found.keys() | self._known.keys() | self._doubtful:
                # What was changed meanwhile is known better by whoever changed it.
                if self._changes[key] == before[key] and not before[key] % 2:
                    if key in found:
                        self.learn(key, found[key])
                    else:
                        self.forget(key)
            self.looked = True


def _lacks(known: ActualStack, desired: Stack) -> bool:
    """Whether it wasn't asked for what costs calls of its own (`aws.stack.actual.read`)."""
    wanted = desired.load_balancer
    asked = [
        (wanted.web_acl is not None, "web_acl"),
        (wanted.shield is not None, "protection"),
        (wanted.capacity_units is not None, "capacity_units"),
    ]
    balancers = known.load_balancers.values()
    return any(wants and getattr(each, name) is None for wants, name in asked for each in balancers)
