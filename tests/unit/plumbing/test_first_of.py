"""Side by side until one is done; none of the others outlives it."""

import asyncio

import pytest

from plumbing.first_of import first_of


async def run_with_witness(*first: object) -> list[str]:
    """Run `first_of` beside a coroutine that waits for ever; returns what became of that one."""
    events: list[str] = []

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            events.append("cancelled and waited for")

    try:
        await first_of(*first, waits())  # type: ignore[arg-type]
    except ValueError as error:
        events.append(str(error))
    return events


async def returns() -> None:
    await asyncio.sleep(0)


async def fails() -> None:
    await asyncio.sleep(0)
    raise ValueError("failed")


def test_returns_when_the_first_returns_and_cancels_the_others() -> None:
    assert asyncio.run(run_with_witness(returns())) == ["cancelled and waited for"]


def test_raises_what_the_first_raises() -> None:
    assert asyncio.run(run_with_witness(fails())) == ["cancelled and waited for", "failed"]


def test_of_two_that_fail_together_one_is_raised_and_none_is_left_over() -> None:
    assert asyncio.run(run_with_witness(fails(), fails())) == ["cancelled and waited for", "failed"]


def test_cancelling_it_cancels_all() -> None:
    async def scenario() -> bool:
        inner = asyncio.ensure_future(asyncio.sleep(3600))

        async def wait() -> None:
            await inner

        outer = asyncio.ensure_future(first_of(wait()))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        outer.cancel()
        with pytest.raises(asyncio.CancelledError):
            await outer
        return inner.cancelled()

    assert asyncio.run(scenario())
