"""A read is checked by the original's rules, and refused in its words (loggregator.md 4.1)."""

from typing import Any

import pytest

from envelope.errors import DecodeError
from envelope.kinds import Kind
from envelope.pb.logcache_v1_pb2 import EnvelopeType, ReadRequest
from log_cache.query import BadRequest, Query
from log_cache.requests import MAX_SOURCE_ID_BYTES, make_query, read_request

NOW = 1_700_000_000_000_000_000


def made(**asked: Any) -> Query:
    return make_query("app", **asked, now_ns=NOW)


def refusal(**asked: Any) -> str:
    with pytest.raises(BadRequest) as caught:
        made(**asked)
    return str(caught.value)


def test_a_limit_of_zero_is_a_hundred() -> None:
    assert made(limit=0).limit == 100


def test_a_limit_of_a_thousand_is_the_most() -> None:
    assert made(limit=1000).limit == 1000
    assert refusal(limit=1001) == "limit (1001) must be 1000 or less"


def test_a_limit_below_zero_is_refused() -> None:
    assert refusal(limit=-1) == "limit (-1) must be greater than zero"


def test_an_end_of_zero_is_now() -> None:
    assert (made(end=0).end, made(end=0).open_ended) == (NOW, True)
    assert (made(end=NOW).end, made(end=NOW).open_ended) == (NOW, False)
    assert made(end=0, start=NOW + 1).start == NOW + 1


def test_a_start_behind_the_end_is_refused() -> None:
    assert refusal(start=5, end=4) == "StartTime (5) must be before EndTime (4)"
    assert refusal(start=0, end=-4) == "StartTime (0) must be before EndTime (-4)"


def test_a_start_at_the_end_passes() -> None:
    assert made(start=4, end=4).start == 4


def test_a_negative_start_is_legal() -> None:
    assert made(start=-6795364578871345152).start == -6795364578871345152


def test_times_are_checked_before_the_limit_and_the_limit_before_the_filter() -> None:
    assert refusal(start=5, end=4, limit=1001, name_filter="(").startswith("StartTime")
    assert refusal(limit=1001, name_filter="(").startswith("limit")


def test_a_bad_name_filter_is_refused_in_the_words_of_go() -> None:
    assert (
        refusal(name_filter="a(")
        == "name filter must be a valid regular expression: error parsing regexp: missing closing ): `a(`"
    )


def test_no_types_are_all_kinds() -> None:
    assert made(types=[]).kinds == Kind.ALL


def test_any_is_ignored() -> None:
    assert made(types=[EnvelopeType.ANY]).kinds == Kind.ALL
    assert made(types=[EnvelopeType.ANY, EnvelopeType.GAUGE]).kinds == Kind.GAUGE


def test_types_add_up() -> None:
    assert made(types=[EnvelopeType.LOG, EnvelopeType.TIMER]).kinds == Kind.LOG | Kind.TIMER


def test_a_type_nobody_knows_matches_nothing() -> None:
    assert made(types=[99]).kinds == 0


def test_a_source_id_has_a_bound() -> None:
    assert make_query("a" * MAX_SOURCE_ID_BYTES, now_ns=NOW).source_id
    with pytest.raises(BadRequest, match="source_id must be 65536 bytes or less"):
        make_query("ä" * (MAX_SOURCE_ID_BYTES // 2 + 1), now_ns=NOW)


def test_an_empty_source_id_is_one_like_others() -> None:
    assert make_query("", now_ns=NOW).source_id == ""


@pytest.mark.parametrize("beside", [{"start": 1}, {"end": 1}, {"descending": True}])
def test_times_and_direction_do_not_go_with_a_cursor(beside: dict[str, Any]) -> None:
    assert "order of arrival" in refusal(cursor="", **beside)


def test_a_wait_goes_with_a_cursor() -> None:
    assert made(cursor="", wait_s=30.0).wait_s == 30.0
    assert refusal(wait_s=1.0) == "wait goes with a cursor only"


@pytest.mark.parametrize("wait_s", [-1.0, 30.1, float("nan"), float("inf")])
def test_a_wait_has_bounds(wait_s: float) -> None:
    assert refusal(cursor="", wait_s=wait_s) == f"wait ({wait_s:g}) must be from 0 to 30 seconds"


def test_a_request_becomes_a_query() -> None:
    request = ReadRequest(
        source_id="app",
        start_time=-3,
        end_time=9,
        limit=7,
        envelope_types=[EnvelopeType.COUNTER],
        descending=True,
        name_filter="^cpu",
    )

    assert read_request(request.SerializeToString(), now_ns=NOW) == Query(
        source_id="app", start=-3, end=9, limit=7, kinds=Kind.COUNTER, descending=True, name_filter="^cpu"
    )


def test_bytes_that_are_no_request_are_told_from_a_bad_one() -> None:
    with pytest.raises(DecodeError, match="not a ReadRequest"):
        read_request(b"\xff", now_ns=NOW)
