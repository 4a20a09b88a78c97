"""Which segments are joined, and how: those of one hour, their events in order of source and time. No clock.

Segments of an hour are joined when the hour is over, or they are many, or they have events enough. A segment is joined
with smaller ones only where those have a good part of its events, so that an event is written a few times at most,
however late others come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import pyarrow as pa

from event_store.storage import segments as files
from event_store.storage.config import StorageSettings
from event_store.storage.crypto import Keyring
from event_store.storage.manifest import Segment
from event_store.storage.parquet import Layout

Job: TypeAlias = tuple[Segment, ...]
"""Segments that become one, or few."""

_HOUR_NS = 3_600_000_000_000
_MANY = 16
_MOST_AT_ONCE = 256
_SHARE = 4
"""A segment is joined with others if those have an event for each so many of its own."""
_MOST_BYTES = 512 << 20


def jobs(
    segments: Iterable[Segment], now_ns: int, settings: StorageSettings, *, everything: bool = False
) -> Iterator[Job]:
    """Choose what is to be joined now; `everything` takes every hour as if it were over."""
    hours: dict[int, list[Segment]] = {}
    for segment in segments:
        if not segment.level or segment.rows * 2 < settings.compact_rows:
            hours.setdefault(segment.min_time // _HOUR_NS, []).append(segment)
    for hour, found in sorted(hours.items()):
        over = everything or (hour + 1) * _HOUR_NS + int(settings.compact_after_s * 1e9) <= now_ns
        fresh = sorted((one for one in found if not one.level), key=lambda one: one.min_seq)
        small = sorted((one for one in found if one.level), key=lambda one: one.rows)
        while fresh or (over and len(small) > 1):
            job = _filled(fresh, small, settings.compact_rows)
            if not _is_ripe(job, settings.compact_rows, over=over):
                break
            yield tuple(job)
            fresh = [one for one in fresh if one not in job]
            small = [one for one in small if one not in job]


def _filled(fresh: Sequence[Segment], small: Sequence[Segment], most_rows: int) -> list[Segment]:
    """Take fresh segments in their order, then joined ones from the least, until there are rows enough."""
    job: list[Segment] = []
    rows = size = 0
    for segment in (*fresh, *small):
        is_far_greater = segment.level and job and segment.rows > _SHARE * rows
        if is_far_greater or rows >= most_rows or len(job) >= _MOST_AT_ONCE:
            break
        if job and size + segment.bytes > _MOST_BYTES:
            break
        job.append(segment)
        rows, size = rows + segment.rows, size + segment.bytes
    return job


def _is_ripe(job: Sequence[Segment], most_rows: int, *, over: bool) -> bool:
    if over:
        return len(job) > 1 or not job[0].level
    fresh = [one for one in job if not one.level]
    return len(fresh) >= _MANY or sum(one.rows for one in fresh) >= most_rows


def carry_out(
    folder: Path, job: Job, layout: Layout, keys: Keyring | None, kept: Callable[[pa.Table], pa.Table]
) -> list[Segment]:
    """Write what is `kept` of the events of a job as sorted segments; SegmentDamaged if one cannot be read.

    OSError and whatever Arrow raises leave nothing.
    """
    batches: list[pa.RecordBatch] = []
    for segment in job:
        batches += kept(files.read(folder, segment, keys, use_threads=False)).to_batches()
    batches = [batch for batch in batches if batch.num_rows]
    return files.write_all(folder, batches, layout, keys) if batches else []
