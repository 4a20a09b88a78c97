"""Each source that a query names is asked once, for what any of its selectors wants (loggregator.md 4.4)."""

import asyncio
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import pytest

from log_cache.gathering import Gathered, gather
from log_cache.promql.budget import CELL_BYTES, Budget
from log_cache.promql.query import Selection, parse
from log_cache.promql.values import QueryError
from log_cache.query import Meta
from log_cache.reads import Ask, Reads
from log_cache.series import Samples
from plumbing.unary_client import CallFailed

META = Meta(count=1, expired=0, oldest=0, newest=0)


class FakeReads:
    """Every source holds one sample of each of two metrics."""

    def __init__(self, *sources: str) -> None:
        self.held = dict.fromkeys(sources, META)
        self.asked: list[tuple[str, int, int, list[str]]] = []
        self.error: Exception | None = None
        self.open = 0
        self.most_open = 0
        self.groups: list[int] = []
        self.most_tasks = 0

    async def meta(self, *, local_only: bool) -> dict[str, Meta]:
        assert not local_only
        return self.held

    def is_here(self, source_id: str) -> bool:
        return not source_id.startswith("their ")

    async def samples_here(self, asked: Sequence[Ask], drawn: Callable[[Samples], None]) -> list[list[Samples]]:
        self.groups.append(len(asked))
        found = [await self.samples(ask.source_id, ask.start_ns, ask.end_ns, ask.wanted) for ask in asked]
        for parts in found:
            for part in parts:
                drawn(part)
        return found

    async def samples(self, source_id: str, start_ns: int, end_ns: int, wanted: Mapping[bytes, bool]) -> list[Samples]:
        if self.error:
            raise self.error
        self.open += 1
        self.most_open = max(self.most_open, self.open)
        self.most_tasks = max(self.most_tasks, len(asyncio.all_tasks()))
        await asyncio.sleep(0)
        self.open -= 1
        names = [name for name in (b"cpu", b"disk") if wanted[name]]
        self.asked.append((source_id, start_ns, end_ns, [name.decode() for name in names]))
        sample = struct.pack("<q", 1_000_000_000), struct.pack("<d", 1.0)
        return [{(name, b"", b""): sample for name in names}]


def selection(text: str, start_ms: int = 0, end_ms: int = 1000) -> Selection:
    return Selection(parse(text).plan.selectors[0], start_ms, end_ms)


def gathered(reads: FakeReads, *selections: Selection, everything: bool = False, samples: int = 100) -> Gathered:
    budget = Budget(max_samples=samples)
    return asyncio.run(gather(cast(Reads, reads), selections, budget, everything=everything))


def found(gathered: Gathered) -> list[list[str]]:
    return [
        sorted(f"{dict(series.labels)['source_id']} {dict(series.labels)['__name__']}" for series in each)
        for each in gathered.series(lambda: None)
    ]


def refusal(*args: Any, **settings: Any) -> QueryError:
    with pytest.raises(QueryError) as caught:
        gathered(*args, **settings)
    return caught.value


def test_a_source_may_be_named_by_equality_or_by_alternatives() -> None:
    reads = FakeReads()

    assert found(gathered(reads, selection('cpu{source_id="a"}'), selection('cpu{source_id=~"a|b.c"}'))) == [
        ["a cpu"],
        ["a cpu", "b.c cpu"],
    ]


def test_each_source_is_asked_once_for_all_that_is_wanted_of_it() -> None:
    reads = FakeReads()

    gathered(reads, selection('cpu{source_id="a"}', 2000, 5000), selection('disk{source_id="a"}', 1000, 4000))

    assert reads.asked == [("a", 1_000_000_000, 5_001_000_000, ["cpu", "disk"])]


def test_a_selection_gets_only_the_series_that_it_accepts() -> None:
    reads = FakeReads()
    every = selection('{__name__=~".+", source_id="a"}')

    assert found(
        gathered(reads, every, selection('disk{source_id="a"}'), selection('disk{source_id="a", job="x"}'))
    ) == [
        ["a cpu", "a disk"],
        ["a disk"],
        [],
    ]


