"""The v1 firehose of a traffic controller as a source (loggregator.md 3.1). Lives in trio.

In:    v1 envelopes out of one WebSocket, opened again and again until the nozzle stops.
Out:   v2 batches, to the intake.
Drops: what is no v1 envelope, counted as malformed. A WebSocket has no confirmations: what is lost between the traffic
       controller and here nobody can count, and what this process holds in memory is gone when it is killed.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import NamedTuple
from urllib.parse import quote

import structlog
import trio

from envelope.kinds import Kind
from envelope.v1_to_v2 import to_v2_batch
from nozzles.config import Config
from nozzles.runner.selection import selection_of
from nozzles.runner.source import make_intake
from plumbing.config import ConfigError, parse_listen
from plumbing.gathering.batcher import Piece
from plumbing.gathering.crossing import Crossing, Here
from plumbing.ledger import Account
from plumbing.secret_files import read_secret
from plumbing.subscription import check
from plumbing.tls import TlsError, client_context
from plumbing.websocket_conversation import StreamError, StreamRefused, StreamUnavailable
from plumbing.websocket_reader import Source, follow

log = structlog.get_logger(__name__)

_CROSSING_PIECES = 16
"""What was read at one go, 256 KiB at most but for a larger envelope; beyond that the traffic controller must wait."""


@dataclass(slots=True)
class Streams:
    """How often there was a stream."""

    connects: int = 0
    disconnects: int = 0


@dataclass(slots=True, eq=False)
class Opened:
    """One WebSocket."""

    peer: str
    """Its address."""
    is_over: bool = False


class Unconfirmed(NamedTuple):
    """What came together, made v2; nobody waits to hear that it is safe."""

    batch: bytes
    stream: Opened
    is_kept: bool = False

    def confirm(self) -> None:
        """Tell nobody."""


class FirehoseSource:
    """The firehose of one traffic controller, shared with every reader of the same subscription."""

    def __init__(self, config: Config, known: Iterable[bytes] | None) -> None:
        """Raises `ConfigError` when the token or a certificate cannot be read."""
        self.connections = Streams()
        self.crossing: Crossing[Piece] = Crossing(Here(), _CROSSING_PIECES, new_event=trio.Event)
        self.intake = make_intake(config, config.filter, self.crossing, known)
        self._config = config
        self._reading = trio.CancelScope()
        self._path = f"/firehose/{quote(config.subscription, safe='')}"
        self._query = "" if selection_of(config.filter).kinds & Kind.LOG else "filter-type=metrics"
        self.url = f"wss://{config.websocket.address}{self._path}{'?' if self._query else ''}{self._query}"
        self._opened = Opened(self.url)
        self._find()

    async def open(self, nursery: trio.Nursery) -> None:
        """Begin to read."""
        nursery.start_soon(self._read)

    async def account(self) -> Account:
        """Show the books of what came: all of it from a stranger, as far as confirmations go."""
        return self.intake.account()

    async def stop(self) -> None:
        """Let nothing more in, and say goodbye."""
        self.intake.close()
        self._reading.cancel()

    async def close(self) -> None:
        """Do nothing: there is nothing left to tell."""

    async def _read(self) -> None:
        with self._reading:
            async with aclosing(follow(self._look_again, self._lost, random.Random(), insist=True)) as arrivals:
                async for messages in arrivals:
                    if messages:
                        await self._take(messages)
                    else:
                        self._opened = Opened(self.url)
                        self.connections.connects += 1
                        log.info("firehose_open", url=self.url)

    async def _take(self, messages: list[bytes]) -> None:
        batch, malformed = to_v2_batch(messages)
        if malformed:
            log.warning("malformed_envelopes_skipped", count=malformed, url=self.url)
        checked = check(Unconfirmed(batch, self._opened))
        await self.intake.take(replace(checked, malformed=checked.malformed + malformed))

    def _look_again(self) -> Source:
        """Find everything anew: a token or certificate may have been renewed."""
        try:
            return self._find()
        except ConfigError as error:
            raise StreamUnavailable(str(error)) from error

    def _find(self) -> Source:
        settings = self._config.websocket
        host, port = parse_listen(settings.address)
        try:
            context = client_context(settings.ca or self._config.tls_ca)
        except TlsError as error:
            raise ConfigError(str(error)) from error
        return Source(
            host=host,
            port=port,
            server_name=settings.server_name or host,
            tls=context,
            token=read_secret(settings.token_file).removeprefix("bearer ") if settings.token_file else "",
            path=self._path,
            query=self._query,
        )

    def _lost(self, error: StreamError) -> None:
        streams, settings = self.connections, self._config.websocket
        streams.disconnects = streams.connects
        self._opened.is_over = True
        if isinstance(error, StreamRefused) and error.is_denied:
            shown = str(settings.token_file) if settings.token_file else "none"
            log.error("firehose_token_refused", url=self.url, token_file=shown, error=str(error))
        else:
            log.warning("firehose_lost", url=self.url, error=str(error))
