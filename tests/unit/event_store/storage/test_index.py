"""The index of a segment: no event is passed over that a query may want, and few others are looked at."""

import random
import re
from itertools import pairwise

import msgpack  # type: ignore[import-untyped]  # it ships no types
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from event_store.storage import index
from event_store.storage.index import Index, Indexing, parse
from event_store.storage.schema import numbered
from event_store.storage.segments import table_of
from tests.unit.event_store.storage.events import batch_of, events

messages = st.lists(st.none() | st.text(st.sampled_from("abAB1_ -äK\n"), max_size=8), min_size=1, max_size=40)


def made_of(table: pa.Table, group_rows: int = 1000) -> Index:
    indexing = Indexing(group_rows)
    indexing.add(table)
    return parse(indexing.form())


def logs(texts: list[str | None], chunks: int = 1) -> pa.Table:
    size = -(-len(texts) // chunks)
    parts = [texts[first : first + size] for first in range(0, len(texts), size)]
    return table_of([numbered(batch_of(time=range(len(part)), message=part), 0) for part in parts])


def rows_of(ranges: list[tuple[int, int]]) -> set[int]:
    return {row for first, end in ranges for row in range(first, end)}


@given(messages, st.integers(1, 50), st.integers(1, 4))
def test_no_row_that_has_the_words_is_passed_over(texts: list[str | None], group_rows: int, chunks: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index, "BLOCK_ROWS", 3)
        made = made_of(logs(texts, chunks), group_rows)

    assert made.rows == len(texts)
    assert made.ranges([]) == [(0, len(texts))]
    for row, text in enumerate(texts):
        words = {word.lower() for word in re.findall(r"[A-Za-z0-9_]+", text or "")}
        assert row in rows_of(made.ranges(words))
        ranges = made.ranges(words)
        assert all(end < start for (_, end), (start, _) in pairwise(ranges))


def test_only_the_blocks_that_have_all_words_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "BLOCK_ROWS", 2)
    made = made_of(logs(["both alpha", "beta", "alpha", "none", "x", "ALPHA beta", "beta", "y"]), group_rows=4)

    assert made.ranges(["alpha"]) == [(0, 6)]
    assert made.ranges(["beta", "alpha"]) == [(0, 2), (4, 6)]
    assert made.ranges(["alpha", "absent_"]) == []
    with pytest.raises(ValueError, match="is no word"):
        made.ranges(["two words"])


def test_no_block_lies_in_two_row_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "BLOCK_ROWS", 4)

    assert made_of(logs([*"abcdefghijklm"]), group_rows=6)._ends == (3, 6, 9, 12, 13)


def test_few_blocks_are_kept_for_a_word_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "BLOCK_ROWS", 100)
    chance = random.Random(6)
    indexing = Indexing(1000)
    indexing.add(logs([f"id={chance.getrandbits(64):x} {chance.getrandbits(32)} done" for _ in range(10_000)]))
    made = parse(indexing.form())

    kept = sum(len(rows_of(made.ranges([f"absent{number}"]))) for number in range(200))

    assert kept < 200 * 10_000 * 0.008  # on average 0.004
    assert len(indexing.form()) < 10_000 * 4


def test_what_values_a_column_has_is_known_of_those_with_few() -> None:
    count = index.MOST_VALUES + 1
    batch = events(
        range(count), t_app=["a", None, *["b"] * (count - 2)], t_id=map(str, range(count)), f_n_num=[1] * count
    )
    made = made_of(table_of([numbered(batch, 0)]))

    assert made.values.of("t_app") == {"a", "b"}
    assert made.values.of("source_id") == {"web"}
    assert made.values.of("stream") == frozenset()
    assert made.values.of("t_other") == frozenset()
    for unknown in ("t_id", "f_n$num", "message", "time"):
        assert made.values.of(unknown) is None


def test_a_value_that_no_event_of_these_has_is_none() -> None:
    table = table_of([numbered(events(range(4), t_app=["a", "b", "c", "d"]), 0)])

    assert made_of(table.slice(1, 2)).values.of("t_app") == {"b", "c"}


def test_values_of_several_parts_are_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "MOST_VALUES", 3)
    table = table_of([numbered(events(range(4), t_app=[*"abab"], t_ip=[*"abcd"]), 0)])
    indexing = Indexing(10)
    for first in (0, 2):
        indexing.add(table.slice(first, 2))
    made = parse(indexing.form())

    assert (made.values.of("t_app"), made.values.of("t_ip"), made.rows) == ({"a", "b"}, None, 4)


def test_long_values_are_listed_while_there_is_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index, "MOST_VALUE_BYTES", 50)
    made = made_of(table_of([numbered(events([1], t_a=["x" * 20], t_b=["x" * 25], t_c=["x" * 40]), 0)]))

    assert made.values.of("t_a") == {"x" * 20}
    assert (made.values.of("t_b"), made.values.of("t_c")) == (None, None)


def test_where_columns_had_no_room_nobody_knows_the_values_of_one_that_is_missing() -> None:
    batch = batch_of(time=[1], attrs=[[("t_rare", "x")]])
    made = made_of(table_of([numbered(batch, 0)]))

    assert (made.values.of("t_rare"), made.values.of("f_rare"), made.values.of("no")) == (None, None, frozenset())


@given(st.binary(max_size=60))
def test_bytes_of_anybody_else_are_refused(content: bytes) -> None:
    for start in (b"", index._MAGIC):
        with pytest.raises(ValueError, match=r"^its? "):
            parse(start + content)


anything = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.binary(max_size=16) | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
)


@given(anything | st.tuples(anything, anything, anything), st.binary(max_size=20), st.integers(-3, 3))
def test_what_is_packed_otherwise_is_refused_or_harmless(packed: object, filters: bytes, wrong: int) -> None:
    head = msgpack.packb(packed)
    try:
        made = parse(index._MAGIC + max(len(head) + wrong, 0).to_bytes(8, "little") + head + filters)
    except ValueError:
        return
    assert made.rows >= 0
    assert all(0 <= first < end <= made.rows for first, end in made.ranges(["a"]))
    made.values.of("t_a")
