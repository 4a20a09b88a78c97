"""A log cache's REST interface over HTTPS (loggregator.md 4.3): answers what a test puts, and keeps what is asked."""

import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import parse_qs, unquote

import h11
import trio
from google.protobuf.json_format import MessageToDict

from envelope.pb import loggregator_v2_pb2 as v2
from plumbing.tls import TlsFiles, server_context

NEVER = (0, b"")
"""No answer, over a connection that stays."""


@dataclass
class Asked:
    """One question."""

    source_id: str
    query: dict[str, list[str]]
    headers: dict[str, str]


@dataclass
class FakeLogCache:
    """Answers each read with `answer`: a status and a body."""

    address: str = ""
    asked: list[Asked] = field(default_factory=list)
    answer: Callable[[Asked], tuple[int, bytes]] = lambda asked: (200, batch())


def batch(*envelopes: v2.Envelope) -> bytes:
    """Write envelopes as the gateway does: the proto's names, fields without a value too."""
    as_json: list[Any] = [
        MessageToDict(each, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)
        for each in envelopes
    ]
    return json.dumps({"envelopes": {"batch": as_json}}).encode() + b"\n"


@asynccontextmanager
async def open_log_cache(files: TlsFiles) -> AsyncIterator[FakeLogCache]:
    """Serve for the time of the block."""
    fake = FakeLogCache()
    async with trio.open_nursery() as nursery:
        serve = partial(
            trio.serve_ssl_over_tcp,
            partial(_serve_one, fake),
            0,
            server_context(files, require_client_cert=False),
            host="127.0.0.1",
            https_compatible=True,
        )
        [listener] = await nursery.start(serve)
        fake.address = f"https://127.0.0.1:{listener.transport_listener.socket.getsockname()[1]}"
        yield fake
        nursery.cancel_scope.cancel()


async def _serve_one(fake: FakeLogCache, stream: trio.SSLStream[trio.SocketStream]) -> None:
    connection = h11.Connection(h11.SERVER)
    try:
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await stream.receive_some(65536))
            elif isinstance(event, h11.Request):
                path, _, query = event.target.decode().partition("?")
                headers = {name.decode(): value.decode() for name, value in event.headers}
                fake.asked.append(Asked(unquote(path.removeprefix("/api/v1/read/")), parse_qs(query), headers))
                status, body = fake.answer(fake.asked[-1])
                if status == NEVER[0]:
                    await trio.sleep_forever()
                length = [("Content-Length", str(len(body))), ("Content-Type", "application/json")]
                await stream.send_all(connection.send(h11.Response(status_code=status, headers=length)) or b"")
                await stream.send_all(connection.send(h11.Data(data=body)) or b"")
                await stream.send_all(connection.send(h11.EndOfMessage()) or b"")
            elif isinstance(event, h11.EndOfMessage):
                pass
            elif event is h11.PAUSED:
                connection.start_next_cycle()
            else:
                return
            if connection.states == {h11.CLIENT: h11.DONE, h11.SERVER: h11.DONE}:
                connection.start_next_cycle()
    except (trio.BrokenResourceError, trio.ClosedResourceError, ssl.SSLError):
        pass  # hung up on, as a reader does that has had enough
