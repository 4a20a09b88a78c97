"""The books: every envelope that came in was delivered, was dropped for a reason, or is still held.

Accounts are read, never written: each is a snapshot of counters that live beside the code that counts.
`Book` is what one process answers on `/ledger`; `standpipe ledger` puts the books of all processes side by side.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

SINK: Literal["sink"] = "sink"
"""Kind of the account of what goes from here to the outside, for good."""
PART: Literal["part"] = "part"
"""Kind of an account that is shown beside one of which it is a part: whoever adds up accounts leaves it out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One balance, in envelopes: `received == delivered + sum(dropped) + skipped + held + in_flight`.

    `held` waits in our buffers; `in_flight` was sent and not acknowledged yet. `skipped` envelopes are no loss:
    they have no form on the reader's wire, or the reader did not ask for them, or a newer one tells more.
    """

    account: str
    kind: str
    received: int
    delivered: int
    dropped: Mapping[str, int] = field(default_factory=dict)
    skipped: int = 0
    held: int = 0
    in_flight: int = 0
    returned: int = 0
    """Taken back from broken streams, to be sent again: no part of the balance, but some of it may arrive twice."""

    outside: int = 0
    """Exchanged with strangers, who keep no books: some of a subscription's `delivered`, of a door's or a reader's
    `received`."""

    on_disk: int = 0
    """Of `held` and `in_flight`, what outlives the process: the next one receives it from there."""

    unconfirmed: int = 0
    """Of `held` and `in_flight`, what its sender was not told is safe: when the process dies, a sender who waits for
    that word gives it again; a stranger may not."""

    @property
    def balance(self) -> int:
        """What is missing (positive) or was invented (negative); 0 when the books balance."""
        return self.received - self.delivered - sum(self.dropped.values()) - self.skipped - self.held - self.in_flight

    @property
    def dropped_total(self) -> int:
        """Envelopes dropped for any reason."""
        return sum(self.dropped.values())


def total(account: str, kind: str, parts: Sequence[Account]) -> Account:
    """Add several accounts up into one."""
    dropped: dict[str, int] = {}
    for part in parts:
        for reason, count in part.dropped.items():
            dropped[reason] = dropped.get(reason, 0) + count
    return Account(
        account=account,
        kind=kind,
        received=sum(part.received for part in parts),
        delivered=sum(part.delivered for part in parts),
        dropped=dropped,
        skipped=sum(part.skipped for part in parts),
        held=sum(part.held for part in parts),
        in_flight=sum(part.in_flight for part in parts),
        returned=sum(part.returned for part in parts),
        outside=sum(part.outside for part in parts),
        on_disk=sum(part.on_disk for part in parts),
        unconfirmed=sum(part.unconfirmed for part in parts),
    )


class Incarnation:
    """Which life of which component this is: a restart is a new incarnation with empty books."""

    def __init__(self, component: str) -> None:
        self.component = component
        self.id = uuid.uuid4().hex[:12]
        self.pid = os.getpid()
        self.started_at = time.time()

    def book(self, accounts: Sequence[Account]) -> dict[str, Any]:
        """Make the answer to `GET /ledger`, ready for JSON."""
        return {
            "component": self.component,
            "incarnation": self.id,
            "pid": self.pid,
            "started_at": self.started_at,
            "accounts": [
                {**asdict(account), "dropped": dict(account.dropped), "balance": account.balance}
                for account in accounts
            ],
        }
