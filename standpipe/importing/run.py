"""Bring files into a store that this process writes: read, made into batches, appended, flushed. Trio tasks, threads.

In:    files, one after the other; signals, which end it where it is.
Out:   events on disk, by the event store's own writer; what a file was like.
Drops: what is malformed, or what the store cannot keep; counted and told.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import trio

from event_store.storage import Store, StoreFull
from event_store.upkeep import Upkeep
from event_store.writer import Writer
from standpipe.importing.batches import Form, LengthBroken, MessageCounts, MessageReader, form_of
from standpipe.importing.line_times import Times
from standpipe.importing.lines import LineCounts, LineReader, Parcel
from standpipe.importing.streams import Stream, StreamBroken, as_utf8, open_stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is to be made of the files."""

    head: Callable[[Path], bytes]
    """What the envelopes of a file's lines have in common."""
    times: Callable[[int], Times]
    """What finds the times of lines of which none is later than that."""
    form: Form | None = None
    """None: whatever each file looks like."""
    err: bool = False
    join: bool = False
    compact: bool = False


@dataclass(slots=True)
class Imported:
    """What came of it."""

    files: int = 0
    """Those that were read to their end."""
    lines: LineCounts = field(default_factory=LineCounts)
    messages: MessageCounts = field(default_factory=MessageCounts)
    troubles: list[tuple[Path, str]] = field(default_factory=list)
    """Files that were not read, or not to their end."""
    path: Path | None = None
    """The file that is read, or was when it was interrupted."""
    upto: int = 0
    """As many of its lines, or messages, are in the store."""
    ended_by: int = 0
    """The number of the signal that interrupted it."""
    seconds: float = 0.0


OnProgress = Callable[[Stream, Imported], None]


class Import:
    """Imports files into a store, once."""

    def __init__(self, store: Store, wanted: Wanted, writer: Writer, tell: Callable[[str], None]) -> None:
        self.done = Imported()
        self._store = store
        self._wanted = wanted
        self._writer = writer
        self._tell = tell
        self._upkeep = Upkeep(store)
        self._flushing = False
        self._reading = trio.CancelScope()
        self._waiting = trio.CancelScope()

    async def run(self, paths: Sequence[Path], skip: int, on_progress: OnProgress) -> None:
        """Import `paths`, the first one from behind its first `skip` lines or messages; returns early on a signal."""
        began = time.monotonic()
        async with trio.open_nursery() as nursery:
            await nursery.start(self._hear_signals)
            with self._waiting:
                for path in paths:
                    self.done.path, self.done.upto = path, skip
                    await self._file(path, skip, on_progress)
                    if self.done.ended_by:
                        break
                    skip = 0
                await self._settle()
            nursery.cancel_scope.cancel()
        self.done.seconds = time.monotonic() - began

    async def _hear_signals(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """End the reading; what was read is written, unless there is no room for it or this comes again."""
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            task_status.started()
            async for number in signals:
                if self.done.ended_by or self._writer.trouble:
                    self._waiting.cancel()
                self.done.ended_by = number
                self._reading.cancel()

    def _until_interrupted(self) -> trio.CancelScope:
        self._reading = trio.CancelScope()
        if self.done.ended_by:  # in between, there was nothing to cancel
            self._reading.cancel()
        return self._reading

    async def _file(self, path: Path, skip: int, on_progress: OnProgress) -> None:
        troubles = len(self.done.troubles)
        try:
            with ExitStack() as opened:
                found = None
                with self._until_interrupted():  # a pipe may have nothing for a while, nor anybody who writes to it
                    opening = partial(self._opened, opened, path, skip)
                    found = await trio.to_thread.run_sync(opening, abandon_on_cancel=True)
                if found is not None:
                    await self._events_of(*found, on_progress)
        except StreamBroken as error:
            self._note_trouble(path, str(error))
        if not self.done.ended_by and len(self.done.troubles) == troubles:
            self.done.files += 1

    def _opened(self, opened: ExitStack, path: Path, skip: int) -> tuple[Stream, Iterator[Parcel]]:
        stream = opened.enter_context(open_stream(path))
        return stream, self._parcels(stream, skip)

    async def _events_of(self, stream: Stream, parcels: Iterator[Parcel], on_progress: OnProgress) -> None:
        send, receive = trio.open_memory_channel[Parcel](1)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._read, stream, parcels, send)
            async for parcel in receive:
                await self._write(parcel, nursery)
                on_progress(stream, self.done)

    def _note_trouble(self, path: Path, trouble: str) -> None:
        self.done.troubles.append((path, trouble))
        self._tell(f"{path}: {trouble}")

    async def _read(self, stream: Stream, parcels: Iterator[Parcel], send: trio.MemorySendChannel[Parcel]) -> None:
        with send, self._until_interrupted():
            while True:
                try:
                    parcel = await trio.to_thread.run_sync(next, parcels, None, abandon_on_cancel=stream.may_wait)
                except LengthBroken as error:
                    self._note_trouble(stream.path, str(error))
                    return
                if parcel is None:
                    return
                await send.send(parcel)

    async def _write(self, parcel: Parcel, nursery: trio.Nursery) -> None:
        if parcel.envelopes:
            await self._writer.put(parcel.batch, parcel.envelopes, safe=lambda: None)
        self.done.upto = max(self.done.upto, parcel.upto)
        if self._store.flush_due() and not self._flushing:
            self._flushing = True
            nursery.start_soon(self._flush)

    async def _flush(self) -> None:
        await self._upkeep.flush()
        self._flushing = False

    async def _settle(self) -> None:
        await self._upkeep.flush()
        if self._wanted.compact and not self.done.ended_by:
            with self._until_interrupted():
                compact = partial(self._store.compact, everything=True)
                try:
                    await trio.to_thread.run_sync(compact, abandon_on_cancel=True)
                except StoreFull as error:
                    self._tell(f"the events are in the store, and not compacted: {error}")

    def _parcels(self, stream: Stream, skip: int) -> Iterator[Parcel]:
        """Read a file as what it is."""
        wanted, tell = self._wanted, partial(self._tell_of, stream.path)
        beginning = stream.head()
        form = wanted.form or form_of(beginning)
        chunks = self._chunks(stream)
        if form is Form.LINES:
            times = wanted.times(stream.newest_ns)
            head, start_ns = wanted.head(stream.path), stream.newest_ns
            lines = LineReader(head, times, start_ns, err=wanted.err, join=wanted.join, skip=skip)
            lines.counts = self.done.lines
            return lines.parcels(as_utf8(beginning, chunks))
        messages = MessageReader(form, tell, skip)
        messages.counts = self.done.messages
        return messages.parcels(chunks)

    def _tell_of(self, path: Path, what: str) -> None:
        self._tell(f"{path}: {what}")

    def _chunks(self, stream: Stream) -> Iterator[bytes]:
        """Read to the end, or as far as it goes."""
        try:
            while chunk := stream.read():
                yield chunk
        except StreamBroken as error:
            self._note_trouble(stream.path, str(error))


@contextmanager
def no_end_untold() -> Iterator[None]:
    """Let signals end nothing but the reading: who is not told that all is in the store would bring it in again."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
