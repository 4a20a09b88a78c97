"""The live tails that are open: each is handed the new events that meet its filter, as soon as they are on disk.

In:    what was appended to the store, from any thread.
Out:   server-sent events, for each tail its own.
Drops: the oldest of a tail that is not read fast enough, counted and told; and where filters take longer than events
       come, the oldest that nobody has looked at yet, told to every tail.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import dropwhile, groupby
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import structlog
import trio

from event_store.http.config import HttpSettings
from event_store.http.matching import Matcher
from event_store.http.missed import place_in, written
from event_store.http.refusals import busy
from event_store.query.syntax import Expr
from event_store.storage.schema import merged, numbered
from plumbing.diode import Diode, Parcel

log = structlog.get_logger(__name__)

Places: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"
Found: TypeAlias = tuple[list[bytes], int, Exception | None]
"""The events that meet a filter, how many more there are, and why they could not be looked at."""

_MOST_WAITING_BYTES = 64 << 20
_PAUSE_S = 0.01  # between two looks: what comes meanwhile is looked at together


@dataclass(slots=True)
class TailCounts:
    """What became of tails; another thread may read it."""

    open: int = 0
    events: int = 0
    """Events handed to tails."""
    dropped: int = 0
    """Events that tails did not get: those of a slow client, and those that were not looked at."""


@dataclass(frozen=True, slots=True)
class News:
    """What a tail has not been told yet."""

    dropped: int
    events: Sequence[bytes]
    """As server-sent events, oldest first."""


class Tail:
    """One reader of new events. For one trio task."""

    def __init__(self, filter_: Expr, diode: Diode) -> None:
        self.filter = filter_
        self.is_over = False
        self.has_failed = False
        """Whether something could not be looked at with its filter."""
        self._place = 0
        self._begins = 0
        self._here = 0
        self._diode = diode
        self._missed = 0
        self._told = 0
        self._arrived = trio.Event()

    def begin(self, place: int) -> None:
        """Let it begin there: its reader has what stands before."""
        self._begins = self._here = place
        self._place = max(self._place, place)

    @property
    def here(self) -> int:
        """The place before which there is nothing that its reader has not been told."""
        if not self._diode and self._lost == self._told:
            self._here = self._place
        return self._here

    async def next(self, max_bytes: int) -> News:
        """Wait until there is something to tell, and take it; once the tail is over, there may be nothing."""
        while not self._diode and self._lost == self._told and not self.is_over:
            self._arrived = trio.Event()
            await self._arrived.wait()
        lost, self._told = self._lost - self._told, self._lost
        taken = self._diode.take(max_bytes) if self._diode else []
        told = [*dropwhile(lambda line: place_in(line) <= self._begins, (parcel.batch for parcel in taken))]
        if told:
            self._here = place_in(told[-1])
        return News(lost, told)

    def put(self, lines: Sequence[bytes], missed: int, place: int) -> int:
        """Hand over events, and how many there were that were not looked at; returns how many are lost by that.

        All of them stand before `place`.
        """
        before = self._lost
        self._place = max(self._place, place)
        self._missed += missed
        for line in lines:
            self._diode.put(Parcel(line, 1))
        self._arrived.set()
        return self._lost - before

    def end(self) -> None:
        """Let its reader go."""
        self.is_over = True
        self._arrived.set()

    @property
    def _lost(self) -> int:
        return self._missed + self._diode.dropped_total


class Tails:
    """All of them. `publish` may be called from any thread, everything else on trio's."""

    def __init__(self, settings: HttpSettings) -> None:
        self.counts = TailCounts()
        self._settings = settings
        self._tails: list[Tail] = []
        self._lock = threading.Lock()
        self._waiting: deque[pa.RecordBatch] = deque()
        self._waiting_bytes = 0
        self._missed = 0
        self._arrived = trio.Event()
        self._token: trio.lowlevel.TrioToken | None = None
        self._is_stopping = False

    def publish(self, batches: Sequence[pa.RecordBatch], end: int) -> None:
        """Take note of events that were appended, the last before the place `end`. Costs next to nothing."""
        if not self._tails or self._token is None:
            return
        place = end - sum(batch.num_rows for batch in batches)
        with self._lock:
            for batch in batches:
                if batch.num_rows:
                    try:
                        self._waiting.append(numbered(batch, place))
                        self._waiting_bytes += batch.nbytes
                    except MemoryError:  # not for whoever appended it: that is done
                        self._missed += batch.num_rows
                    place += batch.num_rows
            while self._waiting_bytes > _MOST_WAITING_BYTES and len(self._waiting) > 1:
                oldest = self._waiting.popleft()
                self._waiting_bytes -= _size(oldest)
                self._missed += oldest.num_rows
        with suppress(trio.RunFinishedError):
            self._token.run_sync_soon(self._wake, idempotent=True)

    @contextmanager
    def open(self, filter_: Expr) -> Iterator[Tail]:
        """Open a tail; raises the `Refusal` of one too many."""
        if self._is_stopping or len(self._tails) >= self._settings.max_tails:
            raise busy("too many live tails are open")
        tail = Tail(filter_, Diode(self._settings.tail_events, self._settings.tail_bytes))
        self._tails.append(tail)
        self.counts.open += 1
        try:
            yield tail
        finally:
            self._tails.remove(tail)
            self.counts.open -= 1

    def stop(self) -> None:
        """End those that are open; there will be no others."""
        self._is_stopping = True
        for tail in self._tails:
            tail.end()

    async def run(self) -> None:
        """Look at what comes, until cancelled."""
        self._token = trio.lowlevel.current_trio_token()
        matcher = Matcher()
        try:
            while True:
                await self._arrived.wait()
                self._arrived = trio.Event()
                await self._look(matcher)
                await trio.sleep(_PAUSE_S)
        finally:
            self._token = None
            matcher.close()

    async def _look(self, matcher: Matcher) -> None:
        batches, missed = self._take()
        end = batches[-1].column("seq")[-1].as_py() + 1 if batches else 0
        tails = sorted(self._tails, key=lambda tail: repr(tail.filter))
        alike = [list(group) for _, group in groupby(tails, key=lambda tail: tail.filter)]
        filters = [group[0].filter for group in alike]
        rows = sum(batch.num_rows for batch in batches)
        try:
            found = await trio.to_thread.run_sync(_found, matcher, batches, filters, self._settings.tail_events)
        except Exception:  # a batch that cannot be looked at does not end the store, nor the tails
            log.exception("tails_failed")
            found = [([], rows, None)] * len(filters)
        for group, (lines, unread, error) in zip(alike, found, strict=True):
            if error is not None and not group[0].has_failed:
                log.warning("tail_failed", events=unread, exc_info=error)
            for tail in group:
                tail.has_failed |= error is not None
                self.counts.dropped += tail.put(lines, missed + unread, end)
                self.counts.events += len(lines)

    def _take(self) -> tuple[list[pa.RecordBatch], int]:
        with self._lock:
            batches, missed = list(self._waiting), self._missed
            self._waiting.clear()
            self._waiting_bytes = self._missed = 0
        return batches, missed

    def _wake(self) -> None:
        self._arrived.set()


