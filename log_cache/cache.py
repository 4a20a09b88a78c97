"""The store on the island: readers wait for what arrives, and the process stays within its memory.

Everything here happens on the island's one thread, but for reading views, which may happen anywhere.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from itertools import islice
from time import monotonic
from typing import NamedTuple

import structlog

from log_cache.cursor import Position
from log_cache.memory import MemoryLimit, give_back, resident_bytes
from log_cache.query import Meta
from log_cache.store import Store
from log_cache.view import View

log = structlog.get_logger(__name__)

_DEAL_WITHIN_S = 0.001
_ROUNDS = 4
_EXPIRED_AT_ONCE = 500  # sources, which takes 5 ms


class Seen(NamedTuple):
    """What was held at a look, for whoever tells of it from another thread."""

    held: int = 0
    expired: int = 0
    sources: int = 0
    held_bytes: int = 0
    raw_bytes: int = 0
    period_s: float = 0.0
    """Age of the oldest envelope, by its own time."""
    took_s: float = 0.0
    """How long looking took, and letting go of what was too much."""


class Cache:
    """A store whose followers are woken."""

    def __init__(self, store: Store, now_ns: Callable[[], int]) -> None:
        self.store = store
        self.seen = Seen()
        self._now_ns = now_ns
        self._waiting: dict[bytes, set[asyncio.Future[None]]] = {}
        self._dealing: asyncio.TimerHandle | None = None
        self._waits = True
        self._has_room = True

    @property
    def waiting(self) -> int:
        """How many followers wait now."""
        return sum(map(len, self._waiting.values()))

    def put(self, batch: bytes, count: int) -> None:
        """Take an admitted batch; as long as anybody waits, it is dealt out within 2 ms."""
        self.store.put(batch, count)
        if self._waiting and self._dealing is None:
            self._dealing = asyncio.get_running_loop().call_later(_DEAL_WITHIN_S, self._deal)

    def view(self, source_id: bytes, start: int, end: int, kinds: int, *, descending: bool = False) -> View:
        """See a source by time, with all that was put before; see `Store.view`."""
        self._settle()
        return self.store.view(source_id, start, end, kinds, descending=descending)

    def follow(self, source_id: bytes, position: Position | None, kinds: int) -> View:
        """See a source in order of arrival, with all that was put before; see `Store.follow`."""
        self._settle()
        return self.store.follow(source_id, position, kinds)

    def sources(self) -> list[bytes]:
        """Give the source_ids of what is there."""
        self._settle()
        return list(self.store.sources())

    def meta(self, sources: Iterable[bytes] | None = None) -> dict[bytes, Meta]:
        """Say how much is there, of each source or of some; of one that is not there, nothing."""
        self._settle()
        return self.store.meta(sources)

    async def wait(self, source_id: bytes, position: Position | None, timeout_s: float) -> bool:
        """Return True as soon as a source has something behind a position, of whatever kind; False after a while.

        Or False at once, when `end_waits` was called.
        """
        self._settle()
        try:
            async with asyncio.timeout(timeout_s):
                while not (news := self.store.has_news(source_id, position)) and self._waits:
                    await self._touched(source_id)
        except TimeoutError:
            return False
        return news

    def end_waits(self) -> None:
        """Let nobody wait any more."""
        self._waits = False
        for of_source in self._waiting.values():
            _wake(of_source)

    async def keep_within(self, memory: MemoryLimit, interval_s: float) -> None:
        """Expire what is too old and keep the process within its memory, at once and then at every interval."""
        while True:
            await self._expire()
            self.tidy(memory)
            await asyncio.sleep(interval_s)

    def tidy(self, memory: MemoryLimit) -> None:
        """Do it once, and note what is held then."""
        began = monotonic()
        self._keep_within(memory)
        store, now_ns = self.store, self._now_ns()
        self.seen = Seen(
            held=store.held,
            expired=store.expired,
            sources=len(store.sources()),
            held_bytes=store.held_bytes,
            raw_bytes=store.raw_bytes,
            period_s=max(0, now_ns - store.oldest(now_ns)) / 1e9,
            took_s=monotonic() - began,
        )

    async def _expire(self) -> None:
        """Expire some sources at a time: 100,000 may become too old at the same moment."""
        self._settle()
        now_ns = self._now_ns()
        aged = iter(self.store.aged(now_ns))
        while some := list(islice(aged, _EXPIRED_AT_ONCE)):
            self.store.expire(now_ns, some)
            await asyncio.sleep(0)

    def _keep_within(self, memory: MemoryLimit) -> None:
        """Freed memory is given back before it is counted, so that nothing is pruned for what is free already."""
        self._settle()
        self.store.expire(self._now_ns())
        for _ in range(_ROUNDS):
            give_back()
            resident = resident_bytes()
            budget = self.store.budget_bytes = memory.budget_bytes(resident, self.store.held_bytes)
            self._warn(memory, resident, is_none=not budget)
            if self.store.held_bytes <= budget:
                break
            self.store.prune(self.store.held_bytes - budget)

    def _warn(self, memory: MemoryLimit, resident: int, *, is_none: bool) -> None:
        """Say it once when the process takes all there is by itself, and nothing can be held."""
        if is_none and self._has_room:
            log.warning("memory_limit_leaves_no_room", limit_bytes=memory.limit_bytes, process_bytes=resident)
        self._has_room = not is_none

    def _deal(self) -> None:
        self._dealing = None
        self._settle()

    def _settle(self) -> None:
        for source_id in self.store.settle() & self._waiting.keys():
            _wake(self._waiting[source_id])

    async def _touched(self, source_id: bytes) -> None:
        """Wait until something is dealt out to a source."""
        touched = asyncio.get_running_loop().create_future()
        of_source = self._waiting.setdefault(source_id, set())
        of_source.add(touched)
        try:
            await touched
        finally:
            of_source.discard(touched)
            if not of_source:
                del self._waiting[source_id]


def _wake(waiting: Iterable[asyncio.Future[None]]) -> None:
    for each in waiting:
        if not each.done():
            each.set_result(None)
