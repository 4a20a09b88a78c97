"""The numbers of a source that another node holds, read page by page. No I/O of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeAlias

import numpy as np

from envelope import kernel
from log_cache.query import Answer, Query
from log_cache.series import Samples

Read: TypeAlias = Callable[[Query], Awaitable[Answer]]


class Pages(NamedTuple):
    """All that was found, a batch for each page."""

    batches: Sequence[bytes]
    descending: bool


async def everything(query: Query, read: Read) -> Pages:
    """Give all that a descending query would find if it had no limit.

    A node of the original is known by its answers: they have no cursor.
    """
    if query.start >= query.end:
        return Pages([], descending=True)
    first = await read(query)
    if first.cursor or first.count < query.limit:
        return Pages([page async for page in newest_first(query, read, first)], descending=True)
    return Pages([page async for page in oldest_first(replace(query, descending=False), read)], descending=False)


async def newest_first(query: Query, read: Read, first: Answer | None = None) -> AsyncIterator[bytes]:
    """Read one of our nodes, a page of `limit` at a time; the first may have been read.

    Pages overlap by one timestamp, so that no envelope is lost where a page ends between equal ones, and what came
    twice is cut off. Of one timestamp `limit` envelopes are found at most.
    """
    had = 0  # the first so many of the next page were in the one before
    while query.start < query.end:
        answer, first = first or await read(query), None
        times = [(start, time) for start, _, _, _, time in kernel.spans(answer.batch)]
        if had < len(times):
            yield answer.batch[times[had][0] :]
        if len(times) < query.limit:
            return
        oldest = times[-1][1]
        had = sum(time == oldest for _, time in times)
        if had == len(times):
            query, had = replace(query, end=oldest), 0
        else:
            query = replace(query, end=oldest + 1)


async def oldest_first(query: Query, read: Read) -> AsyncIterator[bytes]:
    """Read a node of the original, a page of `limit`, of two at least, at a time.

    It files an envelope under its time or, where that is taken, under the next nanosecond that is free, and `start` and
    `end` bound what it is filed under. That is not told; but no two have the same, so the last of a page stands so far
    behind each before it at least. The next page begins there, and what came twice, which is told by its bytes, is cut
    off.
    """
    before: list[bytes] = []
    while query.start < query.end:
        answer = await read(query)
        spans = list(kernel.spans(answer.batch))
        envelopes = [answer.batch[start:end] for start, end, *_ in spans]
        had = _overlap(before, envelopes)
        if had < len(spans):
            yield answer.batch[spans[had][0] :]
        if len(spans) < query.limit:
            return
        last = len(spans) - 1
        least = max(time + last - at for at, (*_, time) in enumerate(spans))
        query = replace(query, start=max(least, query.start + last))
        before = envelopes


def _overlap(before: Sequence[bytes], after: Sequence[bytes]) -> int:
    """Say how many of the last of one page are the first of the next."""
    most = min(len(before), len(after))
    return next((count for count in range(most, 0, -1) if before[-count:] == after[:count]), 0)


def samples_oldest_first(pages: Pages, wanted: Mapping[bytes, bool]) -> Samples:
    """Give the numbers of pages as `kernel.samples` would of the same envelopes in ascending order."""
    found = kernel.samples(b"".join(pages.batches), wanted)
    if not pages.descending:
        return found
    return {key: (_reversed(times), _reversed(values)) for key, (times, values) in found.items()}


def _reversed(numbers: bytes) -> bytes:
    """Turn numbers of eight bytes around."""
    return np.frombuffer(numbers, "<i8")[::-1].tobytes()
