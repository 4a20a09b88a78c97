"""How the events are kept on disk: when memory becomes a segment, what a segment looks like, and how long it stays."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt

from plumbing.config import Section


class KeepRule(Section):
    """How long the events of some sources are kept."""

    sources: Annotated[str, Field(min_length=1)]
    """Their `source_id`, or a pattern: `*` is any text, `?` any letter, `[ab]` one of these."""

    days: PositiveFloat
    """How old their events may become."""


class StorageSettings(Section):
    """Flushing, segments, and what is kept of one store."""

    flush_rows: PositiveInt = 500_000
    """Events in memory and in the log before they become a segment. Twice as many, and writing waits for it."""

    flush_bytes: PositiveInt = 256 << 20
    """Bytes of events in memory before they become a segment. Twice as many, and writing waits for it."""

    flush_s: PositiveFloat = 60.0
    """How long an event may wait in memory and in the log before it becomes part of a segment."""

    row_group_rows: PositiveInt = 125_000
    """Events in each row group of a segment: what a query reads at once, or passes over."""

    zstd_level: Annotated[int, Field(ge=1, le=22)] = 1
    """How hard a fresh segment is compressed."""

    remembered_bytes: Annotated[int, Field(ge=0, le=16 << 20)] = 2_400_000
    """As many bytes of the marks that came last are known again after a restart."""

    compact_rows: PositiveInt = 1_000_000
    """About so many events of an hour are joined into one sorted segment. It takes about 1 KB of memory for each."""

    compact_after_s: Annotated[float, Field(ge=0)] = 600.0
    """How long after its end an hour counts as over: then what there is of it is joined, however little."""

    compact_zstd_level: Annotated[int, Field(ge=1, le=22)] = 1
    """How hard a sorted segment is compressed: 6 takes 7 % less room than 1 and twice the time, 3 no less room."""

    keep_days: PositiveFloat | None = None
    """How old an event may become; none: it is kept until something else says that it goes."""

    keep_bytes: PositiveInt | None = None
    """How much all segments may have together: the oldest go first. None: as much as the disk takes."""

    keep: list[KeepRule] = []
    """How old the events of some sources may become, instead of `keep_days`: the first rule that fits counts."""

    remove_after_s: Annotated[float, Field(ge=0)] = 120.0
    """How long the file of a segment that was joined or went stays, for other processes that read it."""

    verify_bytes_per_s: Annotated[int, Field(ge=0)] = 20_000_000
    """How fast segments are read again, each once a day, to find what the disk damaged; 0: they are not."""

    key_file: Path | None = None
    """Seals the events on disk (AES-256-GCM): a file of keys, 64 hex digits on a line each, for its owner alone (0600).
    The first one seals; those behind it still open what they sealed. None: nothing is sealed."""
