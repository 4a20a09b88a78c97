"""Post envelopes to a webhook, as JSON that is signed.

In:    batches of any kind of envelope.
Out:   POST requests whose body is an array of envelopes, in the JSON of `envelope.json_form`.
Drops: bodies that are refused, counted; kept in the dead-letter file if there is one. A receiver that does not let us
       in (401, 403) refuses nothing: bodies wait until somebody has mended that.

At least once. Each request bears `X-Standpipe-Delivery`, an id by which a receiver knows a body again that comes twice;
without `spool_mode = "always"` only one that waited on disk keeps its id.

With a secret a request bears `X-Standpipe-Timestamp`, the seconds since 1970 at which it was signed, and
`X-Standpipe-Signature`, which is `v1=` and in hexadecimal the HMAC-SHA256, under that secret, of the timestamp, a full
stop, and the body before compression. A receiver computes the same, compares in constant time, and refuses a timestamp
that is too old.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import orjson
import structlog
import trio
from pydantic import Field, PositiveInt

from envelope import kernel
from nozzles.http_sink import (
    HttpRefused,
    HttpSettings,
    HttpSink,
    Item,
    Outcome,
    deliver,
    grouped,
    open_http,
)
from nozzles.sdk import Batch, NozzleKind, SinkUnavailable, Write
from plumbing.secret_files import read_secret

log = structlog.get_logger(__name__)

_MOST_REMEMBERED = 1024  # bodies that were refused and are tried again


class Config(HttpSettings):
    """The settings of a webhook."""

    secret_file: Path | None = None
    """File of the secret that requests are signed with; without it they are not signed."""

    max_envelopes: PositiveInt = 1000
    """The most envelopes in one request."""

    dead_letter_file: Path | None = None
    """File that what is refused is appended to, a line of JSON for each envelope; without it, it is only counted."""

    dead_letter_max_bytes: int = Field(default=100 << 20, ge=1024)
    """The largest that file grows; what is refused beyond that is only counted."""

    dead_letter_after: PositiveInt = 1
    """How many times the sink must refuse a body until it is given up; before that, it is tried again."""


@asynccontextmanager
async def open_nozzle(config: Config) -> AsyncIterator[Write]:
    """Give the `write` of a webhook."""
    secret = read_secret(config.secret_file) if config.secret_file else ""
    async with open_http(config, secrets=[secret]) as sink:
        webhook = _Webhook(config, sink, secret.encode())

        async def write(batch: Batch) -> None:
            items = (Item((index,), line) for index, line in enumerate(kernel.json_envelopes(batch.data)))
            groups = grouped(items, max_bytes=config.max_body_bytes - 2, max_entries=config.max_envelopes)
            await deliver(batch, groups, lambda group: webhook.send(batch.id, group))

        yield write


kind = NozzleKind(Config, open_nozzle)


def signature(secret: bytes, timestamp: str, body: bytes) -> str:
    """Sign a body as the module describes."""
    return "v1=" + hmac.new(secret, timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


class _Webhook:
    """One receiver, and what it refused lately."""

    def __init__(self, config: Config, sink: HttpSink, secret: bytes) -> None:
        self._config = config
        self._sink = sink
        self._secret = secret
        self._refusals: Counter[bytes] = Counter()

    async def send(self, batch_id: str, group: Sequence[Item]) -> Outcome:
        body = b"[" + b",".join(item.data for item in group) + b"]"
        digest = hashlib.sha256(batch_id.encode() + b"\n" + body).digest()[:16]
        headers = {"X-Standpipe-Delivery": digest.hex() if batch_id else uuid4().hex}
        if self._secret:
            headers["X-Standpipe-Timestamp"] = stamp = str(int(time.time()))
            headers["X-Standpipe-Signature"] = signature(self._secret, stamp, body)
        try:
            await self._sink.post(body, content_type="application/json", headers=headers)
        except HttpRefused as error:
            if error.reason == "too_large" and len(group) > 1:
                raise
            self._count(digest, error)
            return await self._give_up(group, error)
        self._refusals.pop(digest, None)
        return Outcome()

    def _count(self, digest: bytes, error: HttpRefused) -> None:
        """Raise `SinkUnavailable` while the body is to be tried again."""
        self._refusals[digest] += 1
        if self._refusals[digest] < self._config.dead_letter_after:
            if len(self._refusals) > _MOST_REMEMBERED:
                self._refusals.clear()
            raise SinkUnavailable(str(error)) from error
        del self._refusals[digest]

    async def _give_up(self, group: Sequence[Item], error: HttpRefused) -> Outcome:
        """Put what was refused aside, if that is wanted and there is room; the reason it is counted by says which."""
        path = self._config.dead_letter_file
        if path is None:
            raise error
        head = orjson.dumps({"at_s": int(time.time()), "refused": str(error)})[:-1]
        lines = b"".join(head + b',"envelope":' + item.data + b"}\n" for item in group)
        kept = await trio.to_thread.run_sync(append_within, path, lines, self._config.dead_letter_max_bytes)
        if not kept:
            log.warning("dead_letter_file_full", path=str(path), envelopes=len(group))
        return Outcome({"dead_letter" if kept else error.reason: len(group)})


def append_within(path: Path, lines: bytes, max_bytes: int) -> bool:
    """Append to a file that only its owner may read, unless that would make it too large."""
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(handle, "ab", buffering=0) as file:
        os.fchmod(handle, 0o600)
        size = os.fstat(handle).st_size
        if size + len(lines) > max_bytes:
            return False
        written = file.write(lines)
        if written != len(lines):
            os.ftruncate(handle, size)  # half a line would spoil the next
            raise OSError(f"{path}: only {written} of {len(lines)} bytes could be written")
    return True
