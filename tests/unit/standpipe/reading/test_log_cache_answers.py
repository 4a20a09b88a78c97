"""Pages and refusals, ours and those of an original log cache."""

from typing import Any

import orjson
import pytest

from standpipe.reading.https_client import ServerUnavailable, making_sense
from standpipe.reading.log_cache_answers import (
    Envelope,
    page_of,
    page_of_event,
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
    with pytest.raises(ServerUnavailable, match="makes no sense"), making_sense():
        page_of({}, batch, 10)
