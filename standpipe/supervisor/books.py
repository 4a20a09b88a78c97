"""Read every component's ledger once a second, so that the last book of one that dies is not lost with it.

In:    `GET /ledger` of each component, over mTLS.
Out:   `<data-dir>/ledger/<component>-<incarnation>.json`, one for each life that ended unasked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import httpx
import orjson
import structlog
import trio

from plumbing.private_files import locked, write_file
from plumbing.tls import TlsFiles, client_context
from standpipe.supervisor.child import Child
from standpipe.supervisor.plan import dialable

log = structlog.get_logger(__name__)

EVERY_S = 1.0
KEPT = 20


async def keep_books(children: Callable[[], Iterable[Child]], tls: TlsFiles, heard: Callable[[Child], None]) -> None:
    """Ask every component for its book again and again; `heard` is called with each one that answered."""
    context = client_context(tls.ca, tls.cert, tls.key)
    async with httpx.AsyncClient(verify=context, trust_env=False, timeout=EVERY_S) as client:
        while True:
            due = trio.current_time() + EVERY_S
            async with trio.open_nursery() as asking:
                for child in children():
                    asking.start_soon(_ask, client, child, heard)
            await trio.sleep_until(due)


async def read_book(client: httpx.AsyncClient, child: Child) -> Mapping[str, Any] | None:
    """Ask one component for its book; None if it does not answer."""
    if "admin" not in child.endpoints:
        return None
    url = f"https://{dialable(child.endpoints['admin'])}/ledger"
    try:
        answer = await client.get(url, extensions={"sni_hostname": child.component.room.leaf})
        answer.raise_for_status()
        book: Mapping[str, Any] = orjson.loads(answer.content)
    except (httpx.HTTPError, ValueError) as error:
        log.debug("book_unread", child=child.name, error=str(error))
        return None
    return book


async def _ask(client: httpx.AsyncClient, child: Child, heard: Callable[[Child], None]) -> None:
    if book := await read_book(client, child):
        child.book = book
        heard(child)


def save_book(directory: Path, book: Mapping[str, Any]) -> Path:
    """Keep the book of a component that died, and of those before it the youngest."""
    path = directory / f"{book['component']}-{book['incarnation']}.json"
    with locked(directory):
        write_file(path, orjson.dumps(book, option=orjson.OPT_INDENT_2))
        by_age = sorted(directory.glob("*.json"), key=lambda each: each.stat().st_mtime_ns)
        for old in by_age[:-KEPT]:
            old.unlink()
    return path
