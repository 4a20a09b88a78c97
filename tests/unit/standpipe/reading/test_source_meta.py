"""What a log cache holds of each source."""

import pytest

from standpipe.reading.source_meta import Order, SourceMeta, in_order, measured, parse_meta


def _meta(source_id: str, count: int = 0, expired: int = 0, span_s: float = 0, rate: float = 0) -> SourceMeta:
    return SourceMeta(
        source_id=source_id, count=count, expired=expired, oldest=0, newest=int(span_s * 10**9), rate=rate
    )


def test_the_gateways_answer_is_read() -> None:
    fields = {"count": "120", "expired": "3", "oldest_timestamp": "0", "newest_timestamp": "60000000000"}
    assert parse_meta({"meta": {"shop": fields}}) == [_meta("shop", 120, 3, 60, rate=120)]


def test_a_proxys_answer_leaves_out_zeros() -> None:
    answer = {"meta": {"shop": {"count": "1", "oldestTimestamp": "1000000000", "newestTimestamp": "5000000000"}}}
    (meta,) = parse_meta(answer)
    assert (meta.count, meta.expired, meta.duration_s, meta.rate) == (1, 0, 4, 15)


def test_no_sources_are_none() -> None:
    assert parse_meta({}) == []


def test_the_least_duration_is_a_second() -> None:
    assert _meta("a", span_s=0.1).duration_s == 1


def test_a_measured_rate_counts_what_expired_too() -> None:
    before = [_meta("steady", 100, 10), _meta("gone", 5), _meta("anew", 500, 100)]
    after = [_meta("steady", 100, 40), _meta("new", 6), _meta("anew", 2)]
    rates = {each.source_id: each.rate for each in measured(before, after, 10.0)}
    assert rates == {"steady": 180, "new": 36, "anew": 12}


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        (Order.SOURCE, "abc"),
        (Order.COUNT, "bac"),
        (Order.EXPIRED, "cab"),
        (Order.DURATION, "acb"),
        (Order.RATE, "cba"),
    ],
)
def test_whoever_has_most_comes_first_and_equals_by_name(order: Order, expected: str) -> None:
    sources = [_meta("c", 1, 9, 5, rate=3), _meta("b", 2, 0, 1, rate=2), _meta("a", 1, 0, 9, rate=1)]
    assert "".join(each.source_id for each in in_order(sources, order)) == expected
