"""The live tails that are open: each is handed the new events that meet its filter, as soon as they are on disk.

In:    what was appended to the store, from any thread.
Out:   events as JSON, for each tail its own.
Drops: the oldest of a tail that is not read fast enough, counted and told; and where filters take longer than events
       come, the oldest that nobody has looked at yet, told to every tail.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import orjson
import pyarrow as pa
import structlog
import trio

from event_store.http import events
from event_store.http.config import HttpSettings
from event_store.http.matching import Matcher
from event_store.http.refusals import busy
from event_store.query.syntax import Expr
from event_store.storage.schema import merged, numbered
from plumbing.diode import Diode, Parcel

log = structlog.get_logger(__name__)

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
    """As JSON, oldest first."""


class Tail:
    """One reader of new events. For one trio task."""

    def __init__(self, filter_: Expr, diode: Diode) -> None:
        self.filter = filter_
        self.is_over = False
        self._diode = diode
        self._missed = 0
        self._told = 0
        self._arrived = trio.Event()

    async def next(self, max_bytes: int) -> News:
        """Wait until there is something to tell, and take it; once the tail is over, there may be nothing."""
        while not self._diode and self._lost == self._told and not self.is_over:
            self._arrived = trio.Event()
            await self._arrived.wait()
        lost, self._told = self._lost - self._told, self._lost
        taken = self._diode.take(max_bytes) if self._diode else []
        return News(lost, [parcel.batch for parcel in taken])

    def put(self, lines: Sequence[bytes], missed: int) -> int:
        """Hand over events, and how many there were that were not looked at; returns how many are lost by that."""
        before = self._lost
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
                    self._waiting.append(numbered(batch, place))
                    self._waiting_bytes += batch.nbytes
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
        tails = sorted(self._tails, key=lambda tail: repr(tail.filter))
        alike = [list(group) for _, group in groupby(tails, key=lambda tail: tail.filter)]
        filters = [group[0].filter for group in alike]
        try:
            found = await trio.to_thread.run_sync(_found, matcher, batches, filters, self._settings.tail_events)
        except Exception:  # a batch that cannot be looked at does not end the store, nor the tails
            log.exception("tails_failed")
            found = [([], sum(batch.num_rows for batch in batches))] * len(filters)
        for group, (lines, unread) in zip(alike, found, strict=True):
            for tail in group:
                self.counts.dropped += tail.put(lines, missed + unread)
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


def _found(
    matcher: Matcher, batches: Sequence[pa.RecordBatch], filters: Sequence[Expr], most: int
) -> list[tuple[list[bytes], int]]:
    """Return for each filter the events that meet it, the newest `most`, and how many more there are. In a thread."""
    if not batches or not filters:
        return [([], 0) for _ in filters]
    batch = merged(batches)
    met = [np.flatnonzero(mask.to_numpy(zero_copy_only=False)) for mask in matcher.masks(batch, filters)]
    wanted = np.unique(np.concatenate([places[-most:] for places in met]))
    events_ = events.objects(pa.Table.from_batches([batch.take(pa.array(wanted))]))
    written = dict(zip(wanted.tolist(), map(orjson.dumps, events_), strict=True))  # each once, whoever gets it
    return [([written[place] for place in places[-most:].tolist()], max(len(places) - most, 0)) for places in met]
