"""Level-triggered work."""

from __future__ import annotations

import asyncio

import pytest
from tests.simulated import simulated

from gatewright.cluster import ApiError, Conflict, NotFound, Reconciler, Unreachable, end


async def test_a_key_that_is_touched_during_its_run_runs_once_more() -> None:
    runs: list[str] = []
    gate = asyncio.Event()

    async def work(key: str) -> None:
        runs.append(key)
        await gate.wait()

    async with Reconciler("test", work) as reconciler:
        for _ in range(5):
            reconciler.enqueue("a")
        await asyncio.sleep(0)
        for _ in range(5):
            reconciler.enqueue("a")
        gate.set()
        await reconciler.idle()
    assert runs == ["a", "a"]


async def test_keys_do_not_wait_for_each_other_beyond_the_slots() -> None:
    running = most = 0

    async def work(_: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1

    async with Reconciler("test", work, concurrency=3) as reconciler:
        for key in range(20):
            reconciler.enqueue(key)
        await reconciler.idle()
    assert most == 3


async def test_of_several_moments_for_which_a_key_is_enqueued_the_earliest_counts() -> None:
    ran = asyncio.Event()
    runs: list[str] = []

    async def work(key: str) -> None:
        runs.append(key)
        ran.set()

    async with Reconciler("test", work) as reconciler:
        reconciler.enqueue_later("a", 3600)
        reconciler.enqueue_later("a", 0.001)
        reconciler.enqueue_later("a", 3600)
        assert reconciler.waiting
        assert not reconciler.busy
        await asyncio.wait_for(ran.wait(), 60)
        await reconciler.idle()
        assert runs == ["a"]
        assert not reconciler.waiting


async def test_what_is_enqueued_for_later_is_forgotten_at_the_end() -> None:
    runs: list[str] = []

    async def work(key: str) -> None:
        runs.append(key)

    async with Reconciler("test", work) as reconciler:
        reconciler.enqueue_later("a", 0.0)
    assert not reconciler.waiting
    await asyncio.sleep(0)
    assert not runs


async def test_failures_are_repeated_but_not_what_a_watch_will_tell() -> None:
    outcomes: dict[str, list[Exception | None]] = {
        "refused": [ApiError(500, "", "no"), Unreachable("gone"), None],
        "conflict": [Conflict(409, "Conflict", "changed")],
        "missing": [NotFound(404, "NotFound", "gone")],
        "bug": [ZeroDivisionError()],
    }
    runs: list[str] = []

    async def work(key: str) -> None:
        runs.append(key)
        outcome = outcomes[key].pop(0)
        if outcome:
            raise outcome

    async with Reconciler("test", work) as reconciler:
        for key in outcomes:
            reconciler.enqueue(key)
        async with asyncio.timeout(60):
            await reconciler.idle()
    assert runs.count("refused") == 3
    assert runs.count("conflict") == runs.count("missing") == runs.count("bug") == 1


@simulated
async def test_a_burst_costs_a_run_an_interval_and_one_after_it() -> None:
    runs: list[float] = []

    async def work(_: str) -> None:
        runs.append(asyncio.get_running_loop().time())

    async with Reconciler("test", work, interval=10.0) as reconciler:
        for _ in range(30):
            reconciler.enqueue("a")
            await asyncio.sleep(0.5)
        await reconciler.idle()
    assert runs == pytest.approx([0.0, 10.0, 20.0])


@simulated
async def test_a_run_waits_for_the_end_of_a_burst_but_not_for_long() -> None:
    runs: list[float] = []

    async def work(_: str) -> None:
        runs.append(asyncio.get_running_loop().time())

    async def burst(reconciler: Reconciler[str]) -> None:
        for _ in range(10):
            reconciler.enqueue("a")
            await asyncio.sleep(1.0)

    async with Reconciler("test", work, settle=2.0, longest=30.0) as reconciler:
        await burst(reconciler)
        await reconciler.idle()
    assert runs == pytest.approx([11.0])
    runs.clear()
    async with Reconciler("test", work, settle=2.0, longest=4.5) as reconciler:
        began = asyncio.get_running_loop().time()
        await burst(reconciler)
        await reconciler.idle()
    assert [each - began for each in runs] == pytest.approx([4.5, 9.5])


async def test_what_comes_during_a_run_waits_for_the_end_of_its_burst() -> None:
    runs: list[str] = []
    gate = asyncio.Event()

    async def work(key: str) -> None:
        runs.append(key)
        gate.set()
        await asyncio.sleep(0)

    async with Reconciler("test", work, settle=0.01) as reconciler:
        reconciler.enqueue("a")
        await gate.wait()
        reconciler.enqueue("a")
        reconciler.enqueue("b")
        await reconciler.idle()
    assert sorted(runs) == ["a", "a", "b"]


async def test_leaving_ends_what_runs() -> None:
    ended = asyncio.Event()

    async def work(_: str) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async with Reconciler("test", work) as reconciler:
        reconciler.enqueue("a")
        await asyncio.sleep(0)
    assert ended.is_set()


async def test_what_counts_as_transient_can_be_told() -> None:
    runs: list[str] = []

    async def work(key: str) -> None:
        runs.append(key)
        if len(runs) == 1:
            raise TimeoutError

    async with Reconciler("test", work, transient=(TimeoutError,)) as reconciler:
        reconciler.enqueue("a")
        await reconciler.idle()
    assert runs == ["a", "a"]


async def test_a_task_that_took_its_cancellation_for_a_failure_ends_all_the_same() -> None:
    loop = asyncio.get_running_loop()

    async def stubborn() -> None:
        while True:
            try:
                await asyncio.gather(loop.create_future())
            except asyncio.CancelledError:
                if not swallowed.is_set():
                    swallowed.set()
                    continue
                raise

    swallowed = asyncio.Event()
    task = asyncio.create_task(stubborn())
    await asyncio.sleep(0)
    async with asyncio.timeout(60):
        await end(task)
    assert task.cancelled()
    assert swallowed.is_set()
