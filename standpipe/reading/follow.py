"""Read what a source sends as it arrives, from a place on: by cursor, or where a log cache has none, by time.

By cursor nothing is left out and nothing comes twice, through lost connections too: the log cache pushes what arrives,
and what expired before it could be read is told. By time, what arrives late behind something newer is not seen.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import replace

import trio

from plumbing.grpc_client import Backoff
from standpipe.errors import NotRunning
from standpipe.reading.https_client import ServerError, ServerUnavailable
from standpipe.reading.log_cache import NAME, LogCache, open_log_cache
from standpipe.reading.log_cache_answers import Envelope, Page
from standpipe.reading.newest import Place, Wanted, repeated_from, without
from standpipe.system import System
from standpipe.units import count_text

FIRST_WAIT_S = 0.5
MOST_WAIT_S = 30.0
LOOK_EVERY_S = 0.25
"""How often a log cache without cursors is asked, as the original's clients do."""


async def follow(
    find: Callable[[], System], wanted: Wanted, place: Place, notice: Callable[[str], None], rng: random.Random
) -> AsyncGenerator[Sequence[Envelope], None]:
    """Yield what arrives behind `place`, for ever; a lost connection is followed by another, with a notice.

    Raises the `ServerError` that has no hope of being better the next time.
    """
    backoff = Backoff(rng, first_s=FIRST_WAIT_S, most_s=MOST_WAIT_S)
    noticed = False
    while True:
        began = trio.current_time()
        try:
            async with open_log_cache(_found(find)) as cache, aclosing(_pages(cache, wanted, place)) as pages:
                async for page in pages:
                    noticed = False
                    backoff.reset()
                    if page.missed != 0:
                        notice(_missed(wanted.source, page.missed))
                    if page.envelopes:
                        yield page.envelopes
        except ServerError as error:
            if not error.retry:
                raise
            if not noticed:
                notice(f"{error}; connecting again")
            noticed = True
        else:
            if trio.current_time() - began > MOST_WAIT_S:
                continue  # a stream that has lasted, and was ended in good order
        await trio.sleep(backoff.next_s())


def _found(find: Callable[[], System]) -> System:
    """Look again where it is: a system that was started anew may listen elsewhere."""
    try:
        system = find()
        system.address(NAME)
    except NotRunning as error:
        raise ServerUnavailable(str(error)) from error
    return system


async def _pages(cache: LogCache, wanted: Wanted, place: Place) -> AsyncGenerator[Page, None]:
    """Yield pages of what was not seen, and keep `place` behind the last one."""
    while place.cursor is None:
        page = await _page_by_time(cache, wanted, place)
        yield page
        if not page.rest:
            await trio.sleep(LOOK_EVERY_S)
    while place.seen:
        page = await cache.read(wanted.source, wanted.by_arrival(place.cursor))
        fresh = without(page.envelopes, place.seen)
        place.cursor = page.cursor or place.cursor
        if not page.rest:
            place.seen.clear()
        yield replace(page, envelopes=fresh)
    async with aclosing(cache.stream(wanted.source, wanted.by_arrival(place.cursor))) as pages:
        async for page in pages:
            place.cursor = page.cursor or place.cursor
            yield page


async def _page_by_time(cache: LogCache, wanted: Wanted, place: Place) -> Page:
    page = await cache.read(wanted.source, wanted.from_time(place.time))
    fresh = without(page.envelopes, Counter(place.seen))
    newest = max((envelope.time for envelope in page.envelopes), default=place.time)
    if newest > place.time:
        place.time, place.seen = newest, repeated_from(newest, page)
    elif page.is_full and not fresh:
        place.time += page.asked  # all of them are a nanosecond apart there
    else:
        place.seen.update(fresh)
    return replace(page, envelopes=fresh, rest=page.is_full)


def _missed(source: str, missed: int | None) -> str:
    """Say what was missed; the number is that of the source's envelopes of any kind."""
    if missed is None:
        return f"the log cache has begun anew: some of {source} may have been missed"
    what = "1 envelope" if missed == 1 else f"{count_text(missed)} envelopes"
    return f"{what} of {source} expired before they could be read"
