"""All subscribers of one reverse log proxy, gone ones included. Lives on the island."""

from __future__ import annotations

import asyncio

from plumbing.egress_client import Dopplers
from plumbing.egress_server import RequestRefused
from plumbing.ledger import Account
from plumbing.readers import Roster
from reverse_log_proxy.reader import Reader
from reverse_log_proxy.requests import Request, parse_request

_SHOWN = 100  # characters of a name


class Readers:
    """Opens a reader for each request that may be served, and keeps the books of all."""

    def __init__(self, dopplers: Dopplers, *, max_streams: int) -> None:
        self.rejected = 0
        self._dopplers = dopplers
        self._max_streams = max_streams
        self._roster: Roster[Reader] = Roster()
        self._unnamed = 0
        self._closing = False
        self._saying_goodbye: set[asyncio.Future[None]] = set()

    def __len__(self) -> int:
        return len(self._roster)

    def open(self, message: bytes) -> Reader:
        """Open a reader for a serialised request; raises `RequestRefused`."""
        if self._closing:
            raise RequestRefused("UNAVAILABLE", "shutting down")
        if len(self._roster) >= self._max_streams:
            self.rejected += 1
            text = f"unable to create stream, max egress streams reached: {self._max_streams}"
            raise RequestRefused("RESOURCE_EXHAUSTED", text)
        request = parse_request(message)
        reader = Reader(self._name(request), request, self._dopplers, self._left)
        self._roster.enter(reader)
        reader.start()
        return reader

    def close(self) -> None:
        """Let every subscriber take what is held for it and see the end of its stream."""
        self._closing = True
        for reader in self._roster:
            reader.close()

    async def gone(self) -> None:
        """Wait until the Dopplers know what arrived at those that left."""
        if self._saying_goodbye:
            await asyncio.wait(self._saying_goodbye)

    def accounts(self) -> list[Account]:
        """Show the books of the subscribers there are and of the last that left."""
        return self._roster.accounts()

    def total(self) -> Account:
        """Add all of them up."""
        return self._roster.total()

    def _name(self, request: Request) -> str:
        if request.shard_id:
            return request.shard_id[:_SHOWN]
        self._unnamed += 1
        return f"unnamed-{self._unnamed}"

    def _left(self, reader: Reader) -> None:
        self._roster.leave(reader)
        goodbye = asyncio.ensure_future(reader.gone())
        self._saying_goodbye.add(goodbye)
        goodbye.add_done_callback(self._saying_goodbye.discard)
