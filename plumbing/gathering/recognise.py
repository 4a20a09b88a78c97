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

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable

from envelope import kernel
from envelope.marks import MARK_BYTES
from plumbing.subscription import Stream

REMEMBERED = 100_000
"""Marks of each peer that are remembered: of `plumbing.acks.WINDOW_ENVELOPES`, and one message more of small ones.

Those of before, of all peers, are as many as were kept on disk.
"""

WATCHED_BYTES = 16 << 20
"""As much is looked at of a new stream: more than any window."""

MOST_PEERS = 100
"""Beyond that, those are forgotten whose stream is over, the one that was opened longest ago first."""

_MOST_KNOWN_BYTES = 5 * REMEMBERED * MARK_BYTES // 4
_NUMBER = "Q"  # of as many bytes as a mark
_NONE = array(_NUMBER)


class Memory:
    """Remembers the envelopes that came last, those of each peer by themselves. No I/O, no clock."""

    def __init__(self, known: Iterable[bytes]) -> None:
        """Begin with marks of before, the latest last; nobody knows whose they are."""
        whole = (marks[: len(marks) // MARK_BYTES * MARK_BYTES] for marks in known)
        self._before = _ascending(array(_NUMBER, b"".join(whole)))
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
        if past := self._pasts.pop(stream.peer, None):
            past.begin(stream)
        else:
            past = _Past(stream, self._before)
        self._pasts[stream.peer] = past
        self._forget()
        return past

    def _forget(self) -> None:
        over = [peer for peer, past in self._pasts.items() if past.stream.is_over]
        for peer in over[: max(0, len(self._pasts) - MOST_PEERS)]:
            del self._pasts[peer]


class _Past:
    """What came from one peer."""

    def __init__(self, stream: Stream, before: array[int]) -> None:
        """Begin with marks of before, in ascending order: these are shared by all."""
        self._before = before
        self._known = bytearray()
        self._await(stream, before)

    def begin(self, stream: Stream) -> None:
        """Note that there is a new stream."""
        known = bytes(self._known[-REMEMBERED * MARK_BYTES :])
        self._await(stream, _ascending(self._before + array(_NUMBER, known)))

    def _await(self, stream: Stream, awaited: array[int]) -> None:
        self.stream, self._watched_bytes = stream, WATCHED_BYTES
        self._awaited = awaited
        """Those that came before the stream was opened; so packed, since all peers may have a new one at once."""
        self._repeated: Counter[int] = Counter()

    def new_part(self, batch: bytes, count: int) -> tuple[bytes, int, bytes]:
        """As `Memory.new_part`."""
        marks = kernel.marks(batch)
        if self._watched_bytes > 0:
            self._watched_bytes -= len(batch)
            batch, count, marks = self._not_repeated(batch, count, marks)
        else:
            self._before = self._awaited = _NONE
            self._repeated.clear()
        self._remember(marks)
        return batch, count, marks

    def _not_repeated(self, batch: bytes, count: int, marks: bytes) -> tuple[bytes, int, bytes]:
        fresh = [index for index, mark in enumerate(array(_NUMBER, marks)) if not self._is_repeated(mark)]
        if len(fresh) == count:
            return batch, count, marks
        each, spans = split(marks), kernel.spans(batch)
        kept = b"".join([batch[slice(*spans[index][:2])] for index in fresh])
        return kept, len(fresh), b"".join([each[index] for index in fresh])

    def _is_repeated(self, mark: int) -> bool:
        place = bisect_left(self._awaited, mark) + self._repeated[mark]  # twins lie beside one another
        if place >= len(self._awaited) or self._awaited[place] != mark:
            return False
        self._repeated[mark] += 1
        return True

    def _remember(self, marks: bytes) -> None:
        """Keep marks, and those before that are needed and some more: room is made for many at once."""
        self._known += marks
        if len(self._known) > _MOST_KNOWN_BYTES:
            del self._known[: -REMEMBERED * MARK_BYTES]


def _ascending(marks: array[int]) -> array[int]:
    return array(_NUMBER, sorted(marks))


def split(marks: bytes) -> list[bytes]:
    """Tell the marks of several envelopes apart."""
    return [marks[start : start + MARK_BYTES] for start in range(0, len(marks) - MARK_BYTES + 1, MARK_BYTES)]
