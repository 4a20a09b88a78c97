"""Put envelopes that come a little late in their place: the option `order-window` of a drain's URL. No clock.

In:    envelopes, as they come. Out: the same, those of each source by their timestamps.
Drops: nothing. Where more would be held than there is room for, the first that came goes early.
"""

from __future__ import annotations

import math
from collections import deque
from heapq import heappop, heappush
from typing import NamedTuple

from envelope import kernel


class _Mark(NamedTuple):
    due_at: float
    source: bytes
    place: tuple[int, int]
    """Timestamp and number of arrival: by these a source's envelopes are sorted."""


class Window:
    """Holds each envelope for `window_s`, and lets it go behind all of its source that are older.

    So all come out in order that come no more than `window_s` behind one with a later timestamp. One that comes behind
    that goes with the next ones. At most `most` envelopes and `most_bytes` bytes are held.
    """

    def __init__(self, window_s: float, *, most: int, most_bytes: int) -> None:
        self._window_s = window_s
        self._most = most
        self._most_bytes = most_bytes
        self._sources: dict[bytes, list[tuple[tuple[int, int], bytes]]] = {}
        self._marks: deque[_Mark] = deque()
        """In order of arrival, some of them of envelopes that went with a later one."""
        self._bytes = self._arrived = 0
        self.held = 0

    @property
    def due_at(self) -> float:
        """When the first of what is held is to go."""
        return self._marks[0].due_at if self.held else math.inf

    def add(self, batch: bytes, now: float) -> bytes:
        """Take an admitted batch; return what there is no room for."""
        for start, end, _, source, timestamp in kernel.spans(batch):
            self._arrived += 1
            place = timestamp, self._arrived
            heappush(self._sources.setdefault(source, []), (place, batch[start:end]))
            self._marks.append(_Mark(now + self._window_s, source, place))
            self._bytes += end - start
            self.held += 1
        gone: list[bytes] = []
        while self.held > self._most or self._bytes > self._most_bytes or len(self._marks) > 2 * self._most:
            self._pop(self._marks.popleft(), gone)
        return b"".join(gone)

    def release(self, now: float) -> bytes:
        """Return what has been held long enough, each behind what must come before it."""
        gone: list[bytes] = []
        while self._marks and self._marks[0].due_at <= now:
            self._pop(self._marks.popleft(), gone)
        return b"".join(gone)

    def _pop(self, mark: _Mark, gone: list[bytes]) -> None:
        """Let go of an envelope and all of its source that come before it; it may have gone with another already."""
        heap = self._sources.get(mark.source, [])
        while heap and heap[0][0] <= mark.place:
            envelope = heappop(heap)[1]
            gone.append(envelope)
            self._bytes -= len(envelope)
            self.held -= 1
        if not heap:
            self._sources.pop(mark.source, None)
