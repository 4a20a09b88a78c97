"""Read the newest envelopes of a source, however many: pages by time, from the newest back, each envelope once.

Envelopes may have one time, and a page may end among them: the next page begins with that time again, and what it
repeats is left out. If one time has more envelopes than a page, all that is held is read in order of arrival instead.
An original log cache cannot do that: there some of such a time are passed over.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from time import time_ns

from standpipe.reading.log_cache import LogCache
from standpipe.reading.log_cache_answers import EARLIEST, LATEST, MAX_PAGE, Envelope, Page

CLASH_NS = 4000
"""How much later an original log cache may file an envelope whose time is taken (loggregator.md 4.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What of which source is to be read."""

    source: str
    kinds: Sequence[str] = ()
    """`LOG`, `COUNTER` and so on; none: all."""
    name_filter: str = ""
    since: int = EARLIEST
    """Nanoseconds since 1970, inclusive."""

    def before(self, end: int) -> Mapping[str, str | Sequence[str]]:
        """Return the query of a read by time, the newest before `end` first."""
        return {**self._which, "start_time": str(self.since), "end_time": str(end), "descending": "true"}

    def from_time(self, start: int) -> Mapping[str, str | Sequence[str]]:
        """Return the query of a read by time, the oldest first, up to the log cache's own present."""
        return {**self._which, "start_time": str(start)}

    def by_arrival(self, cursor: str) -> Mapping[str, str | Sequence[str]]:
        """Return the query of a read in order of arrival; an empty cursor stands for the oldest that is held."""
        return {**self._which, "cursor": cursor}

    @property
    def _which(self) -> Mapping[str, str | Sequence[str]]:
        kinds = {"envelope_types": self.kinds} if self.kinds else {}
        return {**kinds, **({"name_filter": self.name_filter} if self.name_filter else {})}


@dataclass(slots=True, kw_only=True)
class Place:
    """How far a reader has come: a cursor, or where a log cache has none, a time."""

    cursor: str | None
    time: int = EARLIEST
    """Without a cursor: of the newest envelope that was read."""
    seen: Counter[Envelope] = field(default_factory=Counter)
    """What was read already and comes again after this place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Newest:
    """What was found, the oldest first, and where to read on so that nothing is left out or repeated."""

    envelopes: Sequence[Envelope]
    place: Place


async def newest(cache: LogCache, wanted: Wanted, most: int) -> Newest:
    """Read the `most` newest envelopes; if that is 0, just find the place behind them."""
    page = await cache.read(wanted.source, wanted.before(LATEST), min(max(most, 1), MAX_PAGE))
    found, place = list(page.envelopes), _place(page, wanted.since)
    of_first_page = len(found)
    while page.is_full and len(found) < most:
        edge = min(envelope.time for envelope in page.envelopes)
        for overlap_ns in (1,) if place.cursor is not None else (1 + CLASH_NS, 1, 0):
            end = edge + overlap_ns
            page = await cache.read(wanted.source, wanted.before(end))
            fresh = without(page.envelopes, Counter(envelope for envelope in found if envelope.time < end))
            if fresh or not page.is_full:
                break
        else:
            return await _newest_by_arrival(cache, wanted, most)
        found += fresh
    del found[most:]
    if place.cursor is not None:
        place.seen.update(found[of_first_page:])  # some of them may have arrived after the first page was read
    return Newest(envelopes=found[::-1], place=place)


async def _newest_by_arrival(cache: LogCache, wanted: Wanted, most: int) -> Newest:
    found: list[Envelope] = []
    page = Page(cursor="", rest=True)
    while page.rest and page.cursor is not None:
        page = await cache.read(wanted.source, wanted.by_arrival(page.cursor))
        found += (envelope for envelope in page.envelopes if envelope.time >= wanted.since)
        found.sort(key=attrgetter("time"))
        del found[: max(0, len(found) - most)]
    return Newest(envelopes=found, place=Place(cursor=page.cursor))


def without(envelopes: Iterable[Envelope], seen: Counter[Envelope]) -> list[Envelope]:
    """Return the envelopes that were not seen; each that was is left out as often as it was seen, and forgotten."""
    fresh: list[Envelope] = []
    for envelope in envelopes:
        if seen[envelope] > 0:
            seen[envelope] -= 1
        else:
            fresh.append(envelope)
    return fresh


def repeated_from(time: int, page: Page) -> Counter[Envelope]:
    """Return what of a page a log cache without cursors may repeat when it is read from `time` on."""
    return Counter(envelope for envelope in page.envelopes if envelope.time >= time - CLASH_NS)


def _place(page: Page, since: int) -> Place:
    """Return the place behind a page of the newest."""
    if page.cursor is not None:
        return Place(cursor=page.cursor)
    now = time_ns()  # what claims to be of the future must not hide what comes until then
    time = max((envelope.time for envelope in page.envelopes if envelope.time <= now), default=since)
    return Place(cursor=None, time=time, seen=repeated_from(time, page))
