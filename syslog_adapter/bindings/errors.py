"""What reading bindings fails with, and how many there may be."""

from __future__ import annotations

MAX_BINDINGS = 100_000
"""What one source may hold."""


class SourceUnavailable(Exception):
    """The bindings could not be read now: keep those that were read before, and ask again later."""
