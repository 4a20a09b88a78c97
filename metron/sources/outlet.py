"""Where the sources hand over what they read, and how lines become envelopes on the way there."""

from collections.abc import Callable, Mapping
from typing import Protocol

from envelope import kernel
from envelope.pb.loggregator_v2_pb2 import Envelope
from metron.sources.counts import SourceCounts
from metron.sources.tail import Run


class Outlet(Protocol):
    """The rest of the metron, as a source sees it."""

    async def send(self, batch: bytes, count: int, settled: Callable[[], None] | None = None) -> None:
        """Hand over a serialised EnvelopeBatch of `count` envelopes; waits while there is no room (back-pressure).

        `settled` is called on the trio thread once the batch is delivered to a Doppler (or dropped and counted).
        """


def envelope_head(source_id: str, instance_id: str, tags: Mapping[str, str]) -> bytes:
    """Serialise, once, the fields that all envelopes of a source have in common."""
    return Envelope(source_id=source_id, instance_id=instance_id, tags=tags).SerializeToString()


class LogSender:
    """Counts lines and sends them as log envelopes, stamped with the time they are sent."""

    def __init__(self, outlet: Outlet, counts: SourceCounts, now_ns: Callable[[], int]) -> None:
        self._outlet = outlet
        self._counts = counts
        self._now_ns = now_ns

    async def send(self, run: Run, head: bytes, *, err: bool, settled: Callable[[], None] | None = None) -> None:
        """Hand over the lines as one batch; without any, nothing is waited for and `settled` is called at once."""
        self._counts.long_lines += run.long_lines
        if run.lines:
            batch = kernel.log_batch(run.lines, head, self._now_ns(), err)
            self._counts.lines_read += len(run.lines)
            await self._outlet.send(batch, len(run.lines), settled)
        elif settled is not None:
            settled()
