"""Forward each envelope as an event to Fluentd, Fluent Bit or whatever else speaks the Fluent Forward protocol v1.

In:    batches.
Out:   PackedForward messages over TCP or TLS, each acknowledged by the receiver; events of a tag stay in order.
Drops: nothing.

At least once. A batch is safe when the receiver has acknowledged every chunk of it: it may be there twice when an
acknowledgement was lost. A receiver that never acknowledges (Fluentd and Fluent Bit do when asked, as they are here) is
tried again and again.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from nozzles.fluent.config import Config
from nozzles.fluent.connection import Connection, ConnectionLost
from nozzles.fluent.events import chunks_of
from nozzles.fluent.handshake import Credentials, HandshakeFailed
from nozzles.sdk import Batch, NozzleKind, SinkDenied, SinkUnavailable, Write
from plumbing.secret_files import read_secret

__all__ = ["Config", "kind", "open_nozzle"]

_TROUBLE = (OSError, ssl.SSLError, trio.BrokenResourceError, trio.TooSlowError, ConnectionLost, HandshakeFailed)
_REMEDY = "mend hostname, shared_key_file, user and password_file, or what the receiver has of them"


@asynccontextmanager
async def open_nozzle(config: Config) -> AsyncIterator[Write]:
    """Yield `write`; the connection is made for the first batch, and made anew for the next one after it broke."""
    credentials = _credentials(config)
    connection: Connection | None = None

    async def write(batch: Batch) -> None:
        nonlocal connection
        chunks = chunks_of(batch.data, config.tag, config.max_message_bytes)
        safe: list[int] = []
        done = False
        try:
            with trio.fail_after(config.ack_timeout_s):
                connection = connection or await Connection.open(config, credentials)
            with trio.fail_after(config.ack_timeout_s):
                await connection.deliver(chunks, compress=config.compress, safe=safe)
            done = True
        except* _TROUBLE as group:
            problem = _first(group)
            left = batch.only(set(range(batch.count)) - set(safe))
            if isinstance(problem, HandshakeFailed):
                raise SinkDenied(f"{config.address}: {problem}; {_REMEDY}", left=left) from problem
            raise SinkUnavailable(f"{config.address}: {problem}", left=left) from problem
        finally:
            if connection is not None and not done:
                broken, connection = connection, None
                await broken.close()

    try:
        yield write
    finally:
        if connection is not None:
            await connection.close()


def _credentials(config: Config) -> Credentials | None:
    if config.shared_key_file is None:
        return None
    password = read_secret(config.password_file) if config.password_file else ""
    return Credentials(config.hostname, read_secret(config.shared_key_file), config.user, password)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return what went wrong first of what went wrong together."""
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


kind = NozzleKind(Config, open_nozzle, "at-least-once")
