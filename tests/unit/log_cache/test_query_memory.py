"""What queries take together is bounded, and comes back when they end."""

import threading

import pytest

from log_cache.promql.values import QueryError
from log_cache.query_memory import QueryMemory


def test_all_queries_together_have_a_bound() -> None:
    memory = QueryMemory(100)
    first, second = memory.share(), memory.share()
    first.hold(60)

    with pytest.raises(QueryError, match="all queries together") as caught:
        second.hold(50)
    second.hold(40)

    assert (caught.value.kind, memory.held_bytes) == ("execution", 100)


def test_one_query_has_a_bound() -> None:
    share = QueryMemory(100).share()
    share.hold(60)

    with pytest.raises(QueryError, match="query processing would load too many samples into memory"):
        share.hold(50)


def test_what_a_query_took_comes_back_when_it_ends() -> None:
    memory = QueryMemory(100)
    share = memory.share()
    share.hold(60)
    share.end()
    share.end()

    assert memory.held_bytes == 0


def test_a_query_that_has_ended_takes_nothing_more() -> None:
    memory = QueryMemory(100)
    share = memory.share()
    share.end()

    with pytest.raises(QueryError):
        share.hold(1)
    assert (share.is_over, memory.held_bytes) == (True, 0)


def test_nothing_is_lost_between_threads() -> None:
    memory = QueryMemory(1 << 30)
    share = memory.share()

    def work() -> None:
        for _ in range(10_000):
            share.hold(1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert memory.held_bytes == 40_000