@pytest.mark.parametrize("text", ["cpu", 'cpu{source_id!="a"}', 'cpu{source_id=""}', 'cpu{source_id=~".*"}'])
def test_a_selector_that_names_no_source_is_refused(text: str) -> None:
    refused = refusal(FakeReads("a"), selection(text))

    assert (refused.kind, str(refused)) == ("bad_data", "metric 'cpu' does not have a 'source_id' label")


def test_everything_may_be_asked_for_by_whoever_may() -> None:
    reads = FakeReads("a", "b", "x")

    assert found(gathered(reads, selection("cpu"), everything=True)) == [["a cpu", "b cpu", "x cpu"]]
    assert found(gathered(reads, selection('cpu{source_id=~"[ab]"}'), everything=True)) == [["a cpu", "b cpu"]]
    assert found(gathered(reads, selection('cpu{source_id!="a"}'), everything=True)) == [["b cpu", "x cpu"]]


def test_sources_that_are_none_of_ours_are_not_asked() -> None:
    reads = FakeReads("a", "b")

    gathered(reads, selection('cpu{source_id=~"[a]"}'), everything=True)

    assert [source for source, *_ in reads.asked] == ["a"]


def test_a_query_without_selectors_asks_nobody() -> None:
    reads = FakeReads("a")

    assert found(gathered(reads)) == []
    assert reads.asked == []


def test_times_beyond_all_envelopes_are_cut() -> None:
    reads = FakeReads()

    gathered(reads, selection('cpu{source_id="a"}', -(1 << 60), 1 << 60))

    assert reads.asked == [("a", -(1 << 63), (1 << 63) - 1, ["cpu"])]


def test_too_many_samples_are_an_error() -> None:
    names = "|".join(map(str, range(11)))

    refused = refusal(FakeReads(), selection(f'cpu{{source_id=~"{names}"}}'), samples=10)

    assert (refused.kind, "too many samples" in str(refused)) == ("execution", True)


def test_only_so_many_sources_are_asked_at_a_time() -> None:
    reads = FakeReads()

    names = "|".join(f"their {number}" for number in range(50))
    gathered(reads, selection(f'cpu{{source_id=~"{names}"}}'))

    assert len(reads.asked) == 50
    assert reads.most_open == 16
    assert reads.most_tasks < 20


def test_sources_of_this_node_are_asked_many_at_once() -> None:
    reads = FakeReads(*map(str, range(1000)))

    found = gathered(reads, selection("cpu"), everything=True, samples=1000)

    assert sum(reads.groups) == len(found.samples) == 1000
    assert len(reads.groups) < 10


def test_what_is_loaded_is_held_in_memory() -> None:
    held: list[int] = []
    budget = Budget(hold=held.append)
    asyncio.run(gather(cast(Reads, FakeReads()), [selection('cpu{source_id="a"}')], budget, everything=False))

    assert sum(held) > CELL_BYTES


def test_long_tags_are_held_in_memory() -> None:
    class LongTags(FakeReads):
        async def samples(self, *_: Any) -> list[Samples]:
            return [{(b"cpu", b"", bytes(5000)): (bytes(8), bytes(8))}]

    held: list[int] = []
    budget = Budget(hold=held.append)
    asyncio.run(gather(cast(Reads, LongTags()), [selection('cpu{source_id="a"}')], budget, everything=False))

    assert sum(held) > 4 * 5000


def test_making_series_ends_when_it_is_too_late() -> None:
    def too_late() -> None:
        raise QueryError("timeout", "too late")

    with pytest.raises(QueryError, match="too late"):
        gathered(FakeReads(), selection('cpu{source_id="a"}')).series(too_late)


def test_choosing_among_very_many_sources_ends_when_it_is_too_late() -> None:
    def too_late() -> None:
        raise QueryError("timeout", "too late")

    asking = gather(
        cast(Reads, FakeReads("a")),
        [selection('cpu{source_id=~".*(a+)+"}')],
        Budget(check=too_late),
        everything=True,
    )
    with pytest.raises(QueryError, match="too late"):
        asyncio.run(asking)


def test_what_another_node_says_ends_it() -> None:
    reads = FakeReads()
    reads.error = CallFailed("DEADLINE_EXCEEDED", "too slow")

    with pytest.raises(CallFailed, match="too slow"):
        gathered(reads, selection('cpu{source_id=~"a|b"}'))
