"""What of a filter the Dopplers can do: what is not selected there never leaves them. Pure.

A selector is a source, or any, and a type (loggregator.md 2.1, 2.2). One without a type selects nothing, one with an
empty source selects every source, and what two selectors of a request match comes twice: so each type of each source is
asked for once, by name, and what cannot be said exactly in that way is left to the filter here.
"""

from __future__ import annotations

from typing import NamedTuple

from envelope.kinds import Kind
from nozzles.filters import ALL_TYPES, FilterSettings, kinds_of

MOST_SELECTORS = 10_000
"""As many as are asked for: each costs a Doppler memory, and time with every batch. Beyond it every source is read."""


class Selection(NamedTuple):
    """What is asked for, and what is left to do."""

    kinds: Kind
    sources: tuple[str, ...]
    """None means every source."""
    rest: FilterSettings


def selection_of(settings: FilterSettings) -> Selection:
    """Split a filter: what the Dopplers select, filtered by the rest, is what it lets through, but for untyped ones."""
    kinds = Kind(kinds_of(settings.types)) & Kind.TYPED
    sources = tuple(dict.fromkeys(settings.sources))
    if "" in sources or len(sources) * kinds.bit_count() > MOST_SELECTORS:
        sources = ()
    done = {"types": list(ALL_TYPES), "sources": [] if sources else settings.sources}
    return Selection(kinds, sources, settings.model_copy(update=done))
