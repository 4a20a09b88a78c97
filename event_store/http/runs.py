"""Queries under way: so many at once, each in a thread of its own, and stopped there when its client leaves.

Drops: one query too many waits for its turn, not for long, and is refused then.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import trio

from event_store.http.refusals import busy

T = TypeVar("T")
_MOST_WAITING = 8  # times as many as run at once: a page asks several things, in a moment


@dataclass(slots=True)
class RunCounts:
    """What became of queries; another thread may read it."""

    running: int = 0
    cancelled: int = 0
    """Those whose client left."""
    turned_away: int = 0
    """Those for which there was no room."""


@dataclass(slots=True)
class Job:
    """One query under way, as whoever waits for it and the thread that runs it both see it."""

    done: float = 0.0
    """How much of it, from 0 to 1."""
    rows_scanned: int = 0
    reads_everything: bool = True
    """Whether whoever asks may read all there is: others are told nothing of what is not theirs."""
    warnings: list[str] = field(default_factory=list)
    """What whoever asks should know of the answer, beside what stands in it."""
    cancel: threading.Event = field(default_factory=threading.Event)
    """Set when nobody wants the answer any more."""

    def tell(self, done: float, rows_scanned: int) -> None:
        """Say how far it is; from any thread."""
        self.done, self.rows_scanned = min(max(done, self.done), 1.0), max(rows_scanned, self.rows_scanned)


class Runs:
    """All queries under way."""

    def __init__(self, at_once: int, wait_s: float) -> None:
        """So many run at once; one more waits for `wait_s`, unless very many do."""
        self.counts = RunCounts()
        self._at_once = at_once
        self._wait_s = wait_s
        self._turns = trio.Semaphore(at_once)

    async def run(self, work: Callable[[Job], T], job: Job | None = None) -> T:
        """Run blocking work in a thread and return what it returns; raises the `Refusal` of one too many.

        When this is cancelled the work is told so (`Job.cancel`) and waited for: it has to end soon.
        """
        await self._take_turn()
        self.counts.running += 1
        try:
            return await self._run(work, job or Job())
        finally:
            self.counts.running -= 1
            self._turns.release()

    async def _take_turn(self) -> None:
        if self._turns.statistics().tasks_waiting < _MOST_WAITING * self._at_once:
            with trio.move_on_after(self._wait_s):
                await self._turns.acquire()
                return
        self.counts.turned_away += 1
        raise busy(f"{self._at_once} queries are under way")

    async def _run(self, work: Callable[[Job], T], job: Job) -> T:
        outcome: list[T] = []
        failure: Exception | None = None
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._cancel_with, job)
            try:
                outcome.append(await trio.to_thread.run_sync(work, job))
            except Exception as error:  # let out of the nursery as it is
                failure = error
            self.counts.cancelled += job.cancel.is_set()
            nursery.cancel_scope.cancel()
        if failure is not None:
            raise failure
        return outcome[0]

    async def _cancel_with(self, job: Job) -> None:
        """Tell the work that it is cancelled when this is; after the work has ended, that means nothing."""
        try:
            await trio.sleep_forever()
        finally:
            job.cancel.set()
