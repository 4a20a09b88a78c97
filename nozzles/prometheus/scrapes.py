"""Answer scrapes over HTTP/1.1, with TLS or without.

In:    GET requests for `/metrics`.
Out:   the text format of Prometheus, with gzip for who takes it.
"""

from __future__ import annotations

import gzip
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import h11
import structlog
import trio
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

log = structlog.get_logger(__name__)

REQUEST_S = 120.0
"""How long a scraper may take to ask, the pause between two scrapes included."""
ANSWER_S = 30.0
"""How long a scraper may take to read its answer."""
_RECEIVE_BYTES = 16 << 10
_NOT_FOUND = b"Only GET /metrics is answered here.\n"

Snapshot: TypeAlias = Callable[[], Iterable[Metric]]


@dataclass(slots=True)
class Scrapes:
    """Serves at most `connections` scrapers at a time."""

    snapshot: Snapshot
    context: ssl.SSLContext | None
    connections: int
    open: int = 0

    async def converse(self, accepted: trio.SocketStream) -> None:
        """Answer one scraper until it leaves, or takes too long."""
        if self.open >= self.connections:
            await trio.aclose_forcefully(accepted)
            return
        self.open += 1
        stream: trio.abc.Stream = accepted
        if self.context is not None:
            stream = trio.SSLStream(accepted, self.context, server_side=True, https_compatible=True)
        try:
            await self._answer_all(stream)
        except (trio.TooSlowError, trio.BrokenResourceError, h11.ProtocolError) as error:
            log.debug("scrape_broken_off", error=repr(error))
        except Exception:
            log.exception("scrape_failed")
        finally:
            self.open -= 1
            await trio.aclose_forcefully(accepted)

    async def _answer_all(self, stream: trio.abc.Stream) -> None:
        conversation = h11.Connection(h11.SERVER)
        while (request := await self._request(stream, conversation)) is not None:
            status, headers, body = await self._answer(request)
            headers = [*headers, ("Content-Length", str(len(body)))]
            sent = conversation.send(h11.Response(status_code=status, headers=headers)) or b""
            sent += conversation.send(h11.Data(data=b"" if request.method == b"HEAD" else body)) or b""
            sent += conversation.send(h11.EndOfMessage()) or b""
            with trio.fail_after(ANSWER_S):
                await stream.send_all(sent)
            if conversation.our_state is not h11.DONE or conversation.their_state is not h11.DONE:
                return
            conversation.start_next_cycle()

    async def _request(self, stream: trio.abc.Stream, conversation: h11.Connection) -> h11.Request | None:
        """Read one request with its body, which nobody looks at; None when the scraper has left."""
        request: h11.Request | None = None
        with trio.fail_after(REQUEST_S):
            while True:
                event = conversation.next_event()
                if event is h11.NEED_DATA:
                    conversation.receive_data(bytes(await stream.receive_some(_RECEIVE_BYTES)))
                elif isinstance(event, h11.Request):
                    request = event
                elif isinstance(event, h11.EndOfMessage):
                    return request
                elif isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
                    return None

    async def _answer(self, request: h11.Request) -> tuple[int, list[tuple[str, str]], bytes]:
        if request.method not in (b"GET", b"HEAD") or request.target.partition(b"?")[0] != b"/metrics":
            return 404, [("Content-Type", "text/plain")], _NOT_FOUND
        accepted = b",".join(value for name, value in request.headers if name == b"accept-encoding")
        packs = b"gzip" in accepted
        text = await trio.to_thread.run_sync(exposition, list(self.snapshot()), packs)
        headers = [("Content-Type", CONTENT_TYPE_PLAIN_0_0_4)]
        return 200, [*headers, ("Content-Encoding", "gzip")] if packs else headers, text


class _Shown(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def exposition(families: Iterable[Metric], packs: bool) -> bytes:
    """Write families as text, packed if wished for: for many series, work for a thread."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Shown(families))
    text = generate_latest(registry)
    return gzip.compress(text, 1, mtime=0) if packs else text
