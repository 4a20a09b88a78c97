"""Reads of one source, from this node's cache or from the node that holds it (loggregator.md 4.1, 4.2).

Lives on the island: a view is taken there, between two steps of whatever else happens. To unpack it, 0.4 ms for a few
envelopes as for a few hundred, is work for a thread, of which there are so many.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from time import monotonic

from envelope import kernel
from envelope.kinds import Kind
from log_cache.cache import Cache
from log_cache.cluster import Cluster
from log_cache.cursor import Cursor, Position
from log_cache.name_filter import NameFilter
from log_cache.query import MAX_LIMIT, Answer, Meta, Query
from log_cache.remote_samples import everything, samples_oldest_first
from log_cache.series import Samples
from log_cache.view import Taken, TooMuch, View
from log_cache.workers import Workers
from plumbing.unary_client import CallFailed

NUMBERS = Kind.COUNTER | Kind.GAUGE | Kind.TIMER
"""The kinds of envelope that PromQL knows."""

_FOLLOWS_WITHIN_NS = 60_000_000_000
_META_S = 1.0
_META_AT_ONCE = 1000  # sources, which takes 5 ms
_FILTER_S = 4.0
"""How long a name filter may look for what matches: less than another node of the cluster waits for the answer."""
_SAMPLED_BYTES = 1 << 20  # more at once is slower: it does not fit into the caches of a processor


@dataclass(slots=True)
class ReadCounts:
    """What this node answered out of its own cache."""

    reads: int = 0
    envelopes: int = 0


@dataclass(frozen=True, slots=True)
class Ask:
    """Which samples of a source are asked for; see `Reads.samples`."""

    source_id: str
    start_ns: int
    end_ns: int
    wanted: Mapping[bytes, bool]


class Reads:
    """Answers whoever reads, by time or in order of arrival."""

    def __init__(
        self,
        cache: Cache,
        cluster: Cluster | None = None,
        *,
        incarnation: int,
        now_ns: Callable[[], int],
        settle_ns: int,
        threads: int,
    ) -> None:
        """Take what is read from; `incarnation` marks the cursors of this process, of 64 bits.

        At most so many `threads` unpack at once; one read more waits. It waits for no query and for no read with a
        name filter, which may take seconds: those have as many threads of their own.
        """
        self.counts = ReadCounts()
        self._cache = cache
        self._cluster = cluster
        self._incarnation = incarnation
        self._now_ns = now_ns
        self._settle_ns = settle_ns
        self._reading = Workers(threads, "read")
        self._filtering = Workers(threads, "filter")
        self._drawing = Workers(threads, "numbers")
        self._metas: dict[bool, tuple[float, dict[str, Meta]]] = {}
        self._asking_meta = {local_only: asyncio.Lock() for local_only in (False, True)}

    def close(self) -> None:
        """Begin no read any more; those that are under way end by themselves."""
        for workers in (self._reading, self._filtering, self._drawing):
            workers.close()

    def end_waits(self) -> None:
        """Answer who waits with what there is, and whoever comes at once: the process is about to stop."""
        self._cache.end_waits()

    async def read(self, query: Query, *, local_only: bool = False) -> Answer:
        """Answer a read; with `local_only` out of this node's cache, whoever the source belongs to.

        An ascending read of what is young that names no end ends `settle_ns` ago: a client that pages on from the last
        timestamp it saw misses nothing that was late by less. For its sake, too, ascending pages do not end between
        equal timestamps, as far as `MAX_LIMIT` envelopes more than `limit` go. A name filter that takes too long ends a
        read by time with an error, and one in order of arrival before its end, with a `rest`. Raises `BadRequest`, or
        `CallFailed`, that of another node too.
        """
        if self._cluster is not None and not local_only and not self._cluster.is_local(query.source_id):
            return await self._cluster.read(query)
        name_filter = NameFilter(query.name_filter) if query.name_filter else None
        answer = await (self._by_time if query.cursor is None else self._by_arrival)(query, name_filter)
        self.counts.reads += 1
        self.counts.envelopes += answer.count
        return answer

    async def meta(self, *, local_only: bool = False) -> dict[str, Meta]:
        """Say how much of each source is held, here or anywhere in the cluster; as it was told within the last second.

        What is held here waits for no other node: two may ask each other at the same time.
        """
        time = asyncio.get_running_loop().time
        async with self._asking_meta[local_only]:
            until, known = self._metas.get(local_only, (0.0, {}))
            if time() < until:
                return known
            found: dict[str, Meta] = {}
            if self._cluster is not None and not local_only:
                for held in await self._cluster.meta():
                    found |= held
            found |= await self._meta_here()
            self._metas[local_only] = time() + _META_S, found
            return found

    async def samples(self, source_id: str, start_ns: int, end_ns: int, wanted: Mapping[bytes, bool]) -> list[Samples]:
        """Give the numbers that a source sent from `start_ns` to before `end_ns`, in no order of time.

        `wanted` says of each raw name whether it is asked for; one thread at a time asks it. Raises the `CallFailed` of
        another node; one that is away has sent nothing.
        """
        if self._cluster is not None and not self._cluster.is_local(source_id):
            query = Query(
                source_id=source_id, start=start_ns, end=end_ns, limit=MAX_LIMIT, kinds=NUMBERS, descending=True
            )
            pages = await everything(query, self._cluster.read)
            return [await self._drawing.run(samples_oldest_first, pages, wanted)]
        (samples,) = await self.samples_here([Ask(source_id, start_ns, end_ns, wanted)])
        return samples

    def is_here(self, source_id: str) -> bool:
        """Whether this node holds a source."""
        return self._cluster is None or self._cluster.is_local(source_id)

    async def samples_here(
        self, asked: Sequence[Ask], drawn: Callable[[Samples], None] = lambda _: None
    ) -> list[list[Samples]]:
        """Do what `samples` does for several sources that this node holds.

        `drawn` hears of the parts, in another thread, as they come; what it raises ends it all.
        """
        views = [self._cache.view(ask.source_id.encode(), ask.start_ns, ask.end_ns, NUMBERS) for ask in asked]
        return await self._drawing.run(_samples_of_views, views, [ask.wanted for ask in asked], drawn)

    async def _meta_here(self) -> dict[str, Meta]:
        """Look at some sources at a time: there may be 100,000 of them."""
        found: dict[str, Meta] = {}
        sources = iter(self._cache.sources())
        while some := list(islice(sources, _META_AT_ONCE)):
            found |= {source.decode("utf-8", "replace"): meta for source, meta in self._cache.meta(some).items()}
            await asyncio.sleep(0)
        return found

    async def _by_time(self, query: Query, name_filter: NameFilter | None) -> Answer:
        source = query.source_id.encode()
        end = query.end if query.descending else self._settled(query)
        view = self._cache.view(source, query.start, end, query.kinds, descending=query.descending)
        cursor = self._cursor(query, view.end)
        ties = 0 if query.descending else MAX_LIMIT
        taken = await self._take(view, query.limit, name_filter, ties)
        if name_filter and taken.rest and taken.count < query.limit:
            raise CallFailed("DEADLINE_EXCEEDED", "the name filter takes too long: ask for a shorter time")
        return Answer(batch=taken.batch, count=taken.count, cursor=cursor)

    def _settled(self, query: Query) -> int:
        now = self._now_ns()
        if not query.open_ended or query.start < now - _FOLLOWS_WITHIN_NS:
            return query.end
        return min(query.end, max(query.start, now - self._settle_ns))

    async def _by_arrival(self, query: Query, name_filter: NameFilter | None) -> Answer:
        loop, source = asyncio.get_running_loop(), query.source_id.encode()
        position, missed = self._position(query)
        until = loop.time() + query.wait_s
        while True:
            view = self._cache.follow(source, position, query.kinds)
            if view.end == position:  # most questions of those who follow: worth no thread
                taken = Taken(b"", 0, position, 0, rest=False)
            else:
                taken = await self._take(view, query.limit, name_filter)
            position = taken.position
            missed = None if missed is None or taken.missed is None else missed + taken.missed
            left_s = until - loop.time()
            if taken.count or left_s <= 0:
                cursor = self._cursor(query, position)
                return Answer(batch=taken.batch, count=taken.count, cursor=cursor, missed=missed, rest=taken.rest)
            if not taken.rest and not await self._cache.wait(source, position, left_s):
                until = loop.time()  # look once more, and answer

    def _position(self, query: Query) -> tuple[Position | None, int | None]:
        """Say where to read on, and how much is known to be missed before even that."""
        if not query.cursor:
            return None, 0
        cursor = Cursor.parse(query.cursor, query.source_id)
        return (cursor.position, 0) if cursor.incarnation == self._incarnation else (None, None)

    def _cursor(self, query: Query, position: Position) -> str:
        return Cursor(self._incarnation, position).text(query.source_id)

    async def _take(self, view: View, limit: int, name_filter: NameFilter | None, ties: int = 0) -> Taken:
        """Unpack; a filter goes on looking no longer than it may, and no longer than whoever asked is there."""
        until = _Until(monotonic() + _FILTER_S)
        workers, is_late = (self._filtering, until.is_over) if name_filter else (self._reading, _never)
        try:
            return await workers.run(partial(view.take, limit, name_filter, ties, is_late))
        except TooMuch as error:
            raise CallFailed("RESOURCE_EXHAUSTED", str(error)) from None
        finally:
            until.moment = 0.0


@dataclass(slots=True)
class _Until:
    """A moment that may come sooner than was thought."""

    moment: float

    def is_over(self) -> bool:
        return monotonic() > self.moment


def _never() -> bool:
    return False


def _samples_of_views(
    views: Sequence[View], wanted: Sequence[Mapping[bytes, bool]], drawn: Callable[[Samples], None]
) -> list[list[Samples]]:
    found: list[list[Samples]] = []
    for view, names in zip(views, wanted, strict=True):
        parts: list[Samples] = []
        for batch in _in_large_batches(view.batches()):
            parts.append(kernel.samples(batch, names))
            drawn(parts[-1])
        found.append(parts)
    return found


def _in_large_batches(batches: Iterator[bytes]) -> Iterator[bytes]:
    """Join batches: what is made of one has as many parts as there are series, however few samples each has there."""
    waiting: list[bytes] = []
    size = 0
    for batch in batches:
        waiting.append(batch)
        size += len(batch)
        if size >= _SAMPLED_BYTES:
            yield b"".join(waiting)
            waiting.clear()
            size = 0
    if waiting:
        yield b"".join(waiting)
