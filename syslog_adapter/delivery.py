"""How what waits for a drain gets there: its connection, the tries, and what becomes of each envelope in hand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import structlog
import trio

from envelope import kernel
from envelope.kinds import Kind
from syslog_adapter.binding import Binding
from syslog_adapter.cutting import Hand
from syslog_adapter.drain_url import DrainUrl, redacted
from syslog_adapter.notices import unreachable_text
from syslog_adapter.options import DrainSettings
from syslog_adapter.retry import MOST_WAIT_S
from syslog_adapter.writers import DrainUnavailable, Writer, Written

log = structlog.get_logger(__name__)

State: TypeAlias = Literal["idle", "connecting", "connected", "retrying", "closed"]

_SHOWN = 200  # characters of an error


class Queue(Protocol):
    """What waits for a drain: `MemoryQueue` or `SpoolQueue`."""

    hand: Hand

    @property
    def gives_up(self) -> bool:
        """Whether what fails too often is lost."""

    @property
    def held(self) -> int:
        """Envelopes that wait, those in hand included."""

    @property
    def on_disk(self) -> int:
        """Those of them that a kill leaves."""

    @property
    def recovered(self) -> int:
        """Envelopes that were there at the start."""

    @property
    def dropped(self) -> Mapping[str, int]:
        """Envelopes that were lost while they waited, by reason."""

    def put(self, batch: bytes, count: int) -> None:
        """Take an admitted batch."""

    def close(self, *, keep: bool) -> None:
        """Wait for nothing more; `keep` leaves what is on disk to whoever comes next."""

    def abandon(self) -> int:
        """Let go of all that is held, and say how much of it is lost."""

    async def serve(self, deliver: Callable[[], Awaitable[None]]) -> None:
        """Call `deliver` whenever something is in hand."""

    async def more(self, patience_s: float) -> bool:
        """Have something in hand; false when nothing came for so long, or nothing will come."""

    async def done(self) -> None:
        """Hear that something left the hand."""


@dataclass(slots=True)
class DeliveryCounts:
    """What became of the envelopes that were in hand."""

    sent: int = 0
    """Lines that were joined to one message are each sent with it."""
    skipped: int = 0
    malformed: int = 0
    exhausted: int = 0
    retried: int = 0
    """Tries after the first one: no part of the balance."""


class Delivery:
    """Sends what is in hand, again and again."""

    def __init__(self, url: DrainUrl, binding: Binding, settings: DrainSettings, queue: Queue) -> None:
        self.counts = DeliveryCounts()
        self.state: State = "idle"
        self.last_error = ""
        self._url = url
        self._binding = binding
        self._shown_url = redacted(binding.url)
        self._settings = settings
        self._queue = queue
        self._waits: Iterator[float] | None = None
        self._failing = False

    async def deliver(self) -> None:
        """Open the way to the drain, and send until nothing comes any more."""
        if not self._failing:
            self.state = "connecting"
        try:
            async with self._settings.open_writer(self._url, self._binding) as writer:
                while await self._queue.more(self._settings.idle_s):
                    await self._try(writer)
        except Exception as error:  # one drain must not end the others
            log.exception("drain_failed", url=self._shown_url, source_id=self._binding.source_id)
            await self._back_off(DrainUnavailable(type(error).__name__))
        if not self._queue.hand.count:
            self.state = "idle"

    async def _try(self, writer: Writer) -> None:
        try:
            written = await self._write(writer)
        except DrainUnavailable as failure:
            await self._back_off(failure)
        else:
            self._settle(self._queue.hand.count, written)
            self._recovered()
            await self._queue.done()

    async def _write(self, writer: Writer) -> Written:
        """Send what is in hand; only a few batches of the whole process are tried again at once, as in the original."""
        if self._waits is None or self._url.scheme != "https-batch":
            return await writer.write(self._queue.hand.batch)
        async with self._settings.batch_retries:
            return await writer.write(self._queue.hand.batch)

    def _settle(self, count: int, written: Written) -> None:
        """Count the first `count` in hand, and let go of them."""
        counts, gone = self.counts, self._queue.hand.let_go(count)
        joined = kernel.select(gone, int(Kind.BARE))[1] if self._url.options.joins else 0
        counts.skipped += written.skipped - joined
        counts.malformed += written.malformed
        counts.sent += count - written.skipped - written.malformed + joined

    def _recovered(self) -> None:
        if self._failing:
            log.info("drain_recovered", url=self._shown_url, source_id=self._binding.source_id)
        self.state = "connected"
        self._waits, self._failing, self.last_error = None, False, ""

    async def _back_off(self, failure: DrainUnavailable) -> None:
        """Wait before the next try; after the last one the first message is lost, and its followers have their turn."""
        await self._settle_partly(failure)
        self._note(failure)
        if self._waits is None:
            self._waits = self._settings.waits()
        wait_s = next(self._waits, None)
        if wait_s is None and self._queue.gives_up:
            self._waits = None
            await self._give_up()
            return
        self.counts.retried += 1
        await trio.sleep(max(MOST_WAIT_S if wait_s is None else wait_s, failure.retry_after_s))

    async def _settle_partly(self, failure: DrainUnavailable) -> None:
        """Settle those that it took before it failed: then the tries begin anew for the others."""
        if failure.done:
            self._settle(min(failure.done, self._queue.hand.count), failure.written)
            self._waits = None
            await self._queue.done()

    def _note(self, failure: DrainUnavailable) -> None:
        self.last_error = str(failure)[:_SHOWN]
        self.state = "retrying"
        if self._failing:
            return
        self._failing = True
        source_id = self._binding.source_id
        log.warning("drain_unavailable", url=self._shown_url, source_id=source_id, error=self.last_error)
        if not self._binding.is_aggregate:
            self._settings.warn(source_id, unreachable_text(self._shown_url))

    async def _give_up(self) -> None:
        """Lose the first message, or with `https-batch` all that would go together, as the original does."""
        hand = self._queue.hand
        lost = hand.count if self._url.scheme == "https-batch" else min(hand.first_message(), hand.count)
        self.counts.exhausted += lost
        hand.let_go(lost)
        await self._queue.done()
