"""Rows of one chunk or of several, in an order to read them in, and how they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from log_cache.chunk import Chunk, Int64s, Packer, cut

_KEPT_BYTES = 4 * 1024 * 1024
"""How much a reader keeps of what it has decompressed, besides the latest chunk."""


class Selection:
    """Row `rows[n]` of chunk `chunks[which[n]]`, one after the other; slices of it are selections too."""

    __slots__ = ("chunks", "rows", "which")

    def __init__(self, chunks: Sequence[Chunk], which: Int64s, rows: Int64s) -> None:
        self.chunks = chunks
        self.which = which
        self.rows = rows

    @classmethod
    def of(cls, chunk: Chunk, rows: Int64s) -> Selection:
        """Select from one chunk."""
        return cls([chunk], np.zeros(len(rows), np.int64), rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, part: slice) -> Selection:
        return Selection(self.chunks, self.which[part], self.rows[part])

    def behind_ties(self, place: int, most: int) -> int:
        """Give the place behind what goes on at `place` with the time of the one before it, `most` places at most."""
        last, end = self._time(place - 1), min(len(self), place + most)
        while place < end and self._time(place) == last:
            place += 1
        return place

    def sizes(self) -> Int64s:
        """Give how many bytes each envelope takes in a batch."""
        sizes = np.zeros(len(self), np.int64)
        for which in np.unique(self.which):
            places = np.flatnonzero(self.which == which)
            ends, rows = self.chunks[int(which)].records["end"].astype(np.int64), self.rows[places]
            sizes[places] = ends[rows] - np.where(rows > 0, ends[rows - 1], 0)
        return sizes

    def number(self, place: int) -> int:
        """Give the number of the envelope at one place."""
        return int(self.chunks[int(self.which[place])].numbers_of(self.rows[place : place + 1])[0])

    def _time(self, place: int) -> int:
        return int(self.chunks[int(self.which[place])].records["time"][int(self.rows[place])])


class SelectionReader:
    """Makes batches of selections; each chunk is decompressed once as long as those in use are few."""

    def __init__(self) -> None:
        self._packer = Packer()
        self._raws: dict[int, bytes] = {}
        self._kept_bytes = 0
        self.unpacked = 0
        """How often it had to decompress a chunk."""

    def batch(self, selection: Selection) -> bytes:
        """Make a batch in the order of the selection."""
        which, rows = selection.which, selection.rows
        if not len(rows):
            return b""
        if (which == which[0]).all():
            chunk = selection.chunks[int(which[0])]
            return cut(self._raw(chunk), chunk.records, rows)
        by_chunk = np.argsort(which, kind="stable")
        pieces: list[bytes] = [b""] * len(rows)
        for places in np.split(by_chunk, np.flatnonzero(np.diff(which[by_chunk])) + 1):
            chunk = selection.chunks[int(which[places[0]])]
            raw, ends = self._raw(chunk), chunk.records["end"]
            picked = rows[places]
            starts = np.where(picked > 0, ends[picked - 1], 0)
            for place, start, end in zip(places.tolist(), starts.tolist(), ends[picked].tolist(), strict=True):
                pieces[place] = raw[start:end]
        return b"".join(pieces)

    def cut(self, chunk: Chunk, rows: Int64s) -> bytes:
        """Make a batch of rows of one chunk, in order of arrival."""
        if len(rows) == chunk.count:  # which are all, and in their order
            return self._raw(chunk)
        return cut(self._raw(chunk), chunk.records, rows)

    def _raw(self, chunk: Chunk) -> bytes:
        raw = self._raws.pop(id(chunk), None)
        if raw is None:
            raw = self._packer.raw(chunk)
            self.unpacked += 1
            self._kept_bytes += len(raw)
            while self._raws and self._kept_bytes > _KEPT_BYTES:
                self._kept_bytes -= len(self._raws.pop(next(iter(self._raws))))
        self._raws[id(chunk)] = raw
        return raw


def in_order_of_time(
    chunks: Sequence[Chunk], rows_of: Callable[[Chunk], Int64s], *, descending: bool
) -> Iterator[Selection]:
    """Merge the rows of chunks by time, of equal times in order of arrival, or all of that in reverse.

    Chunks are looked at only when their turn may have come; how far that is, their first and last times say. Where
    they do not overlap that is one after the other.
    """
    if not chunks:
        return
    spans = _spans(chunks, descending)
    first_come = np.argsort(spans[0], kind="stable")
    chunks, spans = [chunks[which] for which in first_come.tolist()], spans[:, first_come]
    waiting = np.empty((4, 0), np.int64)
    done = 0
    for behind in _stops(chunks, spans):
        waiting = np.hstack(
            [waiting, *(_columns(which, chunks[which], rows_of, descending) for which in range(done, behind))]
        )
        waiting = waiting[:, np.lexsort((waiting[1], waiting[0]))]
        ripe = len(waiting[0]) if behind == len(chunks) else int(np.searchsorted(waiting[0], spans[0][behind]))
        if ripe:
            yield Selection(chunks, waiting[2, :ripe], waiting[3, :ripe])
        waiting = waiting[:, ripe:]
        done = behind


def _spans(chunks: Sequence[Chunk], descending: bool) -> Int64s:
    """Give the keys that each chunk lies between: times, or turned around so that the newest comes first."""
    spans = np.array([[chunk.oldest for chunk in chunks], [chunk.newest for chunk in chunks]], np.int64)
    return ~spans[::-1] if descending else spans


def _columns(which: int, chunk: Chunk, rows_of: Callable[[Chunk], Int64s], descending: bool) -> Int64s:
    """Give each row its keys, by which it is sorted, and its place."""
    rows = rows_of(chunk)
    keys = np.stack((chunk.records["time"][rows], chunk.numbers_of(rows)))
    return np.stack((*(~keys if descending else keys), np.full(len(rows), which), rows))


def _stops(chunks: Sequence[Chunk], spans: Int64s) -> Iterator[int]:
    """Say after how many chunks to sort what has come: when half of it or more is ripe, so that each waits a little."""
    lives = np.array([chunk.live for chunk in chunks], np.int64)
    ends_first = np.argsort(spans[1])
    over = np.searchsorted(spans[1][ends_first], spans[0][1:])
    ripe = np.concatenate(([0], np.cumsum(lives[ends_first])))[over].tolist()
    done = 0
    for stop, (come, complete) in enumerate(zip(np.cumsum(lives).tolist(), ripe, strict=False), start=1):
        if (complete - done) * 2 >= come - done:
            yield stop
            done = complete
    yield len(chunks)
