"""Answers in lines."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import trio
import trio.testing

from event_store.http.answers import Answer
from event_store.http.progress import answer_in_lines
from event_store.http.refusals import ApiError
from event_store.http.runs import Job
from tests.unit.event_store.http.exchanges import Visit


@contextmanager
def holding(_: int) -> Iterator[None]:
    yield


async def test_progress_comes_again_and_again_and_the_result_last(autojump_clock: trio.testing.MockClock) -> None:
    visit = Visit("/api/query")

    async def work(job: Job) -> Answer:
        await trio.sleep(0.3)
        job.tell(0.5, 10)
        await trio.sleep(0.3)
        return Answer(b'{"rows":[]}\n')

    await answer_in_lines(visit.exchange, work, Job(), holding)

    assert visit.headers["content-type"] == "application/x-ndjson"
    assert [line.get("progress", {}).get("done") for line in visit.lines] == [0.0, 0.0, 0.5, None]
    assert visit.lines[-1] == {"result": {"rows": []}}
    assert visit.is_whole


async def test_who_may_not_read_everything_is_not_told_how_much_there_is(
    autojump_clock: trio.testing.MockClock,
) -> None:
    visit = Visit("/api/query")

    async def work(job: Job) -> Answer:
        job.tell(0.5, 10)
        await trio.sleep(0.3)
        return Answer(b"{}")

    await answer_in_lines(visit.exchange, work, Job(reads_everything=False), holding)
    assert visit.lines[-2:] == [{"progress": {"done": 0.5}}, {"result": {}}]


async def test_what_goes_wrong_is_the_last_line(autojump_clock: trio.testing.MockClock) -> None:
    visit = Visit("/api/query")

    async def work(_: Job) -> Any:
        await trio.sleep(0.1)
        raise ApiError("timeout", "it took too long")

    await answer_in_lines(visit.exchange, work, Job(), holding)

    assert visit.lines[-1] == {"error": {"code": "timeout", "message": "it took too long"}}
    assert visit.is_whole


async def test_a_fault_of_ours_comes_out() -> None:
    async def work(_: Job) -> Any:
        raise ZeroDivisionError

    with pytest.raises((ZeroDivisionError, ExceptionGroup)):
        await answer_in_lines(Visit("/api/query").exchange, work, Job(), holding)
