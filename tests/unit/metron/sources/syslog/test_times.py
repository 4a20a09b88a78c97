"""Timestamps as syslog has them."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metron.sources.syslog.times import bsd_ns, iso_ns, zone_named

SECOND = 10**9
BERLIN = ZoneInfo("Europe/Berlin")


def at(*moment: int) -> int:
    return int(datetime(*moment, tzinfo=UTC).timestamp()) * SECOND  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"1985-04-12T23:20:50.52Z", at(1985, 4, 12, 23, 20, 50) + 520_000_000),
        (b"1985-04-12T19:20:50.52-04:00", at(1985, 4, 12, 23, 20, 50) + 520_000_000),
        (b"2003-08-24T05:14:15.000003-07:00", at(2003, 8, 24, 12, 14, 15) + 3_000),
        (b"2026-01-02t03:04:05z", at(2026, 1, 2, 3, 4, 5)),
        (b"2026-01-02 03:04:05,5+0100", at(2026, 1, 2, 2, 4, 5) + SECOND // 2),
        (b"2026-01-02T03:04:05", at(2026, 1, 2, 2, 4, 5)),  # no offset: the zone's
        (b"2026-01-02T03:04:05.123456789Z", at(2026, 1, 2, 3, 4, 5) + 123_456_789),
        (b"2026-01-02T03:04:05.123456789123Z", at(2026, 1, 2, 3, 4, 5) + 123_456_789),
        (b"1969-12-31T23:59:59.5Z", -SECOND // 2),
        (b"2262-04-11T23:47:16.854775807Z", 2**63 - 1),
        (b"2262-04-11T23:47:16.854775808Z", None),
        (b"1677-09-21T00:12:43Z", None),
        (b"9999-12-31T23:59:59Z", None),
        (b"0000-01-01T00:00:00Z", None),
        (b"2026-02-30T00:00:00Z", None),
        (b"2026-01-02T25:00:00Z", None),
        (b"2026-01-02T03:04:05+99:00", None),
        (b"2026-01-02", None),
        (b"-", None),
        (b"", None),
    ],
)
def test_iso_times(text: bytes, expected: int | None) -> None:
    assert iso_ns(text, BERLIN) == expected


@given(st.datetimes(datetime(1700, 1, 1), datetime(2262, 1, 1)), st.integers(-23 * 60, 23 * 60))
def test_every_iso_time_reads_back(moment: datetime, offset: int) -> None:
    aware = moment.replace(tzinfo=timezone(timedelta(minutes=offset)))

    read = iso_ns(aware.isoformat().encode(), None)

    assert read == (aware - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


@given(st.binary(max_size=40))
def test_no_bytes_are_too_much(text: bytes) -> None:
    assert isinstance(iso_ns(text, None), int | None)


@pytest.mark.parametrize(
    ("now", "month", "day", "year"),
    [
        ((2026, 10, 12), b"Oct", b"11", 2026),
        ((2026, 1, 1), b"Dec", b"31", 2025),
        ((2026, 12, 31), b"Jan", b"1", 2027),
        ((2025, 3, 1), b"Feb", b"29", 2024),
    ],
)
def test_a_bsd_time_is_of_the_year_nearest_to_now(
    now: tuple[int, int, int], month: bytes, day: bytes, year: int
) -> None:
    number = {b"Jan": 1, b"Feb": 2, b"Oct": 10, b"Dec": 12}[month]

    read = bsd_ns((month, day), b"22:14:15", year=b"", fraction=b"25", zone=UTC, now_ns=at(*now))

    assert read == at(year, number, int(day), 22, 14, 15) + SECOND // 4


def test_a_bsd_time_may_name_its_year_and_is_in_the_zone_it_is_told() -> None:
    read = bsd_ns((b"Jul", b"14"), b"10:20:30", year=b"2019", fraction=b"", zone=BERLIN, now_ns=at(2026, 1, 1))

    assert read == at(2019, 7, 14, 8, 20, 30)


@pytest.mark.parametrize(("day", "time"), [(b"31", b"00:00:00"), (b"0", b"00:00:00"), (b"1", b"24:00:00")])
def test_a_day_or_an_hour_that_there_is_not_is_no_time(day: bytes, time: bytes) -> None:
    assert bsd_ns((b"Feb", day), time, year=b"", fraction=b"", zone=UTC, now_ns=at(2026, 1, 1)) is None


def test_of_the_names_of_zones_utc_alone_is_known() -> None:
    assert [zone_named(name, BERLIN) for name in (b"UTC", b"GMT", b"CEST", b"")] == [UTC, UTC, BERLIN, BERLIN]
