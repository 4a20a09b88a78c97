"""Write to a drain over HTTPS: many messages a POST, one behind the other, each ending its line.

In:    batches.
Out:   requests, one after the other; an answer of 2xx is all of it taken, any other one says to try again.
Drops: nothing.
"""

from __future__ import annotations

from collections.abc import Iterator

from syslog_adapter.writers.https import Poster
from syslog_adapter.writers.writer import Form, Messages, Written


class HttpsBatchWriter:
    """An open drain that takes many messages a request."""

    def __init__(self, poster: Poster, form: Form, max_bytes: int) -> None:
        self._poster = poster
        self._form = form
        self._max_bytes = max_bytes

    async def write(self, batch: bytes) -> Written:
        """Send what an admitted batch says, or raise `DrainUnavailable`."""
        messages = self._form.messages(batch)
        taken = 0
        for body, end in bodies(messages, self._max_bytes):
            failure = await self._poster.post(body)
            if failure is not None:
                raise messages.unavailable(str(failure), taken, retry_after_s=failure.retry_after_s)
            taken = end
        return messages.written


def bodies(messages: Messages, max_bytes: int) -> Iterator[tuple[bytes, int]]:
    """Join messages to bodies of `max_bytes` at most, but one at least: (body, where in the data its last one ends)."""
    pieces: list[bytes] = []
    size = last = 0
    for start, end in messages.each():
        if pieces and size + end - start > max_bytes:
            yield b"".join(pieces), last
            pieces, size = [], 0
        pieces.append(messages.data[start:end])
        size += end - start
        last = end
    if pieces:
        yield b"".join(pieces), last
