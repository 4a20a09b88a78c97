"""Text is found in segments and in memory, once."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

from event_store.engine.errors import QueryFailed
from event_store.engine.indexes import Indexes
from event_store.engine.scanning import Scanner, Sought
from event_store.query.syntax import Span
from event_store.storage import Segment, Snapshot
from event_store.storage.crypto import Keyring
from tests.unit.event_store.engine.stores import SECOND, batch, many_lines, segment_of

LINES = {"message": ["Needle", None, *["hay"] * 30, "a needle"]}


EVER = Span(0, 2**62)


def words(*patterns: str) -> frozenset[str]:
    return frozenset(f"(?i){pattern}" for pattern in patterns)


def sought(*patterns: str) -> Sought:
    return Sought(words(*patterns))


def scanner(remembered_bytes: int = 10_000) -> Scanner:
    return Scanner(remembered_bytes, Indexes(1 << 20))


def found(scanner: Scanner, snapshot: Snapshot, segment: Segment, what: Sought, span: Span = EVER) -> list[int]:
    some = scanner.segment(snapshot, segment, what, span)
    assert some is not None
    return some.seqs.tolist()


def test_finds_the_places_of_a_text(tmp_path: Path) -> None:
    segment = segment_of(tmp_path, [batch(100, LINES)])
    snapshot, looks = Snapshot(tmp_path, 1, (segment,), ()), scanner()

    assert found(looks, snapshot, segment, sought("needle")) == [100, 132]
    assert found(looks, snapshot, segment, sought("needle", "a ")) == [132]
    assert found(looks, snapshot, segment, sought("absent")) == []
    assert looks.segment(snapshot, segment, sought("hay"), EVER) is None  # too many
    assert looks.segment(snapshot, segment, Sought(), EVER) is None


def test_a_segment_is_read_once(tmp_path: Path) -> None:
    segment = segment_of(tmp_path, [batch(0, LINES)])
    snapshot, looks = Snapshot(tmp_path, 1, (segment,), ()), scanner()
    some = looks.segment(snapshot, segment, sought("needle"), EVER)
    snapshot.path(segment).unlink()

    assert looks.segment(snapshot, segment, sought("needle"), EVER) is some
    with pytest.raises(QueryFailed, match="standpipe store verify"):
        looks.segment(snapshot, segment, sought("other"), EVER)


def test_a_small_part_of_its_time_is_looked_at_alone_and_not_remembered(tmp_path: Path) -> None:
    segment = segment_of(tmp_path, [batch(0, LINES)])
    snapshot, looks = Snapshot(tmp_path, 1, (segment,), ()), scanner()
    last = Span(segment.max_time - 3 * SECOND, segment.max_time + 1)

    assert found(looks, snapshot, segment, sought("needle"), last) == [32]
    assert found(looks, snapshot, segment, sought("needle")) == [0, 32]
    assert found(looks, snapshot, segment, sought("needle"), last) == [0, 32]  # as it is known


def test_the_index_says_where_to_look(tmp_path: Path) -> None:
    lines = {"message": [f"hay {number}" for number in range(10_000)] + ["a needle", *["grass"] * 10_000]}
    segment = segment_of(tmp_path, [batch(0, lines)])
    snapshot = Snapshot(tmp_path, 1, (segment,), ())
    twice = Sought(words("a needle"), (frozenset({"needle"}), frozenset({"needle", "a"})))

    assert found(scanner(), snapshot, segment, twice) == [10_000]
    # it is believed: what it does not name is not looked for
    assert found(scanner(), snapshot, segment, Sought(words("grass$"), (frozenset({"hay"}),))) == []
    assert found(scanner(), snapshot, segment, Sought(words("hay 77$"), (frozenset({"absentword"}),))) == []


def test_what_an_index_narrowed_is_no_answer_where_other_words_are_sought(tmp_path: Path) -> None:
    lines = {"message": [*["an error alpha", *["hay"] * 20], *["an error beta", *["hay"] * 20]]}
    segment = segment_of(tmp_path, [batch(0, lines)])
    snapshot, looks = Snapshot(tmp_path, 1, (segment,), ()), scanner()

    assert found(looks, snapshot, segment, Sought(words("error"), (frozenset({"alpha"}),))) == [0]
    assert found(looks, snapshot, segment, sought("error")) == [0, 21]
    assert found(looks, snapshot, segment, Sought(words("error"), (frozenset({"beta"}),))) == [21]


def test_without_an_index_all_is_looked_at(tmp_path: Path) -> None:
    segment = replace(segment_of(tmp_path, [batch(0, LINES)]), index_bytes=0, index_checksum="")
    snapshot = Snapshot(tmp_path, 1, (segment,), ())

    assert found(scanner(), snapshot, segment, Sought(words("needle"), (frozenset({"absent"}),))) == [0, 32]


def test_who_asks_the_same_at_once_waits_for_the_answer(tmp_path: Path) -> None:
    segment = segment_of(tmp_path, [batch(0, LINES)])
    snapshot, looks = Snapshot(tmp_path, 1, (segment,), ()), scanner()

    with ThreadPoolExecutor(4) as threads:
        some = list(threads.map(lambda _: looks.segment(snapshot, segment, sought("needle"), EVER), range(8)))

    assert all(one is some[0] for one in some)


def test_a_pattern_that_is_too_big_finds_nothing_out(tmp_path: Path) -> None:
    segment = segment_of(tmp_path, [batch(0, LINES)])
    big = Sought(frozenset({r"(\w{500}){500}"}))

    assert scanner().segment(Snapshot(tmp_path, 1, (segment,), ()), segment, big, EVER) is None


def test_memory_is_looked_through(tmp_path: Path) -> None:
    table = pa.Table.from_batches([batch(0, many_lines(50)), batch(50, LINES)])

    assert scanner().table(table, words("needle"))["seq"].to_pylist() == [50, 82]
    assert scanner().table(table, words("line")) is table
    assert scanner().table(table, frozenset()) is table
    assert scanner().table(table.drop_columns(["message"]), words("x")).num_rows == 0
    assert scanner().table(table.slice(0, 0), words("x")).num_rows == 0


def test_sealed_segments_are_looked_through(tmp_path: Path) -> None:
    keys = Keyring([b"k" * 32])
    segment = segment_of(tmp_path, [batch(0, LINES)], keys=keys)
    last = Span(segment.max_time - 3 * SECOND, segment.max_time + 1)
    sealed = Snapshot(tmp_path, 1, (segment,), (), keys)

    assert found(scanner(), sealed, segment, sought("needle")) == [0, 32]
    assert found(scanner(), sealed, segment, sought("needle"), last) == [32]
    with pytest.raises(QueryFailed, match="no key file"):
        scanner().segment(Snapshot(tmp_path, 1, (segment,), ()), segment, sought("needle"), EVER)
