"""Give batches to the sink, one at a time and in order, again and again until each is safe or refused. A trio task.

In:    the oldest batch of the backlog.
Out:   `write(batch)` of the nozzle, opened anew after what nobody expected of it.
Drops: what the sink says it will never take, counted by reason. What has no form there is counted as skipped.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeAlias

import structlog
import trio

from nozzles.sdk import Batch, SinkDenied, SinkRefused, SinkUnavailable, Write
from plumbing.config import ConfigError
from plumbing.grpc_client import Backoff
from plumbing.tls import TlsError

log = structlog.get_logger(__name__)

MOST_RETRY_AFTER_S = 600.0
"""As long as a sink may ask us to wait; one that asks for more is tried again after this."""

Open: TypeAlias = Callable[[], AbstractAsyncContextManager[Write]]
"""Opens the nozzle."""


class Waiting(Protocol):
    """A batch that waits: `plumbing.backlog.Entry`."""

    @property
    def batch(self) -> bytes:
        """Its envelopes."""

    @property
    def count(self) -> int:
        """How many."""

    @property
    def id(self) -> str:
        """The same in every attempt; empty when it is on no disk."""


class Queue(Protocol):
    """Where batches wait: `plumbing.backlog.Backlog`."""

    @property
    def refused(self) -> int:
        """Envelopes that were done as refused."""

    async def next(self) -> Any:
        """Return the oldest, a `Waiting`, without removing it; None when closed and empty."""

    async def done(self, entry: Any, refused: int = 0, skipped: int = 0) -> None:
        """Remove it."""


@dataclass(slots=True)
class DeliveryCounts:
    """What became of attempts."""

    retries: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    """Envelopes that the sink will never take, by reason."""
    errors: Counter[str] = field(default_factory=Counter)
    """Failed attempts: `unavailable`, `denied`, `timeout`, `refused` and `failed`."""
    last_error_at: float = 0.0
    """Unix time; 0: none yet."""


@dataclass(slots=True)
class _Task:
    """One entry of the queue, and how far it got."""

    entry: Waiting
    left: Batch
    refused: Counter[str] = field(default_factory=Counter)
    skipped: int = 0
    answer: str = ""
    """What the sink said to its refusal of all of it."""


class Delivery:
    """Delivers what is in the queue, from `run` until the queue is closed and empty."""

    def __init__(self, queue: Queue, open_nozzle: Open, *, sink: str, backoff: Backoff, write_timeout_s: float) -> None:
        self.counts = DeliveryCounts()
        self._queue = queue
        self._open = open_nozzle
        self._sink = sink
        self._backoff = backoff
        self._write_timeout_s = write_timeout_s
        self._task: _Task | None = None
        self._trouble = ""  # the kind of the last failure; empty when the last attempt succeeded

    @property
    def oldest(self) -> bytes:
        """The batch that is being delivered; empty when nothing waits."""
        return self._task.entry.batch if self._task else b""

    async def run(self) -> None:
        """Deliver until the queue is closed and empty."""
        while True:
            try:
                return await self._while_open()
            except Exception as error:  # whatever a nozzle fails with, the next attempt is with a new one
                await self._failed(error)

    async def _while_open(self) -> None:
        """Open the nozzle and deliver with it; opening and closing it may take no longer than a write."""
        with trio.CancelScope(deadline=trio.current_time() + self._write_timeout_s) as patience:
            async with self._open() as write:
                patience.deadline = math.inf
                try:
                    while (task := await self._next()) is not None:
                        await self._deliver(task, write)
                finally:
                    patience.deadline = trio.current_time() + self._write_timeout_s
            return
        raise trio.TooSlowError

    async def _next(self) -> _Task | None:
        if self._task is None and (entry := await self._queue.next()) is not None:
            self._task = _Task(entry, Batch(entry.batch, entry.count, entry.id))
        return self._task

    async def _deliver(self, task: _Task, write: Write) -> None:
        """Try until this one is dealt with; what needs the nozzle opened anew goes to the caller."""
        while task.left.count:
            attempt = Batch(task.left.data, task.left.count, task.left.id)
            try:
                with trio.fail_after(self._write_timeout_s):
                    await write(attempt)
            except Exception as error:
                match sole(error):
                    case SinkRefused() as refusal:
                        self._note("refused")
                        attempt.refused = {refusal.reason: attempt.count}
                        task.answer = str(refusal)
                        log.debug("batch_refused", sink=self._sink, reason=refusal.reason, error=str(refusal))
                    case SinkUnavailable() as trouble:
                        if trouble.left is not None:
                            self._settle(task, attempt, trouble.left)
                        if isinstance(trouble, SinkDenied):
                            raise
                        await self._failed(trouble)
                        continue
                    case _:
                        raise
            self._settle(task, attempt, None)
            self._succeeded()
        await self._done(task)

    def _settle(self, task: _Task, attempt: Batch, left: Batch | None) -> None:
        """Note what was dealt with in an attempt: everything, but for what is left of it."""
        task.left = left or Batch(b"", 0)
        room = max(attempt.count - task.left.count, 0)
        skipped = min(attempt.skipped, room)
        task.skipped += skipped
        room -= skipped
        for reason, count in attempt.refused.items():
            counted = min(count, room)
            task.refused[reason] += counted
            room -= counted

    async def _done(self, task: _Task) -> None:
        before = self._queue.refused
        await self._queue.done(task.entry, task.refused.total(), task.skipped)
        self._task = None
        if not self._queue.refused - before:
            return  # none was, or the batch was lost on disk meanwhile, and is counted there
        for reason in task.refused.keys() - self.counts.refused.keys():
            count = task.refused[reason]
            log.warning("sink_refuses", sink=self._sink, reason=reason, count=count, error=task.answer or None)
        self.counts.refused.update(task.refused)

    async def _failed(self, error: Exception) -> None:
        """Count a failed attempt, and wait before the next."""
        error = sole(error)
        kind = _kind_of(error)
        self._note(kind)
        self.counts.retries += 1
        if kind != self._trouble:
            unexpected = kind == "failed" and not isinstance(error, OSError | ConfigError | TlsError)
            tell = log.error if kind == "denied" else log.warning  # somebody has to mend it
            tell("sink_away", sink=self._sink, error=_in_words(error), exc_info=unexpected and error)
        self._trouble = kind
        asked_s = getattr(error, "retry_after_s", None) or 0.0
        await trio.sleep(max(self._backoff.next_s(), min(asked_s, MOST_RETRY_AFTER_S)))

    def _note(self, kind: str) -> None:
        self.counts.errors[kind] += 1
        self.counts.last_error_at = time.time()

    def _succeeded(self) -> None:
        self._backoff.reset()
        if self._trouble:
            self._trouble = ""
            log.info("sink_back", sink=self._sink)


def sole(error: Exception) -> Exception:
    """Return the one exception that a group, which a nozzle's own tasks make, may hold; else the error itself."""
    while isinstance(error, ExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error


def _kind_of(error: Exception) -> str:
    if isinstance(error, SinkUnavailable):
        return "denied" if isinstance(error, SinkDenied) else "unavailable"
    return "timeout" if isinstance(error, trio.TooSlowError) else "failed"


def _in_words(error: Exception) -> str:
    return str(error) or type(error).__name__
