"""All the drains of an adapter: made and closed as the bindings change; one that did not change lives on.

In:    tables of bindings. Out: drains, which the dispatcher is told of.
Drops: what waits for a drain whose binding went, if it cannot be delivered in time.
"""

from __future__ import annotations

from collections.abc import Iterable

import trio

from plumbing.ledger import SINK, Account, total
from syslog_adapter.binding import Binding
from syslog_adapter.bindings.table import Table
from syslog_adapter.dispatch import Dispatcher
from syslog_adapter.drain import Drain
from syslog_adapter.notices import lost_text
from syslog_adapter.options import DrainSettings

_ACCOUNT = "drains"
_HAND_OVER_S = 1.0
"""How long a drain goes on when another waits for its spool."""


class Pool:
    """Holds the drains, those that are on their way out, and the books of those that went."""

    def __init__(self, dispatcher: Dispatcher, settings: DrainSettings, *, close_grace_s: float = 60.0) -> None:
        self.drains: dict[Binding, Drain] = {}
        self.wanted = trio.Event()
        """Set once there is a drain: until then nobody needs to read anything."""
        self._dispatcher = dispatcher
        self._settings = settings
        self._close_grace_s = close_grace_s
        self._closed = False
        self._table = Table()
        self._leaving: list[Drain] = []
        self._gone = total(_ACCOUNT, SINK, [])
        self._retried_by_gone = 0

    def apply(self, table: Table) -> None:
        """Have the drains of this table, and no others; none any more once it is closed."""
        if self._closed:
            return
        change = self._table.change_to(table)
        for binding in change.removed:
            self._leave(self.drains.pop(binding), self._close_grace_s, keep=False)
        taken = {drain.spool for drain in self.drains.values() if drain.spool}
        leaving = {drain.spool: drain for drain in self._leaving if drain.spool}
        before = {drain.binding: drain.spool for drain in leaving.values()}
        for binding in sorted(change.added, key=lambda each: each not in before):  # what comes back gets its own
            others = leaving.keys() - {before[binding]} if binding in before else set()
            drain = self.drains[binding] = Drain(binding, self._settings, self._went, taken | others)
            if drain.spool:
                taken.add(drain.spool)
            if drain.spool in leaving:  # it has new credentials, say, or comes back
                leaving[drain.spool].hand_over(_HAND_OVER_S)
        self._table = table
        if self.drains:
            self.wanted.set()
        by_source = {
            source.encode(): tuple(self.drains[binding] for binding in bindings)
            for source, bindings in table.by_source.items()
        }
        keepers = [drain for drain in self.everyone if drain.has_spool]
        self._dispatcher.route(by_source, [self.drains[binding] for binding in table.aggregates], keepers)

    async def close(self, grace_s: float) -> None:
        """Deliver what waits, for `grace_s` at most, and end every drain; spools keep what is left."""
        self._closed = True
        self._dispatcher.route({}, [])
        for drain in self.drains.values():
            self._leave(drain, grace_s, keep=True)
        self.drains.clear()
        self._table = Table()
        for drain in [*self._leaving]:
            drain.close(grace_s)
        for drain in [*self._leaving]:
            await drain.finished.wait()

    def tell_losses(self) -> None:
        """Tell the owner of each app what its drains have lost since the last time."""
        for drain in self.everyone:
            self._tell(drain)

    @property
    def everyone(self) -> Iterable[Drain]:
        """Every drain that is not gone."""
        return [*self.drains.values(), *self._leaving]

    @property
    def retried(self) -> int:
        """Tries after the first one, of all drains there ever were."""
        return self._retried_by_gone + sum(drain.retried for drain in self.everyone)

    def account(self) -> Account:
        """Show the books of all drains there ever were, as one."""
        return total(_ACCOUNT, SINK, [self._gone, *(drain.account("") for drain in self.everyone)])

    def active(self) -> int:
        """Say how many drains have something to send, or a connection open."""
        return sum(drain.state not in ("idle", "closed") for drain in self.everyone)

    def longest_lag_s(self) -> float:
        """Say how long the oldest envelope of all has waited."""
        now = trio.current_time()
        return max((drain.lag_s(now) for drain in self.everyone), default=0.0)

    def _leave(self, drain: Drain, grace_s: float, *, keep: bool) -> None:
        self._leaving.append(drain)
        drain.close(grace_s, keep=keep)

    def _went(self, drain: Drain) -> None:
        """Keep of a drain that is over nothing but its books."""
        self._tell(drain)
        self._leaving.remove(drain)
        self._gone = total(_ACCOUNT, SINK, [self._gone, drain.account("")])
        self._retried_by_gone += drain.retried

    def _tell(self, drain: Drain) -> None:
        untold = drain.untold
        if untold and not drain.binding.is_aggregate:
            source_id = drain.binding.source_id
            self._settings.warn(source_id, lost_text(untold, source_id, drain.shown_url))
        drain.told += untold
