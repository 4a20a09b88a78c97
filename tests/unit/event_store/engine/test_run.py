"""Queries over segments and memory answer what they should, and look into no more than they need."""

from pathlib import Path
from typing import Any

import pytest

from event_store.engine import Engine, SegmentUnreadable, run, source
from event_store.storage import Snapshot, Store
from event_store.storage.crypto import Keyring
from event_store.storage.schema import numbered
from tests.unit.event_store.engine.conftest import FIRST, SECOND
from tests.unit.event_store.engine.stores import SECOND as SECOND_NS
from tests.unit.event_store.engine.stores import asked, batch, rows, segment_of, snapshot_of
from tests.unit.event_store.storage.events import SETTINGS, START, batch_of, events


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("error | fields message", [("two Error",), ("three error",), ("five ERROR",)]),
        ("error | tail 2 | fields message", [("three error",), ("five ERROR",)]),
        ("/^tw/ | head 1 | fields seq", [(1,)]),
        ("| tail 1 | fields seq,app", [(5, None)]),
        ("| head 3 | count by app", [("api", 1), ("web", 1), (None, 1)]),
        ("| count by app", [(None, 3), ("web", 2), ("api", 1)]),
        ("status >= 500 | fields seq,status", [(2, 500.0)]),
        ("| sort -message | limit 2 | fields message", [("two Error",), ("three error",)]),
        ("severity:error | count", [(1,)]),
        ("absent | count", [(0,)]),
        ("absent | fields message", []),
        ("| top 1 app where error", [("api", 1)]),
        ("(one or /s[i]x/) | fields seq", [(0,), (5,)]),
    ],
)
def test_answers_over_segments_and_memory(engine: Engine, snapshot: Snapshot, text: str, expected: list[Any]) -> None:
    assert rows(engine.run(snapshot, asked(text))) == expected


def test_answers_over_sealed_segments(tmp_path: Path) -> None:
    keys = Keyring([b"k" * 32])
    parts = [batch(0, FIRST), batch(2, SECOND)]
    segments = tuple(segment_of(tmp_path, [part], keys=keys) for part in parts)
    snapshot, engine = Snapshot(tmp_path, 1, segments, (), keys), Engine(tmp_path, threads=1)

    def ask(text: str) -> list[tuple[Any, ...]]:
        return rows(engine.run(snapshot, asked(text)))

    assert ask("error | fields message") == [("two Error",), ("three error",)]
    assert ask("status >= 500 or app:web | fields seq") == [(0,), (2,)]
    assert ask("| count by app") == [(None, 2), ("api", 1), ("web", 1)]
    assert engine.sql(snapshot, "SELECT count(*) FROM events WHERE time IS NOT NULL").table[0].to_pylist() == [4]
    engine.close()


@pytest.mark.parametrize("text", ["error", "| count by message", "| tail 1"])
@pytest.mark.parametrize("kept_bytes", [0, 500])
def test_a_segment_that_is_damaged_is_said_to_be(tmp_path: Path, text: str, kept_bytes: int) -> None:
    snapshot = snapshot_of(tmp_path, FIRST)
    with snapshot.path(snapshot.segments[0]).open("r+b") as file:
        file.truncate(kept_bytes)
    engine = Engine(tmp_path, threads=1)

    with pytest.raises(SegmentUnreadable, match="cannot be read: try again, then `standpipe store verify`") as failed:
        engine.run(snapshot, asked(text))
    assert failed.value.files == {snapshot.segments[0].file}
    engine.close()


def test_a_segment_whose_columns_have_other_names_is_said_to_be_damaged(tmp_path: Path) -> None:
    snapshot = snapshot_of(tmp_path, FIRST)
    path = snapshot.path(snapshot.segments[0])
    path.write_bytes(path.read_bytes().replace(b"source_id", b"source_ie"))
    engine = Engine(tmp_path, threads=1)

    with pytest.raises(SegmentUnreadable) as failed:
        engine.run(snapshot, asked("| count by source_id"))
    assert failed.value.files == {snapshot.segments[0].file}
    engine.close()


