"""The recent envelopes of every source, packed in memory, and what goes when they become too many.

No I/O and no clock; one thread. Hot path: `put` and what follows from it sees every envelope.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np

from envelope import kernel
from log_cache.choice import choose_whole
from log_cache.chunk import INDEX, RECORD_BYTES, Packer
from log_cache.cursor import Position
from log_cache.query import Meta
from log_cache.source import Source
from log_cache.vanished import Vanished
from log_cache.view import ArrivalView, TimeView, View
from plumbing.diode import level_of

_WAITING_ENVELOPES = 4096
_WAITING_BYTES = 4 * 1024 * 1024
"""How much waits at most before it is dealt out: enough that most sources get several envelopes at once."""
_SLACK = 64
"""Between looks a source may exceed its bounds by one part in this many, or a few: they are enforced in bulk."""
_SLACK_ENVELOPES = 16
_PRUNED_AT_ONCE = 32
"""The part of the budget that is made free when it is reached."""
_NO_LIMIT = 2**63
_SMALL_HEAD_BYTES = 1024
"""A head smaller than this is never packed before its time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreLimits:
    """What a store may hold; 0 stands for no such limit."""

    per_source: int = 100_000
    """Envelopes of one source."""
    per_source_bytes: int = 0
    """Bytes of one source's envelopes, serialised; its newest one stays, whatever its size."""
    retention_ns: int = 0
    """How old an envelope becomes by its own timestamp."""
    victims: Literal["oldest", "noisiest"] = "oldest"
    """Whose envelopes go first when memory is short."""
    chunk_bytes: int = 64 * 1024
    """About how much is packed together."""
    head_bytes: int = 32 * 1024 * 1024
    """About how much of all sources together waits for being packed, small sources apart."""


