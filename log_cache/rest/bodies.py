"""The JSON of reads and of metadata (loggregator.md 4.3, 4.5), and the bytes of a form. Pure but for `read_form`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import orjson
import psutil
from starlette.datastructures import Headers
from starlette.types import Receive

from envelope import kernel
from log_cache.pieces import pieces
from log_cache.query import Meta
from log_cache.rest.refusals import promql_error
from plumbing.http.exchange import receive_body
from plumbing.http.refusal import Refusal

VERSION = "3.2.0"
"""Of the interface, for clients that choose their paths by it (loggregator.md 4.3)."""

MAX_FORM_BYTES = 256 << 10
FORM_S = 10.0
"""How long a form may take to arrive."""

_AT_ONCE_BYTES = 1 << 20  # a page of ordinary envelopes: a millisecond or two, during which no other thread runs
_AT_ONCE_ENVELOPES = 1000
_OPENED, _CLOSED = b'{"batch":[', b"]}"

_FORM_TYPE = "application/x-www-form-urlencoded"


def read_body(batch: bytes) -> bytes:
    """Write the answer to a read. It takes a while: half a microsecond an envelope."""
    return b'{"envelopes":' + batch_json(batch) + b"}\n"


def batch_json(batch: bytes) -> bytes:
    """Write a batch as `kernel.json_batch` does, in several steps if it is large, so that other threads go on."""
    if len(batch) <= _AT_ONCE_BYTES:
        return kernel.json_batch(batch)
    written = (kernel.json_batch(piece) for piece, _ in pieces(batch, _AT_ONCE_BYTES, _AT_ONCE_ENVELOPES))
    return _OPENED + b",".join([each[len(_OPENED) : -len(_CLOSED)] for each in written]) + _CLOSED


def meta_body(meta: Mapping[str, Meta], *, as_proxy: bool) -> bytes:
    """Write the answer about metadata: as the original's proxy prints it, or as the gateway behind it does.

    The proxy writes camelCase and leaves out what is zero, the gateway writes the proto's names and everything.
    Integers are text in both.
    """
    form = _proxy_form if as_proxy else _gateway_form
    sources = {_text(source): form(each) for source, each in meta.items()}
    return orjson.dumps({"meta": sources} if sources or not as_proxy else {}) + b"\n"


def info_body(now: Callable[[], float] = time.time) -> bytes:
    """Write which interface this is, and how long the machine has been up."""
    return orjson.dumps({"version": VERSION, "vm_uptime": str(int(now() - psutil.boot_time()))}) + b"\n"


async def read_form(headers: Headers, receive: Receive) -> bytes:
    """Return the body of a request, a form of `MAX_FORM_BYTES` at most; raises `Refusal` or `ClientGone`."""
    if headers.get("content-type", _FORM_TYPE).partition(";")[0].strip().lower() != _FORM_TYPE:
        raise _refused(415, f"the body is not {_FORM_TYPE}")
    return await receive_body(receive, MAX_FORM_BYTES, FORM_S, _refused)


def _refused(status: int, message: str) -> Refusal:
    body = promql_error("bad_data", message).body
    return Refusal(status, body, {"Content-Type": "application/json", "Connection": "close"})


def _gateway_form(meta: Meta) -> dict[str, Any]:
    return {
        "count": str(meta.count),
        "expired": str(meta.expired),
        "oldest_timestamp": str(meta.oldest),
        "newest_timestamp": str(meta.newest),
    }


def _proxy_form(meta: Meta) -> dict[str, Any]:
    fields = {
        "count": meta.count,
        "expired": meta.expired,
        "oldestTimestamp": meta.oldest,
        "newestTimestamp": meta.newest,
    }
    return {name: str(number) for name, number in fields.items() if number}


def _text(source_id: str) -> str:
    return source_id.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
