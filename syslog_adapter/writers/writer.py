"""What every way to a drain has in common: messages made of a batch, and how much of it was taken."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Protocol

import trio

from envelope import kernel
from syslog_adapter.binding import Binding
from syslog_adapter.drain_url import DrainUrl
from syslog_adapter.writers.config import WriterSettings


@dataclass(frozen=True, slots=True)
class Written:
    """What became of envelopes: how many were sent, skipped (the drain wants no such) and malformed (have no form)."""

    envelopes: int = 0
    skipped: int = 0
    malformed: int = 0


class DrainUnavailable(Exception):
    """The drain cannot take this now: try again, with all but the first `done` envelopes of the batch.

    `written` says what became of those. The message names no credentials.
    """

    def __init__(self, message: str, done: int = 0, written: Written | None = None) -> None:
        super().__init__(message)
        self.done = done
        self.written = written or Written()


class Writer(Protocol):
    """An open drain."""

    async def write(self, batch: bytes) -> Written:
        """Send what an admitted batch says. One call at a time. Raises `DrainUnavailable`."""


@dataclass(frozen=True, slots=True)
class Form:
    """How the messages of a drain are made."""

    hostname: bytes
    kinds: int
    metadata: bool

    @classmethod
    def of(cls, drain: DrainUrl, binding: Binding, settings: WriterSettings) -> Form:
        """Return what a drain's URL, its binding and the settings say together."""
        metadata = settings.metadata if drain.metadata is None else drain.metadata
        return cls(binding.hostname.encode(), drain.kinds, metadata)

    def messages(self, batch: bytes) -> Messages:
        """Make messages of a batch, each behind the count of its bytes."""
        data, ends, envelopes, skipped, malformed = kernel.syslog(
            batch, self.hostname, self.kinds, self.metadata, octets=True
        )
        return Messages(self, batch, data, ends, Written(envelopes, skipped, malformed))


@dataclass(frozen=True, slots=True)
class Messages:
    """A batch as messages."""

    form: Form
    batch: bytes
    data: bytes
    ends: list[int]
    """For every envelope of the batch, where in `data` what was made of it and those before it ends."""
    written: Written

    def unavailable(self, reason: str, taken: int) -> DrainUnavailable:
        """Return the error to raise when the drain took only the first `taken` bytes."""
        done = bisect_right(self.ends, taken)
        if done == 0:
            return DrainUnavailable(reason)
        start = self.batch[: kernel.spans(self.batch)[done - 1][1]]
        return DrainUnavailable(reason, done, self.form.messages(start).written)

    def each(self) -> list[tuple[int, int]]:
        """Say where in `data` each message is, without its count: (start, end)."""
        found, at = [], 0
        while at < len(self.data):
            start = self.data.index(b" ", at) + 1
            end = start + int(self.data[at : start - 1])
            found.append((start, end))
            at = end
        return found


def reason_of(error: BaseException) -> str:
    """Say what went wrong in the words of the first in the chain of causes that has any."""
    said = error
    while not str(said) and (cause := said.__cause__ or said.__context__) is not None:
        said = cause
    if isinstance(said, trio.BrokenResourceError) and not str(said):
        return "the connection broke"
    strerror = said.strerror if isinstance(said, OSError) else None
    return strerror or " ".join(str(said).split()) or type(said).__name__
