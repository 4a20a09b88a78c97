"""Know envelopes again that a Doppler sends a second time, for whoever is to have each of them once.

A Doppler repeats what was not confirmed when its stream broke, or when this process was killed: the same envelopes in
the same order, joined into messages as it pleases. Those that are on disk already must not be written again. So each
envelope leaves a mark of 8 bytes (`envelope.marks`) with the batch it is kept in, and the last are known at the next
start. Marks on disk of another form, as versions before had, match nothing: what their Doppler repeats is kept twice.
Repetitions come only on a new stream, and only at its beginning, and only among what came from the same peer before,
they are looked for: elsewhere twins are twins.

It holds for one process at a time: what another one of the same subscription was sent is not known here.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable

from envelope import kernel
from envelope.marks import MARK_BYTES
from plumbing.subscription import Stream

REMEMBERED = 100_000
"""Marks of each peer that are remembered: of `plumbing.acks.WINDOW_ENVELOPES`, and one message more of small ones."""

WATCHED_BYTES = 16 << 20
"""As much is looked at of a new stream: more than any window."""

MOST_PEERS = 100
"""Beyond that, the one whose stream was opened longest ago is forgotten."""


class Memory:
    """Remembers the envelopes that came last, those of each peer by themselves. No I/O, no clock."""

    def __init__(self, known: Iterable[bytes]) -> None:
        """Begin with marks of before, the latest last; nobody knows whose they are."""
        self._before = [marks[: len(marks) // MARK_BYTES * MARK_BYTES] for marks in known]
        self._pasts: dict[str, _Past] = {}

    def new_part(self, batch: bytes, count: int, stream: Stream) -> tuple[bytes, int, bytes]:
        """Return of an admitted batch what did not come before, how many that is, and the marks of those.

        A hot path, but for what comes first on a new stream: `benchmarks/kernel.py`.
        """
        past = self._pasts.get(stream.peer)
        if past is None or past.stream is not stream:
            past = self._opened(stream)
        return past.new_part(batch, count)

    def _opened(self, stream: Stream) -> _Past:
        """Await what came before from the peer of a new stream."""
        past = self._pasts.pop(stream.peer, None) or _Past(self._before)
        past.begin(stream)
        self._pasts[stream.peer] = past
        if len(self._pasts) > MOST_PEERS:
            del self._pasts[next(iter(self._pasts))]
        return past


class _Past:
    """What came from one peer."""

    def __init__(self, known: Iterable[bytes]) -> None:
        self.stream: Stream | None = None
        self._known: deque[bytes] = deque()
        self._known_bytes = 0
        self._watched_bytes = 0
        self._awaited: Counter[bytes] = Counter()
        """Those that came before the stream was opened and were not repeated since."""
        for marks in known:
            self._remember(marks)

    def begin(self, stream: Stream) -> None:
        """Note that there is a new stream."""
        self.stream, self._watched_bytes = stream, WATCHED_BYTES
        self._awaited = Counter(split(b"".join(self._known))[-REMEMBERED:])

    def new_part(self, batch: bytes, count: int) -> tuple[bytes, int, bytes]:
        """As `Memory.new_part`."""
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
