from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbing.retry_after import retry_after_s

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        ("0", 0),
        ("12", 12),
        ("-3", 0),
        ("1e9", 300),
        ("inf", 300),
        ("nan", None),
        ("", None),
        ("soon", None),
        (format_datetime(NOW + timedelta(seconds=30), usegmt=True), 30),
        (format_datetime(NOW - timedelta(seconds=30), usegmt=True), 0),
        (format_datetime(NOW + timedelta(days=30), usegmt=True), 300),
    ],
)
def test_retry_after_is_seconds_or_a_date(header: str, wait_s: float | None) -> None:
    assert retry_after_s(header, NOW, 300.0) == wait_s


@given(st.text(max_size=40) | st.text("MonJan 0123456789:+-GMT,", max_size=40))
def test_whatever_a_server_says_is_a_wait_or_nothing(header: str) -> None:
    wait_s = retry_after_s(header, NOW, 300.0)

    assert wait_s is None or 0 <= wait_s <= 300
