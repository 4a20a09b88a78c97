"""Queries under way: how many, and how they end."""

import threading

import pytest
import trio
import trio.testing

from event_store.http.runs import Job, Runs
from plumbing.http.refusal import Refusal


async def test_what_the_work_gives_is_returned_and_what_it_raises_comes_out() -> None:
    runs = Runs(1, 0.01)
    assert await runs.run(lambda job: 5) == 5

    def fail(_: Job) -> None:
        raise Refusal(504)

    with pytest.raises(Refusal):
        await runs.run(fail)
    assert (runs.counts.running, runs.counts.cancelled) == (0, 0)


async def test_one_too_many_is_refused_and_a_free_place_is_taken() -> None:
    runs = Runs(1, 0.01)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(runs.run, lambda job: job.cancel.wait(20))
        await trio.testing.wait_all_tasks_blocked()
        assert runs.counts.running == 1
        with pytest.raises(Refusal) as refused:
            await runs.run(lambda job: None)
        assert (refused.value.status, runs.counts.turned_away) == (429, 1)
        nursery.cancel_scope.cancel()
    await runs.run(lambda job: None)


async def test_one_waits_for_its_turn_unless_very_many_do() -> None:
    runs, done = Runs(1, 20.0), threading.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(runs.run, lambda job: done.wait(20))
        await trio.testing.wait_all_tasks_blocked()
        for _ in range(8):
            nursery.start_soon(runs.run, lambda job: None)
        await trio.testing.wait_all_tasks_blocked()
        with pytest.raises(Refusal):
            await runs.run(lambda job: None)
        done.set()
    assert runs.counts.turned_away == 1


async def test_who_is_cancelled_tells_the_work_and_waits_for_its_end() -> None:
    runs, ended = Runs(1, 0.01), []

    def work(job: Job) -> None:
        ended.append(job.cancel.wait(20))

    with trio.move_on_after(0.01):
        await runs.run(work)
    assert ended == [True]
    assert (runs.counts.running, runs.counts.cancelled) == (0, 1)


def test_progress_only_grows() -> None:
    job = Job()
    for done, rows in ((0.5, 10), (0.4, 5), (2.0, 20)):
        job.tell(done, rows)
    assert (job.done, job.rows_scanned) == (1.0, 20)
