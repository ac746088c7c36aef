"""Steps: done once, redone when what they depend on changes, and stopped anywhere without harm."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatewright.platform.errors import PlatformError, StepFailed
from gatewright.platform.steps import BEGUN, Step, carry_out, digest


class Told:
    """Remembers what a run told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def begin(self, number: int, count: int, title: str) -> None:
        self.lines.append(f"begin {number}/{count} {title}")

    def doing(self, text: str) -> None:
        self.lines.append(f"doing {text}")

    def end(self, text: str, seconds: float) -> None:
        assert seconds >= 0
        self.lines.append(f"end {text}")

    def stood(self, title: str) -> None:
        self.lines.append(f"stood {title}")

    def failed(self, seconds: float) -> None:
        self.lines.append("failed")


class Kept(dict[str, str]):
    """A journal that outlives runs."""

    def digest(self, step: str) -> str | None:
        return self.get(step)

    def record(self, step: str, digest: str) -> None:
        self[step] = digest


class World:
    """What fake steps make: step number n builds on what n-1 made."""

    def __init__(self, names: tuple[str, ...] = ("network", "cluster", "applications")) -> None:
        self.names = names
        self.wanted = dict.fromkeys(names, 1)
        self.made: dict[str, tuple[int, object]] = {}
        self.runs: list[str] = []
        self.gone: set[str] = set()
        self.pause: Callable[[], Awaitable[None]] = lambda: asyncio.sleep(0)

    def steps(self) -> list[Step]:
        return [self._step(number) for number in range(len(self.names))]

    def _step(self, number: int) -> Step:
        name = self.names[number]
        below = self.names[number - 1] if number else None

        async def run() -> str:
            self.runs.append(name)
            await self.pause()
            if below:
                assert self.made.get(below) == self.right(number - 1), f"{name} before {below}"
            self.made.pop(name, None)  # half made
            await self.pause()
            self.made[name] = self.right(number)
            self.gone.discard(name)
            await self.pause()
            return f"{name} made"

        async def holds() -> bool:
            await self.pause()
            return name not in self.gone

        return Step(name, name.capitalize(), run, lambda: self.right(number), holds)

    def right(self, number: int) -> tuple[int, object]:
        return self.wanted[self.names[number]], self.right(number - 1) if number else None

    @property
    def all_right(self) -> bool:
        return self.made == {name: self.right(number) for number, name in enumerate(self.names)} and not self.gone


async def test_each_step_is_done_once_and_stands_after_that() -> None:
    world, journal, told = World(), Kept(), Told()
    await carry_out(world.steps(), journal, told)
    assert told.lines[:2] == ["begin 1/3 Network", "end network made"]
    await carry_out(world.steps(), journal, told)
    assert world.runs == ["network", "cluster", "applications"]
    assert told.lines[-3:] == ["stood Network", "stood Cluster", "stood Applications"]


async def test_a_step_is_done_again_when_its_inputs_change_and_so_are_those_that_build_on_it() -> None:
    world, journal = World(), Kept()
    await carry_out(world.steps(), journal, Told())
    world.wanted["cluster"] = 2
    world.runs.clear()
    await carry_out(world.steps(), journal, Told())
    assert world.runs == ["cluster", "applications"]


async def test_a_step_is_done_again_when_what_it_made_is_gone() -> None:
    world, journal = World(), Kept()
    await carry_out(world.steps(), journal, Told())
    world.gone.add("applications")
    world.runs.clear()
    await carry_out(world.steps(), journal, Told())
    assert world.runs == ["applications"]


async def test_a_failure_names_the_step_the_reason_and_the_remedy_and_is_tried_again() -> None:
    journal, told = Kept(), Told()
    tries: list[int] = []

    async def run() -> str:
        tries.append(1)
        if len(tries) == 1:
            raise PlatformError("no way", "go round")
        return "there"

    steps = [Step("way", "The way", run, dict)]
    with pytest.raises(StepFailed, match="no way") as caught:
        await carry_out(steps, journal, told)
    assert (caught.value.step, caught.value.title, caught.value.remedy) == ("way", "The way", "go round")
    assert journal == {"way": BEGUN}
    assert told.lines == ["begin 1/1 The way", "failed"]
    await carry_out(steps, journal, told)
    assert journal["way"] == digest({})


async def test_a_fault_of_ours_is_no_failed_step() -> None:
    async def run() -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await carry_out([Step("fault", "Fault", run, dict)], Kept(), Told())


async def test_inputs_are_those_after_the_run() -> None:
    journal, made = Kept(), list[str]()

    async def run() -> str:
        made.append("edge")
        return "made"

    async def holds() -> bool:
        return True

    step = Step("edge", "Edge", run, lambda: made, holds)
    await carry_out([step], journal, Told())
    await carry_out([step], journal, Told())
    assert made == ["edge"]


@given(
    st.lists(
        st.one_of(
            st.integers(min_value=0, max_value=14).map(lambda count: ("interrupt", count)),
            st.sampled_from(["network", "cluster", "applications"]).map(lambda name: ("change", name)),
            st.sampled_from(["network", "cluster", "applications"]).map(lambda name: ("lose", name)),
        ),
        max_size=8,
    )
)
def test_after_any_interruptions_a_run_to_the_end_leaves_what_one_run_would(
    events: list[tuple[str, int | str]],
) -> None:
    world, journal = World(), Kept()

    async def interrupted(after: int) -> None:
        left = after
        task = asyncio.current_task()
        assert task

        async def pause() -> None:
            nonlocal left
            left -= 1
            if left < 0:
                task.cancel()
            await asyncio.sleep(0)

        world.pause = pause
        await carry_out(world.steps(), journal, Told())

    async def scenario() -> None:
        for what, argument in events:
            if what == "interrupt":
                run = asyncio.create_task(interrupted(int(argument)))
                await asyncio.wait((run,))
                assert run.cancelled() or run.exception() is None
            elif what == "change":
                world.wanted[str(argument)] += 1
            elif argument in world.made:
                world.gone.add(str(argument))
        world.pause = lambda: asyncio.sleep(0)
        await carry_out(world.steps(), journal, Told())
        assert world.all_right
        world.runs.clear()
        await carry_out(world.steps(), journal, Told())
        assert world.runs == []

    asyncio.run(scenario())


def test_a_digest_knows_no_order_of_keys() -> None:
    assert digest({"a": 1, "b": [1, {"c": 2, "d": 3}]}) == digest({"b": [1, {"d": 3, "c": 2}], "a": 1})
    assert digest({"a": 1}) != digest({"a": 2})
