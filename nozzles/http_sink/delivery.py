"""Send a batch in bodies of bounded size, and account for each of its envelopes whatever becomes of them.

In:    what each envelope is in the form of a sink, and how one body is sent.
Out:   the bodies, one after the other.
Drops: what the sink refuses, counted in the batch; what is in no body has no form at the sink, and is skipped.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import structlog

from nozzles.sdk import Batch, SinkRefused, SinkUnavailable

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Item:
    """What an envelope, or several, are in the form of a sink; no envelope stands in two of them."""

    indexes: tuple[int, ...]
    """Of the envelopes, in their batch."""
    data: bytes
    entries: int = 1
    """How many of the sink's own things it makes."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of the items of one body; those not named here are safe."""

    refused: Mapping[str, int] = field(default_factory=dict)
    """How many will never be taken, by reason."""
    again: Sequence[Sequence[Item]] = ()
    """Groups to be sent right now."""
    left: Sequence[Item] = ()
    """To be sent another time."""
    trouble: SinkUnavailable | None = None
    """Why, if the sink says so."""


Send: TypeAlias = Callable[[Sequence[Item]], Awaitable[Outcome | None]]
"""Sends one body; None says that all of it is safe, `SinkRefused` and `SinkUnavailable` speak of all of it."""


def grouped(
    items: Iterable[Item], *, max_bytes: int, max_entries: int | None = None, between: int = 1
) -> Iterator[list[Item]]:
    """Group items, in order, so that no body is too large; `between` bytes separate two of them.

    An item that is too large by itself stands alone.
    """
    group: list[Item] = []
    size = entries = 0
    for item in items:
        more = size + len(item.data), entries + item.entries
        if group and (more[0] > max_bytes or (max_entries is not None and more[1] > max_entries)):
            yield group
            group, more = [], (len(item.data), item.entries)
        group.append(item)
        size, entries = more[0] + between, more[1]
    if group:
        yield group


async def deliver(batch: Batch, groups: Iterable[Sequence[Item]], send: Send, *, comes_whole: bool = False) -> None:
    """Send groups of items one after the other, up to the first that finds the sink unavailable.

    What is refused is counted in the batch; when that is all of it, `SinkRefused` is raised instead. What stands in no
    group, and is not refused already, is skipped. A group that is too large is tried in halves. When something is
    left, `SinkUnavailable` says what; with `comes_whole` it names nothing, and nothing is counted yet: the whole batch
    is expected again.
    """
    delivery = _Delivery(deque(groups))
    formless = len(batch) - sum(batch.refused.values()) - sum(map(envelopes, delivery.waiting))
    while delivery.waiting and not delivery.left:
        await delivery.send_next(send)
    items = [*delivery.left, *(item for group in delivery.waiting for item in group)]
    left = [index for item in items for index in item.indexes]
    trouble = delivery.trouble or SinkUnavailable(f"the sink had no room for {len(left)} envelopes")
    if left and comes_whole:
        raise trouble
    batch.skip(formless)
    delivery.count_refused(batch)
    if left:
        trouble.left = batch.only(left)
        raise trouble


def envelopes(items: Iterable[Item]) -> int:
    """Say of how many envelopes items are made."""
    return sum(len(item.indexes) for item in items)


class _Delivery:
    """Where the items of one batch are."""

    def __init__(self, waiting: deque[Sequence[Item]]) -> None:
        self.waiting = waiting
        self.left: Sequence[Item] = ()
        self.refused: Counter[str] = Counter()
        self.refusal: SinkRefused | None = None
        self.trouble: SinkUnavailable | None = None

    async def send_next(self, send: Send) -> None:
        group = self.waiting.popleft()
        try:
            outcome = await send(group) or Outcome()
        except SinkRefused as error:
            if error.reason == "too_large" and len(group) > 1:
                middle = len(group) // 2
                self.waiting.extendleft((group[middle:], group[:middle]))
                return
            self.refusal = error
            outcome = Outcome({error.reason: envelopes(group)})
        except SinkUnavailable as error:
            outcome = Outcome(left=group, trouble=error)
        self.refused.update(outcome.refused)
        self.left, self.trouble = outcome.left, outcome.trouble
        self.waiting.extendleft(reversed(outcome.again))

    def count_refused(self, batch: Batch) -> None:
        """Count in the batch what was refused; raise what the sink said when that is all that is not skipped."""
        count = self.refused.total()
        if self.refusal and self.refused[self.refusal.reason] == len(batch) - batch.skipped:
            raise self.refusal
        for reason, of_these in self.refused.items():
            batch.refuse(of_these, reason)
        if count:
            log.warning("sink_refused", envelopes=count, of=len(batch), answer=str(self.refusal or ""))
