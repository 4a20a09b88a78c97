"""Send points as lines over TCP, and count the errors that come back."""

from __future__ import annotations

import trio

from nozzles.opentsdb.config import Config
from nozzles.opentsdb.points import points
from nozzles.sdk import Batch

_QUESTION = b"version\n"
_ERROR = b"put:"
_LINE_BYTES = 1024  # what OpenTSDB reads of one line; the same is kept of an answer


class Telnet:
    """One connection to an OpenTSDB."""

    def __init__(self, stream: trio.abc.Stream, config: Config) -> None:
        self._stream = stream
        self._config = config
        self._unread = b""
        self._signature: bytes | None = None
        self._errors = 0
        self._lost = ""

    async def write(self, batch: Batch) -> None:
        """Send a batch; returns when the peer has read it, or (unconfirmed) when it has been sent.

        Raises `ConnectionError` when the peer is gone, `trio.TooSlowError` when it takes too long.
        """
        lines: list[bytes] = []
        sent = formless = no_number = too_long = 0
        for envelope in batch:
            if (found := points(envelope, self._config)) is None:
                formless += 1
                continue
            own = [point.line() for point in found]
            if not own:
                no_number += 1
            elif max(map(len, own)) > _LINE_BYTES:
                too_long += 1
            else:
                sent += 1
                lines += own
        if lines:
            await self._exchange(b"".join(lines))
        refused = min(self._errors, sent)
        self._errors = 0 if self._config.confirm else self._errors - refused
        batch.skip(formless)
        for count, reason in ((no_number, "no_number"), (too_long, "too_long"), (refused, "refused")):
            if count:
                batch.refuse(count, reason)

    async def _exchange(self, lines: bytes) -> None:
        """Send lines while listening: a peer whose errors nobody reads would stop reading too."""
        confirm = self._config.confirm
        with trio.fail_after(self._config.timeout_s):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._listen, nursery.cancel_scope)
                await self._send(lines + _QUESTION if confirm else lines)
                if not confirm or self._lost:
                    nursery.cancel_scope.cancel()
        if self._lost:
            raise ConnectionError(f"OpenTSDB at {self._config.address}: {self._lost}")

    async def _send(self, data: bytes) -> None:
        try:
            await self._stream.send_all(data)
        except trio.BrokenResourceError as error:
            self._lost = f"connection lost: {error.__cause__ or error}"

    async def _listen(self, until: trio.CancelScope) -> None:
        """Count errors until the question is answered; ends `until` then, or when the connection does."""
        try:
            while received := await self._stream.receive_some():
                *lines, self._unread = (self._unread + received).split(b"\n")
                self._unread = self._unread[-_LINE_BYTES:]
                answers = [self._is_answer(line.rstrip(b"\r")) for line in lines]
                if any(answers):
                    break
            else:
                self._lost = "connection closed"
        except trio.BrokenResourceError as error:
            self._lost = f"connection lost: {error.__cause__ or error}"
        until.cancel()

    def _is_answer(self, line: bytes) -> bool:
        """Count a line that is an error; say whether another one is the answer to our question.

        An answer may be of several lines, but is always the same: its first line is what the next is known by.
        """
        if line.startswith(_ERROR):
            self._errors += 1
            return False
        if self._signature is None and line and self._config.confirm:
            self._signature = line
        return line == self._signature
