"""Pages and refusals, ours and those of an original log cache."""

from typing import Any

import orjson
import pytest

from standpipe.reading.log_cache_answers import (
    Envelope,
    LogCacheRefused,
    LogCacheUnavailable,
    making_sense,
    page_of,
    page_of_event,
    words_of,
)
from tests.fakes.cursor_log_cache import log


def test_a_page_says_where_to_read_on_and_what_was_missed() -> None:
    page = page_of({"standpipe-cursor": "c", "standpipe-missed": "3", "standpipe-rest": "1"}, [], 10)
    assert (page.cursor, page.missed, page.rest) == ("c", 3, True)


def test_nobody_may_know_how_many_were_missed() -> None:
    assert page_of({"standpipe-missed": "unknown"}, [], 10).missed is None


def test_an_empty_cursor_is_none_for_it_would_lead_back_to_the_oldest() -> None:
    assert page_of({"standpipe-cursor": ""}, [], 10).cursor is None


def test_an_original_log_cache_has_no_cursors() -> None:
    page = page_of({}, [], 10)
    assert (page.cursor, page.missed, page.rest) == (None, 0, False)


def test_an_envelope_stays_as_it_was_written() -> None:
    page = page_of({}, [log("a", 5)], 1)
    assert page.envelopes == [Envelope(5, orjson.dumps(log("a", 5)))]
    assert page.is_full


@pytest.mark.parametrize(("value", "missed"), [({"missed": 3}, 3), ({"missed": None}, None)])
def test_an_event_may_say_what_was_missed(value: Any, missed: int | None) -> None:
    page = page_of_event("missed", value, "")
    assert (page.missed, page.cursor, page.envelopes) == (missed, None, ())


def test_an_event_of_another_kind_brings_nothing() -> None:
    assert page_of_event("news", {"batch": [log("a", 1)]}, "c").envelopes == []


@pytest.mark.parametrize("batch", [[5], [{"timestamp": "x"}], 5])
def test_what_are_no_envelopes_makes_no_sense(batch: Any) -> None:
    with pytest.raises(LogCacheUnavailable, match="makes no sense"), making_sense():
        page_of({}, batch, 10)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"code":2,"message":"limit (5000) must be 1000 or less","details":[]}', "limit (5000) must be 1000 or less"),
        (b'{"status":"error","errorType":"internal","error":"query timed out"}', "query timed out"),
        (b"Metrics not available\n", "Metrics not available"),
        (b"[]", "[]"),
        (b"", ""),
    ],
)
def test_the_words_of_a_refusal_are_found_in_whatever_form(content: bytes, words: str) -> None:
    assert words_of(content) == words


@pytest.mark.parametrize(("status", "retry"), [(400, False), (404, False), (429, True), (500, True), (503, True)])
def test_what_was_refused_for_now_may_be_had_later(status: int, retry: bool) -> None:
    assert LogCacheRefused(status, "").retry is retry
