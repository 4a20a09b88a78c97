"""Ask an event store over its HTTP API: queries with their progress, SQL, and live tails.

In:    JSON, or lines of it; CSV and Arrow as they came; server-sent events.
Out:   answers, or a `ServerError`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import orjson
import trio

from standpipe.errors import CommandFailed
from standpipe.reading import https_client
from standpipe.reading.https_client import (
    CONNECT_S,
    MAX_ANSWER_BYTES,
    SILENCE_S,
    TOO_LARGE,
    ServerRefused,
    ServerUnavailable,
    body_of,
    check,
    closing,
    making_sense,
    open_client,
    translated,
)
from standpipe.reading.server_sent_events import Event, EventParser
from standpipe.system import System

NAME = "event_store"
WARNINGS = "Standpipe-Warnings"
"""The header that has the warnings of an answer that is not JSON."""

_QUERY_S = 3600.0  # the store says how long a query may take, and ends it
_STATUS = {"syntax": 400, "too_large": 413, "busy": TOO_LARGE, "cancelled": 499, "timeout": 504}
OnProgress = Callable[[float, int], None]
"""Told how much of a query is done, from 0 to 1, and how many events were looked at: 0 if the store does not say."""


@dataclass(slots=True)
class Place:
    """How far a live tail was read, in the store's own words."""

    id: str = ""


class EventStore:
    """A connection to one event store, with the token of whoever asks."""

    def __init__(self, client: httpx.AsyncClient, server_name: str) -> None:
        self._client = client
        self._extensions = {"sni_hostname": server_name}

    async def ask(self, path: str, form: Mapping[str, str], on_progress: OnProgress) -> Any:
        """Ask for a table (`/api/query`, `/api/sql`), and return its JSON; progress is told as it comes."""
        opened = self._opened("POST", path, SILENCE_S, data={**form, "progress": "true"})
        async with opened as response, aclosing(_lines(response)) as lines:
            async for line in lines:
                with making_sense():
                    said = orjson.loads(line)
                    if "result" in said:
                        return said["result"]
                    if "error" in said:
                        raise _refused(said, line)
                    on_progress(float(said["progress"]["done"]), int(said["progress"].get("rows_scanned", 0)))
        raise ServerUnavailable("the answer broke off")

    async def fetch(self, path: str, form: Mapping[str, str]) -> tuple[bytes, list[str]]:
        """Ask for a table in another format; returns it as it came, and the warnings."""
        async with self._opened("POST", path, _QUERY_S, data=dict(form)) as response:
            with translated():
                body = await body_of(response)
            with making_sense():
                return body, [str(warning) for warning in orjson.loads(response.headers.get(WARNINGS, "[]"))]

    async def tail(self, query: str, place: Place) -> AsyncGenerator[Event | None, None]:
        """Yield what comes behind the place, which moves on; None comes first, when the tail is open.

        Leave it through `contextlib.aclosing`.
        """
        headers = {"Accept": "text/event-stream", "Accept-Encoding": "identity"}
        headers |= {"Last-Event-ID": place.id} if place.id else {}
        async with self._opened("GET", "/api/tail", SILENCE_S, params={"query": query}, headers=headers) as response:
            yield None
            parser = EventParser()
            async with closing(response.aiter_raw()) as chunks:
                while True:
                    with translated(), making_sense():
                        try:
                            heard = parser.feed(await anext(chunks))
                        except StopAsyncIteration:
                            return
                    for event in heard:
                        yield event
                    place.id = parser.last_id or place.id

    @asynccontextmanager
    async def _opened(self, method: str, path: str, silence_s: float, **options: Any) -> AsyncIterator[httpx.Response]:
        timeout = httpx.Timeout(CONNECT_S, read=silence_s)
        with translated():
            request = self._client.build_request(method, path, timeout=timeout, extensions=self._extensions, **options)
            response = await self._client.send(request, stream=True)
        try:
            await check(response)
            yield response
        finally:
            with trio.move_on_after(1, shield=True):
                await response.aclose()


@asynccontextmanager
async def open_event_store(system: System) -> AsyncIterator[EventStore]:
    """Give a client of a system's event store, for the time of the block; nothing has been dialled yet."""
    async with open_client(system, NAME) as client:
        yield EventStore(client, system.server_name(NAME))


@contextmanager
def explained(system: System, query: str = "") -> Iterator[None]:
    """Turn what an event store did not do into the error of a command: where the query is wrong, and what was meant."""
    try:
        with https_client.explained(system, NAME):
            yield
    except CommandFailed as error:
        if not isinstance(refused := error.__cause__, ServerRefused):
            raise
        more, shown = _more(refused.body, query)
        explained = type(error)(f"{error}: {more}") if more else error
        if shown:
            explained.add_note(shown)
        raise explained from refused


def _more(body: bytes, query: str) -> tuple[str, str]:
    """Return where it is wrong and what was meant, and the query with a mark there; either may be empty."""
    try:
        error = orjson.loads(body)["error"]
        column, suggestion = error.get("column"), error.get("suggestion")
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", ""
    place = [f"column {column}"] if column else []
    more = ", ".join([*place, *([str(suggestion)] if suggestion else [])])
    is_shown = isinstance(column, int) and 0 < column <= len(query) + 1 and query.isprintable()
    return more, f"  {query}\n  {' ' * (column - 1)}^" if is_shown else ""


def _refused(said: Any, line: bytes) -> ServerRefused:
    return ServerRefused(_STATUS.get(said["error"]["code"], 500), str(said["error"]["message"]), line)


async def _lines(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    """Yield lines as they are whole."""
    held = bytearray()
    async with closing(response.aiter_bytes()) as chunks:
        while True:
            with translated():
                try:
                    chunk = await anext(chunks)
                except StopAsyncIteration:
                    break
            searched = len(held)
            held += chunk
            if len(held) > MAX_ANSWER_BYTES:
                raise ServerRefused(TOO_LARGE, f"the answer has more than {MAX_ANSWER_BYTES >> 20} MiB")
            if held.find(b"\n", searched) >= 0:
                *whole, rest = bytes(held).split(b"\n")
                held = bytearray(rest)
                for line in whole:
                    yield line
