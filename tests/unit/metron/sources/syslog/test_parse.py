"""Messages of RFC 5424 and RFC 3164, the RFCs' own examples among them, and of programs that keep to neither."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from metron.sources.syslog.parse import NO_HEADER, Header, Message, parse

NOW = datetime(2026, 10, 12, tzinfo=UTC)
NOW_NS = int(NOW.timestamp()) * 10**9


def read(message: bytes) -> Message:
    return parse(message, NOW_NS, UTC)


def ns(text: str) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=UTC)
    return int(moment.timestamp()) * 10**9 + moment.microsecond * 1000


EXAMPLE = b'[exampleSDID@32473 iut="3" eventSource="Application" eventID="1011"]'
CLASS = b'[examplePriority@32473 class="high"]'
FULL = Header(165, b"mymachine.example.com", b"evntslog", b"", b"ID47", EXAMPLE, is_rfc5424=True)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (
            b"<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \xef\xbb\xbf'su root' failed",
            Message(
                Header(34, b"mymachine.example.com", b"su", b"", b"ID47", is_rfc5424=True),
                ns("2003-10-11T22:14:15.003"),
                b"\xef\xbb\xbf'su root' failed",
            ),
        ),
        (
            b"<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 myproc 8710 - - %% It's time to make the do-nuts.",
            Message(
                Header(165, b"192.0.2.1", b"myproc", b"8710", is_rfc5424=True),
                ns("2003-08-24T12:14:15.000003"),
                b"%% It's time to make the do-nuts.",
            ),
        ),
        (
            b"<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 " + EXAMPLE + b" An entry\n",
            Message(FULL, ns("2003-10-11T22:14:15.003"), b"An entry\n"),
        ),
        (
            b"<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 " + EXAMPLE + CLASS,
            Message(FULL._replace(structured=EXAMPLE + CLASS), ns("2003-10-11T22:14:15.003"), b""),
        ),
        (b"<0>1 - - - - - -", Message(Header(0, is_rfc5424=True), None, b"")),
        (b"<0>1 - - - - - - ", Message(Header(0, is_rfc5424=True), None, b"")),
        (b"<0>1 - - - - - -\n", Message(Header(0, is_rfc5424=True), None, b"\n")),
        (
            b"<0>1 - h a 1 - no structured data",
            Message(Header(0, b"h", b"a", b"1", b"", b"", True), None, b"no structured data"),
        ),
        (b'<0>1 - h a 1 - [x y="1] text', Message(Header(0, b"h", b"a", b"1", b"", b"", True), None, b'[x y="1] text')),
        (b"<0>1 2026-99-99T00:00:00Z h a 1 - - x", Message(Header(0, b"h", b"a", b"1", b"", b"", True), None, b"x")),
        (b"<13>1 - \xff \xfe - - - \xfd", Message(Header(13, b"\xff", b"\xfe", is_rfc5424=True), None, b"\xfd")),
    ],
)
def test_rfc_5424(message: bytes, expected: Message) -> None:
    assert read(message) == expected


OCTOBER = ns("2026-10-11T22:14:15")


@pytest.mark.parametrize(
    ("message", "header", "timestamp", "text"),
    [
        (
            b"<34>Oct 11 22:14:15 mymachine su: 'su root' failed",
            Header(34, b"mymachine", b"su"),
            OCTOBER,
            b"'su root' failed",
        ),
        (
            b"<13>Feb  5 17:32:18 10.0.0.99 Use the BFG!",
            Header(13, b"10.0.0.99"),
            ns("2027-02-05T17:32:18"),
            b"Use the BFG!",
        ),
        (
            b"<165>Aug 24 05:34:00 CST 1987 mymachine myproc[10]: %% It's time",
            Header(165, b"mymachine", b"myproc", b"10"),
            ns("1987-08-24T05:34:00"),
            b"%% It's time",
        ),
        (b"<13>Use the BFG!", Header(13), None, b"Use the BFG!"),
        # glibc's syslog(3) writes no host
        (b"<30>Oct 11 22:14:15 sshd[12]: hi\n", Header(30, b"", b"sshd", b"12"), OCTOBER, b"hi"),
        (b"<30>sshd[12]: hi\0", Header(30, b"", b"sshd", b"12"), None, b"hi"),
        # rsyslog's RSYSLOG_ForwardFormat
        (
            b"<30>2026-10-11T22:14:15.123456+02:00 web-1 postfix/smtpd[12]: hi",
            Header(30, b"web-1", b"postfix/smtpd", b"12"),
            ns("2026-10-11T20:14:15.123456"),
            b"hi",
        ),
        (b"<30>Oct 11 22:14:15 2001:db8::1 cron[1]: x", Header(30, b"2001:db8::1", b"cron", b"1"), OCTOBER, b"x"),
        (
            b"<30>Oct 11 22:14:15.250 web kernel: [1.5] x",
            Header(30, b"web", b"kernel"),
            OCTOBER + 250_000_000,
            b"[1.5] x",
        ),
        # Cisco: IOS with a sequence number and an unset clock, with a name, ASA with a device-id
        (
            b"<189>46: *Mar  1 18:48:50.483 UTC: %SYS-5-CONFIG_I: Configured",
            Header(189, msgid=b"SYS-5-CONFIG_I"),
            ns("2027-03-01T18:48:50.483"),
            b"%SYS-5-CONFIG_I: Configured",
        ),
        (
            b"<189>29: router1: Oct 11 22:14:15: %LINK-3-UPDOWN: up",
            Header(189, b"router1", msgid=b"LINK-3-UPDOWN"),
            OCTOBER,
            b"%LINK-3-UPDOWN: up",
        ),
        (
            b"<166>Oct 11 2026 22:14:15 fw1 : %ASA-6-302013: Built",
            Header(166, b"fw1", msgid=b"ASA-6-302013"),
            OCTOBER,
            b"%ASA-6-302013: Built",
        ),
        (b"<166>%ASA-6-302013: Built", Header(166, msgid=b"ASA-6-302013"), None, b"%ASA-6-302013: Built"),
        # what only looks like a header is text
        (b'<14>{"a": 1}', Header(14), None, b'{"a": 1}'),
        (b"<14>Oct 32 99:99:99 web x[1]: y", Header(14, b"web", b"x", b"1"), None, b"y"),
        (b"<14>", Header(14), None, b""),
        (b"<14>1 not a time h a p m - x", Header(14), None, b"1 not a time h a p m - x"),
        # no PRI, as in files of rsyslog
        (b"Oct 11 22:14:15 web sshd[12]: hi", Header(None, b"web", b"sshd", b"12"), OCTOBER, b"hi"),
    ],
)
def test_rfc_3164_and_what_is_near_it(message: bytes, header: Header, timestamp: int | None, text: bytes) -> None:
    assert read(message) == Message(header, timestamp, text)


@pytest.mark.parametrize(
    "message",
    [
        *(b"Use the BFG!", b"2026-10-11 10:00:00 INFO started", b"<192>Oct 11 22:14:15 h t: x", b"<1", b"<1234>x", b""),
        *(b"Error: no such thing", b"Oct 11 22:14:15 is when it happened", b"\xff\xfe"),
    ],
)
def test_without_a_header_all_is_text(message: bytes) -> None:
    found = read(message + b"\r\n\0")

    assert found.header is NO_HEADER
    assert found == Message(NO_HEADER, None, message)


PIECES = st.sampled_from(
    [
        *(b"<13>", b"1 ", b"- ", b"-", b" ", b"[", b"]", b'"', b"=", b"\\", b"[a@1", b' b="c"', b"[12]", b": ", b":"),
        *(b"Oct 11 22:14:15 ", b"2026-10-11T22:14:15Z ", b"host ", b"%A-1-B: ", b"7: ", b"\n", b"\0", b"\xff", b"UTC"),
    ]
)


@given(st.lists(PIECES | st.binary(max_size=4), max_size=30).map(b"".join))
def test_whatever_the_bytes_there_is_an_answer(message: bytes) -> None:
    header, timestamp, text = read(message)

    assert text in message
    assert all(field in message for field in header if isinstance(field, bytes))
    assert timestamp is None or -(2**63) <= timestamp < 2**63
    assert header is NO_HEADER or header.priority is None or 0 <= header.priority <= 191


@pytest.mark.parametrize(
    "message",
    [
        *(b"<1>1 - a b c d [" + b"a " * 400_000, b"<1>1 - a b c d " + b'[a b="\\"' * 100_000),
        *(b"<1>1 - a b c d [a" + b' b="c"' * 150_000, b"<1>1 - a b c d " + b"[a]" * 300_000 + b"x"),
        *(b"<1>1 - a b c d [a" + b" " * 900_000, b"<1>" + b"1: " * 300_000, b"<1>" + b"a" * 900_000),
        *(b"<1>" + b"(a" * 450_000, b"%A-" * 300_000, b"<1>Oct 11 22:14:15" + b" " * 900_000),
    ],
)
def test_the_work_does_not_grow_faster_than_the_message(message: bytes) -> None:
    """Were it quadratic, each would take minutes, and the suite's own limit would end it."""
    assert len(read(message).text) <= len(message)
