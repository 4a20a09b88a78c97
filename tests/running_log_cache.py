"""A log cache for the time of a test, with its tokens, fed as the original's nozzle feeds it."""

from __future__ import annotations

import ssl
import time
from base64 import b64decode
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import trio

from envelope.pb import logcache_v1_pb2 as pb
from envelope.pb.loggregator_v2_pb2 import Envelope, EnvelopeBatch
from plumbing.lifecycle import Ports
from plumbing.tls import client_context
from plumbing.tokens import TokenStore
from tests.go_log_cache import GoLogCache, GrpcLogCache
from tests.running import dial, metric, metric_is, running

APP = "9f3c2a41-58cc-4372-a567-0e02b2c3d479"


@dataclass
class LogCache:
    """A node that runs, and a channel to it."""

    ports: Ports
    certs: Path
    trusting: ssl.SSLContext
    tokens: TokenStore
    channel: grpc.Channel

    @property
    def address(self) -> str:
        """Where its REST interface is."""
        return self.ports["rest"]

    @property
    def url(self) -> str:
        """Its REST interface."""
        return f"https://{self.address}"

    def token(self, *sources: str) -> str:
        """One that reads some sources; without any, everything."""
        if not sources:
            return self.tokens.ensure_admin_token(time.time()).read_text()
        return self.tokens.create(scopes=[], sources=list(sources), expires_in_s=600, now=time.time())

    def http(self, token: str | None = "") -> httpx.AsyncClient:
        """A client that shows a token: the administrator's unless another is named, or none."""
        headers = {} if token is None else {"Authorization": f"bearer {token or self.token()}"}
        return httpx.AsyncClient(base_url=self.url, verify=self.trusting, trust_env=False, timeout=20, headers=headers)

    async def get(self, path: str, token: str | None = "", **params: Any) -> httpx.Response:
        """Ask the REST interface once."""
        async with self.http(token) as client:
            return await client.get(path, params=params or None)

    async def metric(self, name: str) -> float:
        """Read one of its metrics."""
        return await metric(self.ports, self.certs, name)

    async def metric_is(self, name: str, value: float) -> None:
        """Wait until one of its metrics has a value."""
        await metric_is(self.ports, self.certs, name, value)

    @asynccontextmanager
    async def library(self, token: str = "") -> AsyncIterator[GoLogCache]:
        """The library of Go programs, over HTTP."""
        async with self.http(token) as http:
            yield GoLogCache(self.url, http)

    @property
    def grpc(self) -> GrpcLogCache:
        """The library of Go programs, over gRPC."""
        return GrpcLogCache(self.channel)

    async def put(self, *envelopes: Envelope) -> None:
        """Send as the original's nozzle does."""
        send = self.channel.unary_unary("/logcache.v1.Ingress/Send", pb.SendRequest.SerializeToString)
        request = pb.SendRequest(envelopes=EnvelopeBatch(batch=envelopes))
        await trio.to_thread.run_sync(lambda: send(request, timeout=20))


@asynccontextmanager
async def open_log_cache(certs: Path, tmp_path: Path, **settings: Any) -> AsyncIterator[LogCache]:
    """Run a node without Dopplers; its tokens are local."""
    tokens = TokenStore(tmp_path / "cache-tokens")
    tokens.ensure_admin_token(time.time())
    defaults: dict[str, Any] = {
        "doppler_addresses": [],
        "rest": {"listen": "127.0.0.1:0"},
        "auth": {"tokens_dir": tmp_path / "cache-tokens"},
        "drain_grace_s": 0.5,
    }
    async with running("log_cache", certs, **{**defaults, **settings}) as ports:
        with dial(ports["listen"], certs, "log-cache", ("grpc.max_receive_message_length", -1)) as channel:
            yield LogCache(ports, certs, client_context(certs / "ca.crt"), tokens, channel)


def log(text: str, at: int | None = None, source_id: str = APP, **fields: Any) -> Envelope:
    """A line of an app, as a cell sends it; of now, unless told otherwise."""
    at = time.time_ns() if at is None else at
    tags = {"source_type": "APP/PROC/WEB", **fields.pop("tags", {})}
    return Envelope(
        source_id=source_id, timestamp=at, instance_id="0", log={"payload": text.encode()}, tags=tags, **fields
    )


def counter(name: str, at: int, total: int = 1) -> Envelope:
    """A counter of the app."""
    return Envelope(source_id=APP, timestamp=at, counter={"name": name, "delta": 1, "total": total})


def payloads(answer: httpx.Response) -> list[str]:
    """What the lines in an answer of the REST interface say."""
    assert answer.status_code == 200, answer.text
    return texts_of(answer.json()["envelopes"]["batch"])


def texts_of(batch: Iterable[dict[str, Any]]) -> list[str]:
    """What lines say, as protojson has them."""
    return [b64decode(envelope["log"]["payload"]).decode() for envelope in batch]


def texts(envelopes: Iterable[Envelope]) -> list[str]:
    """What lines say."""
    return [envelope.log.payload.decode() for envelope in envelopes]