def _size(batch: pa.RecordBatch) -> int:
    size: int = batch.nbytes - batch.column("seq").nbytes
    return size


def _found(matcher: Matcher, batches: Sequence[pa.RecordBatch], filters: Sequence[Expr], most: int) -> list[Found]:
    """Find for each filter the events that meet it, the newest `most`. In a thread."""
    if not batches or not filters:
        return [([], 0, None) for _ in filters]
    batch = merged(batches)
    met = _met(matcher, batch, filters)
    wanted = np.unique(np.concatenate([places[-most:] for places, _ in met]))
    lines = written(pa.Table.from_batches([batch.take(pa.array(wanted))]))
    line_at = dict(zip(wanted.tolist(), lines, strict=True))  # each once, whoever gets it
    return [
        ([line_at[place] for place in places[-most:].tolist()], max(len(places) - most, 0), None)
        if error is None
        else ([], batch.num_rows, error)
        for places, error in met
    ]


def _met(matcher: Matcher, batch: pa.RecordBatch, filters: Sequence[Expr]) -> list[tuple[Places, Exception | None]]:
    """Say for each filter which events meet it, or why that cannot be said: one that fails fails alone."""
    try:
        return [(np.flatnonzero(mask.to_numpy(zero_copy_only=False)), None) for mask in matcher.masks(batch, filters)]
    except Exception as error:
        if len(filters) == 1:
            return [(np.empty(0, np.int64), error)]
    half = len(filters) // 2
    return [*_met(matcher, batch, filters[:half]), *_met(matcher, batch, filters[half:])]
