"""A log cache's REST interface over HTTPS (loggregator.md 4.3): answers what a test puts, and keeps what is asked."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import parse_qs, unquote

import httpx
import trio
from google.protobuf.json_format import MessageToDict

from envelope.pb import loggregator_v2_pb2 as v2
from plumbing.tls import TlsFiles
from tests.fakes.https_in_trio import serving_https

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
    async with serving_https(files, partial(_answer, fake)) as address:
        fake.address = f"https://{address}"
        yield fake


async def _answer(fake: FakeLogCache, request: httpx.Request) -> httpx.Response:
    path, _, query = request.url.raw_path.decode().partition("?")
    asked = Asked(unquote(path.removeprefix("/api/v1/read/")), parse_qs(query), dict(request.headers))
    fake.asked.append(asked)
    status, body = fake.answer(asked)
    if status == NEVER[0]:
        await trio.sleep_forever()
    return httpx.Response(status, content=body, headers={"Content-Type": "application/json"})
