"""The numbers of a source that another node holds, read page by page. No I/O of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from envelope import kernel
from log_cache.query import Answer, Query
from log_cache.series import Samples


async def newest_first(query: Query, read: Callable[[Query], Awaitable[Answer]]) -> AsyncIterator[bytes]:
    """Give all that a descending query would find if it had no limit, a page of `limit` at a time.

    Pages overlap by one timestamp, so that no envelope is lost where a page ends between equal ones, and what came
    twice is cut off. Of one timestamp `limit` envelopes are found at most.
    """
    had = 0  # the first so many of the next page were in the one before
    while query.start < query.end:
        answer = await read(query)
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


def samples_oldest_first(pages: Sequence[bytes], wanted: Mapping[bytes, bool]) -> Samples:
    """Give the numbers of such pages as `kernel.samples` would of the same envelopes in ascending order."""
    newest = kernel.samples(b"".join(pages), wanted)
    return {key: (_reversed(times), _reversed(values)) for key, (times, values) in newest.items()}


def _reversed(numbers: bytes) -> bytes:
    """Turn numbers of eight bytes around."""
    return np.frombuffer(numbers, "<i8")[::-1].tobytes()
