"""Reads segments again, so that what a disk damaged is found, and set aside, before long: the rest serves.

What was there when the store was opened is read soon, in any order, and from then on each segment once a day, slowly;
at once, what a query could not read.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from event_store.storage.errors import SegmentDamaged, StoreClosed
from event_store.storage.manifest import Segment
from event_store.storage.quarantine import Damage
from event_store.storage.snapshot import Snapshot
from event_store.storage.verifying import Proceed, verify_all, verify_index

_AGAIN_S = 86_400.0
_SUSPECT_S = 60.0
"""What a query could not read, and what is sound, is not read sooner for that reason."""


class Checked(Protocol):
    """Whose segments are read: `event_store.storage.Store`."""

    folder: Path

    def snapshot(self) -> Snapshot:
        """What there is now."""

    def set_aside(self, bad: dict[Segment, str]) -> tuple[Damage, ...]:
        """Take what is damaged out of the store."""

    def note_index(self, segment: Segment, what: str) -> Damage | None:
        """Note, once, that the index of a segment is damaged; None if the segment is no more."""

    @property
    def damages(self) -> tuple[Damage, ...]:
        """What was found damaged so far."""


class Checks:
    """Reads the segments of one store. `next` is for one thread, all else for any."""

    def __init__(
        self, store: Checked, segments: Collection[Segment], clock: Callable[[], float], stop: threading.Event
    ) -> None:
        self._store = store
        self._clock = clock
        self._stop = stop
        self._read = dict.fromkeys(random.sample(list(segments), len(segments)), clock() - _AGAIN_S)
        self._suspected: dict[Segment, float] = {}
        self._suspecting = threading.Lock()

    def all(self, segments: Iterable[Segment], proceed: Proceed = lambda _: None) -> tuple[Damage, ...]:
        """Read segments, and set aside those that are not what was written. OSError: nobody can tell now; StoreFull.

        One whose index is damaged serves without it until it is made anew.
        """
        bad, without = verify_all(self._store.folder, segments, proceed)
        noted = [self._store.note_index(segment, what) for segment, what in without.items()]
        return (*(self._store.set_aside(bad) if bad else ()), *(damage for damage in noted if damage is not None))

    def indexes(self) -> None:
        """Read all that lies beside segments, so that what is damaged is made anew by the next `compact`; OSError."""
        snapshot = self._store.snapshot()  # its files stay
        for segment in snapshot.segments:
            try:
                verify_index(snapshot.folder, segment)
            except SegmentDamaged as error:
                self._store.note_index(segment, str(error))

    def next(self, bytes_per_s: int) -> int:
        """Read the segment that was not read for longest, no faster than that; how many bytes it was, 0 if none is due.

        Errors as `all`, and StoreClosed as soon as the store is closed.
        """
        read = 0

        def proceed(size: int) -> None:
            nonlocal read
            read += size
            if self._stop.wait(size / bytes_per_s):
                raise StoreClosed(f"the store in {self._store.folder} is closed")

        snapshot = self._store.snapshot()  # its files stay
        segment = self._due(snapshot.segments)
        if segment is not None:
            try:
                self.all((segment,), proceed)
            finally:
                self._read[segment] = self._clock()
        return read

    def suspects(self, files: Collection[str], proceed: Proceed = lambda _: None) -> tuple[Damage, ...]:
        """Read the segments of these files, that a query could not read, unless that was done a minute ago.

        Returns what is the matter with those of them that are set aside, now or before: without them, the query may be
        tried again. `proceed` ends it by what it raises; StoreFull. One thread reads at a time.
        """
        with self._suspecting:
            snapshot, since = self._store.snapshot(), self._clock() - _SUSPECT_S
            self._suspected = {one: when for one, when in self._suspected.items() if when > since}
            for segment in snapshot.segments:
                if segment.file in files and segment not in self._suspected:
                    with suppress(OSError):  # nobody can tell now
                        self.all((segment,), proceed)
                    self._suspected[segment] = self._clock()
        return tuple(damage for damage in self._store.damages if damage.file in files)

    def _due(self, segments: Iterable[Segment]) -> Segment | None:
        """Choose what is read next. What was not there before has just been written, as good as read."""
        now = self._clock()
        self._read = {one: self._read.get(one, now) for one in segments}
        oldest = min(self._read, key=self._read.__getitem__, default=None)
        return oldest if oldest is not None and now - self._read[oldest] >= _AGAIN_S else None
