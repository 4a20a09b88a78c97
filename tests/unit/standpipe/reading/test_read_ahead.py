"""Reading goes on while the output waits, within bounds, and nothing that arrived goes unshown."""

from collections.abc import AsyncGenerator

import pytest
import trio
import trio.testing

from plumbing.websocket_conversation import StreamEnded
from standpipe.errors import CommandFailed
from standpipe.reading import read_ahead as module
from standpipe.reading.read_ahead import PATIENCE_S, read_ahead


class Arrivals:
    """A stream that yields some lists, then raises or waits; remembers how far it was read, and whether it was left."""

    def __init__(self, *lists: list[bytes], then: Exception | None = None) -> None:
        self.yielded = 0
        self.left = False
        self._lists = lists
        self._then = then

    async def read(self) -> AsyncGenerator[list[bytes], None]:
        try:
            for messages in self._lists:
                self.yielded += 1
                await trio.lowlevel.checkpoint()
                yield messages
            if self._then is not None:
                raise self._then
            await trio.sleep_forever()
        finally:
            self.left = True


async def test_everything_is_shown_in_order_before_the_end_is_raised() -> None:
    arrivals = Arrivals([], [b"a"], [b"b", b"c"], then=StreamEnded(1001, "going away"))
    shown: list[bytes] = []

    async def show(messages: list[bytes]) -> bool:
        await trio.testing.wait_all_tasks_blocked()
        shown.extend(messages)
        return True

    with pytest.raises(StreamEnded, match="going away"):
        await read_ahead(arrivals.read(), show)
    assert shown == [b"a", b"b", b"c"]


async def test_the_empty_list_that_says_open_is_passed_on_at_once() -> None:
    shown: list[list[bytes]] = []

    async def show(messages: list[bytes]) -> bool:
        shown.append(messages)
        return False

    await read_ahead(Arrivals([]).read(), show)
    assert shown == [[]]


async def test_who_has_enough_leaves_the_stream() -> None:
    arrivals = Arrivals([b"a"], [b"b"])

    async def show(_: list[bytes]) -> bool:
        return False

    await read_ahead(arrivals.read(), show)
    assert arrivals.left


async def test_nothing_is_read_ahead_while_the_output_keeps_up() -> None:
    arrivals = Arrivals(*[[b"x"]] * 50)
    ahead: list[int] = []

    async def show(_: list[bytes]) -> bool:
        await trio.testing.wait_all_tasks_blocked()
        ahead.append(arrivals.yielded - len(ahead))
        return len(ahead) < 50

    await read_ahead(arrivals.read(), show)
    assert ahead == [1] * 50


async def test_reading_goes_on_when_the_output_takes_too_long(autojump_clock: trio.testing.MockClock) -> None:
    arrivals = Arrivals(*[[b"x"]] * 50)

    async def show(_: list[bytes]) -> bool:
        await trio.sleep(PATIENCE_S + 1)
        return False

    await read_ahead(arrivals.read(), show)
    assert arrivals.yielded == 50


async def test_what_waits_is_shown_together(autojump_clock: trio.testing.MockClock) -> None:
    sizes: list[int] = []

    async def show(messages: list[bytes]) -> bool:
        await trio.sleep(PATIENCE_S + 1)
        sizes.append(len(messages))
        return sum(sizes) < 50

    await read_ahead(Arrivals(*[[b"x"]] * 50).read(), show)
    assert (len(sizes), sum(sizes)) == (2, 50)


async def test_no_more_than_so_much_waits(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_WAITING_BYTES", 1_000)
    arrivals = Arrivals(*[[bytes(100)]] * 50)
    waiting: list[int] = []

    async def show(messages: list[bytes]) -> bool:
        await trio.sleep(PATIENCE_S + 1)
        waiting.append(arrivals.yielded - len(messages))
        return False

    await read_ahead(arrivals.read(), show)
    assert waiting == [11]  # ten that fill the room, and one that waits for some


async def test_a_failure_to_come_back_is_raised_as_it_is() -> None:
    async def show(_: list[bytes]) -> bool:
        return True

    with pytest.raises(CommandFailed, match="no token"):
        await read_ahead(Arrivals(then=CommandFailed("no token")).read(), show)
