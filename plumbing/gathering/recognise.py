"""Know envelopes again that a Doppler sends a second time, for whoever is to have each of them once.

A Doppler repeats what was not confirmed when its stream broke, or when this process was killed: the same envelopes in
the same order, joined into messages as it pleases. Those that are on disk already must not be written again. So each
envelope leaves a mark of 8 bytes (`envelope.marks`) with the batch it is kept in, and the last are known at the next
start. Marks on disk of another form, as versions before had, match nothing: what their Doppler repeats is kept twice.
Repetitions come only after a stream was opened, and only then, and only among what came before, they are looked for:
elsewhere twins are twins.

It holds for one process at a time: what another one of the same subscription was sent is not known here.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Iterable

from envelope import kernel
from envelope.marks import MARK_BYTES

REMEMBERED = 100_000
"""Marks that are remembered: a Doppler repeats 2 MiB at most, and envelopes have 20 bytes or more."""

WATCHED_BYTES = 16 << 20
"""As much as is looked at after a stream was opened, from all streams together: the windows of eight Dopplers."""


class Memory:
    """Remembers the envelopes that came last. No I/O, no clock."""

    def __init__(self, known: Iterable[bytes], connects: Callable[[], int]) -> None:
        """Begin with marks of before, the latest last; `connects` counts the streams that were opened."""
        self._known: deque[bytes] = deque()
        self._known_bytes = 0
        self._connects = connects
        self._connected = 0
        self._watched_bytes = 0
        self._awaited: Counter[bytes] = Counter()
        """Those that came before the last stream was opened and were not repeated since."""
        for marks in known:
            self._remember(marks[: len(marks) // MARK_BYTES * MARK_BYTES])

    def new_part(self, batch: bytes, count: int) -> tuple[bytes, int, bytes]:
        """Return of an admitted batch what did not come before, how many that is, and the marks of those.

        A hot path, but for what comes first on a new stream: `benchmarks/kernel.py`.
        """
        if self._connects() != self._connected:
            self._connected, self._watched_bytes = self._connects(), WATCHED_BYTES
            self._awaited = Counter(split(b"".join(self._known))[-REMEMBERED:])
        marks = kernel.marks(batch)
        if self._watched_bytes > 0:
            self._watched_bytes -= len(batch)
            batch, count, marks = self._not_repeated(batch, count, marks)
        else:
            self._awaited.clear()
        self._remember(marks)
        return batch, count, marks

    def _not_repeated(self, batch: bytes, count: int, marks: bytes) -> tuple[bytes, int, bytes]:
        each = split(marks)
        fresh = [index for index, mark in enumerate(each) if not self._is_repeated(mark)]
        if len(fresh) == count:
            return batch, count, marks
        spans = kernel.spans(batch)
        kept = b"".join([batch[slice(*spans[index][:2])] for index in fresh])
        return kept, len(fresh), b"".join([each[index] for index in fresh])

    def _is_repeated(self, mark: bytes) -> bool:
        if not self._awaited.get(mark):
            return False
        self._awaited[mark] -= 1
        return True

    def _remember(self, marks: bytes) -> None:
        """Keep marks, and no more than are needed of those before: a whole batch of them is forgotten at once."""
        if not marks:
            return
        self._known.append(marks)
        self._known_bytes += len(marks)
        while self._known_bytes - len(self._known[0]) >= REMEMBERED * MARK_BYTES:
            self._known_bytes -= len(self._known.popleft())


def split(marks: bytes) -> list[bytes]:
    """Tell the marks of several envelopes apart."""
    return [marks[start : start + MARK_BYTES] for start in range(0, len(marks) - MARK_BYTES + 1, MARK_BYTES)]
