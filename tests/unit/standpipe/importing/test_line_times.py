"""The times of lines: each form, what is none, and any bytes."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from envelope.numbers_as_text import INT64
from standpipe.importing.line_times import LineTimes

NEWEST_NS = int(datetime(2026, 11, 21, 12, tzinfo=UTC).timestamp()) * 10**9


def ns(text: str) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return int(moment.replace(microsecond=0).timestamp()) * 10**9 + moment.microsecond * 1000


@pytest.mark.parametrize(
    ("line", "time"),
    [
        (b"2026-11-20T10:11:12.123456789Z hello", ns("2026-11-20T10:11:12") + 123_456_789),
        (b"2015-10-18 18:01:47,978 INFO [main] Created", ns("2015-10-18T18:01:47.978")),
        (b"[2026-11-20T10:11:12+01:00] hello", ns("2026-11-20T09:11:12")),
        (b"2026-11-20 10:11:12.5 UTC [12] LOG:  ready", ns("2026-11-20T10:11:12.5")),
        (b"2026-11-20 10:11:12+01 postgres", ns("2026-11-20T09:11:12")),
        (b"2026/11/20 10:11:12 [error] 12#0: *1 open() failed", ns("2026-11-20T10:11:12")),
        (b"nova-api.log.1.2017-05-16_13:53:08 2017-05-16 00:00:00.008 25746 INFO", ns("2017-05-16T00:00:00.008")),
        (b"<34>1 2003-10-11T22:14:15.003Z host su - ID47 - failed", ns("2003-10-11T22:14:15.003")),
        (b"<34>Oct 11 22:14:15 mymachine su: failed", ns("2026-10-11T22:14:15")),
        (b"Dec  9 06:55:46 LabSZ sshd[24200]: Invalid user", ns("2025-12-09T06:55:46")),
        (b"Nov 22 11:00:00 host app: a little ahead", ns("2026-11-22T11:00:00")),
        (b"[Sun Dec 04 04:47:44 2005] [notice] ok", ns("2005-12-04T04:47:44")),
        (b"[Sun Dec 04 04:47:44.123456 2005] [core:notice] ok", ns("2005-12-04T04:47:44.123456")),
        (b'10.0.0.1 - ann [21/Nov/2026:10:00:00 +0100] "GET / HTTP/1.1" 200', ns("2026-11-21T09:00:00")),
        (b"03-17 16:13:38.811  1702  2395 D WindowManager: x", ns("2026-03-17T16:13:38.811")),
        (b"I0611 14:35:28.123456    7 server.go:12] up", ns("2026-06-11T14:35:28.123456")),
        (b"081109 203615 148 INFO dfs.DataNode: x", ns("2008-11-09T20:36:15")),
        (b"17/06/09 20:10:40 INFO executor: x", ns("2017-06-09T20:10:40")),
        (b"1066036250.603    4 10.0.0.1 TCP_MISS/200", ns("2003-10-13T09:10:50.603")),
        (b"level=info ts=1700000000.5 msg=x", 1_700_000_000_500_000_000),
        (b"ts=1700000000123 level=info", 1_700_000_000_123_000_000),
        (b'time="2026-11-20T10:11:12Z" level=info', ns("2026-11-20T10:11:12")),
        (b'{"level":30,"time":1700000000123,"msg":"x"}', 1_700_000_000_123_000_000),
        (b'{"ts":1700000000.25,"msg":"x"}', 1_700_000_000_250_000_000),
        (b'{"timestamp":1700000000123456789}', 1_700_000_000_123_456_789),
        (b'{"msg":"x","@timestamp":"2026-11-20T10:11:12.5Z","time":"no"}', ns("2026-11-20T10:11:12.5")),
        (b'{"ts":"1700000000"}', 1_700_000_000_000_000_000),
    ],
)  # fmt: skip
def test_every_form_is_known(line: bytes, time: int) -> None:
    assert LineTimes(NEWEST_NS, UTC).of(line) == time


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\tat com.example.Main(Main.java:12)",
        b"123456 hello",
        b"1234567890 is a number",
        b"2026-13-40T10:11:12Z",
        b"2026-02-30 10:11:12",
        b"9999-01-01T00:00:00Z beyond what an envelope carries",
        b"Feb 30 10:11:12 host",
        b"991399 203615 INFO",
        b'{"time":true,"ts":null,"timestamp":[1],"date":12}',
        b'{"time":1e300}',
        b'{"time":-1700000000}',
        b'{"broken',
        b" " * 200 + b"2026-11-20T10:11:12Z",
    ],
)
def test_what_says_no_time_has_none(line: bytes) -> None:
    assert LineTimes(NEWEST_NS, UTC).of(line) is None


def test_a_zone_and_a_year_can_be_given() -> None:
    times = LineTimes(NEWEST_NS, ZoneInfo("Europe/Berlin"), 2005)
    assert times.of(b"2026-07-01 12:00:00 x") == ns("2026-07-01T10:00:00")
    assert times.of(b"Jun 14 15:16:01 combo sshd: x") == ns("2005-06-14T13:16:01")


@pytest.mark.parametrize(
    ("newest", "time"),
    [
        ("2026-11-21", "2024-02-29"),
        ("2024-02-29", "2024-02-29"),
        ("2024-02-28", "2024-02-29"),
        ("2024-02-27", "2020-02-29"),
        ("2024-12-31", "2024-02-29"),
        ("2103-06-01", "2096-02-29"),
    ],
)
def test_a_29_february_is_of_the_last_year_that_had_one(newest: str, time: str) -> None:
    newest_ns = ns(f"{newest}T10:00:00")
    times = LineTimes(newest_ns, UTC)
    for line in (b"Feb 29 10:11:00 host app: x", b"02-29 10:11:00.000 1 2 D x", b"I0229 10:11:00.0 7 x.go:1] up"):
        assert times.of(line) == ns(f"{time}T10:11:00"), line
    assert LineTimes(newest_ns, UTC, 2023).of(b"Feb 29 10:11:00 x") is None
    assert LineTimes(newest_ns, UTC).of(b"Tue Feb 29 10:11:00 2000 x") == ns("2000-02-29T10:11:00")


def test_a_file_of_several_forms_is_read_line_by_line() -> None:
    times = LineTimes(NEWEST_NS, UTC)
    lines = [b"2026-11-20T10:11:12Z a", b"17/06/09 20:10:40 b", b"none", b"2026-11-20T10:11:12Z a"]
    assert [times.of(line) for line in lines * 2] == [
        ns("2026-11-20T10:11:12"), ns("2017-06-09T20:10:40"), None, ns("2026-11-20T10:11:12")
    ] * 2  # fmt: skip


@given(st.datetimes(datetime(1980, 1, 1), datetime(2200, 1, 1)), st.sampled_from(["T", " "]), st.sampled_from(".,"))
def test_what_is_written_is_read(moment: datetime, between: str, point: str) -> None:
    text = moment.isoformat(between, "microseconds").replace(".", point)
    assert LineTimes(NEWEST_NS, UTC).of(f"{text} hello".encode()) == ns(moment.isoformat())


@given(st.lists(st.binary(max_size=300), max_size=5))
def test_any_bytes_have_a_time_or_none(lines: list[bytes]) -> None:
    starts = [b"", b"{", b'{"time":', b"ts=", b"Jan 01 ", b"[21/Nov/2026:", b"2026-11-20T10:11:12"]
    times = LineTimes(NEWEST_NS, UTC)
    for line in [start + line for line in lines for start in starts]:
        assert (found := times.of(line)) is None or found in INT64


@pytest.mark.parametrize("behind", [b"Zookeeper started", b"-9999 dBm", b"-10 items", b"GMT+1 is not known", b"UTCX"])
def test_what_only_looks_like_a_zone_is_none(behind: bytes) -> None:
    times = LineTimes(NEWEST_NS, ZoneInfo("Europe/Berlin"))
    assert times.of(b"2026-11-20 10:11:12 " + behind) == ns("2026-11-20T09:11:12")


def test_a_host_that_is_called_by_a_number_is_no_year() -> None:
    assert LineTimes(NEWEST_NS, UTC).of(b"Nov 20 10:11:12 1234 sshd: x") == ns("2026-11-20T10:11:12")
