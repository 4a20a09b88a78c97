"""Write lines as batches of log envelopes. No I/O; the clock is passed in.

Hot path: all lines of `emit -` and `run`; whole groups are measured and written in C.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from envelope import kernel

BATCH_LINES = 500
BATCH_BYTES = 128 << 10

_ENVELOPE_BYTES = 24  # of an envelope beside its line and its head: tags, lengths, the timestamp


class LogWriter:
    """Writes the lines of one origin, each stamped later than the one before, however the clock goes."""

    def __init__(self, head: bytes, now_ns: Callable[[], int], *, err: bool, batch_lines: int = BATCH_LINES) -> None:
        self._head = head
        self._now_ns = now_ns
        self._err = err
        self._batch_lines = batch_lines
        self._next_ns = 0

    def groups(self, lines: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
        """Group lines for `write`: enough for a batch to pay, few enough for it to stay small."""
        return grouped(lines, self._batch_lines, len(self._head) + _ENVELOPE_BYTES)

    def write(self, group: Sequence[bytes]) -> bytes:
        """Write a group of lines as a batch, stamped with the time it is now."""
        timestamp = max(self._now_ns(), self._next_ns)
        self._next_ns = timestamp + len(group)
        return kernel.log_batch(group, self._head, timestamp, self._err)


def grouped(lines: Sequence[bytes], most: int, overhead: int) -> Iterator[Sequence[bytes]]:
    """Group lines, in order: `most` in one group, and `BATCH_BYTES` with `overhead` bytes for each line."""
    for at in range(0, len(lines), most):
        group = lines[at : at + most]
        if sum(map(len, group)) + overhead * len(group) <= BATCH_BYTES:
            yield group
        else:
            yield from _by_size(group, overhead)


def _by_size(lines: Sequence[bytes], overhead: int) -> Iterator[Sequence[bytes]]:
    first, size = 0, 0
    for at, line in enumerate(lines):
        size += len(line) + overhead
        if size > BATCH_BYTES and at > first:
            yield lines[first:at]
            first, size = at, len(line) + overhead
    yield lines[first:]
