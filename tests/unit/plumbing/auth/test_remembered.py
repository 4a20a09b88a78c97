from collections.abc import Awaitable, Callable

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from plumbing.auth.remembered import BRIEF_S, Answer, Held, Remembered


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Oracle:
    """Answers with the number of the question."""

    def __init__(self, good_for_s: float | None = 60.0) -> None:
        self.good_for_s = good_for_s
        self.asked = 0

    async def __call__(self) -> Answer[int]:
        self.asked += 1
        return Answer(self.asked, self.good_for_s)


def later(answer: Awaitable[Answer[str]]) -> Callable[[], Awaitable[Answer[str]]]:
    return lambda: answer


async def test_a_yes_is_good_until_its_time() -> None:
    clock, oracle = Clock(), Oracle()
    remembered: Remembered[str, int] = Remembered(10, clock=clock)

    assert await remembered.get("key", oracle) == (1, False)
    clock.now += 59.9
    assert await remembered.get("key", oracle) == (1, True)
    clock.now += 0.1
    assert await remembered.get("key", oracle) == (2, False)


async def test_anything_else_is_good_for_a_moment() -> None:
    clock, oracle = Clock(), Oracle(good_for_s=None)
    remembered: Remembered[str, int] = Remembered(10, clock=clock)

    assert await remembered.get("key", oracle) == (1, False)
    clock.now += BRIEF_S - 0.01
    assert await remembered.get("key", oracle) == (1, True)
    clock.now += 0.01
    assert await remembered.get("key", oracle) == (2, False)


@pytest.mark.parametrize("good_for_s", [0.0, -5.0])
async def test_a_yes_that_is_over_is_not_held(good_for_s: float) -> None:
    oracle = Oracle(good_for_s)
    remembered: Remembered[str, int] = Remembered(10, clock=Clock())

    assert await remembered.get("key", oracle) == (1, False)
    assert await remembered.get("key", oracle) == (2, False)


async def test_every_key_has_its_answer() -> None:
    oracle = Oracle()
    remembered: Remembered[str, int] = Remembered(10, clock=Clock())

    assert await remembered.get("one", oracle) == (1, False)
    assert await remembered.get("other", oracle) == (2, False)
    assert await remembered.get("one", oracle) == (1, True)


async def test_noes_push_out_no_yes() -> None:
    remembered: Remembered[object, int] = Remembered(3, clock=Clock())
    await remembered.get("good", Oracle())

    for number in range(10):
        await remembered.get(number, Oracle(good_for_s=None))

    assert remembered.held("good") == 1


async def test_many_who_ask_at_once_ask_once() -> None:
    remembered: Remembered[str, str] = Remembered(10, clock=Clock())
    asked, answer, answers = 0, trio.Event(), []

    async def ask() -> Answer[str]:
        nonlocal asked
        asked += 1
        await answer.wait()
        return Answer("no")

    async def want() -> None:
        answers.append(await remembered.get("key", ask))

    async with trio.open_nursery() as nursery:
        for _ in range(5):
            nursery.start_soon(want)
        await trio.testing.wait_all_tasks_blocked()
        answer.set()

    assert asked == 1
    assert sorted(answers) == [("no", False)] + [("no", True)] * 4


async def test_those_who_waited_get_an_answer_that_is_not_held() -> None:
    remembered: Remembered[str, int] = Remembered(10, clock=Clock())
    oracle, go, answers = Oracle(good_for_s=0.0), trio.Event(), []

    async def ask() -> Answer[int]:
        await go.wait()
        return await oracle()

    async def want() -> None:
        answers.append((await remembered.get("key", ask))[0])

    async with trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(want)
        await trio.testing.wait_all_tasks_blocked()
        go.set()

    assert answers == [1, 1, 1]


async def test_whoever_goes_away_leaves_the_question_to_the_next() -> None:
    remembered: Remembered[str, int] = Remembered(10, clock=Clock())
    oracle, gone, answers = Oracle(), trio.CancelScope(), []

    async def give_up() -> None:
        with gone:
            await remembered.get("key", never)

    async def never() -> Answer[int]:
        await trio.sleep_forever()
        raise AssertionError

    async def want() -> None:
        answers.append((await remembered.get("key", oracle))[0])

    async with trio.open_nursery() as nursery:
        nursery.start_soon(give_up)
        await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(want)
        nursery.start_soon(want)
        await trio.testing.wait_all_tasks_blocked()
        gone.cancel()

    assert answers == [1, 1]


async def test_a_question_that_breaks_leaves_nothing_behind() -> None:
    remembered: Remembered[str, int] = Remembered(10, clock=Clock())

    async def broken() -> Answer[int]:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        await remembered.get("key", broken)

    assert await remembered.get("key", Oracle()) == (1, False)


steps = st.lists(st.tuples(st.sampled_from(["put", "get", "wait"]), st.integers(0, 7), st.floats(-1, 10)), max_size=100)


@given(steps, st.integers(1, 4))
def test_what_is_held_is_bounded_and_never_over(steps: list[tuple[str, int, float]], capacity: int) -> None:
    clock = Clock()
    held: Held[int, float] = Held(capacity, clock)
    last: dict[int, float] = {}

    for what, key, number in steps:
        if what == "put":
            held.put(key, clock.now + number, number)
            last[key] = clock.now + number
        elif what == "wait":
            clock.now += abs(number)
        else:
            found = held.get(key)
            assert found is None or (found == last[key] and clock.now < found)
        assert len(held) <= capacity


def test_what_was_not_looked_at_for_longest_goes_first() -> None:
    held: Held[str, int] = Held(2, Clock())
    held.put("old", 1, 60.0)
    held.put("new", 2, 60.0)
    held.get("old")

    held.put("newest", 3, 60.0)

    assert [held.get(key) for key in ("old", "new", "newest")] == [1, None, 3]