class Store:
    """Takes batches and gives views; `received == held + expired + waiting`, at every moment."""

    def __init__(self, limits: StoreLimits) -> None:
        self.limits = limits
        self._per_source = limits.per_source or _NO_LIMIT
        self._per_source_bytes = limits.per_source_bytes or _NO_LIMIT
        self.received = 0
        """Envelopes put, ever."""
        self.waiting = 0
        """Envelopes put that are not dealt out yet."""
        self.budget_bytes: int | None = None
        """As much memory as may be held between two looks of whoever keeps the process within its limit."""
        self._waiting_bytes = 0
        self._batches: list[bytes] = []
        self._sources: dict[bytes, Source] = {}
        self._held = 0
        self._expired = 0
        self._held_bytes = 0
        self._raw_bytes = 0
        self._head_bytes = 0
        self._level_heads_at = limits.head_bytes
        self._heads_to_pack: list[bytes] = []
        self._touched: set[bytes] = set()
        self._excessive: set[bytes] = set()
        self._vanished = Vanished()
        self._packer = Packer()

    @property
    def held(self) -> int:
        """Envelopes that are there."""
        self._enforce_all()
        return self._held

    @property
    def expired(self) -> int:
        """Envelopes that went, ever, of sources that have vanished too."""
        self._enforce_all()
        return self._expired

    @property
    def held_bytes(self) -> int:
        """How much memory all of it takes, right to a few percent."""
        return self._held_bytes + self._waiting_bytes

    @property
    def raw_bytes(self) -> int:
        """How many bytes the envelopes that are there would take if they were not packed."""
        return self._raw_bytes + self._waiting_bytes

    def oldest(self, default: int) -> int:
        """Give the least timestamp of all that is there and dealt out; `default` if there is none."""
        return min((source.oldest for source in self._sources.values()), default=default)

    def put(self, batch: bytes, count: int) -> None:
        """Take an admitted batch of so many envelopes; it is dealt out to its sources a little later."""
        self._batches.append(batch)
        self.received += count
        self.waiting += count
        self._waiting_bytes += len(batch)
        if self.waiting >= _WAITING_ENVELOPES or self._waiting_bytes >= _WAITING_BYTES:
            self._deal()

    def settle(self) -> set[bytes]:
        """Deal out what waits, and say to which sources anything was dealt since this was last asked."""
        self._deal()
        touched, self._touched = self._touched, set()
        return touched

    def sources(self) -> Collection[bytes]:
        """Give the source_ids of what is there."""
        self._deal()
        return self._sources.keys()

    def meta(self, sources: Iterable[bytes] | None = None) -> dict[bytes, Meta]:
        """Say how much is there, of each source or of some; of one that is not there, nothing."""
        self._deal()
        self._enforce_all()
        return {
            source_id: Meta(count=source.count, expired=source.expired, oldest=source.oldest, newest=source.newest)
            for source_id in (self._sources if sources is None else sources)
            if (source := self._sources.get(source_id))
        }

    def view(self, source_id: bytes, start: int, end: int, kinds: int, *, descending: bool = False) -> View:
        """See a source by time: `[start, end)`, of equal times in order of arrival; descending is the exact reverse."""
        source = self._look(source_id)
        return TimeView(source, self._end(source), kinds, start, end, descending=descending)

    def follow(self, source_id: bytes, position: Position | None, kinds: int) -> View:
        """See a source in order of arrival, from a position or from the oldest that is there.

        From the oldest too if the position is of a source that has vanished since; nobody knows then what was missed.
        """
        source = self._look(source_id)
        end = self._end(source)
        if position is None:
            return ArrivalView(source, end, kinds, None, known=True)
        if source and position.birth == source.birth and source.birth <= position.seq <= source.next:
            return ArrivalView(source, end, kinds, position.seq, known=True)
        waited = position.birth == 0 and (source is None or position.seq < source.birth)
        known = waited and not self._vanished.since(source_id, position.seq)
        return ArrivalView(source, end, kinds, source.birth if source and known else None, known=known)

    def has_news(self, source_id: bytes, position: Position | None) -> bool:
        """Say whether anything that was dealt out to a source is behind a position; nothing is dealt out for that."""
        source = self._sources.get(source_id)
        return source is not None and position != (source.birth, source.next)

    def aged(self, now_ns: int) -> list[bytes]:
        """Give the sources of which something is too old by now."""
        if not self.limits.retention_ns:
            return []
        self._deal()
        bound = now_ns - self.limits.retention_ns
        return [source_id for source_id, source in self._sources.items() if source.oldest < bound]

    def expire(self, now_ns: int, aged: Iterable[bytes] | None = None) -> int:
        """Expire what is too old by now, of all sources or of some, and say how many envelopes that was."""
        before = self._expired
        bound = now_ns - self.limits.retention_ns
        for source_id in self.aged(now_ns) if aged is None else aged:
            if source := self._sources.get(source_id):
                self._expire(source_id, source, source.older_than(bound))
        return self._expired - before

    def prune(self, surplus_bytes: int) -> int:
        """Make `held_bytes` smaller by a surplus, and say how many envelopes expired for it.

        What was packed together goes together, the oldest first, of whichever source; or, with victims "noisiest", of
        the sources that take the most, until all that were above a level are level.
        """
        goal = self.held_bytes - surplus_bytes
        self._deal()
        self._enforce_all()
        before = self._expired
        self._compact(goal)
        if self._held_bytes > goal:
            quota = self._held_bytes - goal
            self._level_sources(quota) if self.limits.victims == "noisiest" else self._drop_oldest(quota)
        return self._expired - before

    def _deal(self) -> None:
        if not self._batches:
            return
        dealt = kernel.deal(b"".join(self._batches))
        self._batches.clear()
        self.waiting = self._waiting_bytes = 0
        if not dealt:
            return
        birth, head_bytes = self._held + self._expired + 1, self._head_bytes
        sources, chunk_bytes = self._sources, self.limits.chunk_bytes
        for (source_id, (part, index)), (oldest, newest) in zip(dealt.items(), _spans(dealt), strict=True):
            source = sources.get(source_id)
            if source is None:
                source = sources[source_id] = Source(birth)
                self._held_bytes += source.held_bytes
            taken = source.add(part, index, oldest, newest)
            self._held_bytes += taken
            self._head_bytes += taken
            self._held += len(index) // RECORD_BYTES
            self._raw_bytes += len(part)
            if source.head.live_bytes >= chunk_bytes:
                self._seal(source)
            if source.count > self._per_source or source.live_bytes > self._per_source_bytes:
                self._exceeds(source_id, source)
        self._touched.update(dealt)
        if self._heads_to_pack or self._head_bytes > self._level_heads_at:
            self._level_heads(self._head_bytes - head_bytes)
        if self.budget_bytes is not None and self._held_bytes > self.budget_bytes:
            self.prune(self._held_bytes - self.budget_bytes + self.budget_bytes // _PRUNED_AT_ONCE)

    def _look(self, source_id: bytes) -> Source | None:
        """Get a source as a reader has to see it."""
        self._deal()
        if source_id in self._excessive:
            self._enforce(source_id)
        return self._sources.get(source_id)

    def _end(self, source: Source | None) -> Position:
        return Position(source.birth, source.next) if source else Position(0, self._held + self._expired)

    def _exceeds(self, source_id: bytes, source: Source) -> None:
        """Note that a source exceeds its bounds, and enforce them if it does so by far."""
        self._excessive.add(source_id)
        far = source.count > self._per_source + max(self._per_source // _SLACK, _SLACK_ENVELOPES)
        if far or source.live_bytes > self._per_source_bytes + self._per_source_bytes // _SLACK:
            self._enforce(source_id)

    def _enforce_all(self) -> None:
        while self._excessive:
            self._enforce(next(iter(self._excessive)))

    def _enforce(self, source_id: bytes) -> None:
        self._excessive.discard(source_id)
        source = self._sources[source_id]
        self._expire(source_id, source, source.oldest_of(source.count - self._per_source))
        while source.live_bytes > self._per_source_bytes and source.count > 1:
            excess = source.live_bytes - self._per_source_bytes
            self._expire(source_id, source, source.oldest_bytes(excess))

    def _drop_oldest(self, quota: int) -> None:
        """Let the oldest of all sources go, as much as takes so much memory."""
        places = [(source_id, which) for source_id, source in self._sources.items() for which in range(source.parts)]
        stretches = [stretch for source in self._sources.values() for stretch in source.stretches()]
        whole: dict[bytes, list[int]] = {}
        for place in choose_whole(stretches, quota):
            source_id, which = places[place]
            whole.setdefault(source_id, []).append(which)
        for source_id, of_source in whole.items():
            self._drop(source_id, of_source)

    def _level_sources(self, quota: int) -> None:
        """Let the oldest go of those sources that take the most memory."""
        level = level_of([source.held_bytes for source in self._sources.values()], self._held_bytes - quota)
        for source_id, source in list(self._sources.items()):
            if source.held_bytes > level:
                self._drop(source_id, choose_whole(source.stretches(), source.held_bytes - level))

    def _drop(self, source_id: bytes, whole: Sequence[int]) -> None:
        source = self._sources[source_id]
        with self._changes(source):
            source.drop(whole)
        self._bury_empty(source_id, source)

    def _expire(self, source_id: bytes, source: Source, counts: Mapping[int, int]) -> None:
        if counts:
            with self._changes(source):
                source.expire(counts, self._packer, self.limits.chunk_bytes)
        self._bury_empty(source_id, source)

    def _bury_empty(self, source_id: bytes, source: Source) -> None:
        """Forget a source that holds nothing any more."""
        if not source.count:
            del self._sources[source_id]
            self._held_bytes -= source.held_bytes
            self._excessive.discard(source_id)
            self._touched.discard(source_id)
            self._vanished.add(source_id, self._held + self._expired)

    def _compact(self, goal: int) -> None:
        """Give back the memory of what has expired out of the midst of chunks, as far as is needed."""
        if self._held_bytes <= goal:
            return
        dead = [(dead, source) for source in self._sources.values() if (dead := source.dead_bytes())]
        for _, source in sorted(dead, key=lambda each: each[0], reverse=True):
            with self._changes(source):
                source.compact(self._packer, self.limits.chunk_bytes)
            if self._held_bytes <= goal:
                break

    def _level_heads(self, came_bytes: int) -> None:
        """Pack the largest heads, down to half of what may be unpacked, so that it is rarely done.

        No more of it at once than twice what came, for nobody is answered meanwhile: 2 ms for a MiB.
        """
        at_most, to_pack = self.limits.head_bytes, self._heads_to_pack
        if not to_pack:
            large = ((source.head.held_bytes, source_id) for source_id, source in self._sources.items())
            to_pack += [source_id for size, source_id in sorted(large) if size >= _SMALL_HEAD_BYTES]
        enough = max(at_most // 2, self._head_bytes - 2 * came_bytes)
        while to_pack and self._head_bytes > enough:
            source = self._sources.get(to_pack.pop())
            if source is not None and source.head.count:
                self._seal(source)
        if self._head_bytes <= at_most // 2:
            to_pack.clear()
        if not to_pack:
            self._level_heads_at = max(at_most, self._head_bytes + at_most // 2)

    def _seal(self, source: Source) -> None:
        with self._changes(source):
            source.seal(self._packer, self.limits.chunk_bytes)

    @contextmanager
    def _changes(self, source: Source) -> Iterator[None]:
        """Keep the sums right while a source changes other than by what arrives."""
        count, held_bytes, live_bytes, head_bytes = _sizes(source)
        yield
        self._held += source.count - count
        self._expired -= source.count - count
        self._held_bytes += source.held_bytes - held_bytes
        self._raw_bytes += source.live_bytes - live_bytes
        self._head_bytes += source.head.held_bytes - head_bytes


def _sizes(source: Source) -> tuple[int, int, int, int]:
    return source.count, source.held_bytes, source.live_bytes, source.head.held_bytes


def _spans(dealt: Mapping[bytes, tuple[bytes, bytes]]) -> Iterator[tuple[int, int]]:
    """Give the oldest and the newest time of each part, of all parts at once: most are small."""
    indices = [index for _, index in dealt.values()]
    times = np.ascontiguousarray(np.frombuffer(b"".join(indices), INDEX)["time"])
    starts = np.cumsum([0, *map(len, indices[:-1])]) // RECORD_BYTES
    return zip(np.minimum.reduceat(times, starts).tolist(), np.maximum.reduceat(times, starts).tolist(), strict=True)
