"""Metrics and tags of envelopes become series, named as the original names them (loggregator.md 4.4)."""

import struct

import pytest

from envelope.pb.loggregator_v2_pb2 import Envelope
from log_cache.series import Samples, Wanted, sanitised, series_of

SECOND = 1_000_000_000


def tags(**pairs: str) -> bytes:
    """Write the entries in the order they are given."""
    return b"".join(Envelope(tags={name: value}).SerializeToString() for name, value in pairs.items())


def samples(*pairs: tuple[int, float]) -> tuple[bytes, bytes]:
    times, values = zip(*pairs, strict=True)
    return struct.pack(f"<{len(times)}q", *times), struct.pack(f"<{len(values)}d", *values)


def found(*parts: Samples, source_id: str = "app") -> dict[tuple[tuple[str, str], ...], list[tuple[int, float]]]:
    return {
        series.labels: list(zip(series.times.tolist(), series.values.tolist(), strict=True))
        for series in series_of(source_id, parts)
    }


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("http.latency", "http_latency"),
        ("http..latency", "http__latency"),
        ("9lives", "_lives"),
        ("a9", "a9"),
        ("_a_", "_a_"),
        ("[a", "_a"),
        ("a-b/c d", "a_b_c_d"),
        ("größe", "gr__e"),
        ("a\nb", "a_b"),
        ("", ""),
    ],
)
def test_a_name_is_sanitised_one_character_for_one(raw: str, name: str) -> None:
    assert sanitised(raw) == name


def test_a_raw_name_is_wanted_by_its_sanitised_one_and_remembered() -> None:
    asked: list[str] = []
    wanted = Wanted(lambda name: bool(asked.append(name)) or name == "http_latency")

    assert [wanted[b"http.latency"], wanted[b"http.latency"], wanted[b"cpu"]] == [True, True, False]
    assert asked == ["http_latency", "cpu"]


def test_labels_are_the_tags_the_source_the_instance_and_the_name() -> None:
    part = {(b"http.latency", b"0", tags(job="api")): samples((SECOND, 2.0))}

    assert found(part) == {
        (("__name__", "http_latency"), ("instance_id", "0"), ("job", "api"), ("source_id", "app")): [(1000, 2.0)]
    }


def test_an_empty_instance_is_no_label() -> None:
    assert list(found({(b"cpu", b"", b""): samples((0, 0.0))})) == [(("__name__", "cpu"), ("source_id", "app"))]


def test_what_an_envelope_says_of_itself_wins_over_its_tags() -> None:
    part = {(b"cpu", b"1", tags(source_id="other", instance_id="7", __name__="disk")): samples((0, 0.0))}

    assert list(found(part)) == [(("__name__", "cpu"), ("instance_id", "1"), ("source_id", "app"))]


def test_a_tag_keeps_its_name_even_if_that_is_none_in_promql() -> None:
    ((labels, _),) = found({(b"cpu", b"", Envelope(tags={"a-b": "c"}).SerializeToString()): samples((0, 0.0))}).items()

    assert ("a-b", "c") in labels


def test_times_are_cut_to_whole_seconds() -> None:
    part = {(b"cpu", b"", b""): samples((-1, 0.0), (999_999_999, 1.0), (SECOND, 2.0), (3 * SECOND // 2, 3.0))}

    assert list(found(part).values()) == [[(-1000, 0.0), (0, 1.0), (1000, 2.0), (1000, 3.0)]]


def test_the_same_tags_in_another_order_are_one_series() -> None:
    part = {
        (b"cpu", b"", tags(a="1", b="2")): samples((SECOND, 1.0), (3 * SECOND, 3.0)),
        (b"cpu", b"", tags(b="2", a="1")): samples((2 * SECOND, 2.0)),
    }

    assert list(found(part).values()) == [[(1000, 1.0), (2000, 2.0), (3000, 3.0)]]


def test_names_that_are_sanitised_alike_are_one_series() -> None:
    part = {(b"a.b", b"", b""): samples((0, 1.0)), (b"a-b", b"", b""): samples((SECOND, 2.0))}

    assert list(found(part).values()) == [[(0, 1.0), (1000, 2.0)]]


def test_parts_are_joined_and_equal_times_stay_in_order_of_arrival() -> None:
    key = (b"cpu", b"", b"")
    first, second = {key: samples((2, 1.0), (5, 2.0))}, {key: samples((1, 3.0), (5, 4.0))}

    assert [value for _, value in next(iter(found(first, second).values()))] == [3.0, 1.0, 2.0, 4.0]
