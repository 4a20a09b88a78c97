"""Make batches of the lines of a file, each line an envelope of the time it says. No clock.

In:    chunks of bytes, any bytes; lines end with LF or CRLF.
Out:   parcels: a batch, and how many lines of the file are in the store once it is.
Drops: nothing. A line over `MAX_LINE_BYTES` comes in pieces of that size, counted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from envelope import kernel
from standpipe.importing.line_times import Times
from standpipe.writing.split_lines import LineSplitter
from syslog_adapter.multiline import Bounds

MAX_LINE_BYTES = 10 << 20
BATCH_LINES = 10_000
_BOUNDS = Bounds()
"""Of what is joined: those of a syslog drain that joins lines."""
_LOOK_BACK = 1000  # lines that were skipped: one of them says a time


class Parcel(NamedTuple):
    """A batch on its way."""

    batch: bytes
    envelopes: int
    upto: int
    """Records of the file that are done with once it is stored: lines, or messages."""


@dataclass(slots=True)
class LineCounts:
    """What the lines of one file were like."""

    lines: int = 0
    undated: int = 0
    """Lines that say no time: they have that of the line before, or of the file."""
    cut: int = 0
    """Pieces, beyond the first, of lines that are too long; each is counted as a line."""


class LineReader:
    """Reads one file, from behind the lines that are to be skipped. Hot path: the lines of `store import`."""

    def __init__(self, head: bytes, times: Times, start_ns: int, *, err: bool, join: bool, skip: int = 0) -> None:
        """`head` is what all envelopes have in common; `start_ns` the time of lines before the first that says one.

        With `join`, lines that say no time belong to the one before them that says one: they become one text.
        """
        self.counts = LineCounts()
        self._head = head
        self._times = times
        self._last_ns = start_ns
        self._err = err
        self._join = join
        self._left_to_skip = skip
        self._upto = skip
        self._skipped: list[bytes] = []
        self._open: list[bytes] = []
        """The lines of a message that may go on; it is of the last time."""
        self._open_bytes = 0

    def parcels(self, chunks: Iterable[bytes]) -> Iterator[Parcel]:
        """Make parcels of all lines, in order."""
        splitter = LineSplitter(MAX_LINE_BYTES)
        for chunk in chunks:
            yield from self._of(splitter.feed(chunk))
        yield from self._of(splitter.end())
        if self._open:
            yield self._parcel([self._closed()])

    def _of(self, lines: Sequence[bytes]) -> Iterator[Parcel]:
        if self._left_to_skip:
            lines = self._behind_skipped(lines)
        for at in range(0, len(lines), BATCH_LINES):
            group = lines[at : at + BATCH_LINES]
            times = list(map(self._times.of, group))
            self._upto += len(group)
            self.counts.lines += len(group)
            self.counts.undated += times.count(None)
            self.counts.cut += list(map(len, group)).count(MAX_LINE_BYTES)
            yield self._parcel((self._joined if self._join else self._envelopes)(times, group))

    def _behind_skipped(self, lines: Sequence[bytes]) -> Sequence[bytes]:
        """Leave out lines that are stored, but for a look at the last of them: they may say the time that goes on."""
        count = min(len(lines), self._left_to_skip)
        self._left_to_skip -= count
        self._skipped = [*self._skipped, *lines[max(0, count - _LOOK_BACK) : count]][-_LOOK_BACK:]
        if not self._left_to_skip:
            for line in self._skipped:
                self._last_ns = self._times.of(line) or self._last_ns
            self._skipped.clear()
        return lines[count:]

    def _envelopes(self, times: Iterable[int | None], lines: Iterable[bytes]) -> list[bytes]:
        make, head, err, last, made = kernel.log_batch, self._head, self._err, self._last_ns, []
        for time_ns, line in zip(times, lines, strict=True):
            if time_ns is not None:
                last = time_ns
            made.append(make((line,), head, last, err))
        self._last_ns = last
        return made

    def _joined(self, times: Iterable[int | None], lines: Iterable[bytes]) -> list[bytes]:
        made = []
        for time_ns, line in zip(times, lines, strict=True):
            if self._open and not (time_ns is None and self._fits(line)):
                made.append(self._closed())
            if time_ns is None and not self._open:
                made += self._envelopes([None], [line])
                continue
            self._last_ns = self._last_ns if time_ns is None else time_ns
            self._open.append(line)
            self._open_bytes += len(line)
        return made

    def _fits(self, line: bytes) -> bool:
        return len(self._open) < _BOUNDS.lines and self._open_bytes + len(line) <= _BOUNDS.bytes

    def _closed(self) -> bytes:
        text = b"\n".join(self._open)
        self._open.clear()
        self._open_bytes = 0
        return kernel.log_batch([text], self._head, self._last_ns, self._err)

    def _parcel(self, envelopes: Sequence[bytes]) -> Parcel:
        return Parcel(b"".join(envelopes), len(envelopes), self._upto - len(self._open))
