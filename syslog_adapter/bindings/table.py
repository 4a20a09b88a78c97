"""Which drains there have to be: the bindings of all sources together. No I/O, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import chain

from syslog_adapter.binding import Binding


@dataclass(frozen=True, slots=True)
class Change:
    """What has to be done to come from one table to the next; whatever is in neither stays as it is."""

    added: tuple[Binding, ...]
    removed: tuple[Binding, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """The bindings of each source, by URL, and those for everybody's envelopes."""

    by_source: Mapping[str, tuple[Binding, ...]] = field(default_factory=dict)
    aggregates: tuple[Binding, ...] = ()
    ignored: int = 0
    """How many there were beyond what one source may have."""

    @classmethod
    def of(cls, bindings: Iterable[Binding], *, per_source: int) -> Table:
        """Sort bindings; of a source's those `per_source` stay whose URLs come first."""
        sources: dict[str, list[Binding]] = {}
        for binding in sorted(set(bindings), key=_order):
            sources.setdefault(binding.source_id, []).append(binding)
        aggregates = tuple(sources.pop("", ()))
        return cls(
            by_source={source: tuple(each[:per_source]) for source, each in sources.items()},
            aggregates=aggregates,
            ignored=sum(max(0, len(each) - per_source) for each in sources.values()),
        )

    @property
    def bindings(self) -> tuple[Binding, ...]:
        """All that are in it."""
        return (*chain.from_iterable(self.by_source.values()), *self.aggregates)

    def change_to(self, new: Table) -> Change:
        """Say what `new` has that this has not, and the other way round."""
        before, after = dict.fromkeys(self.bindings), dict.fromkeys(new.bindings)
        return Change(
            added=tuple(each for each in after if each not in before),
            removed=tuple(each for each in before if each not in after),
        )


def _order(binding: Binding) -> tuple[str, ...]:
    return binding.url, binding.source_id, binding.hostname, binding.cert, binding.key, binding.ca
