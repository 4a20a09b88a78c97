"""An answer in lines of JSON: how far the query is, again and again, then its result or its error."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import trio

from event_store.http.answers import Answer, Work
from event_store.http.formats import NDJSON_TYPE, json_bytes
from event_store.http.refusals import ApiError
from event_store.http.runs import Job
from plumbing.http.exchange import Exchange
from plumbing.http.sse import EventStream

EVERY_S = 0.2
_HEADERS = ((b"content-type", NDJSON_TYPE.encode()), (b"cache-control", b"no-store"), (b"x-accel-buffering", b"no"))


async def answer_in_lines(
    exchange: Exchange, work: Work, job: Job, holding: Callable[[int], AbstractContextManager[None]]
) -> None:
    """Run it and tell of it; what goes wrong behind the first line is the last one."""
    said = b""
    lines = EventStream(exchange.connection, exchange.send)
    await lines.begin(_HEADERS)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_tell, lines, job)
        try:
            said = _result(await work(job))
        except ApiError as refused:
            said = json_bytes(refused.said)
        nursery.cancel_scope.cancel()
    with holding(len(said)):
        await lines.put(said)
    await lines.put(b"", last=True)


def _result(answer: Answer) -> bytes:
    return b'{"result":' + answer.body.rstrip(b"\n") + b"}\n"


async def _tell(lines: EventStream, job: Job) -> None:
    while True:
        scanned = {"rows_scanned": job.rows_scanned} if job.reads_everything else {}
        await lines.put(json_bytes({"progress": {"done": round(job.done, 4), **scanned}}))
        await trio.sleep(EVERY_S)
