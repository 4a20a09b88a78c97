"""How the events are kept on disk: when memory becomes a segment, and what a segment looks like."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt

from plumbing.config import Section


class StorageSettings(Section):
    """Flushing and segments of one store."""

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

    remembered_bytes: Annotated[int, Field(ge=0, le=16 << 20)] = 800_000
    """As many bytes of the marks that came last are known again after a restart."""
