"""Read the books of all processes of a system, the living and the dead.

In:    `GET /ledger` of every component, over mTLS; `<data-dir>/ledger/*.json`, which `standpipe up` leaves there.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import orjson
import trio

from plumbing.reasons import reason
from plumbing.tls import client_context
from standpipe.books.balance import Book, Reading, Verdict, judge, parse_book
from standpipe.errors import NotRunning
from standpipe.supervisor.data_dir import LEDGER_DIR, LOCK_FILE
from standpipe.system import System

ANSWER_S = 2.0
READINGS = 6
"""How often the books are read before a difference is believed: a process may have ended between two readings."""
PAUSE_S = 0.2
_ADMIN = ".admin"

Read = Callable[[], Awaitable[Reading]]


async def audit(read: Read) -> tuple[Reading, Verdict]:
    """Read the books twice and judge; if they do not balance, look again a few times before saying so."""
    first = await read()
    for _ in range(READINGS - 1):
        second = await read()
        verdict = judge(first, second)
        if verdict.balanced:
            break
        first = second
        await trio.sleep(PAUSE_S)
    return second, verdict


@asynccontextmanager
async def open_books(system: System) -> AsyncIterator[Read]:
    """Give what reads all books, for the time of the block; it raises `NotRunning` when there is none to be had."""
    files = system.tls()
    context = client_context(files.ca, files.cert, files.key)
    async with httpx.AsyncClient(verify=context, trust_env=False, timeout=ANSWER_S) as client:

        async def read() -> Reading:
            return await _read(system, client)

        yield read


async def _read(system: System, client: httpx.AsyncClient) -> Reading:
    found: dict[str, Book] = {}
    unreachable: dict[str, str] = {}

    async def ask(component: str) -> None:
        try:
            with trio.fail_after(ANSWER_S):
                found[component] = await _ask(system, client, f"{component}{_ADMIN}")
        except ValueError as error:
            unreachable[component] = str(error)
        except (httpx.HTTPError, trio.TooSlowError) as error:
            unreachable[component] = reason(error)

    components = [name.removesuffix(_ADMIN) for name in system.endpoints if name.endswith(_ADMIN)]
    async with trio.open_nursery() as asking:
        for component in components:
            asking.start_soon(ask, component)
    if not found:
        raise NotRunning(f"no component of {system.data_dir} answers: {_in_words(unreachable)}")
    living = [found[component] for component in components if component in found]
    addresses = {name: address for name, address in system.endpoints.items() if not name.endswith(_ADMIN)}
    return Reading(books=(*living, *dead_books(system.data_dir, living)), unreachable=unreachable, addresses=addresses)


async def _ask(system: System, client: httpx.AsyncClient, name: str) -> Book:
    answer = await client.get(
        f"https://{system.address(name)}/ledger", extensions={"sni_hostname": system.server_name(name)}
    )
    answer.raise_for_status()
    return parse_book(orjson.loads(answer.content))


def dead_books(data_dir: Path, living: Iterable[Book]) -> list[Book]:
    """Return the last books of the processes that died since the system was started, the oldest first."""
    alive = {book.incarnation for book in living}
    started_at = _modified_at(data_dir / LOCK_FILE)
    found = [_dead_book(path) for path in sorted((data_dir / LEDGER_DIR).glob("*.json"))]
    books = [book for book in found if book and book.incarnation not in alive and book.started_at >= started_at]
    return sorted(books, key=lambda book: book.started_at)


def _in_words(unreachable: Mapping[str, str]) -> str:
    return "; ".join(f"{name}: {reason}" for name, reason in unreachable.items()) or "none has an admin port"


def _dead_book(path: Path) -> Book | None:
    try:
        return parse_book(orjson.loads(path.read_bytes()), gone=True)
    except (OSError, ValueError):
        return None


def _modified_at(path: Path) -> float:
    """Return when a file was last written; `up` writes its lock once, when it starts."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
