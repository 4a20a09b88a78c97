"""Subscribe to single sources at every Doppler, over one stream each however many sources there are.

In:    batches of all Dopplers, with envelopes of the sources asked for at the moment.
Out:   `Arrival`s, as of `plumbing.egress_client.Feed`.
Drops: nothing. Sources come and go while the streams stay open; a Doppler that cannot change an open request (an
       original one) is given a stream for each source.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

from envelope.kinds import Kind
from envelope.selectors import make_request
from plumbing.egress_client import Dopplers, Relay, Stream, keep_reading
from plumbing.peers import one_task_each

_PAUSE_PER_SOURCE_S = 100e-6  # a change costs a Doppler 16 µs for each source there is


class SourcesFeed:
    """The envelopes of some kinds that some sources send. Lives on the island."""

    def __init__(self, dopplers: Dopplers, kinds: Kind, relay: Relay) -> None:
        self._dopplers = dopplers
        self._kinds = kinds
        self._relay = relay
        self._sources: frozenset[str] = frozenset()
        self._streams: set[Stream] = set()
        self._changed: set[asyncio.Event] = set()
        self._next_change: asyncio.TimerHandle | None = None
        self._not_before = 0.0

    def ask_for(self, sources: Iterable[str]) -> None:
        """Read these sources from now on, and no others; where there are very many, in a moment."""
        wanted = frozenset(sources)
        if wanted == self._sources:
            return
        self._sources = wanted
        if self._next_change is None:
            self._next_change = asyncio.get_running_loop().call_at(self._not_before, self._change)
        for changed in self._changed:
            changed.set()

    async def run(self) -> None:
        """Stay subscribed at every Doppler and hand each message to the relay, until cancelled."""
        await one_task_each(self._dopplers.addresses, self._keep_reading)

    def _change(self) -> None:
        self._next_change = None
        self._not_before = asyncio.get_running_loop().time() + len(self._sources) * _PAUSE_PER_SOURCE_S
        if self._streams:
            request = self._request(self._sources)
            for stream in self._streams:
                stream.change(request)

    async def _keep_reading(self, address: str) -> None:
        await keep_reading(self._dopplers, address, self._read)

    async def _read(self, address: str, opened: Callable[[], None]) -> None:
        async with self._dopplers.stream(address) as stream:
            asked = self._sources
            await stream.open(self._request(asked))
            if not stream.is_over:
                opened()
            if stream.takes_changes:
                await self._read_all_together(stream, asked)
                return
        await self._read_each(address)

    async def _read_all_together(self, stream: Stream, asked: frozenset[str]) -> None:
        if asked != self._sources:
            stream.change(self._request(self._sources))
        self._streams.add(stream)
        try:
            await stream.read_all(self._relay)
        finally:
            self._streams.discard(stream)

    async def _read_each(self, address: str) -> None:
        """Keep a stream for each source; the first that ends, ends all: what comes next may take changes."""
        reading: dict[str, asyncio.Task[None]] = {}
        changed = asyncio.Event()
        self._changed.add(changed)
        try:
            while True:
                changed.clear()
                for source in self._sources - reading.keys():
                    reading[source] = asyncio.ensure_future(self._read_one(address, source))
                await _end([reading.pop(source) for source in reading.keys() - self._sources])
                if await _news_or_end(changed, reading.values()):
                    return
        finally:
            self._changed.discard(changed)
            await _end(reading.values())

    async def _read_one(self, address: str, source: str) -> None:
        async with self._dopplers.stream(address) as stream:
            await stream.open(self._request([source]))
            if not stream.takes_changes:  # else it was late to say so, and can be asked for all of them together
                await stream.read_all(self._relay)

    def _request(self, sources: Iterable[str]) -> bytes:
        """Ask for sources; `make_request` would take none for all."""
        chosen = sorted(sources)
        return make_request(self._kinds, sources=chosen) if chosen else make_request(Kind(0))


async def _news_or_end(changed: asyncio.Event, tasks: Iterable[asyncio.Task[None]]) -> bool:
    """Wait until something has changed, or one of the tasks has ended: then say so, or raise what it raised."""
    news = asyncio.ensure_future(changed.wait())
    try:
        done, _ = await asyncio.wait([news, *tasks], return_when=asyncio.FIRST_COMPLETED)
    finally:
        news.cancel()
    ended = done - {news}
    for task in ended:
        task.result()
    return bool(ended)


async def _end(tasks: Iterable[asyncio.Task[None]]) -> None:
    tasks = list(tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
