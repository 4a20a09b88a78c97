"""One authority without a socket: a function answers what is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import httpx

from plumbing.auth.asking import Asker
from plumbing.auth.decisions import Tally


def reply(status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> httpx.Response:
    """Return an answer whose body is still to be read, as one from the network."""
    return httpx.Response(status, headers=headers, stream=httpx.ByteStream(body))


def asker(answer: Callable[[httpx.Request], Any], **settings: Any) -> Asker:
    """Return one that puts its questions to `answer`, a function or an async one."""
    return Asker("uaa", Tally(), transport=httpx.MockTransport(answer), **settings)
