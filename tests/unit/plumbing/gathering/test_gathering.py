"""From pieces to batches in the backlog: by size, by age, at the end; each arrival confirmed when it is safe."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import trio
from trio.testing import MockClock

from plumbing.gathering.batcher import Batcher, Piece
from plumbing.gathering.confirmations import Confirmations, confirm_all
from plumbing.gathering.gathering import Gathering
from tests.unit.plumbing.gathering.arrivals import arrival, logs, texts


class Source:
    def __init__(self) -> None:
        self.pieces: deque[Piece] = deque()
        self.news = trio.Event()

    def put(self, *pieces: Piece) -> None:
        self.pieces.extend(pieces)
        self.news.set()

    async def wait(self) -> None:
        await self.news.wait()
        self.news = trio.Event()

    def take(self) -> Piece | None:
        return self.pieces.popleft() if self.pieces else None


class Keeper:
    def __init__(self) -> None:
        self.kept: list[tuple[list[str], tuple[bytes, ...]]] = []
        self.safe: list[Callable[[], None]] = []

    async def put(self, batch: bytes, count: int, *, marks: Sequence[bytes] = (), safe: Callable[[], None]) -> None:
        await trio.lowlevel.checkpoint()
        self.kept.append((texts(batch), tuple(marks)))
        self.safe.append(safe)


class Parts:
    def __init__(self) -> None:
        self.source, self.keeper = Source(), Keeper()
        batcher = Batcher(max_envelopes=3, max_bytes=1000, max_age_s=1.0)
        self.gathering = Gathering(self.source, batcher, self.keeper, Confirmations(confirm_all))


def line(text: str, mark: bytes = b"") -> Piece:
    return Piece(logs(text), 1, arrival(logs(text)), mark)


def nothing() -> Piece:
    return Piece(b"", 0, arrival(logs("unwanted")))


@asynccontextmanager
async def gathering() -> AsyncIterator[Parts]:
    parts = Parts()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(parts.gathering.run)
        yield parts
        parts.gathering.close()


async def test_a_full_batch_goes_at_once(autojump_clock: MockClock) -> None:
    async with gathering() as parts:
        parts.source.put(*map(line, "abcd"))
        await trio.testing.wait_all_tasks_blocked()

        assert (parts.keeper.kept, trio.current_time()) == ([(["a", "b", "c"], ())], 0.0)
        assert parts.gathering.received == 4


async def test_the_rest_goes_when_it_is_old(autojump_clock: MockClock) -> None:
    async with gathering() as parts:
        parts.source.put(line("a"))
        await trio.sleep(0.9)
        assert parts.keeper.kept == []

        await trio.sleep(0.2)
        assert parts.keeper.kept == [(["a"], ())]


async def test_what_came_over_before_the_end_goes_in_the_end(autojump_clock: MockClock) -> None:
    async with gathering() as parts:
        parts.source.put(*map(line, "abcd"))

    assert [kept for kept, _ in parts.keeper.kept] == [["a", "b", "c"], ["d"]]


async def test_arrivals_are_confirmed_when_their_batch_is_safe(autojump_clock: MockClock) -> None:
    pieces = [line("a", b"m"), nothing()]
    async with gathering() as parts:
        parts.source.put(*pieces)
        await trio.sleep(2)
        assert parts.keeper.kept == [(["a"], (b"m",))]
        assert [each.arrival.confirmed for each in pieces] == [0, 0]  # type: ignore[attr-defined]

        parts.keeper.safe[0]()
        assert [each.arrival.confirmed for each in pieces] == [1, 1]  # type: ignore[attr-defined]


async def test_arrivals_of_which_nothing_is_left_need_no_backlog(autojump_clock: MockClock) -> None:
    piece = nothing()
    async with gathering() as parts:
        parts.source.put(piece)
        await trio.sleep(2)

        assert parts.keeper.kept == []
        assert piece.arrival.confirmed == 1  # type: ignore[attr-defined]
