"""The times of lines in a form that is given: what is none, and any bytes."""

from __future__ import annotations

from datetime import UTC

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envelope.numbers_as_text import INT64
from standpipe.importing.given_form import GivenForm
from tests.unit.standpipe.importing.test_line_times import NEWEST_NS, ns


@pytest.mark.parametrize(
    ("form", "line", "time"),
    [
        ("%d.%m.%Y %H:%M:%S", b"Am 20.11.2026 10:11:12 geschah es", ns("2026-11-20T10:11:12")),
        ("%I:%M:%S.%f %p %b %d", b"03:04:05.25 PM Nov 20 x", ns("2026-11-20T15:04:05.25")),
        ("%b %d %H:%M", b"Dec 24 18:00", ns("2025-12-24T18:00:00")),
        ("%Y%m%d-%H%M%S%z", b"20261120-101112+0100|x", ns("2026-11-20T09:11:12")),
        ("%d/%m/%y", b"20-11-26", None),
        ("%d/%m/%y", b"99/99/26", None),
    ],
)
def test_another_form_can_be_given(form: str, line: bytes, time: int | None) -> None:
    assert GivenForm(form, NEWEST_NS, UTC).of(line) == time


def test_a_given_year_counts_for_a_given_form() -> None:
    assert GivenForm("%d.%m. %H:%M", NEWEST_NS, UTC, 2024).of(b"29.02. 10:00 x") == ns("2024-02-29T10:00:00")


@pytest.mark.parametrize("form", ["", "%Q", "at noon"])
def test_what_is_no_form_is_refused(form: str) -> None:
    with pytest.raises(ValueError, match="no form of a time"):
        GivenForm(form, NEWEST_NS)


@pytest.mark.parametrize("form", ["%m %m", "%h %d", "%%", "%Y-%m-%d %Y"])
def test_a_form_that_no_time_can_have_is_refused(form: str) -> None:
    with pytest.raises(ValueError, match="no form of a time"):
        GivenForm(form, NEWEST_NS)


@pytest.mark.parametrize(
    ("newest", "time"),
    [
        ("2026-11-21", "2024-02-29"),
        ("2024-02-28", "2024-02-29"),
        ("2024-02-27", "2020-02-29"),
        ("2103-06-01", "2096-02-29"),
    ],
)
def test_a_29_february_is_of_the_last_year_that_had_one(newest: str, time: str) -> None:
    times = GivenForm("%d.%m. %H:%M", ns(f"{newest}T10:12:00"), UTC)
    assert times.of(b"29.02. 10:11 x") == ns(f"{time}T10:11:00")
    assert times.of(b"30.02. 10:11 x") is None


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_any_bytes_have_a_time_or_none(lines: list[bytes]) -> None:
    times = GivenForm("%d.%m. %H:%M", NEWEST_NS)
    for line in [start + line for line in lines for start in (b"", b"20.11. ", b"20.11. 10:11")]:
        assert (found := times.of(line)) is None or found in INT64
