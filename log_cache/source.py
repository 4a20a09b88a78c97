"""What is held of one source: packed chunks in order of arrival, and the latest arrivals as they came."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from log_cache.choice import choose_oldest
from log_cache.chunk import INDEX, RECORD_BYTES, Chunk, Int64s, Packer, join, loose, merge, seal

SOURCE_BYTES = 600
"""What a source takes besides its envelopes: its objects, lists and numbers, and its place among the others."""
_PIECE_BYTES = 64
"""What a part or an index takes besides its bytes."""
_NO_CHUNKS: list[Chunk] = []
_NO_PIECES: list[bytes] = []
"""What every source and every head begins with; nothing is ever added to these."""


class Head:
    """The latest arrivals of a source, as they were dealt: a list of parts and their indices, taking turns."""

    __slots__ = ("count", "first", "live_bytes", "newest", "oldest", "pieces")

    def __init__(self, first: int) -> None:
        self.first = first
        self.count = 0
        self.live_bytes = 0
        self.oldest = 0
        self.newest = 0
        self.pieces: list[bytes] = _NO_PIECES

    @property
    def live(self) -> int:
        """How many envelopes are there: none of a head has expired."""
        return self.count

    @property
    def held_bytes(self) -> int:
        """How much memory it takes."""
        return self.live_bytes + self.count * RECORD_BYTES + len(self.pieces) * _PIECE_BYTES

    @property
    def middle(self) -> int:
        """The time in the middle between the oldest and the newest."""
        return (self.oldest + self.newest) // 2

    def add(self, part: bytes, index: bytes, oldest: int, newest: int) -> None:
        """Append what arrived, whose times lie between `oldest` and `newest`."""
        if not self.count:
            self.oldest, self.newest = oldest, newest
            self.pieces = [part, index]
        else:
            self.pieces += (part, index)
            if oldest < self.oldest:
                self.oldest = oldest
            if newest > self.newest:
                self.newest = newest
        self.count += len(index) // RECORD_BYTES
        self.live_bytes += len(part)

    def snapshot(self) -> Head:
        """Copy it as it stands now; the bytes are shared."""
        same = Head(self.first)
        same.count, same.live_bytes, same.oldest, same.newest = self.count, self.live_bytes, self.oldest, self.newest
        same.pieces = self.pieces.copy()
        return same

    def live_times(self) -> Int64s:
        """Give the times in order of arrival."""
        return np.ascontiguousarray(np.frombuffer(b"".join(self.pieces[1::2]), INDEX)["time"])

    def seal(self, packer: Packer, chunk_bytes: int) -> list[Chunk]:
        """Pack it into chunks of about `chunk_bytes`."""
        return seal(*join(self.pieces[::2], self.pieces[1::2]), self.first, packer, chunk_bytes)

    def loose(self) -> Chunk:
        """Make one chunk of it without packing it."""
        return loose(*join(self.pieces[::2], self.pieces[1::2]), self.first)


class Source:
    """The envelopes of one source; there is always at least one."""

    __slots__ = ("_newest", "_oldest", "_packed_bytes", "_packed_live", "birth", "chunks", "count", "expired", "head")

    def __init__(self, birth: int) -> None:
        self.birth = birth
        self.chunks: list[Chunk] = _NO_CHUNKS
        self.head = Head(birth)
        self.count = 0
        self.expired = 0
        self._packed_bytes = 0
        self._packed_live = 0
        self._oldest: int | None = None
        self._newest: int | None = None

    @property
    def held_bytes(self) -> int:
        """How much memory it takes."""
        return SOURCE_BYTES + self._packed_bytes + self.head.held_bytes

    @property
    def live_bytes(self) -> int:
        """How many bytes its envelopes have, serialised."""
        return self._packed_live + self.head.live_bytes

    @property
    def next(self) -> int:
        """The number of the next to arrive."""
        return self.head.first + self.head.count

    @property
    def oldest(self) -> int:
        """The oldest time of any envelope."""
        if self._oldest is None:
            self._oldest = min(part.oldest for part in self.stretches())
        return self._oldest

    @property
    def newest(self) -> int:
        """The newest time of any envelope."""
        if self._newest is None:
            self._newest = max(part.newest for part in self.stretches())
        return self._newest

    def stretches(self) -> list[Chunk | Head]:
        """Give all that is held, in order of arrival."""
        return [*self.chunks, self.head] if self.head.count else [*self.chunks]

    @property
    def parts(self) -> int:
        """How many stretches there are."""
        return len(self.chunks) + bool(self.head.count)

    def older_than(self, time: int) -> dict[int, int]:
        """Say how many of each stretch are older."""
        counts = (
            (which, int(np.count_nonzero(stretch.live_times() < time)))
            for which, stretch in enumerate(self.stretches())
            if stretch.oldest < time
        )
        return dict(counts)

    def oldest_of(self, envelopes: int) -> dict[int, int]:
        """Say how many of each stretch go when so many envelopes are to go."""
        stretches = self.stretches()
        return choose_oldest(stretches, [stretch.live for stretch in stretches], envelopes)

    def oldest_bytes(self, raw_bytes: int) -> dict[int, int]:
        """Say how many go when they are to come to so many bytes, serialised, as far as their mean size tells.

        The newest stays.
        """
        stretches = self.stretches()
        counts = choose_oldest(stretches, [stretch.live_bytes for stretch in stretches], raw_bytes)
        return counts if sum(counts.values()) < self.count else self.oldest_of(self.count - 1)

    def dead_bytes(self) -> int:
        """Say how much memory is held by what has expired already."""
        return sum(chunk.held_bytes * chunk.expired // chunk.count for chunk in self.chunks if chunk.expired)

    def add(self, part: bytes, index: bytes, oldest: int, newest: int) -> int:
        """Take what arrived and say how much memory it takes."""
        head = self.head
        before = head.held_bytes
        head.add(part, index, oldest, newest)
        self.count += len(index) // RECORD_BYTES
        if self._newest is not None and newest > self._newest:
            self._newest = newest
        if self._oldest is not None and oldest < self._oldest:
            self._oldest = oldest
        return head.held_bytes - before

    def seal(self, packer: Packer, chunk_bytes: int) -> None:
        """Pack the head.

        Last chunks that are still small are packed anew with it. Since each must be no more than twice as large as all
        behind it, an envelope is packed a few times at most, and a source has few small chunks.
        """
        size, keep = self.head.live_bytes, len(self.chunks)
        while keep and self.chunks[keep - 1].live_bytes <= min(2 * size, chunk_bytes // 2):
            keep -= 1
            size += self.chunks[keep].live_bytes
        if keep < len(self.chunks):
            fresh = merge([*self.chunks[keep:], self.head.loose()], packer, chunk_bytes)
        else:
            fresh = self.head.seal(packer, chunk_bytes)
        self.head = Head(self.next)
        self._replace(keep, len(self.chunks), fresh)

    def expire(self, counts: Mapping[int, int], packer: Packer, chunk_bytes: int) -> int:
        """Expire the oldest of some stretches, `counts[which]` of each; say how many that was in all.

        Of all envelopes here they have to be the oldest.
        """
        gone = sum(counts.values())
        in_head = counts.get(len(self.chunks), 0)
        if 0 < in_head < self.head.count:
            self.seal(packer, chunk_bytes)
            counts = self.oldest_of(gone)
        elif in_head:
            self.head = Head(self.next)
        for which in sorted(counts, reverse=True):
            if which < len(self.chunks):
                chunk, count = self.chunks[which], counts[which]
                left = [chunk.without_oldest(count)] if count < chunk.live else []
                self._replace(which, which + 1, left)
        self.count -= gone
        self.expired += gone
        self._oldest = None
        return gone

    def drop(self, whole: Iterable[int]) -> None:
        """Expire all of some stretches."""
        gone = 0
        for which in sorted(whole, reverse=True):
            if which == len(self.chunks):
                gone += self.head.count
                self.head = Head(self.next)
            else:
                gone += self.chunks[which].live
                self._replace(which, which + 1, [])
        self.count -= gone
        self.expired += gone
        self._oldest = self._newest = None

    def compact(self, packer: Packer, chunk_bytes: int) -> None:
        """Pack chunks anew of which a quarter or more has expired, together with such neighbours."""
        high = len(self.chunks)
        while high:
            low, size = high, 0
            while low and size < chunk_bytes and self.chunks[low - 1].expired * 4 >= self.chunks[low - 1].count:
                low -= 1
                size += self.chunks[low].live_bytes
            if low < high:
                self._replace(low, high, merge(self.chunks[low:high], packer, chunk_bytes))
            high = min(low, high - 1)

    def _replace(self, low: int, high: int, chunks: list[Chunk]) -> None:
        """Put other chunks in the place of some."""
        if self.chunks is _NO_CHUNKS:
            self.chunks = []
        for chunk in self.chunks[low:high]:
            self._packed_bytes -= chunk.held_bytes
            self._packed_live -= chunk.live_bytes
        for chunk in chunks:
            self._packed_bytes += chunk.held_bytes
            self._packed_live += chunk.live_bytes
        self.chunks[low:high] = chunks
