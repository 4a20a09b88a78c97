"""Keep the set of drains as the bindings say: ask every source again and again, and apply what has changed.

In:    bindings of all sources. Out: one table of those that are good; a word to the app whose drain is not.
Drops: bindings that cannot become drains, counted. A source that fails keeps what it said before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import structlog
import trio

from syslog_adapter.binding import Binding
from syslog_adapter.bindings.errors import SourceUnavailable
from syslog_adapter.bindings.table import Table
from syslog_adapter.bindings.validate import Rejection, Validator
from syslog_adapter.drain_url import redacted

log = structlog.get_logger(__name__)


class BindingSource(Protocol):
    """A place that knows bindings."""

    name: str
    interval_s: float

    async def read(self) -> tuple[Binding, ...]:
        """Return all it knows; raises `SourceUnavailable`."""


@dataclass(slots=True)
class KeeperCounts:
    """What the sources said."""

    refreshes: int = 0
    failures: int = 0
    listed: int = 0
    """Bindings of all sources, as of the last look."""
    invalid: int = 0
    blacklisted: int = 0
    by_source: dict[str, tuple[Binding, ...]] = field(default_factory=dict)


class Keeper:
    """Holds what each source said last, and the table that came of it."""

    def __init__(
        self,
        sources: Sequence[BindingSource],
        validator: Validator,
        apply: Callable[[Table], None],
        warn: Callable[[str, str], None],
        *,
        per_source: int,
    ) -> None:
        """Call `apply` with each new table, and `warn(source_id, text)` once for each thing that is wrong."""
        self.table = Table()
        self.counts = KeeperCounts()
        self.left_out: dict[Binding, str] = {}
        """Bindings that are no drain, and why."""
        self._sources = sources
        self._validator = validator
        self._apply = apply
        self._warn = warn
        self._per_source = per_source
        self._wrong: dict[str, str] = {}
        self._told: dict[Binding, str] = {}
        self._turn = trio.Lock()

    async def refresh(self) -> None:
        """Ask every source once."""
        async with trio.open_nursery() as asking:
            for source in self._sources:
                asking.start_soon(self._ask, source)
        await self._settle()

    async def run(self) -> None:
        """Ask each source at its interval, until cancelled."""
        async with trio.open_nursery() as asking:
            for source in self._sources:
                asking.start_soon(self._keep_asking, source)

    async def _keep_asking(self, source: BindingSource) -> None:
        while True:
            await trio.sleep(source.interval_s)
            await self._ask(source)
            await self._settle()

    async def _ask(self, source: BindingSource) -> None:
        self.counts.refreshes += 1
        try:
            self.counts.by_source[source.name] = await source.read()
            if self._wrong.pop(source.name, None):
                log.info("bindings_readable_again", source=source.name)
        except SourceUnavailable as error:
            self.counts.failures += 1
            if self._wrong.get(source.name) != str(error):
                log.warning("bindings_unavailable", source=source.name, error=str(error))
            self._wrong[source.name] = str(error)

    async def _settle(self) -> None:
        """Make one table of what all sources say, and apply it if it is another than before."""
        async with self._turn:
            listed = dict.fromkeys(each for bindings in self.counts.by_source.values() for each in bindings)
            rejected = await self._validator.rejections(listed)
            drains = frozenset(self.table.bindings)
            good = [
                each for each in listed if each not in rejected or (each in drains and rejected[each].may_pass)
            ]  # a name server that fails for a moment takes no drain away
            self._tell({each: rejected[each] for each in rejected.keys() - set(good)})
            self.counts.listed = len(listed)
            self.counts.invalid = len(listed) - len(good)
            self.counts.blacklisted = sum(each.is_blacklisted for each in rejected.values())
            table = Table.of(good, per_source=self._per_source)
            self.left_out = self._left_out(good, rejected, table)
            if table != self.table:
                self.table = table
                self._apply(table)

    def _left_out(
        self, good: Sequence[Binding], rejected: Mapping[Binding, Rejection], table: Table
    ) -> dict[Binding, str]:
        drains, kept = frozenset(table.bindings), frozenset(good)
        beyond = f"Beyond the {self._per_source} drains that a source may have"
        wrong = {each: self._told.get(each, why.reason) for each, why in rejected.items() if each not in kept}
        return wrong | {each: beyond for each in good if each not in drains}

    def _tell(self, rejected: dict[Binding, Rejection]) -> None:
        """Say what is wrong with each binding, once, until something else is wrong or it has been good."""
        told = {binding: reason for binding, reason in self._told.items() if binding in rejected}
        for binding, rejection in rejected.items():
            if rejection.is_repeated or told.get(binding) == rejection.reason:
                continue
            told[binding] = rejection.reason
            log.warning(
                "invalid_drain", url=redacted(binding.url), source_id=binding.source_id, reason=rejection.reason
            )
            if not binding.is_aggregate:
                self._warn(binding.source_id, rejection.reason)
        self._told = told
