"""Which sources have vanished of late, so that a reader who waits for one learns whether it missed something."""

from __future__ import annotations

_REMEMBERED = 4096


class Vanished:
    """Remembers the last few thousand; of any other source it says that it may have vanished lately, to be safe."""

    __slots__ = ("_forgotten", "_when")

    def __init__(self) -> None:
        self._when: dict[int, int] = {}  # by hash, for a source_id may be long: two of one hash may have vanished both
        self._forgotten = -1

    def add(self, source_id: bytes, arrivals: int) -> None:
        """Note that a source vanished when so many envelopes of any source had arrived."""
        self._when.pop(hash(source_id), None)
        self._when[hash(source_id)] = arrivals
        if len(self._when) > _REMEMBERED:
            self._forgotten = self._when.pop(next(iter(self._when)))

    def since(self, source_id: bytes, arrivals: int) -> bool:
        """Say whether a source may have come and vanished after so many envelopes had arrived."""
        return self._when.get(hash(source_id), self._forgotten) > arrivals
