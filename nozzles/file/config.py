"""Every setting of the nozzle that writes a rotated file, with default and meaning."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, PositiveFloat, PositiveInt

from plumbing.config import Section


class Config(Section):
    """Where the lines go, when a file is finished, and how many finished ones stay."""

    path: Path
    """File to append to. Its directory must exist; one file has one nozzle."""

    rotate_bytes: PositiveInt = 134_217_728
    """A file is finished before it would grow beyond this; only a batch that is larger alone makes a larger file."""

    rotate_s: PositiveFloat | None = None
    """A file with anything in it is finished at this age. One found at the start is as old as its last change."""

    keep_files: PositiveInt | None = None
    """How many finished files stay: the oldest are deleted. Nothing is deleted for their number without this."""

    keep_bytes: PositiveInt | None = None
    """How much finished files may take together: the oldest are deleted. Nothing is deleted for it without this."""

    compress: bool = False
    """Whether finished files are compressed (zstd)."""

    compression_level: int = Field(default=3, ge=1, le=19)
    """zstd's level: higher is smaller and slower."""

    sync: bool = False
    """Whether each batch is on the disk, past all caches, before it counts as delivered."""
