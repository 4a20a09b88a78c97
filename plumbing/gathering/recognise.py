"""Know envelopes again that a Doppler sends a second time, for whoever is to have each of them once.

A Doppler repeats what was not confirmed when its stream broke, or when this process was killed: the same envelopes in
the same order, joined into messages as it pleases. Those that are on disk already must not be written again. So each
envelope leaves a mark of 8 bytes (xxh3_64) with the batch it is kept in, and the last are known at the next start.
Repetitions come only after a stream was opened, and only then, and only among what came before, they are looked for:
elsewhere twins are twins.

It holds for one process at a time: what another one of the same subscription was sent is not known here.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable

from xxhash import xxh3_64_digest

from envelope import kernel

MARK_BYTES = 8
REMEMBERED = 100_000
"""Marks that are remembered: a Doppler repeats 2 MiB at most, and envelopes have 20 bytes or more."""

WATCHED_BYTES = 16 << 20
"""As much as is looked at after a stream was opened, from all streams together: the windows of eight Dopplers."""


class Memory:
    """Remembers the envelopes that came last. No I/O, no clock."""

    def __init__(self, known: Iterable[bytes], connects: Callable[[], int]) -> None:
        """Begin with marks of before, the latest last; `connects` counts the streams that were opened."""
        self._known = deque((mark for marks in known for mark in split(marks)), REMEMBERED)
        self._connects = connects
        self._connected = 0
        self._watched_bytes = 0
        self._awaited: Counter[bytes] = Counter()
        """Those that came before the last stream was opened and were not repeated since."""

    def new_part(self, batch: bytes, count: int) -> tuple[bytes, int, bytes]:
        """Return of an admitted batch what did not come before, how many that is, and the marks of those."""
        if self._connects() != self._connected:
            self._connected, self._watched_bytes = self._connects(), WATCHED_BYTES
            self._awaited = Counter(self._known)
        each = [batch[start:end] for start, end, *_ in kernel.spans(batch)]
        marks = [xxh3_64_digest(envelope) for envelope in each]
        if self._watched_bytes > 0:
            self._watched_bytes -= len(batch)
            fresh = [index for index, mark in enumerate(marks) if not self._is_repeated(mark)]
            if len(fresh) < count:
                batch, count = b"".join([each[index] for index in fresh]), len(fresh)
                marks = [marks[index] for index in fresh]
        else:
            self._awaited.clear()
        self._known.extend(marks)
        return batch, count, b"".join(marks)

    def _is_repeated(self, mark: bytes) -> bool:
        if not self._awaited.get(mark):
            return False
        self._awaited[mark] -= 1
        return True


def split(marks: bytes) -> list[bytes]:
    """Tell the marks of several envelopes apart."""
    return [marks[start : start + MARK_BYTES] for start in range(0, len(marks) - MARK_BYTES + 1, MARK_BYTES)]
