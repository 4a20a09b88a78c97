"""Which events are kept no longer: by age, by the age of their source's rule, by the bytes of all. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

import numpy as np
import pyarrow as pa

from event_store.storage.config import StorageSettings
from event_store.storage.manifest import Segment

_DAY_NS = 86_400_000_000_000
_NEVER = -(1 << 63)

Sources = Callable[[Segment], Collection[str] | None]
"""The source_ids in a segment, where the manifest does not list them, too; None: nobody knows, and it stays."""


@dataclass(frozen=True, slots=True)
class Retention:
    """What the settings say, as of one moment."""

    settings: StorageSettings
    now_ns: int
    _firsts: dict[str | None, int] = field(default_factory=dict, init=False, repr=False, compare=False)

    def expired(self, segments: Iterable[Segment], sources_of: Sources) -> list[Segment]:
        """Return the segments that go as a whole, the oldest first: no event of theirs is to be kept."""
        left = sorted(segments, key=lambda one: (one.max_time, one.min_seq))
        gone = [one for one in left if self._is_old(one, sources_of)]
        if self.settings.keep_bytes is None:
            return gone
        left = [one for one in left if one not in set(gone)]
        over = sum(one.bytes_on_disk for one in left) - self.settings.keep_bytes
        for one in left:
            if over <= 0:
                break
            gone.append(one)
            over -= one.bytes_on_disk
        return gone

    def thinned(self, segments: Iterable[Segment], sources_of: Sources) -> list[Segment]:
        """Return the segments that hold sources of which no event is to be kept, and others."""
        if not self.settings.keep:
            return []  # what goes, goes as a whole
        newest = max(self.first_kept(None), *(self._oldest(rule.days) for rule in self.settings.keep))
        return [
            one
            for one in segments
            if one.max_time < newest and any(one.max_time < self.first_kept(source) for source in sources_of(one) or ())
        ]

    def first_kept(self, source: str | None) -> int:
        """Return the time, in nanoseconds, before which the events of a source go."""
        if source not in self._firsts:
            self._firsts[source] = self._first_kept(source)
        return self._firsts[source]

    def _first_kept(self, source: str | None) -> int:
        for rule in self.settings.keep:
            if fnmatchcase(source or "", rule.sources):
                return self._oldest(rule.days)
        days = self.settings.keep_days
        return _NEVER if days is None else self._oldest(days)

    def kept(self, table: pa.Table) -> pa.Table:
        """Return the events of a table that stay."""
        if self.settings.keep_days is None and not self.settings.keep:
            return table
        column = table["source_id"].cast(pa.string()).combine_chunks().dictionary_encode(null_encoding="encode")
        firsts = np.array([self.first_kept(source) for source in column.dictionary.to_pylist()], np.int64)
        stays = table["time"].cast(pa.int64()).to_numpy() >= firsts[column.indices.to_numpy()]
        return table if stays.all() else table.filter(pa.array(stays))

    def _is_old(self, segment: Segment, sources_of: Sources) -> bool:
        if segment.max_time >= self.first_kept(None):  # an event may have no source
            return False
        rules = any(segment.max_time >= self._oldest(rule.days) for rule in self.settings.keep)
        if not rules:
            return True
        sources = sources_of(segment)
        return sources is not None and all(segment.max_time < self.first_kept(source) for source in sources)

    def _oldest(self, days: float) -> int:
        return self.now_ns - int(days * _DAY_NS)
