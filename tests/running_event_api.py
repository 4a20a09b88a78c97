"""An event store with its HTTP API for the time of a test, fed through a Doppler, with its tokens."""

from __future__ import annotations

import ssl
import time
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import grpc
import h11
import httpx
import orjson
import trio

from envelope.pb.loggregator_v2_pb2 import Envelope
from plumbing.lifecycle import Ports
from plumbing.tls import client_context
from plumbing.tokens import TokenStore
from standpipe.reading.server_sent_events import Event, EventParser
from tests.raw_http import Stream
from tests.raw_http import dial as dial_http
from tests.running import dial, eventually, metric, readers_at, running, send_over
from tests.running_event_store import running_event_store


class Tail:
    """A live tail on a connection of its own."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._http = h11.Connection(h11.CLIENT)
        self._parser = EventParser()
        self._heard: deque[Event] = deque()

    @property
    def last_id(self) -> str:
        """Where it has come to."""
        return self._parser.last_id

    async def ask(self, target: str, token: str, last_id: str = "") -> None:
        """Send the request, and wait until the tail is open and says where it begins."""
        headers = [("Host", "store"), ("Authorization", f"Bearer {token}")]
        headers += [("Last-Event-ID", last_id)] if last_id else []
        asked = self._http.send(h11.Request(method="GET", target=target, headers=headers)) or b""
        await self._stream.send_all(asked + (self._http.send(h11.EndOfMessage()) or b""))
        head = await self._next()
        assert isinstance(head, h11.Response)
        assert head.status_code == 200
        while not self._parser.last_id:
            self._heard += self._parser.feed(bytes((await self._next()).data))

    async def next(self) -> tuple[str, Any]:
        """Wait for an event: its name, and its data."""
        with trio.fail_after(20):
            while not self._heard:
                self._heard += self._parser.feed(bytes((await self._next()).data))
        event = self._heard.popleft()
        return event.name, orjson.loads(event.data)

    async def _next(self) -> Any:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._stream.receive_some())
        return event


@dataclass
class EventApi:
    """A store that runs, and what a test does with it."""

    ports: Ports
    certs: Path
    trusting: ssl.SSLContext
    tokens: TokenStore
    channel: grpc.Channel
    sent: int = 0

    @property
    def address(self) -> str:
        """Where the API is."""
        return self.ports["listen"]

    def token(self, *sources: str) -> str:
        """One that reads some sources; without any, everything."""
        if not sources:
            return self.tokens.ensure_admin_token(time.time()).read_text()
        return self.tokens.create(scopes=[], sources=list(sources), expires_in_s=600, now=time.time())

    def http(self, token: str | None = "") -> httpx.AsyncClient:
        """A client that shows a token: the administrator's unless another is named, or none."""
        headers = {} if token is None else {"Authorization": f"Bearer {token or self.token()}"}
        return httpx.AsyncClient(
            base_url=f"https://{self.address}", verify=self.trusting, trust_env=False, timeout=20, headers=headers
        )

    async def get(self, path: str, token: str | None = "", **params: Any) -> httpx.Response:
        """Ask once."""
        async with self.http(token) as client:
            return await client.get(path, params=params)

    async def post(self, path: str, token: str | None = "", **form: Any) -> httpx.Response:
        """Ask once, with a form."""
        async with self.http(token) as client:
            return await client.post(path, data=form)

    async def send(self, *envelopes: Envelope) -> None:
        """Send, and wait until the store has all of it."""
        await send_over(self.channel, *envelopes)
        self.sent += len(envelopes)
        await eventually(self._has_all)

    async def metric(self, name: str) -> float:
        """Read one of its metrics."""
        return await metric(self.ports, self.certs, name)

    @asynccontextmanager
    async def tail(self, query: str = "", token: str = "", last_id: str = "") -> AsyncIterator[Tail]:
        """Follow, from when this is entered, or from where another was."""
        stream = await dial_http(self.address, self.trusting)
        async with stream:
            tail = Tail(stream)
            await tail.ask(f"/api/tail?query={quote(query)}", token or self.token(), last_id)
            yield tail

    async def _has_all(self) -> bool:
        return await self.metric("event_store_envelopes_stored_total") >= self.sent


@asynccontextmanager
async def open_event_api(certs: Path, tmp_path: Path, **settings: Any) -> AsyncIterator[EventApi]:
    """Run a store at a Doppler of its own; its tokens are local."""
    tokens = TokenStore(tmp_path / "store-tokens")
    tokens.ensure_admin_token(time.time())
    own = {"auth": {"tokens_dir": tmp_path / "store-tokens"}, "drain_grace_s": 1.0, **settings}
    async with (
        running("doppler", certs, drain_grace_s=1.0) as doppler,
        running_event_store(certs, doppler, tmp_path / "store", **own) as ports,
    ):
        await readers_at(doppler, certs, 1)
        with dial(doppler["listen"], certs, "doppler") as channel:
            yield EventApi(ports, certs, client_context(certs / "ca.crt"), tokens, channel)


def log(text: str, source_id: str = "web", at: int | None = None, **tags: str) -> Envelope:
    """A line of an app; of now, unless told otherwise."""
    at = time.time_ns() if at is None else at
    return Envelope(source_id=source_id, instance_id="0", timestamp=at, log={"payload": text.encode()}, tags=tags)
