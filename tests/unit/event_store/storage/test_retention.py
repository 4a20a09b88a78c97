"""What is kept no longer: by age, by source, by bytes."""

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from event_store.storage import Gone, KeepRule, Segment, StorageSettings
from event_store.storage.retention import Retention
from event_store.storage.segments import MOST_SOURCES
from tests.unit.event_store.storage.events import START, batch_of, events, numbers_in, opened

DAY = 86_400_000_000_000


def segment(day: int, sources: set[str], size: int = 10) -> Segment:
    return Segment(
        file=f"{day}",
        level=1,
        rows=size,
        bytes=size,
        min_time=day * DAY,
        max_time=day * DAY,
        min_seq=day,
        max_seq=day,
        checksum="",
        columns=frozenset(),
        sources=frozenset(sources),
    )


SEGMENTS = [segment(1, {"web"}), segment(3, {"web", "noisy-1"}), segment(5, {"noisy-1"}), segment(9, {"web"})]


def sources_of(segment: Segment) -> frozenset[str]:
    return segment.sources or frozenset()


def gone(**said: object) -> tuple[list[str], list[str]]:
    retention = Retention(StorageSettings.model_validate(said), 10 * DAY)
    expired = retention.expired(SEGMENTS, sources_of)
    left = [one for one in SEGMENTS if one not in expired]
    return [one.file for one in expired], [one.file for one in retention.thinned(left, sources_of)]


@pytest.mark.parametrize(
    ("said", "expired", "thinned"),
    [
        ({}, [], []),
        ({"keep_days": 6}, ["1", "3"], []),
        ({"keep_days": 7}, ["1"], []),
        ({"keep_bytes": 25}, ["1", "3"], []),
        ({"keep_bytes": 40}, [], []),
        ({"keep_bytes": 5}, ["1", "3", "5", "9"], []),
        ({"keep_days": 8, "keep_bytes": 20}, ["1", "3"], []),
        ({"keep": [{"sources": "noisy-*", "days": 2}]}, [], ["3", "5"]),
        ({"keep_days": 8, "keep": [{"sources": "noisy-*", "days": 2}]}, ["1"], ["3", "5"]),
        ({"keep_days": 4, "keep": [{"sources": "noisy-*", "days": 20}]}, ["1"], ["3"]),
        ({"keep_days": 4, "keep": [{"sources": "noisy-*", "days": 4.5}]}, ["1", "3", "5"], []),
        ({"keep": [{"sources": "noisy-1", "days": 99}, {"sources": "*", "days": 4}]}, ["1"], ["3"]),
    ],
)
def test_what_goes_as_a_whole_and_what_in_part(said: dict[str, object], expired: list[str], thinned: list[str]) -> None:
    assert gone(**said) == (expired, thinned)


def test_events_of_a_source_go_when_their_time_has_come_and_it_is_counted(tmp_path: Path) -> None:
    rules = [KeepRule(sources="noisy-*", days=2)]
    with closing(opened(tmp_path, keep=rules)) as store:
        store.append([batch_of(time=[START] * 3, source_id=["web", "noisy-1", None], message=["1", "2", "3"])])
        store.append([events([4])])
        store.flush()
        assert store.compact(START + DAY) == 1
        assert numbers_in(store.snapshot()) == [1, 2, 3, 4]
        with capture_logs() as said:
            assert store.compact(START + 3 * DAY) == 1
        assert numbers_in(store.snapshot()) == [1, 3, 4]
        assert store.compact(START + 3 * DAY) == 0
        assert store.stats().gone == Gone(events=1)
    assert [(line["event"], line["events"]) for line in said] == [("events_expired", 1)]
    with closing(opened(tmp_path)) as again:
        assert again.stats().gone == Gone(events=1)


def test_segments_that_are_too_old_go_and_so_do_their_files(tmp_path: Path) -> None:
    with closing(opened(tmp_path, keep_days=1, remove_after_s=0)) as store:
        for number in range(2):
            store.append([events([number * 2 * DAY])])
            store.flush()
        old = store.segments()[0]
        taken = store.snapshot()
        store.compact(START + 2 * DAY)
        assert [one.min_seq for one in store.segments()] == [1]
        assert store.stats().gone == Gone(events=1, segments=1, bytes=old.bytes_on_disk)
        assert numbers_in(taken) == [0, 2 * DAY]
        del taken
        store.compact(START + 2 * DAY)
        assert not (tmp_path / old.file).parent.parent.exists()


def test_what_nobody_knows_the_sources_of_stays() -> None:
    keep = [KeepRule(sources="noisy-*", days=99), KeepRule(sources="*", days=1)]
    retention = Retention(StorageSettings(keep=keep), 10 * DAY)

    assert retention.expired(SEGMENTS, sources_of) == SEGMENTS[:1]
    assert retention.expired(SEGMENTS, lambda _: None) == retention.thinned(SEGMENTS, lambda _: None) == []


def test_all_sources_of_a_segment_have_to_go_that_has_too_many_to_be_listed(tmp_path: Path) -> None:
    rules = [KeepRule(sources="noisy-*", days=2)]
    many = [f"noisy-{number}" for number in range(MOST_SOURCES + 1)]
    with closing(opened(tmp_path, keep=rules)) as store:
        store.append([batch_of(time=[START] * len(many), source_id=many, message=["1"] * len(many))])
        store.append([events([2])])
        store.flush()
        assert store.segments()[0].sources is None
        store.compact(START + 3 * DAY)
        assert numbers_in(store.snapshot()) == [2]
        assert store.compact(START + 3 * DAY) == 0


@settings(max_examples=20)
@given(
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["a", "b", "c"])), min_size=1, max_size=20),
    st.none() | st.integers(1, 9),
    st.lists(st.tuples(st.sampled_from(["a", "b", "[ab]", "*"]), st.integers(1, 9)), max_size=3),
)
def test_what_is_gone_is_what_the_rules_say(
    tmp_path_factory: pytest.TempPathFactory,
    made: list[tuple[int, str]],
    keep_days: int | None,
    rules: list[tuple[str, int]],
) -> None:
    def stays(day: int, source: str) -> bool:
        days = next((days for sources, days in rules if sources == "*" or source in sources), keep_days)
        return days is None or 10 - day <= days

    keep = [KeepRule(sources=sources, days=days) for sources, days in rules]
    with closing(opened(tmp_path_factory.mktemp("s"), keep=keep, keep_days=keep_days, row_group_rows=10)) as store:
        for number, (day, source) in enumerate(made):
            store.append([batch_of(time=[START + day * DAY], source_id=[source], message=[str(number)])])
            if number % 5 == 4:
                store.flush()
        store.flush()
        store.compact(START + 10 * DAY)
        assert numbers_in(store.snapshot()) == [n for n, one in enumerate(made) if stays(*one)]
        assert store.stats().gone.events == sum(not stays(*one) for one in made)


def test_what_lies_beside_the_segments_counts_too() -> None:
    big = [replace(one, index_bytes=5) for one in SEGMENTS]
    retention = Retention(StorageSettings(keep_bytes=30), 10 * DAY)

    assert retention.expired(big, sources_of) == big[:2]


def test_rules_are_asked_once_for_each_source(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def note(name: str, pattern: str) -> bool:
        asked.append((name, pattern))
        return False

    monkeypatch.setattr("event_store.storage.retention.fnmatchcase", note)
    retention = Retention(StorageSettings(keep=[KeepRule(sources="x", days=1)], keep_days=2), 10 * DAY)

    assert {retention.first_kept(source) for source in ["web", None, "web", None]} == {8 * DAY}
    assert asked == [("web", "x"), ("", "x")]
