"""What a nozzle is made of: a config class, and an async context manager that yields `write(batch)`.

A nozzle writes one batch at a time: `write` returns when the batch is safe, and raises when it is not. Connecting,
sharding, filtering, batching, retrying, spooling and counting belong to the runner.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from envelope import kernel
from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch


@dataclass(slots=True)
class Batch:
    """Envelopes in order, as the bytes of a serialised `loggregator.v2.EnvelopeBatch`."""

    data: bytes
    count: int
    id: str = ""
    """The same in every attempt, also by another process, for kinds that deliver exactly once; else empty."""
    refused: dict[str, int] = field(default_factory=dict)
    """Envelopes that the sink will never take, by reason: see `refuse`."""
    skipped: int = 0
    """Envelopes that have no form at the sink: see `skip`."""
    _envelopes: tuple[Envelope, ...] | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Envelope]:
        if self._envelopes is None:
            self._envelopes = tuple(EnvelopeBatch.FromString(self.data).batch)
        return iter(self._envelopes)

    def only(self, indexes: Iterable[int]) -> Batch:
        """Return a batch of some of its envelopes, counted from 0, in their order here."""
        spans = kernel.spans(self.data)
        chosen = sorted(set(indexes))
        return Batch(b"".join(self.data[slice(*spans[index][:2])] for index in chosen), len(chosen), self.id)

    def refuse(self, count: int, reason: str) -> None:
        """Say that the sink takes all but `count` of these, and never will: they are dropped, and counted."""
        self.refused[reason] = self.refused.get(reason, 0) + count

    def skip(self, count: int) -> None:
        """Say that `count` of these have no form at the sink, like a log where only metrics go: no loss, but counted.

        As with `refuse`, what is said in an attempt counts once, for what the attempt does not leave to the next.
        """
        self.skipped += count


Write: TypeAlias = Callable[[Batch], Awaitable[None]]
"""Returns when the batch is safe."""


class SinkUnavailable(Exception):
    """The sink cannot take this now: try again, not before `retry_after_s`, and only what is `left` of the batch.

    Any other exception but `SinkRefused` means the same, and that the nozzle is to be opened anew for it.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None, left: Batch | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.left = left


class SinkDenied(SinkUnavailable):
    """The sink does not let us in, which somebody can mend: the message says what, and never the secret itself.

    It is tried again like `SinkUnavailable`, with the nozzle opened anew, so that a mended file is read.
    """


class SinkRefused(Exception):
    """The sink will never take this batch, but for what is skipped: it is dropped, and counted under `reason`."""

    def __init__(self, message: str, *, reason: str = "refused") -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class NozzleKind:
    """A kind of nozzle, found by its entry point in the group `standpipe.nozzles`."""

    Config: type[Any]
    """A `plumbing.config.Section`: the settings of the sink, TOML table `[nozzles.NAME.sink]`."""
    open: Callable[[Any], AbstractAsyncContextManager[Write]]
    delivery: Literal["at-least-once", "exactly-once"] = "at-least-once"
    """Exactly once where the sink knows a batch's `id` again, or each envelope's place in it."""