@pytest.mark.parametrize("text", ["error", "| count by message", "| tail 1"])
def test_a_sealed_segment_that_is_damaged_within_is_said_to_be(tmp_path: Path, text: str) -> None:
    keys = Keyring([b"k" * 32])
    segment = segment_of(tmp_path, [batch(0, {"message": [f"error {number}" for number in range(100)]})], keys=keys)
    damaged = bytearray((tmp_path / segment.file).read_bytes())
    damaged[4 : len(damaged) // 2] = bytes(len(damaged) // 2 - 4)
    (tmp_path / segment.file).write_bytes(damaged)
    engine = Engine(tmp_path, threads=1)

    with pytest.raises(SegmentUnreadable, match="cannot be read: try again, then `standpipe store verify`") as failed:
        engine.run(Snapshot(tmp_path, 1, (segment,), (), keys), asked(text))
    assert failed.value.files == {segment.file}
    engine.close()


def test_says_what_it_took_and_what_the_columns_hold(engine: Engine, snapshot: Snapshot) -> None:
    result = engine.run(snapshot, asked("status:500 | fields time,status,nowhere"))

    assert [(column.name, column.type.value) for column in result.columns[:2]] == [
        ("time", "time"),
        ("status", "number"),
    ]
    assert (result.stats.segments, result.stats.segments_skipped, result.stats.rows_scanned) == (1, 1, 4)
    assert result.stats.bytes_scanned > snapshot.segments[1].bytes
    assert "nowhere" in result.warnings[0]
    assert not result.is_events


def test_events_come_with_all_their_columns(engine: Engine, snapshot: Snapshot) -> None:
    result = engine.run(snapshot, asked("two"))

    assert result.is_events
    (row,) = result.table.to_pylist()
    assert (row["message"], row["t_app"], row["f_status$num"], row["source_id"]) == ("two Error", "api", None, "web")


def test_a_sorted_list_is_of_segments_and_memory_alike(tmp_path: Path) -> None:
    parts = [{"value": [float(value) for value in values]} for values in ([1, 9], [8, 2], [7, 3])]
    snapshot = snapshot_of(tmp_path, *parts[:2], hot=parts[2:])
    engine = Engine(tmp_path, threads=1)

    assert rows(engine.run(snapshot, asked("| sort -value | limit 3 | fields value"))) == [(9,), (8,), (7,)]
    assert rows(engine.run(snapshot, asked("| sort -value | tail 3 | fields value"))) == [(3,), (2,), (1,)]
    assert rows(engine.run(snapshot, asked("word | sort value"))) == []
    engine.close()


def test_a_list_of_what_is_frequent_is_found_in_a_glimpse(tmp_path: Path) -> None:
    numbers = range(64)
    snapshot = snapshot_of(tmp_path, {"message": [f"at {number}" for number in numbers]})
    engine = Engine(tmp_path, threads=1)

    assert rows(engine.run(snapshot, asked("at | tail 3 | fields seq"))) == [(61,), (62,), (63,)]
    assert rows(engine.run(snapshot, asked("at | tail 30 | fields seq"))) == [(seq,) for seq in range(34, 64)]
    assert rows(engine.run(snapshot, asked('"at 1" | tail 3 | fields seq'))) == [(17,), (18,), (19,)]
    engine.close()


def test_a_list_looks_into_no_more_segments_than_it_needs(engine: Engine, snapshot: Snapshot) -> None:
    def looked_into(text: str) -> int:
        return engine.run(snapshot, asked(text)).stats.segments

    assert looked_into("| tail 2") == 0  # they are in memory
    assert looked_into("| tail 4") == 1
    assert looked_into("| tail 5") == 2
    assert looked_into("| head 2") == 1


def test_a_list_reads_nothing_of_segments_that_it_did_not_look_into(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    late = numbered(batch_of(time=[START + SECOND_NS], source_id=["web"], type=["log"], message=["late"]), 4)
    old = segment_of(tmp_path / "gone", [batch(0, {"message": ["old"]}), late])
    new = segment_of(tmp_path, [batch(2, {"message": ["new", "newest"]})])
    engine = Engine(tmp_path, threads=1)

    result = engine.run(Snapshot(tmp_path, 1, (old, new), ()), asked("| tail 1 | fields seq,message"))

    assert rows(result) == [(3, "newest")]  # and its place is among those of the other
    engine.close()


def test_a_segment_whose_values_or_words_cannot_match_is_passed_over(engine: Engine, snapshot: Snapshot) -> None:
    def passed_over(text: str) -> int:
        return engine.run(snapshot, asked(text)).stats.segments_skipped

    assert passed_over("app:web | count") == 1  # the other one has no tag of that name
    assert passed_over("app:nobody | count") == 2
    assert passed_over("app:nobody or severity:fatal | count") == 2
    assert passed_over("not app:nobody | count") == 0
    assert rows(engine.run(snapshot, asked("has error | count"))) == [(3,)]
    assert rows(engine.run(snapshot, asked("has err | count"))) == [(0,)]


def test_an_index_is_read_for_words_once_and_for_values_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot, read = snapshot_of(tmp_path, FIRST, SECOND), []
    engine, index = Engine(tmp_path, threads=1), Snapshot.index
    monkeypatch.setattr(Snapshot, "index", lambda self, segment: (read.append(segment), index(self, segment))[1])

    def reads(text: str) -> int:
        read.clear()
        engine.run(snapshot, asked(text))
        return len(read)

    assert reads("severity:fatal | count") == 2
    assert reads("severity:error | count") == 0  # values are remembered
    assert reads("has error | count") == 2  # messages have no values
    assert reads("has error | count") == 0  # what was found is
    engine.close()


def test_a_list_of_what_was_found_is_read_with_what_is_known_of_it(tmp_path: Path) -> None:
    lines = {"message": ["a needle", *["hay"] * 20, "Needle"], "t_app": [f"app-{number}" for number in range(22)]}
    snapshot, engine = snapshot_of(tmp_path, lines, lines), Engine(tmp_path, threads=1)

    assert rows(engine.run(snapshot, asked("needle app:app-* | tail 3 | fields seq,message,app"))) == [
        (21, "Needle", "app-21"),
        (22, "a needle", "app-0"),
        (43, "Needle", "app-21"),
    ]
    assert rows(engine.run(snapshot, asked("needle nowhere:x | tail 3"))) == []
    assert "nowhere" in engine.run(snapshot, asked("needle not nowhere:x | tail 3")).warnings[0]
    engine.close()


def test_what_was_found_for_more_is_no_answer_to_less(tmp_path: Path) -> None:
    lines = {5: "error alpha", 55: "error beta", 95: "error beta"}
    snapshot = snapshot_of(tmp_path, {"message": [lines.get(number, "fine") for number in range(100)]})
    engine = Engine(tmp_path, threads=1)

    assert rows(engine.run(snapshot, asked('error message == "error alpha" | fields seq'))) == [(5,)]
    assert rows(engine.run(snapshot, asked("error | fields seq"))) == [(5,), (55,), (95,)]
    engine.close()


@pytest.mark.parametrize("most", [0, 32 << 20])
def test_a_query_keeps_no_more_of_what_it_found_than_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(run, "_MOST_HELD", most)
    shown: list[source.Source] = []
    monkeypatch.setattr(run, "show", lambda made, *rest: (shown.append(made), source.show(made, *rest)))
    lines = {"message": ["a needle", *["hay"] * 20]}
    snapshot, engine = snapshot_of(tmp_path, lines, lines, lines), Engine(tmp_path, threads=1)

    assert rows(engine.run(snapshot, asked("needle | count by message"))) == [("a needle", 3)]
    assert [some.held is not None for made in shown for _, some in made.partial] == [most > 0] * 3
    engine.close()


def test_an_empty_store_answers(engine: Engine, folder: Path) -> None:
    nothing = Snapshot(folder, 1, (), ())

    assert rows(engine.run(nothing, asked("error | count"))) == [(0,)]
    assert rows(engine.run(nothing, asked(""))) == []


def test_what_a_store_took_is_found_before_and_after_it_is_flushed(tmp_path: Path) -> None:
    store, engine = Store.open(tmp_path, SETTINGS), Engine(tmp_path, threads=2)

    store.append([events(range(5)), events([5], t_app=["web"])])
    before = rows(engine.run(store.snapshot(), asked("app:web | fields message")))
    store.flush()
    store.append([events([6], t_app=["web"])])
    after = rows(engine.run(store.snapshot(), asked("app:web | fields message")))

    assert (before, after) == ([("5",)], [("5",), ("6",)])
    engine.close()
    store.close()
