"""What every way to a drain has in common: messages made of a batch, and how much of it was taken."""

from __future__ import annotations

import os
import ssl
from bisect import bisect_right
from collections.abc import Iterator
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

    `written` says what became of those, and `retry_after_s` how long the drain asks us to wait. The message names no
    credentials.
    """

    def __init__(
        self, message: str, done: int = 0, written: Written | None = None, *, retry_after_s: float = 0.0
    ) -> None:
        super().__init__(message)
        self.done = done
        self.written = written or Written()
        self.retry_after_s = retry_after_s


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

    def unavailable(self, reason: str, taken: int, *, retry_after_s: float = 0.0) -> DrainUnavailable:
        """Return the error to raise when the drain took only the first `taken` bytes."""
        done = bisect_right(self.ends, taken)
        if done == 0:
            return DrainUnavailable(reason, retry_after_s=retry_after_s)
        start = self.batch[: kernel.spans(self.batch)[done - 1][1]]
        return DrainUnavailable(reason, done, self.form.messages(start).written, retry_after_s=retry_after_s)

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
    """Say what went wrong: in the words of the system if it is the cause, or of the first in the chain that has any."""
    if from_system := [each for each in _causes(error) if isinstance(each, OSError) and each.strerror]:
        return _words_of(from_system[-1])
    said = error
    while not str(said) and (cause := said.__cause__ or said.__context__) is not None:
        said = cause
    if isinstance(said, trio.BrokenResourceError) and not str(said):
        return "the connection broke"
    return " ".join(str(said).split()) or type(said).__name__


def _words_of(error: OSError) -> str:
    """Say it as the system does, without the address that trio puts in front; other numbers are not the system's."""
    number = 0 if isinstance(error, ssl.SSLError) else error.errno or 0
    return os.strerror(number) if number > 0 else str(error.strerror)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it was made of; of a group, like the attempts at all addresses of a host, the first."""
    each: BaseException | None = error
    while each is not None:
        yield each
        if isinstance(each, BaseExceptionGroup):
            each = each.exceptions[0]
        else:
            held = (one for one in each.args if isinstance(one, BaseException))  # as httpcore does
            each = each.__cause__ or next(held, None)
